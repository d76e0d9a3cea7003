"""Band power: a calibrated mean with a fading memory."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import lfilter

from dreampods.resonance import BandPower, ResonatorBank

_RATE = 250.0


def test_a_sine_has_its_mean_square_from_the_first_second_on() -> None:
    bank, power = ResonatorBank(1, [10.0], [2.0], _RATE), BandPower(1, 1, _RATE, memory_s=5.0)
    wave = 40 + 6 * np.cos(2 * np.pi * 10 * np.arange(1000) / _RATE)[:, None]
    bank.process(wave[:500])
    power.push(bank.process(wave[500:]))
    assert_allclose(power.power, [[18.0]], rtol=1e-4)
    assert_allclose(power.envelope, [[6.0]], rtol=1e-4)


def test_white_noise_has_its_density_times_the_noise_bandwidth() -> None:
    rng = np.random.default_rng(1)
    bank, power = ResonatorBank(8, [20.0], [1.0], _RATE), BandPower(8, 1, _RATE, memory_s=60.0)
    for _ in range(60):
        power.push(bank.process(rng.standard_normal((1250, 8))))
    density = 1 / (_RATE / 2)
    assert power.power.mean() == pytest.approx(density * np.pi / 2 * 1.0, rel=0.05)


def test_is_the_recursion_of_its_definition() -> None:
    rng = np.random.default_rng(2)
    z = rng.standard_normal((300, 2, 3)) + 1j * rng.standard_normal((300, 2, 3))
    w = rng.random((300, 2, 3))
    w[rng.random(w.shape) < 0.2] = 0
    power = BandPower(2, 3, _RATE, memory_s=0.5)
    power.push(z[:100], w[:100])
    power.push(z[100:], w[100:])
    r = np.exp(-1 / (_RATE * 0.5))
    total = lfilter([1 - r], [1, -r], w * np.abs(z) ** 2 / 2, axis=0)[-1]
    weights = lfilter([1 - r], [1, -r], w, axis=0)[-1]
    assert_allclose(power.power, total / weights, rtol=1e-9)
    assert_allclose(power.evidence, weights, rtol=1e-9)


def test_a_gap_ages_what_is_known_and_does_not_make_it_smaller() -> None:
    power = BandPower(1, 1, _RATE, memory_s=1.0)
    assert np.isnan(power.power).all()
    power.push(np.full((500, 1, 1), 2.0 + 0j))
    heard = power.evidence[0, 0]
    power.push(np.zeros((500, 1, 1), complex), np.zeros((500, 1, 1)))
    assert_allclose(power.power, [[2.0]], rtol=1e-12)
    assert power.evidence[0, 0] == pytest.approx(heard * np.exp(-2))
    for _ in range(60):
        power.push(np.zeros((1250, 1, 1), complex), np.zeros((1250, 1, 1)))
    assert np.isnan(power.power).all(), "what was heard five minutes ago is forgotten"


def test_what_cannot_be_is_refused_and_changes_nothing() -> None:
    with pytest.raises(ValueError, match="memory_s"):
        BandPower(1, 1, _RATE, memory_s=0.0)
    with pytest.raises(ValueError, match="channels"):
        BandPower(0, 1, _RATE, memory_s=1.0)
    power = BandPower(1, 2, _RATE, memory_s=1.0)
    power.push(np.ones((5, 1, 2), complex))
    before = power.power
    for z, weight, why in (
        (np.ones((5, 1, 3), complex), None, "shape"),
        (np.ones((0, 1, 2), complex), None, "holds nothing"),
        (np.full((5, 1, 2), np.nan + 0j), None, "NaN"),
        (np.ones((5, 1, 2), complex), np.full((5, 1, 2), -1.0), "below 0"),
        (np.ones((5, 1, 2), complex), np.ones((5, 1, 1)), "shape"),
        (np.ones((5, 1, 2)), None, "phasors, which are complex"),
    ):
        with pytest.raises(ValueError, match=why):
            power.push(z, weight)
    assert np.array_equal(power.power, before)
