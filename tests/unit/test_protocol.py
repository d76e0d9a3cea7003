"""The host's end of the link, through cables of every quality to a model of what a pod accepts."""

from __future__ import annotations

import json
import random
import struct
import zlib
from dataclasses import dataclass, field

import pytest
from channel import Channel, Faults
from hypothesis import given, settings
from hypothesis import strategies as st

from dreampods.firmware.dreampod import wire
from dreampods.link.protocol import (
    WINDOW_FRAMES,
    Ack,
    Dictionary,
    Message,
    Protocol,
    build_frame,
)

BOOT_ID = 0x12345679
SLOTS = 64
CHUNK_US = 15_000  # of sound in a chunk; the pod plays one in that time
DICTIONARY = {"name": "pod-1", "boot_id": BOOT_ID, "padding": "µ" * 1200}  # takes several frames

GOOD = Faults()

Frame = tuple[int, bytes]


class PodModel:
    """What a pod accepts: whole frames; sequenced ones in order and while it has room."""

    def __init__(self, boot_id: int = BOOT_ID) -> None:
        self.boot_id = boot_id
        self.accepted: list[Frame] = []  # sequenced frames and STOPs
        self.refused = 0
        self._held = bytearray()
        self._expected = 0
        self._seq = 0
        self._used = 0  # chunk slots
        self._stopped = False
        self._unacked = 0
        self._ack_us = 0
        self._played_us = 0
        self._told_room = SLOTS
        self._refused_now = 0

    def step(self, data: bytes, now_us: int) -> bytes:
        """Take bytes; returns what the pod says."""
        out = b""
        self._held += data
        if now_us - self._played_us >= CHUNK_US:
            self._played_us = now_us
            self._used = max(0, self._used - 1)
        ack = False
        while (frame := self._frame()) is not None:
            kind, seq, payload = frame[1], frame[2] | frame[3] << 8, frame[8:-4]
            if kind == wire.HELLO:
                self._expected = 0
                out += self._describe(payload[:4])
                ack = True
            elif kind == wire.STOP:
                self.accepted.append((kind, payload))
                self._stopped = ack = True
            elif wire.is_sequenced(kind):
                taken = self._take(kind, seq, frame[6], payload, now_us)
                self._refused_now |= not taken
                ack |= not taken
        waited = (self._unacked or self._told_room < 12) and now_us - self._ack_us > 20_000
        if ack or waited or self._unacked >= 4:
            self._unacked = 0
            self._ack_us = now_us
            self._told_room = SLOTS - self._used
            state = wire.STATE_STOPPED if self._stopped else wire.STATE_PLAYING
            content = (self.boot_id, self._expected, self._told_room, state, self._refused_now)
            self._refused_now = 0
            out += self._build(wire.ACK, struct.pack(wire.ACK_FORMAT, *content))
        return out

    def _take(self, kind: int, seq: int, epoch: int, payload: bytes, now_us: int) -> bool:
        full = kind == wire.CHUNK and self._used == SLOTS
        self.refused += full
        if epoch != self.boot_id & 0xFF or seq != self._expected or full:
            return False
        self._expected = (seq + 1) & 0xFFFF
        self._used += kind == wire.CHUNK
        if kind == wire.OPEN:
            self._stopped = False
        self.accepted.append((kind, payload))
        if not self._unacked:
            self._ack_us = now_us
        self._unacked += 1
        return True

    def _frame(self) -> bytes | None:
        held = self._held
        while len(held) >= wire.HEADER_BYTES:
            if not wire.header_ok(held):
                following = held.find(wire.MAGIC, 1)
                del held[: following if following > 0 else len(held)]
                continue
            length = wire.HEADER_BYTES + wire.payload_length(held) + wire.CRC_BYTES
            if len(held) < length:
                return None
            frame = bytes(held[:length])
            del held[:length]  # damaged or not: a pod reads into one buffer and keeps nothing
            if zlib.crc32(frame) == wire.CRC_RESIDUE:
                return frame
        return None

    def _build(self, kind: int, payload: bytes) -> bytes:
        self._seq += 1
        return build_frame(kind, payload, (self._seq - 1) & 0xFFFF, self.boot_id & 0xFF)

    def _describe(self, nonce: bytes) -> bytes:
        text = json.dumps(DICTIONARY | {"boot_id": self.boot_id}).encode()
        pieces = [text[at : at + 1000] for at in range(0, len(text), 1000)]
        return b"".join(
            self._build(wire.DICTIONARY, nonce + bytes((part, len(pieces))) + piece)
            for part, piece in enumerate(pieces)
        )


