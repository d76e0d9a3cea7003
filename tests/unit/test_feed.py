"""One pod's mix on its way to the pod: without a gap in the pod's time, at the right host time."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("dreampods._resonance")

from pod_in_time import BOARD, SOUND

from dreampods.firmware.dreampod import wire
from dreampods.fleet.asked import SoundFormat
from dreampods.fleet.clock import ClockMap
from dreampods.guardian import Consent, Gate, Limits
from dreampods.mix import BLOCK_FRAMES, BLOCK_S, ENGINE_RATE_HZ, Feed

CHUNK = SOUND["chunk_frames"]
RATE_HZ = SOUND["rate_hz"]
CHUNK_US = CHUNK * 1_000_000 // RATE_HZ
START_NS = 5_000_000_000_000
TONE_HZ = 200.0
AHEAD_S = 0.2  # the session renders that far ahead


@dataclass
class Pod:
    """What a feed sees of a pod, whose crystal runs `ppm` fast; `shift_us` is the map's error."""

    ppm: float = 0.0
    boot_us: float = 4_000_000_000.0  # soon to wrap on the wire
    shift_us: float = 0.0
    name: str = "pod-1"
    state: str = "ready"
    sound: SoundFormat = field(default_factory=lambda: SoundFormat(RATE_HZ, 2, CHUNK, wire.CODEC_PCM16))
    chunks: list[tuple[int, np.ndarray]] = field(default_factory=list)
    opened: int = 0
    closed: int = 0

    @property
    def clock(self) -> SimpleNamespace:
        rate = 1 + self.ppm * 1e-6
        return SimpleNamespace(
            map=ClockMap(
                START_NS, self.boot_us + self.shift_us, rate, 50.0, 1e-7, 250.0, 500.0, 100
            )
        )

    def host_s(self, pod_us: float) -> float:
        """Truth: seconds after engine frame 0 should play."""
        return (pod_us - self.boot_us) * 1e-6 / (1 + self.ppm * 1e-6)

    def open_sound(self) -> None:
        self.opened += 1

    def close_sound(self) -> None:
        self.closed += 1

    def play(self, pod_us: int, pcm: bytes) -> None:
        self.chunks.append((pod_us, np.frombuffer(pcm, "<i2").reshape(-1, 2)))


class Session:
    """Writes a tone block by block, and lets the feed send, `AHEAD_S` before it plays."""

    def __init__(self, pod: Pod) -> None:
        self.pod = pod
        consent = Consent.of_recordings({pod.name: "recording"})
        self.gate = Gate(consent, {pod.name: Limits.of(BOARD["limits"])})
        self.feed = Feed(pod, self.gate, START_NS)  # type: ignore[arg-type]
        self._frame = 0

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / BLOCK_S)):
            t = (self._frame + np.arange(BLOCK_FRAMES)) / ENGINE_RATE_HZ
            tone = 0.3 * np.sin(2 * np.pi * TONE_HZ * t)
            self.feed.write(np.stack([tone, tone], axis=1).astype(np.float32))
            self._frame += BLOCK_FRAMES
            self.feed.send(self.now_ns)

    @property
    def now_ns(self) -> int:
        return START_NS + round((self._frame / ENGINE_RATE_HZ - AHEAD_S) * 1e9)

    def errors_us(self, since: int = 0) -> np.ndarray:
        """Per chunk: by how much the tone plays too late, by the true clock."""
        errors = []
        for pod_us, pcm in self.pod.chunks[since:]:
            t = np.array([self.pod.host_s(pod_us + k * 1e6 / RATE_HZ) for k in range(len(pcm))])
            phase = np.angle(1j * np.mean(pcm[:, 0] * np.exp(-2j * np.pi * TONE_HZ * t)))
            errors.append(-phase / (2 * np.pi * TONE_HZ) * 1e6)
        return np.array(errors)


def steps(pod: Pod) -> set[int]:
    return set(np.diff([pod_us for pod_us, _ in pod.chunks]).tolist())


