"""The level that unrelated pairs reach, and how often they and unrelated groups reach a figure."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.signal import lfilter

from dreampods.resonance import (
    leave_one_out,
    order_p_value,
    plv,
    plv_p_values,
    plv_surrogates,
    shift_p_values,
    windowed_cross_correlation,
)


def _random(rng: np.random.Generator, *shape: int) -> NDArray[np.complex128]:
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


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
    u = np.ones((20, 2), complex)
    with pytest.raises(ValueError, match="exceed the stretch"):
        plv_surrogates(u, window=21, min_shift=1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        plv_surrogates(u, window=2, min_shift=1, quantile=1.0)
    for judge in (plv_p_values, order_p_value):
        with pytest.raises(ValueError, match="exceed the stretch"):
            judge(u, window=21, min_shift=1)
        with pytest.raises(ValueError, match="below 0"):
            judge(u, -np.ones((20, 2)), window=2, min_shift=1)
        with pytest.raises(ValueError, match="NaN"):
            judge(u * np.nan, window=2, min_shift=1)
    with pytest.raises(ValueError, match="at least 1"):
        order_p_value(u, window=2, min_shift=1, draws=0)
    for x, why in (
        (np.ones(4), "shape"),
        (np.ones((0, 2)), "nothing"),
        (np.full((4, 2), np.inf), "NaN"),
    ):
        with pytest.raises(ValueError, match=why):
            shift_p_values(lambda z: abs(z).mean(), x)


# Below, 1,500 cases or more: a rate of 5 % is then known to 1.1 %, with 95 % confidence.


@pytest.mark.parametrize("memory", [5.0, 20.0])
def test_pairs_of_strangers_have_a_p_below_5_percent_in_5_percent_of_cases(memory: float) -> None:
    rng = np.random.default_rng(10)
    pairs = np.triu_indices(5, 1)
    found = [
        plv_p_values(_rhythms(rng, 900, 5, memory), window=60, min_shift=60)[pairs] <= 0.05
        for _ in range(300)
    ]
    assert np.size(found) == 3000
    assert 0.04 <= np.mean(found) <= 0.06


@pytest.mark.parametrize("memory", [5.0, 20.0])
def test_groups_of_strangers_too(memory: float) -> None:
    rng = np.random.default_rng(11)
    found = [
        order_p_value(_rhythms(rng, 900, 5, memory), window=60, min_shift=60, draws=99, seed=k)
        for k in range(1500)
    ]
    assert 0.04 <= np.mean(np.array(found) <= 0.05) <= 0.06


def test_shifts_of_strangers_too() -> None:
    """Phase locking, leave-one-out correlation and the peak of the cross-correlation at once."""

    def all_of_them(u: NDArray[np.complex128]) -> NDArray[np.float64]:
        x = u.real
        found = windowed_cross_correlation(x[:, 0], x[:, 1], window=60, max_lag=2, step=60)
        return np.concatenate(
            [plv(u)[np.triu_indices(3, 1)], leave_one_out(x)[0], [np.mean(found.peak)]]
        )

    rng = np.random.default_rng(12)
    p = np.array(
        [
            shift_p_values(all_of_them, _rhythms(rng, 500, 3, 5.0), draws=39, seed=k)
            for k in range(400)
        ]
    )
    below = p <= 0.05
    assert p.shape == (400, 7)
    assert 0.04 <= below[:, :6].mean() <= 0.06
    assert 0.03 <= below[:, 6].mean() <= 0.07, "400 cases tell less"


def test_those_who_move_together_have_a_small_p() -> None:
    rng = np.random.default_rng(13)
    together = _rhythms(rng, 1500, 1, 10.0) + 0.4 * _rhythms(rng, 1500, 4, 10.0)
    u = np.concatenate([together, _rhythms(rng, 1500, 1, 10.0)], axis=1)
    p = plv_p_values(u, window=100, min_shift=60)
    others = np.triu_indices(4, 1)
    assert (p[others] < 0.02).all()
    assert (p[4, :4] > 0.05).all()
    assert np.array_equal(p, p.T)
    assert (np.diag(p) == 1).all()
    assert order_p_value(u, window=100, min_shift=60) < 0.02
    of_others = shift_p_values(lambda x: leave_one_out(x)[0], u.real)
    assert (of_others[:4] < 0.02).all()
    assert of_others[4] > 0.05


def test_p_and_level_say_the_same() -> None:
    rng = np.random.default_rng(14)
    for _ in range(50):
        u = _rhythms(rng, 900, 2, 20.0)
        above = plv(u[-60:])[0, 1] > plv_surrogates(u, window=60, min_shift=60)[0, 1]
        assert above == (plv_p_values(u, window=60, min_shift=60)[0, 1] <= 0.05)


def test_what_cannot_be_told_has_a_p_of_one() -> None:
    rng = np.random.default_rng(15)
    u = _rhythms(rng, 600, 3, 10.0)
    assert (plv_p_values(u[:80], window=60, min_shift=60) == 1).all()
    assert order_p_value(u[:80], window=60, min_shift=60) == 1
    weight = np.ones(u.shape)
    weight[-60:, 1] = 0
    p = plv_p_values(u, weight, window=60, min_shift=60)
    assert p[0, 1] == p[1, 2] == 1
    assert p[0, 2] < 1
    assert order_p_value(u, np.zeros(u.shape), window=60, min_shift=60) == 1
    assert shift_p_values(lambda x: np.nan, u, draws=3) == 1


def test_gaps_have_no_say_in_a_p() -> None:
    rng = np.random.default_rng(16)
    u = _rhythms(rng, 900, 3, 10.0)
    weight = (rng.random(u.shape) > 0.3).astype(float)
    garbage = np.where(weight > 0, u, 100 * _random(rng, *u.shape))
    zeros = np.where(weight > 0, u, 0)
    assert_allclose(
        plv_p_values(garbage, weight, window=60, min_shift=60),
        plv_p_values(zeros, window=60, min_shift=60),
    )
    assert order_p_value(garbage, weight, window=60, min_shift=60) == order_p_value(
        zeros, window=60, min_shift=60
    )
