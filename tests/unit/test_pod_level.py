"""The pod's level: A-weighted as the standard says, and kept below the ceiling whatever is sent."""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np
import pytest
from dreampod import _plain, level, sound
from pod_in_time import BOARD, TICKS, Ring, Time
from scipy.optimize import least_squares
from scipy.signal import lfilter

RATES_HZ = (8000, 16000, 32000)
LIMITS = {"full_scale_dba": 80.0, "ceiling_dba": 60.0, "hard_dba": 75.0}
POLES_HZ = (20.598997, 107.65265, 737.86223, 12194.217)  # IEC 61672-1, annex E

Samples = np.ndarray[Any, np.dtype[np.float64]]


def a_weighting_db(hz: Any) -> Any:
    """IEC 61672-1, equation E.6: 0 dB at 1 kHz."""
    square = np.asarray(hz, float) ** 2
    f1, f2, f3, f4 = (f * f for f in POLES_HZ)
    gain = f4 * square**2 / ((square + f1) * (square + f4))
    return 20 * np.log10(gain / np.sqrt((square + f2) * (square + f3))) + 2.0


def weighted_dbfs(pcm: Samples, rate_hz: int) -> float:
    """A-weighted level of a stretch, relative to a full-scale sine, by its spectrum."""
    power = np.abs(np.fft.rfft(pcm / 32767)) ** 2 * 2 / len(pcm) ** 2
    hz = np.fft.rfftfreq(len(pcm), 1 / rate_hz)
    return 10 * math.log10(2 * np.sum(power[1:] * 10 ** (a_weighting_db(hz[1:]) / 10)) + 1e-12)


def sine(hz: float, peak: float, seconds: float, rate_hz: int) -> Samples:
    return np.round(peak * np.sin(2 * np.pi * hz * np.arange(seconds * rate_hz) / rate_hz))


def measured_dbfs(pcm: Samples, rate_hz: int) -> float:
    """What a pod says of the second second of this sound, relative to a full-scale sine."""
    frames = rate_hz // 50
    meter = level.Level({"rate_hz": rate_hz, "channels": 1}, frames, LIMITS, {}, _plain)
    for first in range(0, 2 * rate_hz, frames):
        if first == rate_hz:
            meter.second()
        meter.weigh(bytearray(pcm[first : first + frames].astype("<i2").tobytes()))
    return 10 * math.log10(max(1, meter.second()) / 2**27)


# --- the weighting -----------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_tone_weighs_what_the_standard_says(rate_hz: int) -> None:
    top_hz = min(8000, 0.4 * rate_hz)
    for hz in (31.5, 40, 63, 125, 250, 500, 1000, 2000, 3150, 4000, 6300, 8000):
        if hz <= top_hz:
            heard = measured_dbfs(sine(hz, 16000, 2, rate_hz), rate_hz)
            assert abs(heard - 20 * math.log10(16000 / 32767) - a_weighting_db(hz)) < 0.5, hz


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_quiet_tone_is_not_lost_in_the_filters_own_noise(rate_hz: int) -> None:
    for hz in (250, 1000, 3150):
        heard = measured_dbfs(sine(hz, 32.767, 2, rate_hz), rate_hz)
        assert abs(heard + 60 - a_weighting_db(hz)) < 0.5, hz
    assert measured_dbfs(np.zeros(2 * rate_hz), rate_hz) < -81


