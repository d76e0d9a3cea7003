"""The pod's sound, the firmware's own file, in simulated time and into a simulated I2S ring."""

from __future__ import annotations

import random
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from dreampod import _plain, level, sound, wire
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pod_in_time import BOARD, SOUND, TICKS, Ring, Time

RATE_HZ = SOUND["rate_hz"]
CHUNK = SOUND["chunk_frames"]
FRAME_US = 1e6 / RATE_HZ
PEAK = level.peak_of(BOARD["limits"], {})
# A pod so quiet that nothing it plays comes near a limit
QUIET = {"full_scale_dba": 50.0, "ceiling_dba": 60.0, "hard_dba": 60.0}
BED_PEAK = 8192 // 24  # the noise register's range times the bed's gain
LOST_US = sound.HOST_LOST_MS * 1000
REACTION_US = 200_000  # for a stop; also what ring and callback may add to any other limit

Pcm = np.ndarray[Any, np.dtype[np.int16]]


class Rig:
    """A `Sound` that plays into a ring, and a host that is there while `host` says so."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *,
        begin_after_us: int = 0,
        spec: dict[str, Any] = SOUND,
        limits: dict[str, float] = QUIET,
        loops: Any = _plain,
    ) -> None:
        self.time = Time()
        monkeypatch.setattr(sound, "ticks_us", self.time.ticks_us)
        self.ring = Ring(self.time, spec)
        self.sound = sound.Sound(self.ring, spec, limits, loops)
        self.host = True
        self._keep_alive()
        self.time.run(begin_after_us)
        self.sound.begin()
        self.time.run(200_000)

    def _keep_alive(self) -> None:
        self.sound.heard |= self.host
        self.time.at(self.time.us + 50_000, self._keep_alive)

    def open(self) -> None:
        """Open a stream and let its fade-in pass."""
        self.sound.open()
        self.time.run(100_000)

    def put(self, play_us: int, pcm: Pcm) -> bool:
        """Hand over one chunk."""
        data = np.ascontiguousarray(pcm, "<i2").tobytes()
        return bool(self.sound.put(play_us % TICKS, data, 0, len(data)))

    def stream(self, play_us: int, pcm: Pcm, lead_us: int = 200_000) -> None:
        """Hand over chunk after chunk, each `lead_us` before it plays."""
        for first in range(0, len(pcm), CHUNK):
            due = play_us + round(first * FRAME_US)
            self.time.run(max(0, due - lead_us - self.time.us))
            assert self.put(due, pcm[first : first + CHUNK])

    def played(self, from_us: float, to_us: float | None = None) -> Pcm:
        """What played in that span; all that follows if it has no end."""
        last = None if to_us is None else self.ring.frame(to_us)
        return self.ring.played[self.ring.frame(from_us) : last]


def noise(frames: int, seed: int = 1) -> Pcm:
    """Full-band noise below the ceiling, never zero."""
    generator = np.random.default_rng(seed)
    magnitude = generator.integers(100, PEAK, (frames, SOUND["channels"]))
    sign = generator.choice([-1, 1], (frames, SOUND["channels"]))
    return (magnitude * sign).astype(np.int16)


def steady(frames: int, value: int = 15000) -> Pcm:
    return np.full((frames, SOUND["channels"]), value, np.int16)


# --- when --------------------------------------------------------------------------------------


@pytest.mark.parametrize("begin_after_us", [0, 1, 700, 1999, 2000, 123_456])
def test_a_chunk_plays_at_its_time_to_the_sample(
    monkeypatch: pytest.MonkeyPatch, begin_after_us: int
) -> None:
    rig = Rig(monkeypatch, begin_after_us=begin_after_us)
    rig.open()
    for extra_us in (0, 17, 31, 40, 62, 12_345):
        play_us = rig.time.us + 150_000 + extra_us
        assert rig.put(play_us, steady(CHUNK))
        rig.time.run(400_000)
        first = np.flatnonzero(rig.played(play_us - 100_000)[:, 0])[0]
        heard_us = rig.ring.us(rig.ring.frame(play_us - 100_000) + first)
        assert abs(heard_us - play_us) <= FRAME_US / 2 + 3  # the clock counts whole microseconds


def test_a_stream_comes_out_bit_for_bit_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    rig.open()
    pcm = noise(RATE_HZ)
    play_us = rig.time.us + 250_000
    rig.stream(play_us, pcm)
    rig.time.run(400_000)
    start = rig.ring.frame(play_us)
    np.testing.assert_array_equal(rig.ring.played[start : start + len(pcm)], pcm)
    assert (rig.sound.late, rig.sound.slips) == (0, 0)


def test_callbacks_that_come_late_do_not_move_the_time_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    jitter = random.Random(3)
    rig.ring.lateness_us = lambda: jitter.choice([0, 30, 500, 4000, 15_000])
    rig.time.run(5_000_000)
    rig.open()
    play_us = rig.time.us + 250_000
    rig.stream(play_us, noise(RATE_HZ))
    rig.time.run(400_000)
    first = np.flatnonzero(rig.played(play_us - 100_000)[:, 0])[0]
    heard_us = rig.ring.us(rig.ring.frame(play_us - 100_000) + first)
    assert abs(heard_us - play_us) <= FRAME_US / 2 + 10
    assert rig.sound.slips == 0


@pytest.mark.parametrize(
    ("stall_us", "slips"), [(79_000, 0), (81_000, 1), (83_500, 1), (90_001, 1), (137_000, 1)]
)
def test_after_a_stall_chunks_play_at_their_time_again(
    monkeypatch: pytest.MonkeyPatch, stall_us: int, slips: int
) -> None:
    rig = Rig(monkeypatch)
    rig.open()
    stalls = iter([stall_us])
    rig.ring.lateness_us = lambda: next(stalls, 0)
    rig.time.run(1_000_000)
    assert rig.sound.slips == slips  # the ring is 80 ms deep
    play_us = rig.time.us + 150_000
    rig.put(play_us, steady(CHUNK))
    rig.time.run(400_000)
    first = np.flatnonzero(rig.played(play_us - 100_000)[:, 0])[0]
    heard_us = rig.ring.us(rig.ring.frame(play_us - 100_000) + first)
    assert abs(heard_us - play_us) <= FRAME_US / 2 + 3


@pytest.mark.parametrize("rate_hz", [8000, 16000, 32000])
def test_over_a_minute_of_late_callbacks_the_time_line_is_right_to_the_sample(
    monkeypatch: pytest.MonkeyPatch, rate_hz: int
) -> None:
    spec = SOUND | {"rate_hz": rate_hz, "channels": 1, "ring_frames": rate_hz * 80 // 1000}
    loops = SimpleNamespace(**vars(_plain) | {"weigh": lambda *_: None})
    rig = Rig(monkeypatch, spec=spec, loops=loops)
    jitter = random.Random(rate_hz)
    rig.ring.lateness_us = lambda: jitter.randrange(15_000)
    rig.time.run(60_000_000)
    errors = []
    for _ in range(6000):
        rig.time.run(10_000)
        off = (round(rig.ring.next_us) - rig.sound.cursor + TICKS // 2) % TICKS - TICKS // 2
        if abs(off) < 15_000:  # else a callback is late, and its buffer not counted yet
            errors.append(abs(off))
    assert len(errors) > 2000
    assert np.mean(errors) <= 1e6 / rate_hz
    assert max(errors) < 300  # what a stream takes for its own continuation
    assert rig.sound.slips == 0


def test_an_early_stamp_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    loops = SimpleNamespace(**vars(_plain) | {"weigh": lambda *_: None})
    rig = Rig(monkeypatch, loops=loops)
    wrong = iter([4_000])
    monkeypatch.setattr(sound, "ticks_us", lambda: (rig.time.us - next(wrong, 0)) % TICKS)
    rig.time.run(40_000)
    off = (round(rig.ring.next_us) - rig.sound.cursor + TICKS // 2) % TICKS - TICKS // 2
    assert off >= 3_900
    rig.time.run(80_000_000)
    off = (round(rig.ring.next_us) - rig.sound.cursor + TICKS // 2) % TICKS - TICKS // 2
    assert abs(off) <= FRAME_US


class BlockRing(Ring):
    """An ESP32's: a ring of blocks of 256 frames that the DMA plays itself, filled as soon as one is free."""

    def __init__(self, time: Time, spec: dict[str, Any]) -> None:
        super().__init__(time, spec | {"dma_frames": 512})  # it plays half of that at a time
        self._size = (spec["ring_frames"] - 256) * spec["channels"] * 2  # besides the block that plays
        self._played = bytearray(self._half)

    def write(self, buffer: bytearray) -> None:
        super().write(buffer)
        self._fill()

    def _fire(self) -> None:
        pending, self._pending = self._pending, b""
        super()._fire()
        self._pending = pending
        self._fill()

    def _fill(self) -> None:
        if self._pending:
            room = self._size - len(self._held)
            self._held += self._pending[:room]
            self._pending = self._pending[room:]
            if not self._pending:
                self._time.at(self._time.us + self.lateness_us(), lambda: self._callback(self))


