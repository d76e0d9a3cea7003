"""Cues that the pod makes itself: their sound, their moment, and what silences them."""

from __future__ import annotations

import itertools
import struct
from array import array
from typing import Any

import numpy as np
import pytest
from dreampod import _plain, cue, sound, wire
from hypothesis import given, settings
from hypothesis import strategies as st
from pod_in_time import BOARD, TICKS, Ring, Time
from scipy.signal import welch

RATE_HZ = 16000
SPEC = BOARD["sound"] | {
    "rate_hz": RATE_HZ, "channels": 1, "ring_frames": 1280, "dma_frames": 64,
    "chunk_frames": 480, "slots": 32,
}  # fmt: skip
QUIET = {"full_scale_dba": 50.0, "ceiling_dba": 60.0, "hard_dba": 60.0}
FRAME_US = 1e6 / RATE_HZ


def told(
    kind: int, *, play_us: int = 0, now: bool = False, number: int = 7,
    ms: int = 50, ramp_ms: int = 5, level: int = 8000, pitch: int = 1000,
) -> bytes:  # fmt: skip
    """A CUE payload."""
    flags = wire.CUE_NOW if now else 0
    return struct.pack(wire.CUE_FORMAT, kind, flags, number, play_us % TICKS, ms, ramp_ms, level, pitch)


