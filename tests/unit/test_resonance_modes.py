"""Things that ring, against closed forms and convolutions in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from dreampods.resonance import ModeBank

RATE_HZ = 32000
FREQ_HZ = np.array([110.0, 330.3, 1234.5, 7000.0])
DECAY_S = np.array([2.0, 1.0, 0.3, 0.05])
Floats = NDArray[np.float64]


def _ring(frames: int) -> Floats:
    """(modes, frames) after a strike of 1 in frame 0."""
    t = np.arange(frames) / RATE_HZ
    return np.asarray(
        np.exp(-np.log(1000) * t / DECAY_S[:, None]) * np.sin(2 * np.pi * FREQ_HZ[:, None] * t)
    )


def _expected(frames: int, voices: int, strikes: list[tuple[int, int, Floats]]) -> Floats:
    out = np.zeros((voices, frames, 2))
    ring = _ring(frames)
    for voice, frame, amplitude in strikes:
        out[voice, frame:] += ring[:, : frames - frame].T @ amplitude
    return out


def _play(bank: ModeBank, frames: int, strikes: list[tuple[int, int, Floats]]) -> Floats:
    ordered = sorted(strikes, key=lambda strike: strike[1])
    return np.asarray(
        bank.process(
            frames,
            voice=[voice for voice, _, _ in ordered],
            frame=[frame for _, frame, _ in ordered],
            amplitude=[amplitude for _, _, amplitude in ordered],
        ),
        dtype=np.float64,
    )


def _some_strikes(voices: int, frames: int, count: int) -> list[tuple[int, int, Floats]]:
    dice = np.random.default_rng(5)
    return [
        (int(dice.integers(voices)), int(dice.integers(frames)), dice.normal(size=(4, 2)))
        for _ in range(count)
    ]


def test_strikes_ring_from_their_very_frame() -> None:
    edges = [(0, frame, np.ones((4, 2))) for frame in (0, 1, 63, 64, 65, 128, 4999)]
    for strikes in (edges, _some_strikes(3, 5000, 20), [(2, 77, np.ones((4, 2)))] * 3):
        bank = ModeBank(3, FREQ_HZ, DECAY_S, rate_hz=RATE_HZ)
        expected = _expected(5000, 3, strikes)
        assert_allclose(_play(bank, 5000, strikes), expected, atol=1e-5 * np.abs(expected).max())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=12))
def test_blocks_may_be_cut_anywhere(blocks: list[int]) -> None:
    frames = sum(blocks)
    strikes = _some_strikes(2, frames, 6)
    drive = np.random.default_rng(2).normal(size=(2, frames))
    gain = np.full((4, 2), 0.1)
    whole, cut = (ModeBank(2, FREQ_HZ, DECAY_S, drive_gain=gain) for _ in range(2))
    parts, at = [], 0
    for block in blocks:
        here = sorted((s for s in strikes if at <= s[1] < at + block), key=lambda s: s[1])
        parts.append(
            cut.process(
                block,
                [s[0] for s in here],
                [s[1] - at for s in here],
                [s[2] for s in here],
                drive[:, at : at + block],
            )
        )
        at += block
    ordered = sorted(strikes, key=lambda s: s[1])
    once = whole.process(
        frames, [s[0] for s in ordered], [s[1] for s in ordered], [s[2] for s in ordered], drive
    )
    joined = np.concatenate(parts, axis=1)
    assert_allclose(joined, once, atol=2e-6 * np.abs(once).max(), rtol=0)


def test_a_drive_is_many_small_strikes() -> None:
    dice = np.random.default_rng(1)
    drive = dice.normal(size=(2, 3000))
    drive[1, 1000:2000] = 0.0
    gain = dice.normal(size=(4, 2))
    sound = ModeBank(2, FREQ_HZ, DECAY_S, drive_gain=gain).process(3000, drive=drive)
    for voice in range(2):
        for ear in range(2):
            response = gain[:, ear] @ _ring(3000)
            expected = fftconvolve(drive[voice], response)[:3000]
            size = np.abs(expected).max()
            assert_allclose(sound[voice, :, ear], expected, atol=1e-5 * size)


def test_it_keeps_pitch_and_phase_for_minutes() -> None:
    freq = np.array([440.1])
    bank = ModeBank(1, freq, [1e7], rate_hz=RATE_HZ)
    bank.process(1, [0], [0], np.ones((1, 1, 2)))
    frames = 61 * 7919
    for _ in range(20):
        sound = bank.process(frames)
    t = (1 + 20 * frames - 1000 + np.arange(1000)) / RATE_HZ
    decay = np.exp(-np.log(1000) * t / 1e7)
    assert_allclose(sound[0, -1000:, 0], decay * np.sin(2 * np.pi * 440.1 * t), atol=2e-6)


def test_silence_is_zero_before_and_becomes_zero_after() -> None:
    bank = ModeBank(2, FREQ_HZ, np.full(4, 0.1), drive_gain=np.ones((4, 2)))
    assert not bank.process(1000, drive=np.zeros((2, 1000))).any()
    bank.process(64, [0], [0], np.ones((1, 4, 2)))
    late = bank.process(RATE_HZ)
    assert late[0, :1000].any()
    assert not late[0, RATE_HZ // 2 :].any()
    assert not late[1].any()
    bank.process(100, drive=np.full((2, 100), 1e-3))
    assert not bank.process(RATE_HZ)[:, -1000:].any()


def test_a_strike_bends_no_more_than_its_sines() -> None:
    """A click would be a second difference above that of the sines themselves."""
    sound = ModeBank(1, FREQ_HZ[:2], DECAY_S[:2]).process(6400, [0], [1000], np.ones((1, 2, 2)))
    steepest = float(np.sum(2 * np.pi * FREQ_HZ[:2] / RATE_HZ))  # the corner where a sine begins
    assert np.abs(np.diff(sound[0, :, 0], n=2)).max() < 1.05 * steepest


def test_unusable_input_is_refused_and_changes_nothing() -> None:
    for wrong, why in (
        ({"voices": 0}, "at least 1"),
        ({"freq_hz": []}, "holds nothing"),
        ({"freq_hz": [np.nan]}, "NaN"),
        ({"freq_hz": [16000.0]}, "half of rate_hz"),
        ({"freq_hz": [-1.0]}, "below 0"),
        ({"decay_s": [0.0]}, "below 1e-06"),
        ({"decay_s": [1.0, 1.0]}, "shape"),
        ({"rate_hz": np.inf}, "finite"),
        ({"drive_gain": [[1.0]]}, "shape"),
    ):
        with pytest.raises(ValueError, match=why):
            ModeBank(**{"voices": 1, "freq_hz": [100.0], "decay_s": [1.0], **wrong})  # type: ignore[arg-type]
    bank = ModeBank(2, [100.0], [1.0])
    one = np.ones((1, 1, 2))
    for arguments, why in (
        ((0,), "at least 1"),
        ((10, [0], [10], one), "0 to 9"),
        ((10, [2], [0], one), "0 to 1"),
        ((10, [0], [0.5], one), "whole numbers"),
        ((10, [-1], [0], one), "below 0"),
        ((10, [0], [0], one * np.nan), "NaN"),
        ((10, [0], [0]), "shape"),
        ((10, [0, 0], [5, 4], np.ones((2, 1, 2))), "rise"),
        ((10, [], [], one), "names none"),
        ((10, [0], [], one), "shape"),
    ):
        with pytest.raises(ValueError, match=why):
            bank.process(*arguments)
    with pytest.raises(ValueError, match="no drive_gain"):
        bank.process(10, drive=np.ones((2, 10)))
    driven = ModeBank(2, [100.0], [1.0], drive_gain=[[1, 1]])
    for drive, why in ((np.ones((2, 9)), "shape"), (np.full((2, 10), np.inf), "infinity")):
        with pytest.raises(ValueError, match=why):
            driven.process(10, drive=drive)
    assert not bank.process(10).any()
    assert not driven.process(10).any()
