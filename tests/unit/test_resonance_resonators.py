"""A rhythm's phase, amplitude and confidence, sample by sample."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.signal import lfilter

from dreampods.resonance import EndpointHilbert, ResonatorBank

_RATE = 50.0


def _seconds(n: float, rate: float = _RATE) -> NDArray[np.float64]:
    return np.arange(int(n * rate)) / rate


def _decay(bandwidth_hz: float, rate_hz: float) -> float:
    """r for a -3 dB full width, found numerically from the definition of that width."""
    half = np.pi * bandwidth_hz / rate_hz
    return float(
        brentq(lambda r: abs(1 - r * np.exp(1j * half)) ** 2 - 2 * (1 - r) ** 2, 1e-6, 1 - 1e-12)
    )


@pytest.mark.parametrize("offset", [0.0, -40.0])
def test_a_cosine_at_the_centre_gives_its_own_phasor(offset: float) -> None:
    t = _seconds(120)
    expected = 3 * np.exp(1j * (2 * np.pi * 0.25 * t + 0.4))
    bank = ResonatorBank(1, [0.25], [0.1], _RATE)
    z = bank.process(offset + expected.real[:, None])[:, 0, 0]
    assert_allclose(z[-1000:], expected[-1000:], rtol=1e-9)
    assert_allclose(bank.amplitude, [[3.0]], rtol=1e-9)
    assert_allclose(bank.phase, [[np.angle(expected[-1])]], rtol=1e-9)
    assert_allclose(bank.confidence, [[1.0]], rtol=1e-9)


def test_equals_the_recursions_in_numpy() -> None:
    """Against scipy's filters of the definition, and a numeric solution of the fit."""
    rng = np.random.default_rng(1)
    x = 5 + rng.standard_normal((400, 3))
    freq, width = np.array([0.3, 1.1, 7.0]), np.array([0.1, 0.6, 3.0])
    z = ResonatorBank(3, freq, width, _RATE).process(x)
    for band, (f, b) in enumerate(zip(freq, width, strict=True)):
        r, turn = _decay(b, _RATE), np.exp(2j * np.pi * f / _RATE)
        mean = lfilter([1 - r], [1, -r], x - x[0], axis=0)
        d = x - x[0] - np.vstack([np.zeros(3), mean[:-1]])
        s, h = (1 - r) / (1 - r * turn), (1 - r) / (1 - r * turn**2)
        state = lfilter([(1 - r) * (1 - s)], [1, -r * turn], d.astype(complex), axis=0)
        p, q = 1 - abs(s) ** 2, h - s**2
        parts = np.array([[p + q.real, q.imag], [q.imag, p - q.real]]) / 2
        a = np.linalg.solve(parts, np.stack([state.real.ravel(), state.imag.ravel()]))
        assert_allclose(z[1:, :, band].ravel(), (a[0] + 1j * a[1])[3:], rtol=1e-9)


def test_is_the_least_squares_sinusoid_of_the_recent_past() -> None:
    """The oracle is numpy's least squares; confidence is its coefficient of determination."""
    rng = np.random.default_rng(2)
    n, freq, width = 3000, 0.7, 0.5
    x = 4 + np.cos(2 * np.pi * 0.75 * _seconds(n / _RATE)) + rng.standard_normal(n)
    bank = ResonatorBank(1, [freq], [width], _RATE)
    z = bank.process(x[:, None])[-1, 0, 0]
    ago = np.arange(n)[::-1]
    weight = _decay(width, _RATE) ** ago
    turn = 2 * np.pi * freq / _RATE * ago
    design = np.stack([np.cos(turn), np.sin(turn), np.ones(n)], 1)
    root = np.sqrt(weight)
    fit, *_ = np.linalg.lstsq(design * root[:, None], x * root)
    assert_allclose([z.real, z.imag], fit[:2], rtol=1e-9)
    left = np.average((x - design @ fit) ** 2, weights=weight)
    variance = np.average((x - np.average(x, weights=weight)) ** 2, weights=weight)
    assert_allclose(bank.confidence[0, 0], 1 - left / variance, rtol=1e-9)