def test_silence_after_a_loud_sound_is_silence_again() -> None:
    meter = level.Level({"rate_hz": 16000, "channels": 1}, 320, LIMITS, {}, _plain)
    loud = bytearray(np.full(320, 32767, "<i2").tobytes())
    for _ in range(20):
        meter.weigh(loud)
    for _ in range(100):
        meter.weigh(bytearray(640))
    meter.second()
    meter.weigh(bytearray(640))
    assert meter.second() == 0


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_the_table_is_what_its_formula_gives(rate_hz: int) -> None:
    shift, a2, a3, b, power = level.WEIGHTS[rate_hz]
    assert 125 << shift == rate_hz
    for a, hz in ((a2, POLES_HZ[1]), (a3, POLES_HZ[2])):
        assert a == round(1024 * (1 - math.exp(-2 * math.pi * hz / rate_hz)))
    hz = np.geomspace(31.5, min(8000, 0.4 * rate_hz), 200)
    back = np.exp(-2j * np.pi * hz / rate_hz)
    high_passes = np.prod(
        [(1 - back) / (1 - (1 - a) * back) for a in (0.5**shift, 0.5**shift, a2 / 1024, a3 / 1024)],
        axis=0,
    )

    def missing_db(p: Samples) -> Any:
        return 20 * np.log10(np.abs(p[0] * high_passes * (1 + p[1] * back))) - a_weighting_db(hz)

    fit = least_squares(missing_db, [1.0, 0.3])
    assert abs(fit.x[1] * 256 - b) <= 1
    assert abs(fit.x[0] ** 2 * 1024 - power) <= 2
    assert np.abs(missing_db(np.array([math.sqrt(power / 1024), b / 256]))).max() < 0.3


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_no_sound_overflows_the_filters_words(rate_hz: int) -> None:
    shift, a2, a3, b, _power = level.WEIGHTS[rate_hz]
    impulse = np.zeros(2 * rate_hz)
    impulse[0] = 32768 << 4
    signal = impulse
    for a, unit in ((0.5**shift, 1 << shift), (0.5**shift, 1 << shift), (a2 / 1024, 1024), (a3 / 1024, 1024)):
        memory = lfilter([0, a], [1, -(1 - a)], signal)
        assert np.abs(memory).sum() * unit < 2**31  # the worst that any sound can do
        signal = lfilter([1, -1], [1, -(1 - a)], signal)
        assert np.abs(signal).sum() * a * unit < 2**31
    assert np.abs(signal).sum() * b < 2**31


# --- the limits --------------------------------------------------------------------------------


def test_the_largest_sample_is_the_crest_of_a_square_wave_at_the_hard_limit() -> None:
    for full_scale_dba in (70.0, 80.0, 93.7):
        peak = level.peak_of(LIMITS, {"full_scale_dba": full_scale_dba})
        loudest_dba = full_scale_dba + 20 * math.log10(math.sqrt(2) * max(peak, 1) / 32767)
        assert loudest_dba <= 75.0
        assert peak == 32767 or loudest_dba > 74.99
    assert level.peak_of(LIMITS, {}) == level.peak_of(LIMITS, {"full_scale_dba": 80.0})