@dataclass
class World:
    """A host, a pod, two cables between them, and their time."""

    seed: int = 1
    faults: Faults = GOOD
    pod: PodModel = field(default_factory=PodModel)
    host: Protocol = field(default_factory=Protocol)
    us: int = 50_000_000
    messages: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        dice = random.Random(self.seed)
        self.down = Channel(dice, self.faults, (100, 2500))
        self.up = Channel(dice, self.faults, (100, 2500))

    def spoil(self, faults: Faults) -> None:
        self.down.faults = self.up.faults = faults

    def run(self, us: int) -> None:
        end = self.us + us
        while self.us < end:
            self.us += 1000
            self.messages += self.host.receive(self.up.read(self.us), self.us * 1000)
            self.down.write(self.host.outgoing(self.us * 1000), self.us)
            self.up.write(self.pod.step(self.down.read(self.us), self.us), self.us)

    def meet(self) -> None:
        """Say hello until it is answered."""
        for nonce in range(100):
            self.host.hello(nonce)
            self.run(50_000)
            if self.host.epoch:
                return
        pytest.fail("no pod answers")

    def run_until_delivered(self, within_us: int) -> None:
        end = self.us + within_us
        while self.host.backlog:
            assert self.us < end, f"{self.host.backlog} frames still wait"
            self.run(5_000)


def chunk(number: int) -> Frame:
    return wire.CHUNK, number.to_bytes(4, "little") + bytes(960)


faults = st.builds(
    Faults,
    flip=st.floats(0, 0.25),
    drop=st.floats(0, 0.25),
    double=st.floats(0, 0.25),
    swallow=st.floats(0, 0.25),
)
orders = st.lists(
    st.sampled_from([wire.SENSE, wire.CHUNK, wire.CLOSE, wire.OPEN]), min_size=30, max_size=120
)


def give(host: Protocol, kinds: list[int]) -> list[Frame]:
    """Queue frames, each with a payload of its own."""
    frames = []
    for number, kind in enumerate(kinds):
        frames.append(chunk(number) if kind == wire.CHUNK else (kind, number.to_bytes(4, "little")))
        host.send(*frames[-1])
    return frames


@settings(max_examples=120, deadline=None)
@given(st.integers(), faults, orders)
def test_every_sequenced_frame_is_accepted_once_and_in_order(
    seed: int, faults: Faults, kinds: list[int]
) -> None:
    world = World(seed)
    world.meet()
    world.spoil(faults)
    frames = give(world.host, kinds)
    world.run(1_000_000)
    assert world.pod.accepted == frames[: len(world.pod.accepted)]
    world.spoil(GOOD)
    world.run_until_delivered(within_us=600_000 + len(kinds) * CHUNK_US)
    assert world.pod.accepted == frames
    assert world.pod.refused <= WINDOW_FRAMES  # a stale count of its room, at most a window of it


@settings(max_examples=60, deadline=None)
@given(st.integers(), orders)
def test_a_cable_that_never_gets_better_delivers_all_the_same(seed: int, kinds: list[int]) -> None:
    world = World(seed)
    world.meet()
    world.spoil(Faults(flip=0.05, drop=0.05, double=0.05, swallow=0.05))
    frames = give(world.host, kinds)
    world.run_until_delivered(within_us=10_000_000)
    assert world.pod.accepted == frames


@settings(max_examples=80, deadline=None)
@given(st.integers(), faults)
def test_a_pod_is_met_through_a_bad_cable(seed: int, faults: Faults) -> None:
    world = World(seed, faults)
    world.meet()
    met = [message for message in world.messages if isinstance(message, Dictionary)]
    assert all(message.content == DICTIONARY for message in met)
    assert world.host.epoch == BOOT_ID & 0xFF


def test_sequence_numbers_wrap() -> None:
    host, pod = Protocol(), PodModel()
    host.hello(1)
    host.receive(pod.step(host.outgoing(0), 0), 0)
    for number in range(66_000):
        host.send(wire.SENSE, number.to_bytes(4, "little"))
    now_us = 0
    while host.backlog:
        now_us += 1000
        host.receive(pod.step(host.outgoing(now_us * 1000), now_us), now_us * 1000)
    assert [int.from_bytes(payload, "little") for _, payload in pod.accepted] == list(range(66_000))
    assert host.repeated == 0


def test_on_a_good_cable_nothing_is_sent_twice() -> None:
    world = World()
    world.meet()
    before = world.down.taken
    frames = give(world.host, [wire.OPEN, *[wire.CHUNK] * 200])
    world.run_until_delivered(within_us=200 * CHUNK_US)
    assert world.host.repeated == 0
    assert world.down.taken - before == sum(len(payload) + 12 for _, payload in frames)
    assert world.pod.refused == 0