@pytest.mark.parametrize("ppm", [0.0, 50.0, -50.0])
def test_chunks_follow_each_other_in_pod_time_and_play_at_host_time(ppm: float) -> None:
    session = Session(Pod(ppm))
    session.run(20)
    pod = session.pod
    assert len(pod.chunks) > 1300
    assert steps(pod) == {CHUNK_US}
    assert {len(pcm) for _, pcm in pod.chunks} == {CHUNK}
    assert np.abs(session.errors_us()).max() < 3  # 50 ppm of 20 s would be 1000 µs
    assert (pod.opened, session.feed.skipped, session.gate.held_samples) == (1, 0, 0)


def test_each_chunk_is_sent_in_time() -> None:
    session = Session(Pod(20.0))
    for _ in range(200):
        before = len(session.pod.chunks)
        session.run(BLOCK_S)
        for pod_us, _ in session.pod.chunks[before:]:
            assert pod_us >= session.pod.clock.map.to_pod_us(session.now_ns + 0.05e9)


def test_a_corrected_clock_is_followed_without_a_jump() -> None:
    session = Session(Pod(10.0))
    session.run(5)
    before = len(session.pod.chunks)
    session.pod.shift_us = 1000.0  # the map was off by a millisecond, and now says so
    session.run(5)
    assert steps(session.pod) == {CHUNK_US}
    moved = np.diff(session.errors_us())
    assert np.abs(moved).max() <= 500e-6 * CHUNK_US + 1
    assert session.errors_us(before)[-1] == pytest.approx(1000, abs=5)
    pcm = np.concatenate([pcm[:, 0] for _, pcm in session.pod.chunks]).astype(int)
    steepest = 0.3 * 32767 * 2 * np.pi * TONE_HZ / RATE_HZ
    assert np.abs(np.diff(pcm)).max() < 1.02 * steepest  # no click where chunks meet


@pytest.mark.parametrize("stall_s", [0.5, 5.0])
def test_after_a_stall_sound_goes_on_at_its_time(stall_s: float) -> None:
    session = Session(Pod(30.0))
    session.run(3)
    state, session.pod.state = session.pod.state, "lost"  # nothing can be sent for a while
    session.run(stall_s)
    session.pod.state = state
    before = len(session.pod.chunks)
    session.run(3)
    assert len(session.pod.chunks) - before > 150
    assert steps(session.pod) - {CHUNK_US} != set()  # the gap, a whole number of chunks
    assert all(step % CHUNK_US == 0 for step in steps(session.pod))
    assert session.feed.skipped > 0
    assert np.abs(session.errors_us(before)).max() < 5


def test_a_pod_that_comes_back_gets_a_new_stream_at_its_time() -> None:
    session = Session(Pod(30.0))
    session.run(2)
    session.feed.reset()
    session.pod.boot_us = 12_345.0  # another life, another clock
    before = len(session.pod.chunks)
    session.run(2)
    assert session.pod.opened == 2
    assert len(session.pod.chunks) - before > 100
    assert np.abs(session.errors_us(before)).max() < 5


def test_a_clock_that_stepped_by_seconds_does_not_end_the_stream() -> None:
    for shift_us in (-3e6, 3e6):
        session = Session(Pod())
        session.run(2)
        session.pod.shift_us = shift_us
        before = len(session.pod.chunks)
        session.run(6)
        assert len(session.pod.chunks) - before > 150


def test_nothing_is_sent_after_the_gate_was_stopped() -> None:
    session = Session(Pod())
    session.run(1)
    session.gate.stop("a person said so")
    before = len(session.pod.chunks)
    session.run(1)
    assert len(session.pod.chunks) == before


def test_a_feed_that_closes_ends_the_stream_once() -> None:
    session = Session(Pod())
    session.feed.close()
    assert session.pod.closed == 0
    session.run(1)
    session.feed.close()
    session.feed.close()
    assert session.pod.closed == 1
