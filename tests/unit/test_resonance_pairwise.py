"""Phase locking of pairs, and the level that unrelated pairs reach."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.signal import lfilter

from dreampods.resonance import PairwisePLV, plv, plv_surrogates


def _random(rng: np.random.Generator, *shape: int) -> NDArray[np.complex128]:
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def _reference(
    u: NDArray[np.complex128], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """PLV and n_eff (N, N) straight from the definition."""
    unit = u / np.abs(u)
    pair = weight[:, :, None] * weight[:, None, :]
    turn = unit[:, :, None] * unit[:, None, :].conj()
    total = pair.sum(0)
    return np.abs((pair * turn).sum(0)) / total, total**2 / (pair**2).sum(0)


def test_plv_equals_numpy() -> None:
    rng = np.random.default_rng(0)
    u, weight = _random(rng, 300, 5), rng.random((300, 5))
    assert_allclose(plv(u, weight), _reference(u, weight)[0], rtol=1e-9)
    assert_allclose(plv(u), _reference(u, np.ones_like(weight))[0], rtol=1e-9)


def test_a_constant_difference_is_locked_whatever_it_is() -> None:
    rng = np.random.default_rng(1)
    a = _random(rng, 200)
    assert_allclose(plv(np.stack([a, 5 * a * np.exp(2j)], 1)), 1.0)


def test_a_pair_without_common_evidence_has_no_value() -> None:
    u = np.ones((4, 3), complex)
    weight = np.array([[1, 0, 1]] * 2 + [[0, 1, 1]] * 2, float)
    value = plv(u, weight)
    assert np.isnan(value[0, 1])
    assert value[0, 2] == value[1, 2] == 1
    u[:, 2] = 0
    assert np.isnan(plv(u)[0, 2]), "a phasor of 0 has no angle"


@settings(deadline=None, max_examples=25)
@given(
    window=st.integers(1, 30),
    pieces=st.lists(st.integers(1, 25), min_size=1, max_size=8),
    seed=st.integers(0, 1000),
)
def test_the_window_holds_the_last_frames_and_nothing_else(
    window: int, pieces: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    u = _random(rng, sum(pieces), 3, 2)
    weight = 0.1 + rng.random(u.shape)
    pairs = PairwisePLV(3, 2, window)
    done = 0
    for piece in pieces:
        pairs.push(u[done : done + piece], weight[done : done + piece])
        done += piece
        recent = slice(max(0, done - window), done)
        for band in range(2):
            value, n_eff = _reference(u[recent, :, band], weight[recent, :, band])
            assert_allclose(pairs.plv[band], value, rtol=1e-9, atol=1e-12)
            assert_allclose(pairs.n_eff[band], n_eff, rtol=1e-9)


def test_rounding_does_not_pile_up() -> None:
    """Weights of very different size enter and leave; what they leave behind must not stay."""
    rng = np.random.default_rng(2)
    pairs = PairwisePLV(2, 1, 50)
    for _ in range(40):
        pairs.push(_random(rng, 50, 2, 1), 10.0 ** rng.uniform(-6, 6, (50, 2, 1)))
    u, weight = _random(rng, 100, 2, 1), np.full((100, 2, 1), 1e-6)
    pairs.push(u, weight)
    assert_allclose(pairs.plv[0], plv(u[50:, :, 0]), rtol=1e-9)


def test_silence_leaves_no_value_behind() -> None:
    rng = np.random.default_rng(3)
    pairs = PairwisePLV(12, 1, 20)
    pairs.push(_random(rng, 33, 12, 1), rng.random((33, 12, 1)))
    pairs.push(_random(rng, 20, 12, 1), np.zeros((20, 12, 1)))
    assert np.isnan(pairs.plv).all()
    assert (pairs.n_eff == 0).all()


def _rhythms(
    rng: np.random.Generator, frames: int, n: int, memory: float
) -> NDArray[np.complex128]:
    """Independent narrow-band rhythms: noise through one pole, `memory` frames long."""
    pole = np.exp(-1 / memory + 0.15j)
    settle = int(8 * memory)
    return np.asarray(lfilter([1], [1, -pole], _random(rng, frames + settle, n), axis=0))[settle:]


@pytest.mark.parametrize("memory", [5.0, 20.0])
def test_unrelated_rhythms_pass_the_level_in_five_of_a_hundred_cases(memory: float) -> None:
    """Both where a window holds many memories and where it holds only a few."""
    rng = np.random.default_rng(4)
    passed = [
        plv(u[-60:])[0, 1] > plv_surrogates(u, window=60, min_shift=60)[0, 1]
        for u in (_rhythms(rng, 900, 2, memory) for _ in range(800))
    ]
    assert 0.035 < np.mean(passed) < 0.065


def test_a_pair_that_moves_together_passes_the_level() -> None:
    rng = np.random.default_rng(5)
    common = _rhythms(rng, 900, 1, 10.0)
    u = common + 0.5 * _rhythms(rng, 900, 2, 10.0)
    assert plv(u[-60:])[0, 1] > plv_surrogates(u, window=60, min_shift=60)[0, 1]


def test_togetherness_does_not_raise_the_level_it_is_judged_by() -> None:
    """One sleeper twice is locked all the time, but not with themselves at another time."""
    rng = np.random.default_rng(9)
    a, b = _rhythms(rng, 900, 2, 10.0).T
    twice, strangers = (
        plv_surrogates(np.stack(pair, 1), window=60, min_shift=60, quantile=0.99)[0, 1]
        for pair in ((a, a), (a, b))
    )
    assert twice < 1.2 * strangers < 0.95


def test_two_metronomes_are_no_evidence() -> None:
    """Equally regular people look locked without knowing of each other; the level says so."""
    turn = np.exp(0.2j * np.arange(600))
    u = np.stack([turn, turn * 1j], 1)
    level = plv_surrogates(u, window=50, min_shift=50)
    assert level[0, 1] > 0.999


def test_the_level_weighs_as_the_value_does() -> None:
    rng = np.random.default_rng(6)
    u = _rhythms(rng, 900, 3, 10.0)
    weight = np.ones(u.shape)
    unweighted = plv_surrogates(u, window=60, min_shift=60)
    assert_allclose(plv_surrogates(u, weight * 0.3, window=60, min_shift=60), unweighted)
    weight[:, 1] = rng.random(900) ** 8  # few frames of one sleeper count
    weighted = plv_surrogates(u, weight, window=60, min_shift=60)
    assert weighted[0, 1] > unweighted[0, 1]
    assert weighted[0, 2] == unweighted[0, 2]
    assert np.array_equal(weighted, weighted.T)
    weight[:, 1] = 0
    assert plv_surrogates(u, weight, window=60, min_shift=60)[0, 1] == 1


def test_a_short_stretch_cannot_tell() -> None:
    rng = np.random.default_rng(7)
    u = _rhythms(rng, 600, 2, 10.0)
    assert (plv_surrogates(u[:240], window=60, min_shift=60) == 1).all()
    assert plv_surrogates(u[:300], window=60, min_shift=60)[0, 1] < 1
    assert plv_surrogates(u, window=60, min_shift=500)[0, 1] == 1, "two windows so far apart"


def test_unusable_input_is_refused() -> None:
    pairs = PairwisePLV(2, 1, 10)
    for u, weight, why in (
        (np.ones((3, 2)), None, "shape"),
        (np.ones((0, 2, 1)), None, "holds nothing"),
        (np.full((1, 2, 1), np.nan), None, "NaN"),
        (np.ones((1, 2, 1)), np.full((1, 2, 1), -1.0), "below 0"),
        (np.ones((1, 2, 1)), np.ones((2, 2, 1)), "shape"),
    ):
        with pytest.raises(ValueError, match=why):
            pairs.push(u, weight)
    assert np.isnan(pairs.plv).all()
    with pytest.raises(ValueError, match="at least 1"):
        PairwisePLV(2, 1, 0)
    with pytest.raises(ValueError, match="whole number"):
        PairwisePLV(2, 1, 1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shape"):
        plv(np.ones(5))
    u = np.ones((20, 2), complex)
    with pytest.raises(ValueError, match="exceed the stretch"):
        plv_surrogates(u, window=21, min_shift=1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        plv_surrogates(u, window=2, min_shift=1, quantile=1.0)