def test_a_ring_that_is_the_dma_itself_keeps_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "Ring", BlockRing)
    rig = Rig(monkeypatch, spec=SOUND | {"channels": 1, "ring_frames": 1024, "dma_frames": 0})
    rig.time.run(1_000_000)
    rig.open()
    for extra_us in (0, 17, 12_345):
        play_us = rig.time.us + 150_000 + extra_us
        assert rig.put(play_us, np.full((CHUNK, 1), 15000, np.int16))
        rig.time.run(400_000)
        first = np.flatnonzero(rig.played(play_us - 100_000)[:, 0])[0]
        heard_us = rig.ring.us(rig.ring.frame(play_us - 100_000) + first)
        assert abs(heard_us - play_us) <= FRAME_US / 2 + 3
    assert rig.sound.slips == 0


# --- late, or not at all -----------------------------------------------------------------------


def test_a_late_chunk_is_trimmed_to_what_can_still_be_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    rig.open()
    pcm = (np.arange(CHUNK)[:, None] + [1000, 2000]).astype(np.int16)  # says its own frame number
    play_us = round(rig.ring.next_us) - 8_000
    rig.put(play_us, pcm)
    rig.time.run(300_000)
    heard = rig.played(play_us - 100_000, play_us + 15_000)
    first = np.flatnonzero(heard[:, 0])[0]
    number = int(heard[first, 0]) - 1000
    assert 0 < number < CHUNK
    np.testing.assert_array_equal(heard[first:], pcm[number : number + len(heard) - first])
    due_us = play_us + number * FRAME_US
    heard_us = rig.ring.us(rig.ring.frame(play_us - 100_000) + first)
    assert abs(heard_us - due_us) <= FRAME_US + 3
    assert rig.sound.late == 1
    rig.sound.second()
    assert 0 < rig.sound.late_worst_us < 15_000


