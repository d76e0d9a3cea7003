"""The pod's end of the link, the firmware's own file, against the host's, in simulated time.

A pod's reader blocks until it has every byte it asked for. Here the world goes on inside that read:
the host's turn, and the bytes on the cables.
"""

from __future__ import annotations

import random
import struct
from types import SimpleNamespace
from typing import Any

import pytest
from channel import Channel, Faults
from dreampod import _plain, sensing
from dreampod import link as pod_link
from dreampod import wire as pod_wire
from dreampod.clock import Clock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pod_in_time import TICKS

from dreampods.firmware.dreampod import wire
from dreampods.link.protocol import (
    Ack,
    Block,
    Dictionary,
    Event,
    Message,
    ProbeReply,
    Protocol,
    Report,
    build_frame,
)

BOOT_ID = 0x12345679
TURN_US = 500
HELLO_EVERY_US = 100_000
PROBE_EVERY_US = 150_000
# A damaged length that passed its check promises up to 1 KB. If the host has nothing else to say,
# probes fill it (`fleet.Pod` misses the pod and says HELLO, with padding, long before).
BLOCKED_AT_MOST_US = 10_000_000
TEXT = b'{"name": "pod-1", "padding": "' + b"x" * 2500 + b'"}'
START_US = TICKS - 1_000_000  # the ticks wrap within the first second

fixture_per_example = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class World:
    """The firmware's link on one end, the host's `Protocol` on the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seed: int = 1) -> None:
        self.us = START_US
        dice = random.Random(seed)
        self.down = Channel(dice, Faults(), (100, 2500))
        self.up = Channel(dice, Faults(), (100, 2500))
        self.host = Protocol()
        self.messages: list[tuple[int, Message]] = []  # with the time of each
        self._arrived = bytearray()
        self.accepted: list[tuple[int, bytes]] = []
        self.room = lambda: 64
        self.takes = True  # the pod's port takes what is written
        self.blocked_longest_us = 0
        self.works = False  # the pod plays or senses
        self.probing = False  # the host sends its regular probes
        self._hello_us = self._probe_us = 0
        self._greeting = False

        monkeypatch.setattr(pod_link, "ticks_us", lambda: self.us % TICKS)
        monkeypatch.setattr(pod_link, "select", SimpleNamespace(poll=lambda: self, POLLIN=1))
        self.clock = Clock(self.us % TICKS)
        self.link = pod_link.Link(self, self, self.clock, _plain, BOOT_ID)
        self.sound = SimpleNamespace(
            heard=False, state=wire.STATE_IDLE, free_slots=lambda: self.room()
        )
        self.link.attach(self, self.sound)

    # --- what the link thinks are its port, its poll and its pod ---

    def register(self, _port: object, _events: int) -> None:
        pass

    def ipoll(self, wait_ms: int) -> list[object]:
        end = self.us + wait_ms * 1000
        while not self._arrived and self.us < end:
            self._turn()
        return [self] if self._arrived else []

    def readinto(self, buffer: memoryview) -> int:
        began = self.us
        while len(self._arrived) < len(buffer):
            self._turn()
            assert self.us - began < BLOCKED_AT_MOST_US, "the pod waits for bytes that never come"
        self.blocked_longest_us = max(self.blocked_longest_us, self.us - began)
        buffer[:] = self._arrived[: len(buffer)]
        del self._arrived[: len(buffer)]
        return len(buffer)

    def write(self, buffer: bytearray, length: int) -> int:
        if not self.takes:
            self.us += 500_000
            return 0
        self.up.write(bytes(buffer[:length]), self.us)
        return length

    def busy(self) -> bool:
        return self.works

    def handle(self, kind: int, buffer: bytearray, length: int) -> bool:
        payload = bytes(buffer[wire.HEADER_BYTES : wire.HEADER_BYTES + length])
        if kind == wire.HELLO:
            self.link.dictionary((TEXT,))
        elif kind == wire.CHUNK and self.room() == 0:
            return False
        else:
            self.accepted.append((kind, payload))
        return True

    # --- time ---

    def _turn(self) -> None:
        """The host's turn, half a millisecond long."""
        self.us += TURN_US
        now_ns = self.us * 1000
        for message in self.host.receive(self.up.read(self.us), now_ns):
            self.messages.append((self.us, message))
        if self._greeting and not self.host.epoch and self.us - self._hello_us > HELLO_EVERY_US:
            self._hello_us = self.us
            self.host.hello(self.us)
        if self.probing and self.us - self._probe_us > PROBE_EVERY_US:
            self._probe_us = self.us
            self.probe(0)
        self.down.write(self.host.outgoing(now_ns), self.us)
        self._arrived += self.down.read(self.us)

    def run(self, us: int) -> None:
        """Let the pod's main loop turn."""
        end = self.us + us
        while self.us < end:
            self.link.step(self.us % TICKS)
            self.clock.now(self.us % TICKS)

    def spoil(self, faults: Faults) -> None:
        self.down.faults = self.up.faults = faults

    def meet(self) -> None:
        self._greeting = True
        end = self.us + 10_000_000
        while not self.host.epoch:
            assert self.us < end, "no pod answers"
            self.run(5_000)
        self._greeting = False
        self.run(20_000)

    def run_until_delivered(self, within_us: int) -> None:
        end = self.us + within_us
        while self.host.backlog:
            assert self.us < end, f"{self.host.backlog} frames still wait"
            self.run(5_000)

    def probe(self, number: int) -> None:
        self.down.write(self.host.probe(number), self.us)

    def got(self, kind: type[Any]) -> list[Any]:
        return [message for _, message in self.messages if isinstance(message, kind)]