def test_signals_and_bands_do_not_touch_each_other() -> None:
    """35 resonators, which fill no whole number of vectors, against each alone; bit by bit."""
    rng = np.random.default_rng(5)
    x, valid = 9 + rng.standard_normal((90, 7)), rng.random((90, 7)) < 0.8
    freq, width = np.array([0.3, 1.1, 3.0, 7.0, 12.0]), np.array([0.1, 0.6, 1.0, 3.0, 4.0])
    bank = ResonatorBank(7, freq, width, _RATE)
    together = bank.process(x, valid)
    for channel in range(7):
        for band in range(5):
            one = ResonatorBank(1, freq[[band]], width[[band]], _RATE)
            column = slice(channel, channel + 1)
            alone = one.process(x[:, column], valid[:, column])
            assert np.array_equal(together[:, column, band : band + 1], alone)
            assert bank.confidence[channel, band] == one.confidence[0, 0]


def test_an_offset_changes_nothing_from_the_first_sample_on() -> None:
    rng = np.random.default_rng(8)
    x, valid = rng.standard_normal((500, 1)), rng.random((500, 1)) < 0.8
    plain, lifted = (ResonatorBank(1, [1.0], [0.5], _RATE) for _ in range(2))
    expected = plain.process(x, valid)
    assert_allclose(lifted.process(x + 1e3, valid), expected, atol=1e-11)
    assert_allclose(lifted.confidence, plain.confidence, rtol=1e-9)


def test_bandwidth_is_the_full_width_at_minus_3_db() -> None:
    t = _seconds(60, 250)
    for edge_hz in (9.5, 10.5):
        z = ResonatorBank(1, [10.0], [1.0], 250).process(np.cos(2 * np.pi * edge_hz * t)[:, None])
        rms = np.sqrt(np.mean(np.abs(z[-2500:]) ** 2))
        assert 20 * np.log10(rms) == pytest.approx(-3.01, abs=0.05)


def test_confidence_tells_a_rhythm_from_noise() -> None:
    rng = np.random.default_rng(3)
    t = _seconds(200, 250)
    noise = rng.standard_normal(t.size)
    rhythm = np.sqrt(2) * np.cos(2 * np.pi * 10 * t)  # as much power as the noise
    bank = ResonatorBank(3, [10.0], [0.4], 250)
    confidences = []
    for part in np.split(np.stack([rhythm, rhythm + noise, noise], 1), 200):
        bank.process(part)
        confidences.append(bank.confidence[:, 0])
    clean, half, none = np.mean(confidences[20:], 0)
    assert clean > 0.999
    assert half == pytest.approx(0.5, abs=0.05)
    assert none < 0.02


def test_over_a_gap_the_phase_goes_on_and_amplitude_and_confidence_fall() -> None:
    t = _seconds(100)
    whole = np.cos(2 * np.pi * 0.25 * t)[:, None]
    valid = np.ones(whole.shape, bool)
    valid[-100:] = False  # two seconds, half a breath
    broken = np.where(valid, whole, np.nan)
    bank = ResonatorBank(1, [0.25], [0.1], _RATE)
    z = bank.process(broken, valid)[:, 0, 0]
    r = _decay(0.1, _RATE)
    assert abs(z[-1]) == pytest.approx(abs(z[-101]) * r**100, rel=0.2)
    turned = np.angle(z[-1] / z[-101] / np.exp(2j * np.pi * 0.25 * 2))
    assert abs(turned) < np.radians(10)
    assert 0.2 < bank.confidence[0, 0] < r**100 * 1.2 < 0.7
    bank.process(np.full((6000, 1), np.nan), np.zeros((6000, 1), bool))
    assert bank.confidence[0, 0] < 1e-9


def test_confidence_counts_missing_samples_as_unexplained() -> None:
    rng = np.random.default_rng(4)
    x = np.cos(2 * np.pi * 1.0 * _seconds(400))[:, None]
    bank = ResonatorBank(1, [1.0], [0.02], _RATE)
    bank.process(x, rng.random(x.shape) < 0.5)
    assert bank.confidence[0, 0] == pytest.approx(0.5, abs=0.06)


def test_silence_has_no_confidence() -> None:
    bank = ResonatorBank(1, [1.0], [0.2], _RATE)
    assert bank.confidence[0, 0] == 0
    bank.process(np.zeros((100, 1)))
    assert bank.confidence[0, 0] == 0
    assert bank.amplitude[0, 0] == 0


