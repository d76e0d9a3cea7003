"""Synchrony measures of all pairs: against their definitions, over windows that slide or fade."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from dreampods.resonance import MEASURES, Pairs, PairSums, nm_plv, pair_sums, plv, raised

Floats = NDArray[np.float64]
Phasors = NDArray[np.complex128]


def _random(rng: np.random.Generator, *shape: int) -> Phasors:
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def _related(rng: np.random.Generator, frames: int, n: int) -> Phasors:
    """Each follows the first a little, some of them later."""
    u = _random(rng, frames, n)
    return u + 0.4 * u[:, :1] * np.exp(1j * np.arange(n))


def _reference(u: Phasors, weight: Floats) -> dict[str, Floats]:
    """Every measure (N, N) straight from its definition, with angles and sines."""
    a, b = np.angle(u)[:, :, None], np.angle(u)[:, None, :]
    w = weight[:, :, None] * weight[:, None, :]
    total, square = w.sum(0), (w**2).sum(0)

    def mean(x: NDArray[np.generic]) -> NDArray[np.generic]:
        return np.asarray((w * x).sum(0) / total)

    def correlation(x: Floats, y: Floats) -> Floats:
        return np.asarray(mean(x * y) / np.sqrt(mean(x**2) * mean(y**2)))

    lock, turn = mean(np.exp(1j * (a - b))), mean(np.exp(1j * (a + b)))
    lag = (u[:, :, None] * u[:, None, :].conj()).imag
    lags, lag_square = (w * lag).sum(0), ((w * lag) ** 2).sum(0)
    sizes = (w * abs(lag)).sum(0)
    center_a = (np.angle(turn) + np.angle(lock)) / 2
    center_b = (np.angle(turn) - np.angle(lock)) / 2
    of_a, of_b = mean(np.sin(a - center_a) ** 2), mean(np.sin(b - center_b) ** 2)
    mean_a = np.angle(mean(np.exp(1j * a) + 0 * w))
    mean_b = np.angle(mean(np.exp(1j * b) + 0 * w))
    size_a, size_b = abs(u)[:, :, None] + 0 * w, abs(u)[:, None, :] + 0 * w
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "plv": abs(lock),
            "ppc": (abs(lock * total) ** 2 - square) / (total**2 - square),
            "ciplv": abs(lock.imag) / np.sqrt(1 - lock.real**2),
            "wpli": abs(lags) / sizes,
            "wpli2_debiased": (lags**2 - lag_square) / (sizes**2 - lag_square),
            "accorr": (abs(lock) - abs(turn)) / (2 * np.sqrt(of_a * of_b)),
            "ccorr": correlation(np.sin(a - mean_a), np.sin(b - mean_b)),
            "envelope": correlation(size_a - mean(size_a), size_b - mean(size_b)),
            "n_eff": total**2 / square,
        }


def _compare(found: Pairs | PairSums, wanted: list[dict[str, Floats]], rtol: float) -> None:
    """Off the diagonal; wanted: one for each band."""
    n = wanted[0]["plv"].shape[0]
    others = ~np.eye(n, dtype=bool)
    for measure in MEASURES:
        for band, reference in enumerate(wanted):
            value = found.value(measure)[band]
            assert_allclose(value, value.T)
            # The error of a difference is relative to what it is the difference of
            assert_allclose(
                value[others], reference[measure][others], rtol=rtol, atol=rtol, err_msg=measure
            )


@pytest.mark.parametrize("n", [2, 5, 16, 37])
@pytest.mark.parametrize("weighted", [True, False])
def test_all_measures_equal_their_definitions(n: int, weighted: bool) -> None:
    rng = np.random.default_rng(n)
    u = _related(rng, 200, n)
    weight = rng.random(u.shape) if weighted else np.ones(u.shape)
    found = pair_sums(u, weight if weighted else None)
    _compare(found, [_reference(u, weight)], 1e-9)
    assert found.plv[0, 0, 0] == pytest.approx(1)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(("precision", "rtol"), [("float64", 1e-9), ("float32", 2e-5)])
def test_the_window_slides_over_any_pushes(precision: str, rtol: float, weighted: bool) -> None:
    rng = np.random.default_rng(1)
    u = np.stack([_related(rng, 400, 19), _related(rng, 400, 19)], 2)
    weight = 0.1 + rng.random(u.shape) if weighted else np.ones(u.shape)
    pairs = Pairs(19, 2, 70, measures=MEASURES, weighted=weighted, precision=precision)  # type: ignore[arg-type]
    done = 0
    for piece in (1, 3, 66, 1, 70, 31, 33, 150, 45):
        part = slice(done, done + piece)
        pairs.push(u[part], weight[part] if weighted else None)
        done += piece
        recent = slice(max(0, done - 70), done)
        if recent.stop - recent.start > 4:
            wanted = [_reference(u[recent, :, k], weight[recent, :, k]) for k in range(2)]
            _compare(pairs, wanted, rtol)
            _compare(pairs.sums(), wanted, rtol)


@settings(deadline=None, max_examples=25)
@given(
    window=st.integers(1, 30),
    pieces=st.lists(st.integers(1, 45), min_size=1, max_size=8),
    seed=st.integers(0, 1000),
)
def test_the_window_holds_the_last_frames_and_nothing_else(
    window: int, pieces: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    u = _random(rng, sum(pieces), 3, 2)
    weight = 0.1 + rng.random(u.shape)
    pairs = Pairs(3, 2, window)
    done = 0
    for piece in pieces:
        pairs.push(u[done : done + piece], weight[done : done + piece])
        done += piece
        recent = slice(max(0, done - window), done)
        for band in range(2):
            wanted = _reference(u[recent, :, band], weight[recent, :, band])
            assert_allclose(pairs.plv[band], wanted["plv"], rtol=1e-9, atol=1e-12)
            assert_allclose(pairs.n_eff[band], wanted["n_eff"], rtol=1e-9)


@pytest.mark.parametrize("weighted", [True, False])
def test_a_fading_window_weighs_by_age(weighted: bool) -> None:
    rng = np.random.default_rng(2)
    u = _related(rng, 150, 6)
    weight = rng.random(u.shape) if weighted else np.ones(u.shape)
    pairs = Pairs(6, 1, memory=20, measures=MEASURES, weighted=weighted)
    done = 0
    for piece in (1, 40, 9, 100):
        part = slice(done, done + piece)
        pairs.push(u[part, :, None], weight[part, :, None] if weighted else None)
        done += piece
    age = np.arange(149, -1, -1)[:, None]
    # A pair's weight is a product of two
    _compare(pairs, [_reference(u, weight * np.exp(-age / 40))], 1e-9)


def test_sums_of_different_frames_add_up() -> None:
    rng = np.random.default_rng(3)
    u, weight = _related(rng, 300, 5), rng.random((300, 5))
    parts = [pair_sums(u[part], weight[part]) for part in (slice(100), slice(100, 300))]
    _compare(parts[0] + parts[1], [_reference(u, weight)], 1e-9)
    mixed = pair_sums(u[:100]) + pair_sums(u[100:], weight[100:])
    _compare(mixed, [_reference(u, np.where(np.arange(300)[:, None] < 100, 1, weight))], 1e-9)
    with pytest.raises(ValueError, match="only sums of the same measures"):
        parts[0] + pair_sums(u, measures="plv")
    with pytest.raises(ValueError, match="only sums of the same measures"):
        parts[0] + pair_sums(u[:, :3])


def test_only_what_was_asked_for_is_kept() -> None:
    pairs = Pairs(3, 1, 10, measures="plv")
    pairs.push(np.ones((4, 3, 1), complex))
    assert pairs.plv[0, 0, 1] == 1
    assert len(pairs.sums().numbers) < len(Pairs(3, 1, 10, measures=MEASURES).sums().numbers)
    for ask in (lambda: pairs.wpli, lambda: pairs.sums().n_eff):
        with pytest.raises(ValueError, match="not among the measures asked for: plv"):
            ask()


def test_rounding_does_not_pile_up() -> None:
    """Weights of very different size enter and leave; what they leave behind must not stay."""
    rng = np.random.default_rng(2)
    pairs = Pairs(2, 1, 50)
    for _ in range(40):
        pairs.push(_random(rng, 50, 2, 1), 10.0 ** rng.uniform(-6, 6, (50, 2, 1)))
    u, weight = _random(rng, 100, 2, 1), np.full((100, 2, 1), 1e-6)
    pairs.push(u, weight)
    assert_allclose(pairs.plv[0], plv(u[50:, :, 0]), rtol=1e-9)


def test_a_long_night_is_as_exact_as_its_last_window() -> None:
    rng = np.random.default_rng(4)
    pairs = Pairs(4, 1, 100, measures=MEASURES, weighted=False)
    for _ in range(200):
        u = _related(rng, 1013, 4)
        pairs.push(u[:, :, None])
    _compare(pairs, [_reference(u[-100:], np.ones((100, 4)))], 1e-11)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_silence_leaves_no_value_behind(precision: str) -> None:
    rng = np.random.default_rng(3)
    pairs = Pairs(12, 1, 20, measures=MEASURES, precision=precision)  # type: ignore[arg-type]
    pairs.push(_random(rng, 33, 12, 1), rng.random((33, 12, 1)))
    pairs.push(_random(rng, 20, 12, 1), np.zeros((20, 12, 1)))
    for measure in MEASURES:
        if measure != "n_eff":
            assert np.isnan(pairs.value(measure)).all()
    assert (pairs.n_eff == 0).all()


def test_a_pair_without_common_evidence_has_no_value() -> None:
    u = np.ones((4, 3), complex)
    weight = np.array([[1, 0, 1]] * 2 + [[0, 1, 1]] * 2, float)
    value = plv(u, weight)
    assert np.isnan(value[0, 1])
    assert value[0, 2] == value[1, 2] == 1
    u[:, 2] = 0
    assert np.isnan(plv(u)[0, 2]), "a phasor of 0 has no angle"


def test_gaps_are_left_out_and_not_zeros() -> None:
    rng = np.random.default_rng(5)
    u = _related(rng, 300, 2)
    here = rng.random(300) > 0.4
    weight = np.stack([here, np.ones(300)], 1).astype(float)
    garbage = np.where(weight > 0, u, 1e6 * _random(rng, 300, 2))
    _compare(pair_sums(garbage, weight), [_reference(u[here], np.ones((here.sum(), 2)))], 1e-9)


def test_a_constant_difference_is_locked_whatever_it_is() -> None:
    rng = np.random.default_rng(1)
    a = _random(rng, 200)
    assert_allclose(plv(np.stack([a, 5 * a * np.exp(2j)], 1)), 1.0)


def test_quotients_of_nothing_are_not_numbers() -> None:
    rng = np.random.default_rng(6)
    a = _random(rng, 100)
    alike = pair_sums(np.stack([a, a], 1))
    for measure in ("ciplv", "wpli", "wpli2_debiased"):
        assert np.isnan(alike.value(measure)).all(), measure
    assert_allclose(alike.accorr, 1)
    assert_allclose(alike.ccorr, 1)
    assert_allclose(alike.envelope, 1)
    still = pair_sums(np.stack([a, np.full(100, 2j)], 1))
    for measure in ("accorr", "ccorr", "envelope"):
        assert np.isnan(still.value(measure)[0, 0, 1]), measure
    once = pair_sums(np.stack([a, a], 1)[:1])
    assert np.isnan(once.ppc).all()


def test_opposite_phases_have_opposite_correlations() -> None:
    angle = np.random.default_rng(7).normal(0, 0.5, 500)
    mirror = pair_sums(np.exp(1j * np.stack([angle, -angle], 1)), measures=("ccorr", "accorr"))
    assert mirror.ccorr[0, 0, 1] == pytest.approx(-1)
    assert mirror.accorr[0, 0, 1] == pytest.approx(-1)


@pytest.mark.parametrize("size", [1e-200, 1e-30, 1e8, 1e29])
def test_the_size_of_phasors_does_not_matter_for_phase(size: float) -> None:
    rng = np.random.default_rng(8)
    u = _random(rng, 50, 3)
    assert_allclose(plv(size * u), plv(u), rtol=1e-9)
    if 1e-38 < size < 1e9:
        single = Pairs(3, 1, 50, measures="plv", weighted=False, precision="float32")
        single.push(size * u[:, :, None])
        assert_allclose(single.plv[0], plv(u), rtol=1e-5)


def test_unbiased_measures_are_zero_on_average_by_chance() -> None:
    rng = np.random.default_rng(9)
    few = [pair_sums(_random(rng, 10, 8), rng.random((10, 8))) for _ in range(400)]
    others = np.triu_indices(8, 1)
    for measure, biased in (("ppc", "plv"), ("wpli2_debiased", "wpli")):
        values = np.array([one.value(measure)[0][others] for one in few])
        assert abs(values.mean()) < 0.01
        assert np.mean([one.value(biased)[0][others] ** 2 for one in few]) > 0.1


def test_a_heart_is_locked_to_a_breath_of_a_quarter_of_its_pace() -> None:
    rng = np.random.default_rng(10)
    breath = np.cumsum(0.1 + 0.02 * rng.standard_normal(2000))
    heart = 4 * breath + 1 + 0.1 * rng.standard_normal(2000)
    a, b = 3 * np.exp(1j * heart), np.exp(1j * breath)
    assert nm_plv(a, b, 1, 4) > 0.98
    assert nm_plv(a, b, 1, 3) < 0.2
    wanted = abs(np.mean(np.exp(1j * (heart - 4 * breath))))
    assert nm_plv(a, b, 1, 4) == pytest.approx(wanted, rel=1e-9)
    weight = rng.random(2000)
    weighted = abs(np.average(np.exp(1j * (heart - 4 * breath)), weights=weight))
    assert nm_plv(a, b, 1, 4, weight) == pytest.approx(weighted, rel=1e-9)
    assert_allclose(raised(a, 3), 3 * np.exp(3j * heart))
    assert np.isnan(nm_plv(a, b, 1, 4, np.zeros(2000)))


def test_unusable_input_is_refused() -> None:
    pairs = Pairs(2, 1, 10)
    for u, weight, why in (
        (np.ones((3, 2), complex), None, "shape"),
        (np.ones((0, 2, 1), complex), None, "holds nothing"),
        (np.full((1, 2, 1), np.nan + 0j), None, "NaN"),
        (np.ones((1, 2, 1), complex), np.full((1, 2, 1), -1.0), "below 0"),
        (np.ones((1, 2, 1), complex), np.full((1, 2, 1), np.inf), "infinity"),
        (np.ones((1, 2, 1), complex), np.ones((2, 2, 1)), "shape"),
        (np.ones((1, 2, 1)), None, "phasors, which are complex"),
    ):
        with pytest.raises(ValueError, match=why):
            pairs.push(u, weight)
    assert np.isnan(pairs.plv).all()
    full = Pairs(2, 1, 10, weighted=False)
    with pytest.raises(ValueError, match="without weights"):
        full.push(np.ones((1, 2, 1), complex), np.ones((1, 2, 1)))
    with pytest.raises(ValueError, match="no angle"):
        full.push(np.zeros((1, 2, 1), complex))
    single = Pairs(2, 1, 10, precision="float32")
    with pytest.raises(ValueError, match="too large for complex64"):
        single.push(np.full((1, 2, 1), 1e60 + 0j))
    for arguments, why in (
        ({"window": 0}, "at least 1"),
        ({"window": 1.5}, "whole number"),
        ({}, "either a window or a memory"),
        ({"window": 3, "memory": 3.0}, "either a window or a memory"),
        ({"memory": 0.0}, "memory must lie between 0.001"),
        ({"window": 3, "measures": ()}, "measures must be some of"),
        ({"window": 3, "measures": ("plv", "plf")}, "not plf"),
        ({"window": 3, "precision": "float16"}, "float64 or float32"),
    ):
        with pytest.raises(ValueError, match=why):
            Pairs(2, 1, **arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shape"):
        plv(np.ones(5, complex))
    with pytest.raises(ValueError, match="shape"):
        pair_sums(np.ones((5, 2), complex), np.ones((5, 3)))
    with pytest.raises(ValueError, match="at least 1"):
        raised([1j], 0)
    with pytest.raises(ValueError, match="shape"):
        nm_plv([1j, 1], [1j], 1, 1)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("step", [1, 2, 5])
def test_what_was_far_larger_leaves_nothing_behind(
    precision: Literal["float32", "float64"], weighted: bool, step: int
) -> None:
    """Confidences that drop, and an artefact in the amplitudes, have left the window."""
    rng = np.random.default_rng(step)
    u = rng.uniform(0.5, 1.5, (40, 3, 1)) * np.exp(1j * rng.uniform(-3, 3, (40, 3, 1)))
    for size in (1.0, 1e3, 1e6):
        for low in (0.3, 0.01, 1e-3, 1e-6):
            z = np.where(np.arange(40) < 13, size, 1.0)[:, None, None] * u
            weight = np.where(np.arange(40) < 15, 1.0, low)[:, None, None] * np.ones((1, 3, 1))
            pairs = Pairs(3, 1, 10, measures=MEASURES, precision=precision, weighted=weighted)
            for at in range(0, 30, step):
                part = slice(at, at + step)
                pairs.push(z[part], weight[part] if weighted else None)
            true = pair_sums(z[20:30], weight[20:30] if weighted else None)
            for measure in MEASURES:
                assert_allclose(pairs.value(measure), true.value(measure), rtol=1e-5, atol=1e-5)