def give(host: Protocol, kinds: list[int]) -> list[tuple[int, bytes]]:
    frames = []
    for number, kind in enumerate(kinds):
        payload = number.to_bytes(4, "little") + bytes(960 if kind == wire.CHUNK else 0)
        frames.append((kind, payload))
        host.send(kind, payload)
    return frames


faults = st.builds(
    Faults,
    flip=st.floats(0, 0.25),
    drop=st.floats(0, 0.25),
    double=st.floats(0, 0.25),
    swallow=st.floats(0, 0.25),
)
orders = st.lists(st.sampled_from([wire.SENSE, wire.CHUNK, wire.OPEN]), min_size=20, max_size=80)


def test_the_pod_introduces_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.host.hello(0xDEADBEEF)
    world.run(50_000)
    assert world.got(Dictionary) == [
        Dictionary(0xDEADBEEF, {"name": "pod-1", "padding": "x" * 2500})
    ]
    assert world.host.epoch == BOOT_ID & 0xFF
    assert world.host.free_slots == 64


@fixture_per_example
@given(seed=st.integers(), faults=faults, kinds=orders)
def test_the_firmware_accepts_every_frame_once_and_in_order(
    monkeypatch: pytest.MonkeyPatch, seed: int, faults: Faults, kinds: list[int]
) -> None:
    world = World(monkeypatch, seed)
    world.meet()
    world.probing = True
    world.spoil(faults)
    frames = give(world.host, kinds)
    world.run(1_000_000)
    assert world.accepted == frames[: len(world.accepted)]
    world.spoil(Faults())
    world.run_until_delivered(within_us=1_500_000)
    assert world.accepted == frames


@fixture_per_example
@given(seed=st.integers(), faults=faults)
def test_the_firmware_is_met_through_a_bad_cable(
    monkeypatch: pytest.MonkeyPatch, seed: int, faults: Faults
) -> None:
    world = World(monkeypatch, seed)
    world.spoil(faults)
    world.meet()
    assert {message.content["name"] for message in world.got(Dictionary)} == {"pod-1"}
    assert world.accepted == []


def test_on_a_good_cable_nothing_is_counted_as_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.meet()
    frames = give(world.host, [wire.OPEN, *[wire.CHUNK] * 100])
    world.run_until_delivered(within_us=1_000_000)
    assert world.accepted == frames
    link, host = world.link, world.host
    assert (link.rx_corrupt, link.rx_out_of_order, link.tx_dropped) == (0, 0, 0)
    assert (host.repeated, host.corrupt, host.lost_frames, host.skipped_bytes) == (0, 0, 0, 0)
    assert link.rx_skipped <= pod_wire.MAX_FRAME  # the padding before the HELLO
    assert world.blocked_longest_us < 10_000


def test_a_host_that_filled_the_pod_is_told_when_there_is_room_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)

    def chunks() -> int:
        return sum(kind == wire.CHUNK for kind, _ in world.accepted)

    played = [0]
    world.room = lambda: 8 - chunks() + played[0]
    world.meet()
    frames = give(world.host, [wire.OPEN, *[wire.CHUNK] * 40])
    world.run(200_000)
    assert chunks() == 8
    played[0] = 40
    world.run_until_delivered(within_us=300_000)
    assert world.accepted == frames


def test_a_probe_is_answered_with_the_times_it_came_and_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)
    world.meet()
    for number in range(200):
        sent_us = world.us
        world.probe(number)
        world.run(20_000)
        replied_us, reply = world.messages[-1]
        assert isinstance(reply, ProbeReply)
        assert reply.probe == number
        assert sent_us <= reply.received_us <= reply.answered_us <= replied_us
    assert world.us > TICKS  # though the ticks have wrapped


def test_a_pod_caught_in_mid_frame_answers_the_next_host_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)
    world.meet()
    frame = build_frame(wire.CHUNK, bytes(964), 0, BOOT_ID & 0xFF)
    world.down.write(frame[:9], world.us)  # and here the host was killed
    world.host = Protocol()
    world.host.hello(2)
    world.run(30_000)
    assert world.host.epoch == BOOT_ID & 0xFF
    assert world.accepted == []
    assert world.link.rx_corrupt == 1


def test_what_is_meant_for_another_life_of_the_pod_is_not_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)
    world.meet()
    world.down.write(build_frame(wire.OPEN, b"", 0, BOOT_ID & 0xFF ^ 6), world.us)
    world.run(50_000)
    assert world.accepted == []
    assert world.got(Ack)[-1].next_seq == 0


