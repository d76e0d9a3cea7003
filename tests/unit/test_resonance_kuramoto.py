"""Oscillators against what theory and an independent integrator say of them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq
from scipy.special import ive
from scipy.stats import kstest, norm

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


def _late_order(group: Kuramoto, seconds: float, dt_s: float) -> float:
    """Mean order parameter of the last fifth."""
    phase = group.run(round(seconds / dt_s), dt_s)
    return float(np.abs(np.exp(1j * phase[-len(phase) // 5 :]).mean(axis=1)).mean())


@pytest.mark.parametrize("times_critical", [0.8, 1.2, 2.0])
def test_order_sets_in_where_kuramoto_says(times_critical: float) -> None:
    """Kc = 2 / (π g(0)); above it R solves 1 = K ∫ cos²θ g(K R sin θ) dθ over half a turn."""
    spread = 0.02
    critical = 2 / (np.pi * norm.pdf(0, scale=spread))
    coupling = times_critical * critical
    natural = norm.ppf((np.arange(4000) + 0.5) / 4000, scale=spread)
    order = _late_order(Kuramoto(natural, coupling, seed=1), 600, 0.25)
    if times_critical < 1:
        assert order < 0.08
        return

    def excess(r: float) -> float:
        felt = quad(
            lambda angle: np.cos(angle) ** 2 * norm.pdf(coupling * r * np.sin(angle), scale=spread),
            -np.pi / 2,
            np.pi / 2,
        )[0]
        return coupling * float(felt) - 1

    assert order == pytest.approx(brentq(excess, 1e-6, 1), abs=0.02)


@pytest.mark.parametrize("times_critical", [0.5, 1.5, 3.0])
def test_noise_melts_order_as_the_fokker_planck_equation_says(times_critical: float) -> None:
    """Like oscillators in noise of strength D = noise² / 2: Kc = 2 D, R = I1(K R / D) / I0(K R / D)."""
    noise = 0.3
    strength = noise**2 / 2
    pull = times_critical * 2 * strength
    group = Kuramoto(np.full(4000, 0.2), pull / (2 * np.pi), noise=noise, seed=3)
    order = _late_order(group, 400, 0.1)
    if times_critical < 1:
        assert order < 0.05
        return

    def excess(r: float) -> float:
        x = pull * r / strength
        return float(ive(1, x) / ive(0, x)) - r

    assert order == pytest.approx(brentq(excess, 1e-3, 1), abs=0.015)


def test_halving_the_step_quarters_the_error() -> None:
    natural, start = [0.2, 0.25, 0.35], [0.0, 1.0, -2.0]
    drives = ([0.3, 2.0, 1.0], [0.1, 0.05, 0.02])

    def end(steps: int) -> NDArray[np.float64]:
        group = Kuramoto(natural, 0.15, 0.3, phase=start)
        return group.run(steps, 4 / steps, *drives)[-1]

    exact = end(64000)
    error = [np.abs(end(steps) - exact).max() for steps in (40, 80, 160)]
    assert error[0] / error[1] == pytest.approx(4, rel=0.15)
    assert error[1] / error[2] == pytest.approx(4, rel=0.15)


def test_noise_is_normal_and_every_number_is_new() -> None:
    turn = 0.05
    phase = Kuramoto(np.zeros(1001), 0.0, noise=turn, phase=np.zeros(1001), seed=2).run(200, 1.0)
    kicks = np.diff(np.unwrap(phase, axis=0), axis=0) / turn
    assert kstest(kicks.ravel(), norm.cdf).pvalue > 1e-3
    assert len(np.unique(kicks)) > 0.999 * kicks.size
    for one, other in ((kicks[1:], kicks[:-1]), (kicks[:, 1:], kicks[:, :-1])):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.01
    assert abs(np.mean(kicks**4) - 3) < 0.1


def test_a_seed_gives_the_same_phases_on_every_machine() -> None:
    """Only operations that are rounded in one way only: x86-64, arm64, GCC and Clang agree in every bit."""
    start = np.arange(37) * 0.3 - 3
    natural = 0.2 + 0.003 * np.arange(37)
    strength, lag = [[0.1, 0.05], [0.02, 0.2]], [[0.1, 0.2], [0.3, 0.4]]
    group = Kuramoto(natural, strength, lag, 0.3, 5, sizes=[20, 17], phase=start)
    for _ in range(2000):
        phase = group.step(0.05, start, natural)
    assert phase[3] == -1.5312144339816094


def test_runs_are_steps() -> None:
    drives = ([0.0, 1.0, 2.0], [0.1, 0.2, 0.3])
    one, other = (Kuramoto([0.2, 0.3, 0.4], 0.1, 0.2, 0.1, 7) for _ in range(2))
    steps = np.stack([one.step(0.1, *drives) for _ in range(20)])
    assert np.array_equal(other.run(20, 0.1, *drives), steps)


def test_groups_feel_each_other_by_their_own_strengths_and_lags() -> None:
    """Against an independent integrator, unequal groups, unequal couplings both ways."""
    sizes, natural = [3, 2], np.array([0.20, 0.22, 0.25, 0.30, 0.28])
    strength = np.array([[0.10, 0.03], [-0.05, 0.12]])
    lag = np.array([[0.2, 1.0], [-0.5, 0.0]])
    start = np.array([0.0, 1.0, 2.0, -1.0, 3.0])
    of = np.repeat([0, 1], sizes)
    weight = strength[of[:, None], of] / np.array(sizes)[of]

    def slope(_: float, p: NDArray[np.float64]) -> NDArray[np.float64]:
        pull = weight * np.sin(p - p[:, None] - lag[of[:, None], of])
        return np.asarray(2 * np.pi * (natural + pull.sum(axis=1)))

    expected = solve_ivp(slope, (0, 10), start, rtol=1e-10, atol=1e-12).y[:, -1]
    group = Kuramoto(natural, strength, lag, sizes=sizes, phase=start)
    assert_allclose(
        np.exp(1j * group.run(10000, 0.001)[-1]), np.exp(1j * expected), atol=1e-6
    )


def test_two_groups_make_a_chimera() -> None:
    """Abrams et al. 2008: of two like groups of like oscillators one is in step, the other in part.

    On the manifold of Ott & Antonsen the second obeys
    r' = (1 - r²)/2 (µ r cos α + ν cos(ψ - α)),
    ψ' = (1 + r²)/2r (µ r sin α - ν sin(ψ - α)) - µ sin α - ν r sin(ψ + α),
    with µ the pull within a group, ν that between them, and ψ the lead of the first. At A = µ - ν = 0.2 and
    π/2 - α = 0.1 this comes to rest between order and disorder.
    """
    n, within, between, lag = 4000, 0.6, 0.4, np.pi / 2 - 0.1

    def slope(_: float, state: NDArray[np.float64]) -> list[float]:
        r, lead = state
        pull = within * r * np.cos(lag) + between * np.cos(lead - lag)
        turn = within * r * np.sin(lag) - between * np.sin(lead - lag)
        rest = within * np.sin(lag) + between * r * np.sin(lead + lag)
        return [(1 - r * r) / 2 * pull, (1 + r * r) / (2 * r) * turn - rest]

    seconds, begin = 400, 0.75
    course = solve_ivp(slope, (0, seconds), [begin, -0.3], rtol=1e-9, atol=1e-11, max_step=1)
    # Phases of the Poisson kernel of order r: a uniform circle through a Möbius map.
    even = np.exp(2j * np.pi * (np.arange(n) + 0.5) / n)
    spread = np.angle((even + begin) / (1 + begin * even))
    group = Kuramoto(
        np.zeros(2 * n),
        np.array([[within, between], [between, within]]) / (2 * np.pi),
        lag,
        sizes=[n, n],
        phase=np.concatenate([np.full(n, -0.3), spread]),
    )
    phase = group.run(seconds * 20, 0.05)[-1]
    assert np.abs(np.exp(1j * phase[:n]).mean()) == pytest.approx(1, abs=1e-6)
    order = np.abs(np.exp(1j * phase[n:]).mean())
    assert order == pytest.approx(course.y[0, -1], abs=0.01)
    assert order == pytest.approx(0.729, abs=0.02)


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
        ([0.1], np.inf, 0.0, "infinity"),
        ([0.1], 0.1, -1.0, "noise must lie between 0"),
        ([1e9], 0.1, 0.0, "natural_hz must not be above"),
    ):
        with pytest.raises(ValueError, match=why):
            Kuramoto(natural, coupling, noise=noise)
    for wrong, why in (
        ({"seed": -1}, "seed"),
        ({"sizes": [1, 2]}, "sum is N = 2"),
        ({"sizes": [0, 2]}, "below 1"),
        ({"sizes": [0.5, 1.5]}, "below 1"),
        ({"sizes": [1, 1], "coupling_hz": [[0.1]]}, "shape"),
        ({"lag_rad": np.nan}, "NaN"),
        ({"phase": [0.0]}, "shape"),
        ({"phase": [0.0, np.inf]}, "infinity"),
    ):
        with pytest.raises(ValueError, match=why):
            Kuramoto(**{"natural_hz": [0.1, 0.2], "coupling_hz": 0.1, **wrong})  # type: ignore[arg-type]
    group = Kuramoto([0.1, 0.2], 0.1)
    with pytest.raises(ValueError, match="at least 1"):
        group.run(0, 0.1)
    with pytest.raises(ValueError, match="dt_s must lie between"):
        group.step(0.0)
    with pytest.raises(ValueError, match="come together"):
        group.step(0.1, drive_phase=[0.0, 0.0])
    with pytest.raises(ValueError, match="shape"):
        group.step(0.1, [0.0], [0.0])
    with pytest.raises(ValueError, match="shape"):
        group.natural_hz = np.array([0.1])