def test_a_chunk_that_is_past_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    rig.open()
    assert rig.put(rig.time.us - 100_000, steady(CHUNK))
    assert rig.sound.free_slots() == SOUND["slots"]
    rig.time.run(300_000)
    assert not rig.ring.played.any()
    rig.sound.second()
    assert rig.sound.late == 1
    assert 150_000 < rig.sound.late_worst_us < 220_000
    rig.sound.second()
    assert rig.sound.late_worst_us == 0


@pytest.mark.parametrize("frames", [CHUNK, 4 * CHUNK, 7 * CHUNK])
def test_each_gap_is_one_underrun_and_no_click(
    monkeypatch: pytest.MonkeyPatch, frames: int
) -> None:
    rig = Rig(monkeypatch)
    rig.open()
    play_us = round(rig.ring.next_us) + 200_000  # so that some gaps begin with a buffer
    for _ in range(3):
        rig.stream(play_us, steady(frames))
        play_us += 400_000
    rig.time.run(600_000)
    assert rig.sound.underruns == 3
    falling = np.diff(rig.ring.played[:, 0].astype(int))
    assert falling.min() >= -(15000 // 32 + 1)  # dies away, is not cut off
    assert not rig.played(rig.time.us - 100_000).any()


def test_a_stream_that_is_closed_ends_without_an_underrun(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    rig.open()
    pcm = noise(3 * CHUNK)
    play_us = rig.time.us + 250_000
    rig.stream(play_us, pcm)
    rig.sound.close()
    rig.time.run(600_000)
    start = rig.ring.frame(play_us)
    np.testing.assert_array_equal(rig.ring.played[start : start + len(pcm)], pcm)
    assert rig.sound.underruns == 0
    assert rig.sound.chunks == 3
    assert rig.sound.state == wire.STATE_IDLE


def test_a_full_pod_takes_no_more_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    rig.open()
    pcm = noise(SOUND["slots"] * CHUNK)
    play_us = rig.time.us + 200_000
    for first in range(0, len(pcm), CHUNK):
        assert rig.put(play_us + round(first * FRAME_US), pcm[first : first + CHUNK])
    assert rig.sound.free_slots() == 0
    assert not rig.put(play_us + round(len(pcm) * FRAME_US), noise(CHUNK))
    rig.time.run(1_500_000)
    start = rig.ring.frame(play_us)
    np.testing.assert_array_equal(rig.ring.played[start : start + len(pcm)], pcm)


# --- silence -----------------------------------------------------------------------------------


@pytest.mark.parametrize("phase_us", range(0, 20_000, 3_700))
def test_stop_is_silence_within_200_ms_until_the_next_open(
    monkeypatch: pytest.MonkeyPatch, phase_us: int
) -> None:
    rig = Rig(monkeypatch)
    rig.open()
    rig.stream(rig.time.us + 250_000, steady(RATE_HZ // 2))
    rig.time.run(20_000 + phase_us)
    stopped_us = rig.time.us
    rig.sound.stop()
    rig.sound.close()
    assert rig.sound.state == wire.STATE_STOPPED
    for _ in range(40):  # the host goes on sending, as if it did not know
        rig.put(rig.time.us + 150_000, steady(CHUNK))
        rig.time.run(15_000)
    assert not rig.played(stopped_us + REACTION_US).any()
    fading = rig.played(stopped_us)[:, 0].astype(int)
    assert np.abs(np.diff(fading)).max() <= 15000 // 32 + 1
    rig.open()
    rig.stream(rig.time.us + 250_000, steady(CHUNK))
    rig.time.run(400_000)
    assert rig.played(stopped_us + 700_000).max() == 15000


def test_a_pod_that_loses_its_host_goes_to_its_bed_then_to_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    rig.open()
    play_us = rig.time.us + 250_000
    rig.stream(play_us, steady(100 * CHUNK))
    rig.host = False
    lost_us = rig.time.us
    # Not even sound in plenty keeps it going
    rig.stream(play_us + 1_500_000, steady(100 * CHUNK))
    rig.time.run(6_000_000)
    assert rig.sound.state == wire.STATE_HOST_LOST
    assert rig.played(lost_us, lost_us + LOST_US).min() > 0  # not given up too soon either
    assert np.abs(rig.played(lost_us + 1_000_000)).max() <= BED_PEAK
    bed_us = sound.BED_MS * 1000
    fade_us = sound.BED_FADE_MS * 1000
    bed = rig.played(lost_us + 1_000_000, lost_us + LOST_US + bed_us)
    assert np.abs(bed).max() > 10
    end_us = lost_us + LOST_US + bed_us + fade_us
    half_way = rig.played(end_us - fade_us * 0.6, end_us - fade_us * 0.4)
    assert half_way.any()  # a fade of that length, not a cut
    assert not rig.played(end_us + REACTION_US).any()


def test_a_pod_that_was_idle_stays_silent_when_its_host_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    rig.host = False
    rig.time.run(6_000_000)
    assert rig.sound.state == wire.STATE_HOST_LOST
    assert not rig.ring.played.any()


def test_a_host_that_returns_is_heard_again_at_the_right_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    rig.open()
    rig.stream(rig.time.us + 250_000, steady(RATE_HZ // 2))
    rig.host = False
    rig.time.run(2_000_000)
    rig.host = True
    rig.time.run(300_000)
    assert rig.sound.state == wire.STATE_PLAYING
    pcm = noise(4 * CHUNK)
    play_us = rig.time.us + 250_000
    rig.stream(play_us, pcm)
    rig.time.run(400_000)
    start = rig.ring.frame(play_us)
    np.testing.assert_array_equal(rig.ring.played[start : start + len(pcm)], pcm)


def test_another_host_takes_over_and_the_last_ones_stream_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    rig.open()
    rig.stream(rig.time.us + 250_000, steady(RATE_HZ // 2))
    rig.sound.release()
    released_us = rig.time.us
    rig.time.run(1_000_000)
    assert not rig.played(released_us + REACTION_US).any()
    assert rig.sound.state == wire.STATE_IDLE


def test_silence_lasts_while_all_clocks_wrap(monkeypatch: pytest.MonkeyPatch) -> None:
    coarse = {"rate_hz": 1000, "channels": 1, "ring_frames": 80, "dma_frames": 8, "chunk_frames": 15,
              "slots": 64}  # fmt: skip
    # Nothing here is about the level, whose filters know no such rate and would take most of the time
    monkeypatch.setitem(level.WEIGHTS, 1000, level.WEIGHTS[8000])
    loops = SimpleNamespace(**vars(_plain) | {"weigh": lambda *_: None})
    rig = Rig(monkeypatch, spec=coarse, loops=loops)
    rig.open()
    play_us = rig.time.us + 200_000
    for _ in range(20):
        rig.put(play_us, np.full((15, 1), 9000, np.int16))
        play_us += 15_000
    rig.host = False
    lost_us = rig.time.us
    rig.time.run(80 * 60 * 1_000_000)  # the wire's clock wraps too, after 71.6 minutes
    after = rig.played(lost_us + LOST_US + 4_500_000 + REACTION_US)
    assert len(after) > 4_700_000
    assert not after.any()
    assert rig.sound.state == wire.STATE_HOST_LOST
    assert (rig.sound.slips, rig.sound.late) == (0, 0)


# --- never louder ------------------------------------------------------------------------------


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_whatever_arrives_the_ceiling_holds(
    monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    hard_dba = data.draw(st.floats(0, 100), "hard limit")
    limits = {"full_scale_dba": 80.0, "ceiling_dba": min(60.0, hard_dba), "hard_dba": hard_dba}
    peak = level.peak_of(limits, {})
    rig = Rig(monkeypatch, limits=limits)
    rig.open()
    play_us = rig.time.us + 150_000
    for _ in range(data.draw(st.integers(1, 12), "chunks")):
        play_us += data.draw(st.integers(-30_000, 30_000), "step")
        frames = data.draw(st.integers(1, CHUNK), "frames")
        value = data.draw(st.sampled_from([-32768, 32767, 20000, -1]), "value")
        rig.put(play_us, steady(frames, value))
        action = data.draw(st.sampled_from(["wait", "wait", "stop", "open", "close", "host"]))
        if action == "host":
            rig.host = not rig.host
        elif action != "wait":
            getattr(rig.sound, action)()
        rig.time.run(data.draw(st.integers(0, 40_000), "wait"))
    rig.time.run(300_000)
    assert np.abs(rig.ring.played.astype(int)).max() <= peak
    rig.sound.second()
    assert rig.sound.peak <= peak


def test_the_meter_reports_what_played_and_what_was_held(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch, limits=BOARD["limits"])
    rig.open()
    rig.sound.second()
    pcm = steady(CHUNK, 32767)
    rig.put(rig.time.us + 150_000, pcm)
    rig.time.run(1_000_000 - 100_000)
    rig.sound.second()
    assert rig.sound.peak == PEAK
    assert rig.sound.ceiling_hits >= pcm.size
    rig.time.run(1_000_000)
    rig.sound.second()
    assert rig.sound.peak == 0
    assert rig.sound.mean_square == 0