class Rig:
    """A pod's sound with its cues, and a host that is there while `host` says so."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, limits: dict[str, float] = QUIET, **spec: int
    ) -> None:
        self.spec = SPEC | spec
        self.time = Time()
        monkeypatch.setattr(sound, "ticks_us", self.time.ticks_us)
        self.ring = Ring(self.time, self.spec)
        self.sound = sound.Sound(self.ring, self.spec, limits, _plain)
        self.touches: list[tuple[int, int]] = []
        self.cues = cue.Cues(self.spec, _plain, lambda effect: self.touches.append((self.time.us, effect)))
        self.sound.attach(self.cues)
        self.host = True
        self._live()
        self.sound.begin()
        self.time.run(300_000)

    def _live(self) -> None:
        self.sound.heard |= self.host
        self.cues.step(self.time.ticks_us())
        self.time.at(self.time.us + 5_000, self._live)

    def put(self, payload: bytes) -> bool:
        return bool(self.cues.put(bytearray(b"\x01" + payload), 1))  # never aligned

    def heard(self, from_us: float) -> Any:
        return self.ring.played[self.ring.frame(from_us) :, 0].astype(int)

    def events(self) -> list[tuple[int, int, int, int]]:
        found = []
        while kind := self.cues.next_event():
            found.append(
                (kind, self.cues.event_kind, self.cues.event_number, self.cues.event_ticks)
            )
        return found


# --- when --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [wire.CUE_PINK, wire.CUE_TONE])
@pytest.mark.parametrize("extra_us", [0, 17, 40, 9_999, 12_345, 19_990])
def test_a_cue_begins_at_its_time_to_the_sample_and_lasts_as_long_as_told(
    monkeypatch: pytest.MonkeyPatch, kind: int, extra_us: int
) -> None:
    rig = Rig(monkeypatch)
    play_us = rig.time.us + 150_000 + extra_us
    assert rig.put(told(kind, play_us=play_us, ramp_ms=0, level=20000))
    rig.time.run(500_000)
    heard = rig.heard(play_us - 50_000)
    first, last = np.flatnonzero(heard)[[0, -1]]
    heard_us = rig.ring.us(rig.ring.frame(play_us - 50_000) + first)
    quiet_start = 1 if kind == wire.CUE_TONE else 0  # a sine begins with a zero
    assert abs(heard_us - quiet_start * FRAME_US - play_us) <= FRAME_US / 2 + 3
    assert abs(last - first + 1 - 50 * RATE_HZ // 1000) <= 2
    assert rig.events() == [(wire.EVENT_CUE, kind, 7, play_us % TICKS)]
    assert rig.cues.begun == 1
    assert rig.cues.late == 0


def test_a_cue_at_once_is_heard_as_soon_as_the_ring_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    asked_us = rig.time.us
    rig.put(told(wire.CUE_TONE, now=True, play_us=asked_us + 5_000_000))
    rig.time.run(300_000)
    first = np.flatnonzero(rig.heard(asked_us))[0]
    assert first * FRAME_US < 125_000  # ring, DMA, and the buffer before
    (_event, _kind, _number, ticks), *none = rig.events()
    assert not none
    assert abs((asked_us + first * FRAME_US) % TICKS - ticks) < 5_000


def test_a_cue_that_comes_too_late_is_not_played_but_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    play_us = rig.time.us + 20_000  # the ring is deeper
    rig.put(told(wire.CUE_PINK, play_us=play_us))
    rig.time.run(300_000)
    assert not rig.heard(0).any()
    assert rig.events() == [(wire.EVENT_CUE_LATE, wire.CUE_PINK, 7, play_us % TICKS)]
    assert (rig.cues.begun, rig.cues.late) == (0, 1)
    assert 50_000 < rig.cues.late_worst_us < 110_000


def test_eight_cues_wait_and_the_ninth_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    start_us = rig.time.us + 200_000
    for number in range(8):
        assert rig.put(told(wire.CUE_TONE, play_us=start_us + number * 100_000, number=number))
    assert not rig.put(told(wire.CUE_TONE, play_us=start_us + 900_000))
    rig.time.run(1_200_000)
    assert [number for _, _, number, _ in rig.events()] == list(range(8))
    level = np.abs(rig.heard(start_us)[: 8 * RATE_HZ // 10]).reshape(8, -1)
    assert (level[:, : RATE_HZ // 20].max(axis=1) > 7500).all()
    assert not level[:, RATE_HZ // 20 + 8 :].any()
    assert rig.put(told(wire.CUE_TONE, play_us=rig.time.us + 200_000))


def test_a_touch_happens_in_the_loop_at_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    play_us = rig.time.us + 150_000
    rig.put(told(wire.CUE_HAPTIC, play_us=play_us, pitch=47))
    rig.time.run(300_000)
    assert [(0 <= us - play_us <= 5_000, effect) for us, effect in rig.touches] == [(True, 47)]
    rig.put(told(wire.CUE_HAPTIC, play_us=rig.time.us - 100_000, pitch=12))
    rig.time.run(20_000)
    rig.put(told(wire.CUE_HAPTIC, now=True, pitch=13))
    rig.time.run(20_000)
    assert [effect for _, effect in rig.touches] == [47, 13]
    assert [kind for kind, *_ in rig.events()] == [wire.EVENT_CUE, wire.EVENT_CUE_LATE, wire.EVENT_CUE] or (
        rig.cues.begun, rig.cues.late) == (2, 1)  # fmt: skip


# --- how it sounds -----------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [16000, 32000])
def test_pink_noise_falls_by_three_decibels_an_octave(rate_hz: int) -> None:
    frames = 40 * rate_hz
    pcm = bytearray(2 * frames)
    _plain.pink(pcm, frames, 1, array("i", [0x1234567, 0, 0, 0]))
    samples = np.frombuffer(bytes(pcm), "<i2").astype(float)
    hz, power = welch(samples, rate_hz, nperseg=8192)
    edges = 60 * 2 ** np.arange(0, 6.7, 0.5)  # half octaves from 60 Hz to 6 kHz
    middle = np.sqrt(edges[:-1] * edges[1:])
    bands = [
        10 * np.log10(power[(hz >= a) & (hz < b)].mean())
        for a, b in itertools.pairwise(edges)
    ]
    slope, offset = np.polyfit(np.log2(middle), bands, 1)
    assert abs(slope + 3.01) < 0.5
    assert np.abs(bands - (slope * np.log2(middle) + offset)).max() < 1.0
    assert np.abs(samples).max() <= 32767
    assert abs(samples.mean()) < 300
    assert 3 < 32767 / samples.std() < 6  # its level says the peak; this is the crest factor


def test_a_tone_is_pure_of_its_pitch_and_height(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    play_us = rig.time.us + 150_000
    rig.put(told(wire.CUE_TONE, play_us=play_us, ms=2000, ramp_ms=0, level=12000, pitch=441))
    rig.time.run(2_400_000)
    heard = rig.heard(play_us)[: 2 * RATE_HZ].astype(float)
    s = np.arange(len(heard)) / RATE_HZ
    basis = np.stack([np.sin(2 * np.pi * 441 * s), np.cos(2 * np.pi * 441 * s)], axis=1)
    weights, *_ = np.linalg.lstsq(basis, heard, rcond=None)
    assert abs(np.hypot(*weights) - 12000) < 5
    rest = heard - basis @ weights
    assert 20 * np.log10(rest.std() / heard.std()) < -75


def test_ramps_rise_and_fall_without_a_click(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    play_us = rig.time.us + 150_000
    rig.put(told(wire.CUE_PINK, play_us=play_us, ms=400, ramp_ms=100, level=32767))
    rig.time.run(900_000)
    heard = rig.heard(play_us)[: 400 * 16].astype(float)
    parts = np.sqrt((heard.reshape(20, -1) ** 2).mean(axis=1))
    middle = parts[6:14].mean()
    assert parts[0] < middle / 5 > parts[-1]
    assert parts[2] < parts[4] < 1.6 * middle
    assert np.abs(heard[:16]).max() < 300 > np.abs(heard[-16:]).max()


def test_in_stereo_both_ears_hear_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch, channels=2)
    play_us = rig.time.us + 150_000
    rig.put(told(wire.CUE_TONE, play_us=play_us, ramp_ms=0))
    rig.time.run(400_000)
    played = rig.ring.played
    np.testing.assert_array_equal(played[:, 0], played[:, 1])
    assert np.count_nonzero(played[:, 0]) > 600


# --- what silences it --------------------------------------------------------------------------


def test_a_stop_silences_cues_and_forgets_those_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    rig.put(told(wire.CUE_TONE, now=True, ms=3000))
    rig.put(told(wire.CUE_TONE, play_us=rig.time.us + 800_000, ms=3000))
    rig.time.run(300_000)
    assert rig.heard(rig.time.us - 20_000).any()
    stopped_us = rig.time.us
    rig.sound.stop()
    rig.time.run(1_000_000)
    assert not rig.heard(stopped_us + 200_000).any()
    opened_us = rig.time.us
    rig.sound.open()
    rig.time.run(1_000_000)
    assert not rig.heard(opened_us).any()
    rig.events()
    assert all(rig.put(told(wire.CUE_TONE, now=True)) for _ in range(8))


def test_a_pod_without_its_host_makes_no_cues(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    rig.put(told(wire.CUE_TONE, now=True, ms=20_000))
    rig.time.run(300_000)
    rig.host = False
    lost_us = rig.time.us
    rig.time.run(2_000_000)
    assert rig.heard(lost_us)[: RATE_HZ // 3].any()
    assert not rig.heard(lost_us + 500_000 + 200_000).any()


def test_the_ceiling_holds_for_cues(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"full_scale_dba": 80.0, "ceiling_dba": 40.0, "hard_dba": 45.0}
    rig = Rig(monkeypatch, limits)
    for _ in range(8):
        rig.put(told(wire.CUE_PINK, now=True, ms=2000, level=32767))
    rig.time.run(2_500_000)
    heard = rig.heard(0)
    assert heard.any()
    assert np.abs(heard).max() <= int(32767 * 10 ** ((45 - 80 - 3.0103) / 20))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.binary(min_size=16, max_size=16), st.integers(0, 60_000)), max_size=12))
def test_no_cue_can_harm_the_pod(payloads: list[tuple[bytes, int]]) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        rig = Rig(monkeypatch)
        for payload, wait_us in payloads:
            kind = payload[0] % 5
            rig.put(bytes([kind]) + payload[1:])
            rig.time.run(wait_us)
        rig.time.run(100_000)
        assert rig.cues.begun + rig.cues.late <= len(payloads)
        assert rig.sound.slips == 0


def test_what_no_part_can_play_is_refused() -> None:
    cues = cue.Cues(SPEC, _plain)
    assert not cues.put(told(wire.CUE_HAPTIC, now=True), 0)  # no haptics fitted
    assert not cues.put(told(wire.CUE_TONE, pitch=0), 0)
    assert not cues.put(told(wire.CUE_TONE, pitch=RATE_HZ // 2), 0)
    assert not cues.put(told(9), 0)