def test_a_stop_is_taken_whatever_else_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.meet()
    world.down.write(build_frame(wire.STOP, b"", 555, 0), world.us)
    world.run(20_000)
    assert world.accepted == [(wire.STOP, b"")]


def test_every_whole_frame_tells_the_dead_man_that_the_host_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)
    assert not world.sound.heard
    world.probe(1)
    world.run(20_000)
    assert world.sound.heard
    world.sound.heard = False
    frame = bytearray(world.host.probe(2))
    frame[9] ^= 1
    world.down.write(bytes(frame), world.us)
    world.run(20_000)
    assert not world.sound.heard  # noise on the cable is no host


def test_nothing_is_written_to_a_host_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.run(2_000_000)
    world.link.event(wire.EVENT_STOPPED, world.us % TICKS)
    assert world.up.taken == 0
    world.meet()
    world.run(2_000_000)
    before = world.up.taken
    world.link.event(wire.EVENT_STOPPED, world.us % TICKS)
    assert world.up.taken == before


def test_a_host_that_does_not_read_stalls_the_pod_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.meet()
    world.takes = False
    began = world.us
    for _ in range(5):
        world.link.event(wire.EVENT_STOPPED, world.us % TICKS)
    assert world.us - began == 500_000
    assert world.link.tx_dropped == 1
    world.takes = True
    world.probe(1)
    world.run(20_000)
    world.link.event(wire.EVENT_HOST_FOUND, world.us % TICKS)
    world.run(20_000)
    assert world.got(Event)[-1].kind == wire.EVENT_HOST_FOUND
    assert world.host.lost_frames == 1


def test_blocks_arrive_as_they_were_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    from dreampod.sensing import Stream

    world = World(monkeypatch)
    monkeypatch.setattr("dreampod.sensing.ticks_us", lambda: world.us % TICKS)
    world.meet()
    spec = {"name": "s", "format": "u16", "channels": ["a", "b"], "block": 5}
    stream = Stream(3, spec, _plain, world.link, world.clock)
    stream.start(True)
    for number in range(50):
        stream.push(number.to_bytes(2, "little") + (2 * number).to_bytes(2, "little"), 0)
        world.run(4_000)
        stream.step(world.us % TICKS)
    world.run(20_000)
    blocks = world.got(Block)
    assert [block.first for block in blocks] == list(range(5, 50, 5))
    data = b"".join(block.data for block in blocks)
    numbers = [int.from_bytes(data[at : at + 2], "little") for at in range(0, len(data), 4)]
    assert numbers == list(range(5, 50))
    assert {(block.stream, block.count) for block in blocks} == {(3, 5)}


# --- the way to MicroPython's prompt ---


def type_in(world: World, text: bytes) -> None:
    world._arrived += text
    world.run(20_000)


def test_a_tool_that_asks_for_the_prompt_gets_it_with_what_it_sends_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)
    world.run(200_000)
    world._arrived += b"\r\x03\r\x01"
    while not world.link.wants_prompt and world._arrived:
        world.link._read()
    assert world.link.wants_prompt
    assert world._arrived == b"\r\x01"


@pytest.mark.parametrize(
    "burst", [b"\x03", b"xx\r\x03", b"AT\r\n", b"\r\r\x03", bytes(1040) + b"\r\x03"]
)
def test_other_noise_does_not_end_the_pod(monkeypatch: pytest.MonkeyPatch, burst: bytes) -> None:
    world = World(monkeypatch)
    world.run(200_000)
    type_in(world, burst)
    assert not world.link.wants_prompt
    world.meet()


def test_a_pod_at_work_does_not_leave_for_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.meet()
    world.works = world.probing = True
    world.run(400_000)
    type_in(world, b"\r\x03\r\x01\r\x03\r\x01")
    world.run(400_000)
    assert not world.link.wants_prompt


def test_a_report_arrives_whole_however_long(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.meet()
    world.link.report(77, TEXT)
    world.link.report(78, b"{}")
    world.run(50_000)
    assert [report.request for report in world.got(Report)] == [77, 78]
    assert world.got(Report)[0].content["padding"] == "x" * 2500


def test_samples_that_never_came_take_their_blocks_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No block that has a gap in it is sent; the numbers tell which are missing."""
    world = World(monkeypatch)
    world.meet()
    monkeypatch.setattr(sensing, "ticks_us", lambda: world.us % TICKS)
    spec = {"name": "s", "format": "u16", "channels": ["s"], "block": 4}
    stream = sensing.Stream(0, spec, _plain, world.link, world.clock)
    stream.start(True)
    sample = 0
    sent: list[int] = []
    for kind, count in (("push", 6), ("skip", 3), ("push", 7), ("skip", 12), ("push", 8)):
        if kind == "skip":
            stream.skip(count)
            sample += count
            continue
        for _ in range(count):
            stream.push(sample.to_bytes(2, "little"), 0)
            sent.append(sample)
            sample += 1
            stream.step(0)
    world.run(50_000)
    blocks = world.got(Block)
    assert [block.first for block in blocks] == [12, 28, 32]
    for block in blocks:
        values = struct.unpack("<4H", block.data)
        assert values == tuple(range(block.first, block.first + 4))
        assert set(values) <= set(sent)
