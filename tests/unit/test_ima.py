"""IMA ADPCM: the host's encoder, the pod's decoder, and CPython's own audioop as the judge of both."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dreampod import _plain, level, sound, wire
from hypothesis import given, settings
from hypothesis import strategies as st
from pod_in_time import BOARD, TICKS, Ring, Time
from scipy.io import wavfile

from dreampods.resonance import encode_ima

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    audioop: Any = pytest.importorskip("audioop", reason="CPython 3.13 has no audioop any more")

Pcm = np.ndarray[Any, np.dtype[np.int16]]
DATA = Path(os.environ.get("DREAMPODS_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
QUIET = {"full_scale_dba": 50.0, "ceiling_dba": 60.0, "hard_dba": 60.0}


def decoded(chunk: bytes, frames: int, channels: int) -> Pcm:
    """As the pod decodes it."""
    pcm = bytearray(frames * channels * 2)
    _plain.ima(pcm, chunk, 0, frames, channels)
    return np.frombuffer(bytes(pcm), "<i2").reshape(frames, channels)


def judged(first: int, index: int, nibbles: list[int]) -> Pcm:
    """As audioop decodes one channel's nibbles; it takes the high one of a byte first."""
    padded = [*nibbles, 0] if len(nibbles) % 2 else nibbles
    data = bytes(a << 4 | b for a, b in zip(padded[::2], padded[1::2], strict=True))
    pcm, _state = audioop.adpcm2lin(data, 2, (first, index))
    return np.concatenate([[first], np.frombuffer(pcm, np.int16)[: len(nibbles)]]).astype(np.int16)


def signal_to_noise_db(pcm: Pcm, back: Pcm) -> float:
    noise = np.sum((back.astype(float) - pcm) ** 2)
    return float(10 * np.log10(np.sum(pcm.astype(float) ** 2) / noise))


@settings(max_examples=60, deadline=None)
@given(st.integers(-32768, 32767), st.integers(0, 88), st.lists(st.integers(0, 15), max_size=120))
def test_the_pod_decodes_as_audioop_does(first: int, index: int, nibbles: list[int]) -> None:
    padded = [*nibbles, 0] if len(nibbles) % 2 else nibbles
    low_first = bytes(a | b << 4 for a, b in zip(padded[::2], padded[1::2], strict=True))
    head = np.array([first], "<i2").tobytes() + bytes([index, 0])
    frames = 1 + len(nibbles)
    np.testing.assert_array_equal(decoded(head + low_first, frames, 1)[:, 0], judged(first, index, nibbles))
    both = head + head + bytes(n | (15 - n) << 4 for n in nibbles)
    stereo = decoded(both, frames, 2)
    np.testing.assert_array_equal(stereo[:, 0], judged(first, index, nibbles))
    np.testing.assert_array_equal(stereo[:, 1], judged(first, index, [15 - n for n in nibbles]))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("frames", [1, 2, 479, 480])
def test_what_the_host_encodes_comes_out_as_it_was_meant(channels: int, frames: int) -> None:
    s = np.arange(frames) / 16000
    tone = 9000 * np.sin(2 * np.pi * 440 * s)
    pcm = np.stack([tone, -tone / 3], axis=1)[:, :channels].astype(np.int16)
    quiet = (pcm // 50).astype(np.int16)
    chunks = [encode_ima(pcm), encode_ima(quiet)]
    for original, chunk in zip((pcm, quiet), chunks, strict=True):
        back = decoded(chunk, frames, channels)
        np.testing.assert_array_equal(back[0], original[0])
        if frames > 2:
            assert signal_to_noise_db(original, back) > 20


def test_the_step_size_is_right_from_the_first_sample_on() -> None:
    generator = np.random.default_rng(2)
    loud = (12000 * generator.standard_normal((1, 480, 1)).clip(-2, 2)).astype(np.int16)
    chunk = encode_ima(loud[0])
    start = signal_to_noise_db(loud[0, :20], decoded(chunk, 480, 1)[:20])
    lame = chunk[:2] + bytes([0]) + chunk[3:]
    assert start > 10 > 3 > signal_to_noise_db(loud[0, :20], decoded(lame, 480, 1)[:20])


@pytest.mark.skipif(not (DATA / "voice").is_dir(), reason=f"no voices in {DATA}; set DREAMPODS_DATA")
def test_a_voice_stays_a_voice() -> None:
    rate_hz, voice = wavfile.read(DATA / "voice" / "en_jfk_1961.wav")
    assert rate_hz == 16000
    chunks = voice[: len(voice) // 480 * 480].reshape(-1, 480, 1)
    back = np.stack([decoded(chunk, 480, 1) for chunk in map(encode_ima, chunks)])
    assert signal_to_noise_db(chunks, back) > 20


# --- through the pod's sound -------------------------------------------------------------------


class Rig:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
        spec = BOARD["sound"] | {"rate_hz": 16000, "channels": channels, "chunk_frames": 240, "slots": 8}
        self.time = Time()
        monkeypatch.setattr(sound, "ticks_us", self.time.ticks_us)
        self.ring = Ring(self.time, spec)
        self.sound = sound.Sound(self.ring, spec, QUIET, _plain)
        self.sound.begin()
        self.time.run(300_000)
        self.sound.heard = True
        self.sound.open(wire.CODEC_IMA)
        self.time.run(100_000)

    def put(self, play_us: int, chunk: bytes) -> bool:
        frame = b"head" + chunk  # payloads do not begin at a buffer's start
        self.sound.heard = True
        return bool(self.sound.put(play_us % TICKS, bytearray(frame), 4, len(chunk)))


@pytest.mark.parametrize("channels", [1, 2])
def test_a_stream_in_ima_plays_in_one_piece(monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    rig = Rig(monkeypatch, channels)
    generator = np.random.default_rng(4)
    pcm = generator.integers(-9000, 9000, (6, 240, channels)).astype(np.int16)
    chunks = [encode_ima(chunk) for chunk in pcm]
    play_us = rig.time.us + 150_000
    for number, chunk in enumerate(chunks):
        assert rig.put(play_us + 15_000 * number, chunk)
    rig.time.run(400_000)
    expected = np.concatenate([decoded(chunk, 240, channels) for chunk in chunks])
    start = rig.ring.frame(play_us)
    np.testing.assert_array_equal(rig.ring.played[start : start + len(expected)], expected)
    assert rig.sound.chunks == 6


@pytest.mark.parametrize("channels", [1, 2])
def test_a_broken_chunk_is_counted_and_not_played(monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    rig = Rig(monkeypatch, channels)
    good = encode_ima(np.zeros((240, channels), np.int16))
    broken = [b"", good[:3], good + good, good[:2] + b"\x59" + good[3:], good + b"\x00" * 9]
    for number, chunk in enumerate(broken):
        assert rig.put(rig.time.us + 150_000, chunk)
        assert rig.sound.malformed == number + 1
    assert rig.sound.free_slots() == 8
    assert not rig.sound.open(7)  # a codec nobody knows
    rig.sound.open()
    assert rig.put(rig.time.us + 150_000, b"\x00" * (2 * channels * 20 + 1))
    assert rig.sound.malformed == len(broken) + 1


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_no_bytes_can_harm_the_pod(data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        rig = Rig(monkeypatch, data.draw(st.sampled_from([1, 2])))
        rig.put(rig.time.us + 150_000, data.draw(st.binary(max_size=1020)))
        rig.time.run(300_000)
        assert rig.sound.chunks + rig.sound.malformed == 1
        assert np.abs(rig.ring.played.astype(int)).max() <= level.peak_of(QUIET, {})