class Rig:
    """A pod's sound that is fed a signal for as long as it lasts."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, calibration: dict[str, float] | None = None, channels: int = 1
    ) -> None:
        self.spec = BOARD["sound"] | {
            "rate_hz": 16000, "channels": channels, "chunk_frames": 320, "slots": 32,
            "ring_frames": 1280, "dma_frames": 64,
        }  # fmt: skip
        self.time = Time()
        monkeypatch.setattr(sound, "ticks_us", self.time.ticks_us)
        self.ring = Ring(self.time, self.spec)
        self.sound = sound.Sound(self.ring, self.spec, LIMITS, _plain, calibration)
        self.sound.begin()
        self.time.run(200_000)
        self.sound.open()
        self.time.run(100_000)

    def play(self, pcm: Samples) -> Samples:
        """What is heard of it; the first of two channels."""
        frames = np.repeat(pcm.astype("<i2")[:, None], self.spec["channels"], axis=1)
        play_us = self.time.us + 150_000
        for first in range(0, len(pcm), 320):
            data = frames[first : first + 320].tobytes()
            self.sound.put((play_us + first * 1_000_000 // 16000) % TICKS, data, 0, len(data))
            self.sound.heard = True
            self.time.run(20_000)
        self.time.run(300_000)
        start = self.ring.frame(play_us)
        return self.ring.played[start : start + len(pcm), 0].astype(float)


def loudest_dba(heard: Samples, seconds: int, skip_s: int = 0, full_scale_dba: float = 80.0) -> float:
    """Of all windows of so many seconds."""
    return full_scale_dba + max(
        weighted_dbfs(heard[first : first + seconds * 16000], 16000)
        for first in range(skip_s * 16000, len(heard) - seconds * 16000 + 1, 4000)
    )


def bursts(seconds: int) -> Samples:
    """Speech-like: noise of the largest amplitude, on and off a few times a second."""
    generator = np.random.default_rng(3)
    wave = generator.choice([-13000.0, 13000.0], seconds * 16000)
    wave[np.arange(len(wave)) // 3200 % 3 == 0] = 0
    return wave


@pytest.mark.parametrize("name", ["tone", "square", "bursts", "from silence"])
def test_no_ten_seconds_are_louder_than_the_ceiling(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    tone = sine(2500, 13000, 14, 16000)
    pcm = {
        "tone": tone,
        "square": 13000 * np.sign(tone + 0.5),
        "bursts": bursts(14),
        "from silence": np.concatenate([np.zeros(3 * 16000), tone[: 11 * 16000]]),
    }[name]
    heard = Rig(monkeypatch).play(pcm)
    assert loudest_dba(pcm, 1) > 70
    assert loudest_dba(heard, 10) <= 60.0
    assert loudest_dba(heard, 1, skip_s=5) <= 60.0
    assert loudest_dba(heard, 10, skip_s=4) > 57.0  # nor is it turned down for nothing


def test_below_the_ceiling_nothing_is_touched_and_afterwards_it_recovers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    quiet = sine(1000, 2500, 1, 16000)
    np.testing.assert_array_equal(rig.play(quiet), quiet)
    loud = rig.play(sine(1000, 13000, 3, 16000))
    assert np.abs(loud[-16000:]).max() < 4000
    falling = rig.sound._level.turned_down
    assert falling < 12000
    back = rig.play(np.tile(quiet, 18))
    assert (np.abs(back) <= 2500).all()  # never more than was sent
    np.testing.assert_array_equal(back[-16000:], quiet)


def test_a_calibrated_pod_is_held_by_its_own_loudness(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch, {"full_scale_dba": 90.0})
    heard = rig.play(sine(1000, 13000, 14, 16000))
    assert np.abs(heard).max() <= level.peak_of(LIMITS, {"full_scale_dba": 90.0})
    assert 57.0 < loudest_dba(heard, 10, full_scale_dba=90.0) <= 60.0


def test_another_ceiling_holds_only_between_silence_and_the_hard_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    assert not rig.sound.set_ceiling(7501)
    assert not rig.sound.set_ceiling(-1)
    assert rig.sound.set_ceiling(5000)
    assert 47.0 < loudest_dba(rig.play(sine(1000, 6000, 12, 16000)), 10) <= 50.0
    assert rig.sound.set_ceiling(0)
    heard = rig.play(sine(1000, 6000, 12, 16000))
    assert np.abs(heard[-16000:]).max() < 10


def test_with_two_channels_the_louder_one_counts_even_if_their_sum_is_silent() -> None:
    tone = sine(1000, 16000, 1, 16000).astype("<i2")
    meter = level.Level({"rate_hz": 16000, "channels": 2}, 16000, LIMITS, {}, _plain)
    for pair, expected_db in (((tone, -tone), -6.2), ((tone, tone // 4), -6.2), ((tone // 4, tone), -6.2)):
        meter.weigh(bytearray(np.stack(pair, axis=1).tobytes()))
        assert abs(10 * math.log10(meter.second() / 2**27) - expected_db) < 0.3


def test_whole_means_and_roots_are_right_to_the_last_digit() -> None:
    generator = np.random.default_rng(5)
    for _ in range(2000):
        count = int(generator.integers(1, 1 << 15))
        low = int(generator.integers(0, 1 << 22))
        high = int(generator.integers(0, min(count << 13, 1 << 29)))
        assert level.mean(high, low, count) == (high * 65536 + low) // count
        square = int(generator.integers(0, 1 << 30))
        assert level.root(square, int(generator.integers(0, 1 << 15))) == math.isqrt(square)


def test_a_rate_that_cannot_be_weighed_is_named() -> None:
    with pytest.raises(ValueError, match="44100"):
        level.Level({"rate_hz": 44100, "channels": 1}, 882, LIMITS, {}, _plain)
    assert isinstance(level.WEIGHTS[8000], array)
