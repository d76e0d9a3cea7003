"""Beds of sines against numpy in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.signal import periodogram

from dreampods.resonance import ToneBank

RATE_HZ = 32000


def test_sines_are_those_of_numpy() -> None:
    dice = np.random.default_rng(1)
    turns, freq = dice.random((3, 7)), dice.uniform(20, 15000, (3, 7))
    gain = dice.normal(size=(3, 7, 2))
    bank = ToneBank(turns, rate_hz=RATE_HZ)
    sound = np.concatenate([bank.process(n, freq, gain) for n in (1, 63, 64, 640, 1000)], axis=1)
    t = np.arange(sound.shape[1]) / RATE_HZ
    waves = np.sin(2 * np.pi * (turns[:, :, None] + freq[:, :, None] * t))
    assert_allclose(sound, np.einsum("vst,vse->vte", waves, gain), atol=5e-6)


def test_frequency_and_gain_go_straight_to_where_they_are_sent() -> None:
    bank = ToneBank([[0.1]], rate_hz=RATE_HZ)
    bank.process(640, [[300.0]], [[[1.0, 0.0]]])
    sound = bank.process(640, [[500.0]], [[[0.5, 1.0]]])
    after = bank.process(640, [[500.0]], [[[0.5, 1.0]]])
    t = np.arange(640)
    turns = 0.1 + 640 * 300 / RATE_HZ + (300 * t + 200 * t**2 / 1280) / RATE_HZ
    part = (t + 1) / 640
    wave = np.sin(2 * np.pi * turns)
    assert_allclose(sound[0, :, 0], (1 - 0.5 * part) * wave, atol=5e-6)
    assert_allclose(sound[0, :, 1], part * wave, atol=5e-6)
    turns = 0.1 + 640 * (300 + 400) / RATE_HZ + 500 * t / RATE_HZ
    assert_allclose(after[0, :, 1], np.sin(2 * np.pi * turns), atol=2e-6)


def test_phase_is_exact_after_hours() -> None:
    """Fractions of a turn per frame that binary numbers cannot hold, 115 million times."""
    freq = 15000.0 + 1 / 3
    bank = ToneBank([[0.0]], rate_hz=RATE_HZ)
    for _ in range(3600):
        sound = bank.process(RATE_HZ, [[freq]], [[[1.0, 1.0]]])
    t = np.arange(RATE_HZ) / RATE_HZ
    start = (3599 / 3) % 1.0
    assert_allclose(sound[0, :, 0], np.sin(2 * np.pi * (start + freq * t)), atol=2e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=10))
def test_blocks_may_be_cut_anywhere(blocks: list[int]) -> None:
    turns, freq = [[0.3, 0.9], [0.0, 0.1]], [[100.0, 1234.5], [4000.0, 60.0]]
    gain, pulse = np.ones((2, 2, 2)), [2.5, 0.0]
    once = ToneBank(turns).process(sum(blocks), freq, gain, pulse)
    bank = ToneBank(turns)
    joined = np.concatenate([bank.process(n, freq, gain, pulse) for n in blocks], axis=1)
    assert_allclose(joined, once, atol=1e-6)


def test_gains_that_jump_make_no_click() -> None:
    """Second differences stay within what the gliding sines have themselves."""
    dice = np.random.default_rng(3)
    bank = ToneBank([[0.0]])
    blocks = [
        bank.process(640, [[dice.uniform(80, 120)]], dice.uniform(0, 1, (1, 1, 2)))
        for _ in range(200)
    ]
    sound = np.concatenate(blocks, axis=1)[0, :, 0].astype(np.float64)
    w = 2 * np.pi * 120 / RATE_HZ
    # Of g(t) sin p(t): g p'^2, a ramp 2 g' p', and the corners of the ramps.
    assert np.abs(np.diff(sound, n=2)).max() < w**2 + 2 * w / 640 + 2 / 640


def test_a_binaural_beat_is_one_plain_sine_in_each_ear() -> None:
    bank = ToneBank([[0.0, 0.0]])
    gain = [[[1.0, 0.0], [0.0, 1.0]]]
    sound = bank.process(4 * RATE_HZ, [[198.0, 202.0]], gain)[0].astype(np.float64)
    freq_hz, power = periodogram(sound, RATE_HZ, axis=0)
    for ear, hz in enumerate((198, 202)):
        near = np.abs(freq_hz - hz) < 0.5
        assert power[near, ear].sum() > (1 - 1e-9) * power[:, ear].sum()


def test_pulses_come_and_go_as_sin_squared() -> None:
    bank = ToneBank([[0.25]])
    sound = np.concatenate(
        [bank.process(640, [[0.0]], [[[1.0, 1.0]]], [2.5]) for _ in range(100)], axis=1
    )
    t = np.arange(64000) / RATE_HZ
    assert_allclose(sound[0, :, 0], np.sin(np.pi * 2.5 * t) ** 2, atol=2e-6)
    assert sound[0, 0, 0] == 0


def test_nothing_but_silence_where_every_gain_is_zero() -> None:
    assert not ToneBank([[0.3]]).process(100, [[440.0]], np.zeros((1, 1, 2))).any()


def test_unusable_input_is_refused_and_changes_nothing() -> None:
    for turns, rate, why in (
        ([[]], RATE_HZ, "holds nothing"),
        ([0.0], RATE_HZ, "shape"),
        ([[np.nan]], RATE_HZ, "NaN"),
        ([[0.0]], 0.0, "between 1000"),
    ):
        with pytest.raises(ValueError, match=why):
            ToneBank(turns, rate_hz=rate)
    bank, untouched = ToneBank([[0.0]]), ToneBank([[0.0]])
    good = {"frames": 10, "freq_hz": [[100.0]], "gain": [[[1.0, 1.0]]]}
    for wrong, why in (
        ({"frames": 0}, "at least 1"),
        ({"freq_hz": [[16000.0]]}, "half of rate_hz"),
        ({"freq_hz": [[-1.0]]}, "below 0"),
        ({"freq_hz": [[np.inf]]}, "infinity"),
        ({"gain": [[1.0]]}, "shape"),
        ({"gain": [[[np.nan, 1.0]]]}, "NaN"),
        ({"pulse_hz": [-1.0]}, "below 0"),
        ({"pulse_hz": [np.nan]}, "NaN"),
        ({"pulse_hz": [1e9]}, "half of rate_hz"),
    ):
        with pytest.raises(ValueError, match=why):
            bank.process(**{**good, **wrong})  # type: ignore[arg-type]
    assert np.array_equal(bank.process(**good), untouched.process(**good))  # type: ignore[arg-type]
