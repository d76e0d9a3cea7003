"""What an attacker, or a mistake, may hand to the kernel: refused in one sentence, before C sees it."""

from __future__ import annotations

import numpy as np
import pytest

import dreampods.resonance as R

_ONE, _EARS = np.ones((1, 8, 2)), np.ones((1, 2))
_SUMS = R.pair_sums(np.exp(1j * np.arange(12.0).reshape(4, 3) ** 2), measures="plv")


class _Liar(bytes):
    def __len__(self) -> int:
        return 10**9


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: R.add_layer(_ONE, _EARS, _EARS, None), "bus must be an array"),
        (lambda: R.PairSums(frozenset(R.MEASURES), np.zeros((1, 1, 99, 99))).accorr, "numbers must have"),
        (lambda: R.PairSums(_SUMS.measures, np.zeros((4, 1, 200, 1))).plv, "numbers must have"),
        (lambda: R.PairSums(_SUMS.measures, _SUMS.numbers[:-1]).plv, "numbers must have"),
        (lambda: R.PairSums(_SUMS.measures, 3).plv, "numbers must have"),
        (lambda: R.Mixer(1, 64, 1e22), "rate_hz must be within"),
        (lambda: R.Meter(1, 1e12), "rate_hz must be within"),
        (lambda: R.Meter(2**70), "sounds must be at most"),
        (lambda: R.Loudness(1, 2**40), "not a whole number of blocks"),
        (lambda: R.Pairs(2**21, 1, 5), "more than the kernel takes"),
        (lambda: R.decode_ima(np.zeros(9, np.uint16), 1), "chunk must be bytes"),
        (lambda: R.decode_ima(bytes(9), 2.5), "channels must be a whole number"),  # type: ignore[arg-type]
        (lambda: R.phasors([1e17]), "phase must not be above 1e"),
        (lambda: R.phasors([10**400]), "phase must hold numbers"),
        (lambda: R.phasors(np.array(["2020-01-01"], "M8[D]")), "phase must hold numbers"),
        (lambda: R.order_parameter(["0", "1"]), "phase must hold numbers"),
        (lambda: R.order_parameter(np.ma.array([0, 1.0], mask=[0, 1])), "all of them there"),
        (lambda: R.NoiseBank(1, 32000, "pink", 15999), "below 0.45 of rate_hz"),
        (lambda: R.NoiseBank(1, 32000, "pink", 0, 0.01), "high_hz must be 0 or at least 5"),
        (lambda: R.ResonatorBank(1, [1.0], [0.3], 50).process([[1e200]]), "x must not be above 1e"),
    ],
)
def test_it_is_refused(call, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()


def test_bytes_are_as_many_as_there_are() -> None:
    assert R.decode_ima(_Liar(bytes(8)), 1).shape == (9, 1)


def test_scale_and_byte_order_change_nothing() -> None:
    np.testing.assert_array_equal(
        R.PairSums(_SUMS.measures, _SUMS.numbers.astype(">f8")).plv, _SUMS.plv
    )
    x = np.array([[1, 2, 3.0], [2, 1, 5], [4, 4, 1], [7, 3, 2]])
    for scale in (1e-100, 1e80):
        np.testing.assert_allclose(R.leave_one_out(scale * x), R.leave_one_out(x), rtol=1e-12)


def test_a_statistic_may_sort_what_it_is_given() -> None:
    x = np.arange(12.0).reshape(4, 3)[::-1].copy()
    before = x.copy()
    R.shift_p_values(lambda v: (v.sort(0), v[0].sum())[1], x, draws=3)
    np.testing.assert_array_equal(x, before)