@settings(max_examples=120, deadline=None)
@given(st.integers(), faults.filter(lambda some: some.swallow < 0.2), st.integers(0, 400_000))
def test_a_stop_arrives_and_nothing_of_the_stream_after_it(
    seed: int, faults: Faults, before_us: int
) -> None:
    world = World(seed)
    world.meet()
    world.spoil(faults)
    give(world.host, [wire.OPEN, *[wire.CHUNK] * 100])
    world.run(before_us)
    world.host.stop()
    world.run(3_000_000)
    kinds = [kind for kind, _ in world.pod.accepted]
    assert wire.STOP in kinds
    assert not {wire.OPEN, wire.CHUNK} & set(kinds[kinds.index(wire.STOP) :])
    world.spoil(GOOD)
    frames = give(world.host, [wire.OPEN, wire.CHUNK])
    world.run_until_delivered(within_us=1_000_000)
    world.run(500_000)
    assert world.pod.accepted[-2:] == frames  # and no STOP is still being repeated


def test_a_stop_that_is_lost_is_said_again_within_the_200_ms() -> None:
    world = World()
    world.meet()
    give(world.host, [wire.OPEN, *[wire.CHUNK] * 20])
    world.run(100_000)
    world.spoil(Faults(swallow=1.0))
    world.host.stop()
    world.run(40_000)
    world.spoil(GOOD)
    world.run(30_000)
    assert world.pod.accepted[-1][0] == wire.STOP
    world.run(50_000)
    stops = [kind for kind, _ in world.pod.accepted].count(wire.STOP)
    world.run(500_000)
    assert [kind for kind, _ in world.pod.accepted].count(wire.STOP) == stops


def test_another_life_of_the_pod_accepts_nothing_meant_for_the_last() -> None:
    world = World()
    world.meet()
    give(world.host, [wire.OPEN, *[wire.CHUNK] * 60])
    world.run(10_000)
    world.pod = PodModel(boot_id=BOOT_ID + 2)
    world.run(1_000_000)
    assert world.pod.accepted == []
    boots = {message.boot_id for message in world.messages if isinstance(message, Ack)}
    assert boots == {BOOT_ID, BOOT_ID + 2}  # the host can tell
    world.meet()
    frames = give(world.host, [wire.OPEN, wire.CHUNK])
    world.run_until_delivered(within_us=200_000)
    assert world.pod.accepted == frames
    assert world.host.lost_frames == 0


def test_a_new_host_is_answered_at_once_though_the_last_died_in_mid_frame() -> None:
    world = World()
    world.meet()
    give(world.host, [wire.OPEN, wire.CHUNK])
    half = world.host.outgoing(world.us * 1000)[:40]
    world.down.write(half, world.us)
    world.run(10_000)
    world.host = Protocol()
    world.host.hello(77)
    world.run(20_000)
    assert world.host.epoch == BOOT_ID & 0xFF


def test_no_more_chunks_are_sent_than_the_pod_has_room_for() -> None:
    world = World()
    world.meet()
    give(world.host, [wire.OPEN, *[wire.CHUNK] * 300])
    world.run(300 * CHUNK_US // 2)
    assert world.pod.refused == 0
    assert world.host.backlog > 50  # it had to wait
    world.run_until_delivered(within_us=300 * CHUNK_US)
    assert len(world.pod.accepted) == 301


def test_an_acknowledgement_of_what_was_never_sent_is_ignored() -> None:
    world = World()
    world.meet()
    give(world.host, [wire.SENSE] * 3)
    ack = struct.pack(wire.ACK_FORMAT, BOOT_ID, 900, SLOTS, wire.STATE_IDLE, 0)
    world.host.outgoing(0)
    world.host.receive(build_frame(wire.ACK, ack, 0, BOOT_ID & 0xFF), 0)
    assert world.host.backlog == 3


def test_parts_of_a_dictionary_in_any_number_make_one() -> None:
    host = Protocol()
    content = {"name": "x" * 3000, "boot_id": 5}
    text = json.dumps(content).encode()
    parts = [text[at : at + 500] for at in range(0, len(text), 500)]
    messages = []
    for part, piece in enumerate(parts):
        head = struct.pack(wire.DICTIONARY_HEAD, 9, part, len(parts))
        messages += host.receive(build_frame(wire.DICTIONARY, head + piece, part, 5), 0)
    assert messages == [Dictionary(9, content)]