def test_retuned_the_phase_goes_on_and_the_new_rhythm_is_met() -> None:
    bank = ResonatorBank(2, [1.0], [0.4], _RATE)
    t = _seconds(60)
    bank.process(np.repeat(np.cos(2 * np.pi * 1.0 * t)[:, None], 2, 1))
    before = bank.phase[:, 0]
    bank.retune([[1.0], [1.2]])
    after = bank.phase[:, 0]
    assert after[0] == before[0]
    assert abs(after[1] - before[1]) < np.radians(6)
    person = np.exp(2j * np.pi * 1.2 * t)
    bank.process(np.repeat(person.real[:, None], 2, 1))
    assert bank.phase[1, 0] == pytest.approx(np.angle(person[-1]), abs=1e-6)
    assert bank.confidence[1, 0] > 0.9999 > 0.95 > bank.confidence[0, 0]


@settings(deadline=None, max_examples=30)
@given(cuts=st.lists(st.integers(1, 199), max_size=5), seed=st.integers(0, 1000))
def test_pieces_give_what_the_whole_gives(cuts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, valid = rng.standard_normal((200, 2)), rng.random((200, 2)) < 0.8
    whole = ResonatorBank(2, [0.3, 4.0], [0.1, 1.0], _RATE).process(x, valid)
    bank = ResonatorBank(2, [0.3, 4.0], [0.1, 1.0], _RATE)
    borders = sorted({0, 200, *cuts})
    parts = [bank.process(x[a:b], valid[a:b]) for a, b in pairwise(borders)]
    assert np.array_equal(np.concatenate(parts), whole)


@settings(deadline=None, max_examples=50)
@given(
    freq=st.floats(0.01, 24.9),
    width=st.floats(0.01, 24.9),
    scale=st.sampled_from([1e-30, 1.0, 1e25]),
    seed=st.integers(0, 1000),
)
def test_confidence_is_a_share_whatever_comes(
    freq: float, width: float, scale: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    bank = ResonatorBank(1, [freq], [width], _RATE)
    for _ in range(5):
        z = bank.process(scale * rng.standard_normal((20, 1)), rng.random((20, 1)) < 0.7)
        assert np.isfinite(z).all()
        assert 0 <= bank.confidence[0, 0] <= 1


@pytest.mark.parametrize(
    ("freq", "width", "why"),
    [
        ([25.0], [1.0], "half the rate"),
        ([0.0], [1.0], "half the rate"),
        ([1.0], [-1.0], "half the rate"),
        ([1.0], [1.0, 2.0], "shape"),
        ([[1.0]], [1.0], "shape"),
        ([], [], "holds nothing"),
        ([np.nan], [1.0], "NaN"),
    ],
)
def test_impossible_bands_are_refused(freq: list[float], width: list[float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ResonatorBank(1, freq, width, _RATE)


def test_unusable_signals_are_refused_and_change_nothing() -> None:
    bank = ResonatorBank(2, [1.0], [0.5], _RATE)
    bank.process(np.ones((10, 2)))
    before = bank.amplitude
    for x, why in (
        (np.ones((10, 3)), "shape"),
        (np.ones(10), "shape"),
        (np.ones((0, 2)), "holds nothing"),
        (np.full((10, 2), np.inf), "NaN, infinity"),
        (np.ones((10, 2), complex), "complex"),
        ([["a", "b"]], "must hold numbers"),
        ([[{}, {}]], "must hold numbers"),
    ):
        with pytest.raises(ValueError, match=why):
            bank.process(x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="valid"):
        bank.process(np.ones((10, 2)), np.ones((9, 2), bool))
    with pytest.raises(ValueError, match="where valid"):
        bank.process([[1.0, np.nan]], [[True, True]])
    with pytest.raises(ValueError, match="shape"):
        bank.retune([1.0, 1.0])
    with pytest.raises(ValueError, match="half the rate"):
        bank.retune([[1.0], [30.0]])
    assert np.array_equal(bank.amplitude, before)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ResonatorBank(3, [1.0, 2.0], [0.3, 0.5], 50.0),
        lambda: EndpointHilbert(3, [1.0, 2.0], [1.5, 3.0], 50.0, window_s=2.0),
    ],
)
def test_every_frame_can_have_its_confidence(make) -> None:
    rng = np.random.default_rng(0)
    x, valid = rng.standard_normal((300, 3)), rng.random((300, 3)) < 0.9
    phasors, confidence = make().process_with_confidence(x, valid)
    one_by_one, plain = make(), make()
    for n in range(300):
        assert_allclose(one_by_one.process(x[n : n + 1], valid[n : n + 1])[0], phasors[n], rtol=1e-12)
        assert_allclose(one_by_one.confidence, confidence[n], rtol=1e-9, atol=1e-12)
    assert np.array_equal(plain.process(x, valid), phasors)
