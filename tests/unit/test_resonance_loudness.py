"""How loud a sound is to an ear, and what it adds up to in a week."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.signal import freqs_zpk, lfilter

from dreampods.resonance import Exposure, Loudness, Meter

# IEC 61672-1:2013, table 3: nominal frequency, A-weighting, and the limits of class 1.
_TABLE = [
    (20, -50.5, 2.0, -2.0),
    (25, -44.7, 2.0, -1.5),
    (31.5, -39.4, 1.5, -1.5),
    (40, -34.6, 1.0, -1.0),
    (50, -30.2, 1.0, -1.0),
    (63, -26.2, 1.0, -1.0),
    (80, -22.5, 1.0, -1.0),
    (100, -19.1, 1.0, -1.0),
    (125, -16.1, 1.0, -1.0),
    (160, -13.4, 1.0, -1.0),
    (200, -10.9, 1.0, -1.0),
    (250, -8.6, 1.0, -1.0),
    (315, -6.6, 1.0, -1.0),
    (400, -4.8, 1.0, -1.0),
    (500, -3.2, 1.0, -1.0),
    (630, -1.9, 1.0, -1.0),
    (800, -0.8, 1.0, -1.0),
    (1000, 0.0, 0.7, -0.7),
    (1250, 0.6, 1.0, -1.0),
    (1600, 1.0, 1.0, -1.0),
    (2000, 1.2, 1.0, -1.0),
    (2500, 1.3, 1.0, -1.0),
    (3150, 1.2, 1.0, -1.0),
    (4000, 1.0, 1.0, -1.0),
    (5000, 0.5, 1.5, -1.5),
    (6300, -0.1, 1.5, -2.0),
    (8000, -1.1, 1.5, -2.5),
    (10000, -2.5, 2.0, -3.0),
    (12500, -4.3, 2.0, -5.0),
]


def _exact(nominal: float) -> float:
    """The third of an octave that has this name."""
    return float(1000 * 10 ** (round(10 * math.log10(nominal / 1000)) / 10))


def _gain_db(meter: Meter, hz: list[float], rate: int) -> NDArray[np.float64]:
    """Steady gain for tones, all at once."""
    at = np.arange(2 * rate) / rate
    tones = np.sin(2 * np.pi * np.array(hz)[:, None] * at).astype(np.float32)
    both = np.stack([tones, tones], 2)
    meter.energy(both[:, :rate])
    energy = meter.energy(both[:, rate:])
    return 10 * np.log10(energy / np.sum(both[:, rate:].astype(float) ** 2, (1, 2)))


@pytest.mark.parametrize("rate", [32000, 44100, 48000])
def test_a_weighting_keeps_to_its_table(rate: int) -> None:
    nominal, weight, most, least = np.array(_TABLE).T
    hz = [_exact(f) for f in nominal]
    off = _gain_db(Meter(len(hz), rate_hz=rate), hz, rate) - weight
    assert (off < most).all()
    assert (off > least).all()
    if rate == 32000:
        assert np.abs(off[nominal <= 10000]).max() < 0.4
        assert abs(off[-1]) < 0.7


def test_a_weighting_is_the_analog_filter_where_the_rate_allows() -> None:
    two_pi = 2 * np.pi
    poles = -two_pi * np.array([20.598997, 20.598997, 107.65265, 737.86223, 12194.217, 12194.217])
    hz = [_exact(f) for f, *_ in _TABLE if f <= 1600]
    _, analog = freqs_zpk(np.zeros(4), poles, 1.0, two_pi * np.array([*hz, 1000.0]))
    expected = 20 * np.log10(np.abs(analog[:-1] / analog[-1]))
    assert_allclose(_gain_db(Meter(len(hz)), hz, 32000), expected, atol=0.05)


def test_k_weighting_at_48_khz_is_that_of_the_recommendation() -> None:
    """ITU-R BS.1770-4, tables 1 and 2, through scipy."""
    shelf = (
        [1.53512485958697, -2.69169618940638, 1.19839281085285],
        [1, -1.69065929318241, 0.73248077421585],
    )
    high_pass = [1.0, -2.0, 1.0], [1, -1.99004745483398, 0.99007225036621]
    x = np.random.default_rng(0).standard_normal((3, 9600, 2)).astype(np.float32)
    expected = lfilter(*high_pass, lfilter(*shelf, x.astype(float), axis=1), axis=1)
    meter = Meter(3, rate_hz=48000, weighting="K")
    energy = meter.energy(x[:, :5000]) + meter.energy(x[:, 5000:])
    assert_allclose(energy, np.sum(expected**2, (1, 2)), rtol=1e-7)


def test_many_sounds_are_measured_as_each_alone() -> None:
    x = np.random.default_rng(1).standard_normal((19, 777, 2)).astype(np.float32)
    together = Meter(19).energy(x)
    for one, energy in zip(x, together, strict=True):
        assert_allclose(Meter(1).energy(one[None]), energy, rtol=1e-12)


def test_silence_after_sound_ends_as_silence() -> None:
    meter = Meter(1)
    meter.energy(np.ones((1, 3200, 2)))
    for _ in range(600):
        energy = meter.energy(np.zeros((1, 3200, 2)))
    assert energy[0] == 0


def test_a_full_tone_on_one_side_has_the_loudness_that_the_recommendation_says() -> None:
    """BS.1770-4: a 997 Hz sine at 0 dB full scale in one front channel is -3.01 LKFS."""
    x = np.zeros((1, 32000 * 4, 2))
    x[0, :, 0] = np.sin(2 * np.pi * 997 / 32000 * np.arange(32000 * 4))
    assert np.isnan(Loudness(3, 640).momentary).tolist() == [True] * 3  # one each, from the start
    loudness = Loudness(1, 640)
    assert np.isnan(loudness.momentary).all()
    for block in np.split(x, 200, axis=1):
        loudness.push(block)
    assert_allclose(loudness.momentary, -3.01, atol=0.02)
    assert_allclose(loudness.short_term, -3.01, atol=0.02)
    for _ in range(20):
        loudness.push(np.zeros((1, 640, 2)))
    assert loudness.momentary[0] < -40
    assert_allclose(loudness.short_term, -3.01 + 10 * np.log10(2.6 / 3), atol=0.05)


def test_exposure_is_that_of_the_standards() -> None:
    """WHO-ITU H.870: 80 dBA for 40 h is a week's dose; 3 dB more in half the time; Android 14's formula."""
    week = Exposure.of_level(80, 40 * 3600)
    assert week.dose == pytest.approx(1.0, abs=1e-3)
    assert week.pa2s / 3600 == pytest.approx(1.6, rel=1e-9)
    half_time = Exposure.of_level(80 + 10 * math.log10(2), 20 * 3600)
    assert half_time.dose == pytest.approx(week.dose, rel=1e-12)
    for level in (55.0, 80.0, 93.7):
        android = 4e-10 * 10 ** (level / 10) / 5760  # the share of a week's dose in a second
        assert Exposure.of_level(level, 1).dose == pytest.approx(android, rel=1e-9)
        assert Exposure.of_level(level, 100).laeq_dba == pytest.approx(level)
        assert Exposure.of_level(level, 100).sel_dba == pytest.approx(level + 20)
    night = sum((Exposure.of_level(55, 8 * 3600) for _ in range(7)), Exposure())
    assert night.dose == pytest.approx(0.0044, abs=5e-5)
    assert Exposure().laeq_dba == -math.inf
    assert Exposure().dose == 0


def test_a_full_scale_sine_is_as_loud_as_the_pod_was_calibrated() -> None:
    assert Exposure.of_sound(0.5, 2.0, full_scale_dba=75).laeq_dba == pytest.approx(75)
    assert Exposure.of_sound(0.0, 2.0, full_scale_dba=75).laeq_dba == -math.inf


_exposures = st.builds(Exposure.of_level, st.floats(0, 120), st.floats(0.02, 1e5))


@given(_exposures, _exposures, _exposures)
def test_exposures_add_in_any_order(a: Exposure, b: Exposure, c: Exposure) -> None:
    one, other = (a + b) + c, c + (b + a)
    assert one.pa2s == pytest.approx(other.pa2s)
    assert one.seconds == pytest.approx(other.seconds)
    assert one.dose == pytest.approx(a.dose + b.dose + c.dose)
    assert (
        min(a.laeq_dba, b.laeq_dba) - 1e-9
        <= (a + b).laeq_dba
        <= max(a.laeq_dba, b.laeq_dba) + 1e-9
    )


def test_unusable_input_is_refused_and_changes_nothing() -> None:
    sound = np.random.default_rng(2).standard_normal((2, 64, 2))
    meter, twin = Meter(2), Meter(2)
    for x, why in (
        (sound[:1], "shape"),
        (sound[:, :0], "holds nothing"),
        (np.full((2, 64, 2), np.nan), "NaN"),
    ):
        with pytest.raises(ValueError, match=why):
            meter.energy(x)
    assert np.array_equal(meter.energy(sound), twin.energy(sound))
    for arguments, why in (
        ({"sounds": 0}, "at least 1"),
        ({"rate_hz": 100}, "between 8000 and 1e"),
        ({"rate_hz": 2e6}, "between 8000 and 1e"),
        ({"rate_hz": np.nan}, "finite"),
        ({"weighting": "C"}, '"A" or "K"'),
    ):
        with pytest.raises(ValueError, match=why):
            Meter(**{"sounds": 1, **arguments})
    with pytest.raises(ValueError, match="whole number of blocks"):
        Loudness(1, 700)
    with pytest.raises(ValueError, match=r"shape \(2, 640, 2\)"):
        Loudness(2, 640).push(sound)
    for call, why in (
        (lambda: Exposure.of_level(math.nan, 1), "finite"),
        (lambda: Exposure.of_level(60, 0), "above 0"),
        (lambda: Exposure.of_sound(-1, 1, 75), "negative"),
    ):
        with pytest.raises(ValueError, match=why):
            call()
