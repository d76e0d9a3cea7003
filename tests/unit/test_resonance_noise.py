"""Noise: its spectrum against its promise, its filters against scipy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.signal import butter, freqz, sosfiltfilt, welch
from scipy.stats import kurtosis

from dreampods.resonance import NoiseBank

RATE_HZ = 32000
OPEN_HZ = 1e9
Floats = NDArray[np.float64]


def _long(bank: NoiseBank, seconds: int, voices: int, hz: float = OPEN_HZ) -> Floats:
    corner = np.full(voices, hz)
    return np.concatenate([bank.process(RATE_HZ, corner) for _ in range(seconds)], axis=1)


def _spectrum(sound: Floats, rate_hz: float = RATE_HZ) -> tuple[Floats, Floats]:
    """Frequencies, and power averaged over voices and ears."""
    freq_hz, power = welch(sound, rate_hz, nperseg=1 << 15, axis=1)
    return freq_hz[1:], power.mean(axis=(0, 2))[1:]


def _thirds(freq_hz: Floats, power: Floats, low: float, high: float) -> tuple[Floats, Floats]:
    """Centres of thirds of an octave, and the mean of power times frequency in each, dB."""
    centres = low * 2 ** np.arange(0, np.log2(high / low) + 1e-9, 1 / 3)
    flat = [
        np.mean((power * freq_hz)[np.abs(np.log2(freq_hz / centre)) < 1 / 6]) for centre in centres
    ]
    return centres, 10 * np.log10(np.array(flat))


@pytest.mark.parametrize(("rate_hz", "high_hz"), [(32000, 12000), (48000, 12000), (16000, 6000)])
def test_pink_falls_by_three_decibels_an_octave(rate_hz: int, high_hz: float) -> None:
    bank = NoiseBank(8, rate_hz=rate_hz, seed=1)
    corner = np.full(8, OPEN_HZ)
    sound = np.concatenate([bank.process(rate_hz, corner) for _ in range(60)], axis=1)
    _, flat_db = _thirds(*_spectrum(sound, rate_hz), 20, high_hz)
    assert np.ptp(flat_db) < 1.0  # so within 0.5 dB of the line in their middle
    assert np.abs(flat_db - np.median(flat_db)).max() < 0.5


def test_brown_falls_by_six_and_edges_cut_as_they_say() -> None:
    sound = _long(NoiseBank(8, colour="brown", low_hz=80, high_hz=4000, seed=2), 60, 8)
    freq_hz, power = _spectrum(sound)
    ideal = power * freq_hz**2

    def at(hz: float) -> float:
        return float(10 * np.log10(np.mean(ideal[np.abs(freq_hz / hz - 1) < 0.04])))

    assert at(1000) - at(250) == pytest.approx(0, abs=0.5)
    middle = at(500)
    assert at(80) - middle == pytest.approx(-6, abs=1)
    assert at(4000) - middle == pytest.approx(-6, abs=1)
    assert at(40) - middle == pytest.approx(-24.6, abs=2.5)
    assert at(8000) - middle < -24


@pytest.mark.parametrize("colour", ["pink", "brown"])
@pytest.mark.parametrize("ripple_db", [0.0, 3.0])
def test_it_is_of_rms_one(colour: str, ripple_db: float) -> None:
    sound = _long(NoiseBank(32, colour=colour, low_hz=60, high_hz=8000, ripple_db=ripple_db, seed=3), 20, 32)
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("corner_hz", [300.0, 2000.0])
def test_brightness_is_a_butterworth_low_pass(corner_hz: float) -> None:
    whole = _long(NoiseBank(4, seed=4), 20, 4)
    dull = _long(NoiseBank(4, seed=4), 20, 4, corner_hz)
    freq_hz, power = _spectrum(whole)
    ratio_db = 10 * np.log10(_spectrum(dull)[1] / power)
    response = freqz(*butter(2, corner_hz, fs=RATE_HZ), worN=freq_hz, fs=RATE_HZ)[1]
    heard = (freq_hz > 30) & (freq_hz < min(8 * corner_hz, 12000))
    away = ratio_db - 20 * np.log10(np.abs(response))
    assert np.abs(away[heard]).max() < 0.3  # neighbours of a line leak into it


def test_ears_and_voices_have_nothing_in_common() -> None:
    sound = _long(NoiseBank(11, seed=5), 20, 11)
    streams = sound.transpose(0, 2, 1).reshape(22, -1)
    likeness = np.corrcoef(streams) - np.eye(22)
    assert np.abs(likeness).max() < 0.1  # pink noise has few independent low frequencies
    late = [np.corrcoef(streams[0, :100000], streams[0, k : k + 100000])[0, 1] for k in
            (200000, 320000, 500000)]  # fmt: skip
    assert np.abs(late).max() < 0.1
    assert abs(kurtosis(streams[:, ::50], axis=None)) < 0.1


def test_octaves_swell_by_themselves_and_slowly() -> None:
    depth = []
    levels = {}
    for low in (250, 1000):
        sos = butter(4, [low / 1.2, low * 1.2], "band", fs=RATE_HZ, output="sos")
        for ripple_db in (0.0, 4.0):
            sound = _long(NoiseBank(8, ripple_db=ripple_db, seed=6), 60, 8)
            band = sosfiltfilt(sos, sound[:, :, 0], axis=1)
            power = np.square(band).reshape(8, -1, RATE_HZ // 2).mean(axis=2)
            levels[low, ripple_db] = 10 * np.log10(power)
        depth.append(levels[low, 4.0].std() ** 2 - levels[low, 0.0].std() ** 2)
    # An octave also hears a little of its neighbours.
    assert all(3 < np.sqrt(d) < 5 for d in depth), depth
    alike = np.corrcoef(levels[250, 4.0].ravel(), levels[1000, 4.0].ravel())[0, 1]
    assert abs(alike) < 0.5


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 900), min_size=1, max_size=12))
def test_blocks_may_be_cut_anywhere(blocks: list[int]) -> None:
    def bank() -> NoiseBank:
        return NoiseBank(9, low_hz=60, high_hz=5000, ripple_db=3.0, seed=7)

    corner = np.full(9, 1000.0)
    once = bank().process(sum(blocks), corner)
    cut = bank()
    joined = np.concatenate([cut.process(n, corner) for n in blocks], axis=1)
    assert_allclose(joined, once, atol=1e-6 * np.abs(once).max())


def test_a_seed_repeats_everything_and_another_does_not() -> None:
    one, same, other = (_long(NoiseBank(1, seed=seed), 1, 1) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert abs(np.corrcoef(one[0, :, 0], other[0, :, 0])[0, 1]) < 0.2


def test_brightness_that_jumps_makes_no_click() -> None:
    bank = NoiseBank(1, colour="brown", low_hz=60, high_hz=240, seed=8)
    corners = [80.0 if k // 10 % 2 else 12000.0 for k in range(200)]
    sound = np.concatenate([bank.process(640, [hz]) for hz in corners], axis=1)[0, :, 0]
    # Above what this noise holds there is only what a corner or a step would add.
    sharp = sosfiltfilt(butter(6, 2000, "high", fs=RATE_HZ, output="sos"), sound)
    assert np.abs(sharp[3200:-3200]).max() < 2e-3 * np.abs(sound).max()


def test_unusable_input_is_refused_and_changes_nothing() -> None:
    for wrong, why in (
        ({"voices": 0}, "at least 1"),
        ({"rate_hz": 10.0}, "between 1000"),
        ({"rate_hz": np.nan}, "finite"),
        ({"colour": "white"}, "pink, brown"),
        ({"colour": "brown"}, "low_hz above 0"),
        ({"low_hz": -1.0}, "negative"),
        ({"low_hz": 500.0, "high_hz": 400.0}, "above low_hz"),
        ({"high_hz": 16000.0}, "0.45 of rate_hz"),
        ({"ripple_db": 20.0}, "between 0 and 12"),
        ({"seed": -1}, "seed"),
    ):
        with pytest.raises(ValueError, match=why):
            NoiseBank(**{"voices": 1, **wrong})  # type: ignore[arg-type]
    bank, untouched = NoiseBank(2), NoiseBank(2)
    for frames, corner, why in (
        (0, [100.0, 100.0], "at least 1"),
        (10, [100.0], "shape"),
        (10, [100.0, 0.0], "below 0.001"),
        (10, [100.0, np.nan], "NaN"),
    ):
        with pytest.raises(ValueError, match=why):
            bank.process(frames, corner)
    assert np.array_equal(bank.process(10, [9.0, 9.0]), untouched.process(10, [9.0, 9.0]))
