"""Oscillators against what theory and an independent integrator say of them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from dreampods.resonance import Kuramoto, order_parameter


def _run(group: Kuramoto, seconds: float, dt_s: float = 0.05) -> NDArray[np.float64]:
    return np.stack([group.step(dt_s) for _ in range(round(seconds / dt_s))])


def _lorentzian(n: int, gamma_hz: float) -> NDArray[np.float64]:
    """Equally probable frequencies of a Lorentzian of half-width gamma."""
    return gamma_hz * np.tan(np.pi * ((np.arange(n) + 0.5) / n - 0.5))


def test_equals_an_independent_integrator_of_the_pairwise_sum() -> None:
    natural, coupling, lag = np.array([0.20, 0.24, 0.27, 0.31]), 0.07, 0.4
    group = Kuramoto(natural, coupling, lag, seed=3)
    start = Kuramoto(natural, coupling, lag, seed=3).step(1e-12)
    drive_phase, drive_hz = np.array([0.1, 1.0, -2.0, 3.0]), np.array([0.05, 0.0, 0.02, 0.1])

    def slope(_: float, p: NDArray[np.float64]) -> NDArray[np.float64]:
        pull = np.sin(p[None, :] - p[:, None] - lag).sum(1) * coupling / p.size
        return np.asarray(2 * np.pi * (natural + pull + drive_hz * np.sin(drive_phase - p)))

    expected = solve_ivp(slope, (0, 10), start, rtol=1e-10, atol=1e-12).y[:, -1]
    for _ in range(10000):
        phase = group.step(0.001, drive_phase, drive_hz)
    assert_allclose(np.exp(1j * phase), np.exp(1j * expected), atol=1e-6)


@pytest.mark.parametrize("lag", [0.0, 0.6])
@pytest.mark.parametrize("times_critical", [0.7, 1.5, 3.0])
def test_order_follows_the_lorentzian_law(lag: float, times_critical: float) -> None:
    """Kc = 2γ / cos α and R = √(1 - Kc / K) (Kuramoto 1975; Sakaguchi & Kuramoto 1986)."""
    gamma = 0.01
    critical = 2 * gamma / np.cos(lag)
    group = Kuramoto(_lorentzian(2000, gamma), times_critical * critical, lag, seed=1)
    settle = _run(group, 250, 0.25)[-200:]
    order = float(np.mean([order_parameter(phase).value for phase in settle]))
    if times_critical < 1:
        assert order < 0.12
    else:
        assert order == pytest.approx(np.sqrt(1 - 1 / times_critical), abs=0.02)


@pytest.mark.parametrize(("ratio", "locks"), [(0.95, False), (1.05, True)])
def test_a_pair_locks_where_adler_says(ratio: float, locks: bool) -> None:
    """The difference obeys dφ/dt = Δω - K sin φ, at rest where |Δω| <= K."""
    natural = np.array([0.25, 0.30])
    group = Kuramoto(natural, ratio * 0.05, seed=2)
    phase = np.unwrap(_run(group, 600), axis=0)
    drift = np.diff(phase[4000:], axis=1).ravel()
    slips = abs(drift[-1] - drift[0]) / (2 * np.pi)
    if locks:
        assert slips < 1e-3
        assert np.sin(drift[-1]) == pytest.approx(1 / ratio, abs=1e-4)
    else:
        beat_hz = 0.05 * np.sqrt(1 - ratio**2)
        assert slips == pytest.approx(beat_hz * 400, abs=0.6)


@pytest.mark.parametrize(("drive_hz", "follows"), [(0.045, False), (0.055, True)])
def test_a_sleeper_is_followed_where_the_drive_outweighs_the_detuning(
    drive_hz: float, follows: bool
) -> None:
    group = Kuramoto([0.30], 0.0)
    away = []
    for k in range(12000):
        body = 2 * np.pi * 0.25 * k * 0.05
        # The drive is held over a step, so it is asked for where it will be in its middle.
        phase = group.step(0.05, [body + np.pi * 0.25 * 0.05], [drive_hz])
        away.append(float(np.angle(np.exp(1j * (phase[0] - body - 2 * np.pi * 0.25 * 0.05)))))
    spread = float(np.ptp(away[6000:]))
    assert (spread < 1e-3) if follows else (spread > 6)
    if follows:
        assert np.sin(away[-1]) == pytest.approx(0.05 / drive_hz, abs=0.01)


@pytest.mark.parametrize("dt_s", [0.02, 0.2])
def test_noise_spreads_with_the_root_of_time_whatever_the_step(dt_s: float) -> None:
    group = Kuramoto(np.zeros(4000), 0.0, noise=0.3, seed=5)
    start = group.step(1e-12)
    phase = _run(group, 4, dt_s)[-1]
    assert np.std(np.angle(np.exp(1j * (phase - start)))) == pytest.approx(0.6, rel=0.04)


def test_a_seed_repeats_everything_and_another_does_not() -> None:
    def run(seed: int) -> NDArray[np.float64]:
        return _run(Kuramoto([0.2, 0.3], 0.05, noise=0.1, seed=seed), 5)

    assert np.array_equal(run(1), run(1))
    assert not np.array_equal(run(1), run(2))


def test_a_new_natural_frequency_takes_over_without_a_jump() -> None:
    group = Kuramoto([0.25, 0.25], 0.0)
    before = _run(group, 1)[-1]
    group.natural_hz = np.array([0.25, 0.5])
    assert np.array_equal(group.natural_hz, [0.25, 0.5])
    turned = np.angle(np.exp(1j * (group.step(0.1) - before)))
    assert_allclose(turned, [2 * np.pi * 0.025, 2 * np.pi * 0.05])


def test_unusable_input_is_refused() -> None:
    for natural, coupling, noise, why in (
        ([], 0.1, 0.0, "holds nothing"),
        ([np.nan], 0.1, 0.0, "NaN"),
        ([0.1], np.inf, 0.0, "finite"),
        ([0.1], 0.1, -1.0, "negative"),
    ):
        with pytest.raises(ValueError, match=why):
            Kuramoto(natural, coupling, noise=noise)
    group = Kuramoto([0.1, 0.2], 0.1)
    with pytest.raises(ValueError, match="above 0"):
        group.step(0.0)
    with pytest.raises(ValueError, match="come together"):
        group.step(0.1, drive_phase=[0.0, 0.0])
    with pytest.raises(ValueError, match="shape"):
        group.step(0.1, [0.0], [0.0])
    with pytest.raises(ValueError, match="shape"):
        group.natural_hz = np.array([0.1])
