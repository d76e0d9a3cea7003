"""Frames: what is damaged is never taken for something else, and what follows gets through."""

from __future__ import annotations

import struct
import zlib

from dreampod import wire as pods_wire
from hypothesis import given, settings
from hypothesis import strategies as st

from dreampods.firmware.dreampod import wire
from dreampods.link.protocol import Block, Event, Message, ProbeReply, Protocol, build_frame

EPOCH = 0x5B

kinds = st.integers(0, 255)
payloads = st.one_of(
    st.binary(max_size=80),
    st.integers(0, wire.MAX_PAYLOAD).map(bytes),
    st.binary(max_size=40).map(lambda data: data + bytes([wire.MAGIC]) * 12),  # looks like a header
)


def event(number: int) -> bytes:
    """A frame from a pod that says its number."""
    return build_frame(wire.EVENT, struct.pack(wire.EVENT_FORMAT, 1, 0, number), number, EPOCH)


def numbers(messages: list[Message]) -> list[int]:
    assert all(isinstance(message, Event) for message in messages), messages
    return [message.pod_us for message in messages if isinstance(message, Event)]


def test_host_and_pod_read_the_same_file() -> None:
    assert pods_wire.__file__ is not None and wire.__file__ is not None
    with open(pods_wire.__file__) as ours, open(wire.__file__) as theirs:  # noqa: PTH123
        assert ours.read() == theirs.read()


@given(kinds, st.integers(0, 0xFFFF), payloads, st.integers(0, 255))
def test_a_frame_says_what_it_is_and_verifies_by_one_crc(
    kind: int, seq: int, payload: bytes, epoch: int
) -> None:
    frame = build_frame(kind, payload, seq, epoch)
    assert len(frame) == wire.HEADER_BYTES + len(payload) + wire.CRC_BYTES <= wire.MAX_FRAME
    assert wire.header_ok(frame)
    assert wire.payload_length(frame) == len(payload)
    assert struct.unpack_from("<BBHHB", frame) == (wire.MAGIC, kind, seq, len(payload), epoch)
    assert zlib.crc32(frame) == wire.CRC_RESIDUE


@given(kinds, st.integers(0, 0xFFFF), payloads, st.integers(0, 7), st.integers(1, 255))
def test_any_one_byte_of_a_header_may_change_and_it_shows(
    kind: int, seq: int, payload: bytes, place: int, change: int
) -> None:
    header = bytearray(build_frame(kind, payload, seq, EPOCH)[: wire.HEADER_BYTES])
    header[place] ^= change
    assert not wire.header_ok(header)


def test_formats_have_the_sizes_that_are_named() -> None:
    assert struct.calcsize(wire.BLOCK_HEAD) == wire.BLOCK_HEAD_BYTES
    assert struct.calcsize(wire.STATS_FORMAT) == wire.STATS_BYTES == 4 * len(wire.STATS_FIELDS)
    assert (wire.HEADER_BYTES + wire.BLOCK_HEAD_BYTES) % 4 == 0  # samples stay aligned


@given(st.lists(payloads, min_size=1, max_size=6), st.lists(st.integers(1, 60), max_size=40))
def test_frames_come_out_whole_however_the_bytes_are_cut(
    data: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(
        build_frame(wire.BLOCK, struct.pack(wire.BLOCK_HEAD, 1, 2, 3, 4, 5) + part, number, EPOCH)
        for number, part in enumerate(part[: wire.MAX_PAYLOAD - 16] for part in data)
    )
    protocol = Protocol()
    messages: list[Message] = []
    for cut in [*cuts, len(stream)]:
        messages += protocol.receive(stream[:cut], 0)
        stream = stream[cut:]
    assert messages == [Block(1, 2, 3, 4, 5, part[: wire.MAX_PAYLOAD - 16]) for part in data]
    assert (protocol.corrupt, protocol.skipped_bytes, protocol.lost_frames) == (0, 0, 0)


ways_to_spoil = st.sampled_from(["flip", "drop", "insert", "double"])
damage = st.lists(
    st.tuples(ways_to_spoil, st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=8
)


def damaged(stream: bytes, ways: list[tuple[str, int, int]]) -> bytes:
    spoilt = bytearray(stream)
    for way, place, value in ways:
        if not spoilt:
            break
        at = place % len(spoilt)
        if way == "flip":
            spoilt[at] ^= value
        elif way == "drop":
            del spoilt[at : at + value]
        elif way == "insert":
            spoilt[at:at] = bytes([wire.MAGIC, value] * (value % 9 + 1))
        else:
            spoilt[at:at] = spoilt[at : at + value]
    return bytes(spoilt)


@settings(max_examples=400)
@given(st.integers(1, 12), damage, st.integers(1, 40))
def test_damage_is_never_accepted_and_what_follows_gets_through(
    count: int, ways: list[tuple[str, int, int]], cut: int
) -> None:
    before = b"".join(event(number) for number in range(count))
    after = b"".join(event(number) for number in range(count, count + 100))
    stream = damaged(before, ways) + after
    protocol = Protocol()
    got: list[int] = []
    for at in range(0, len(stream), cut):
        got += numbers(protocol.receive(stream[at : at + cut], 0))
    spoilt = [number for number in got if number < count]
    assert set(spoilt) <= set(range(count))  # nothing that was not sent
    # A header made up by chance may promise up to a whole frame that never comes: once its bytes
    # have passed, all that lay inside is found after all
    assert got[-100:] == list(range(count, count + 100))


@given(st.binary(max_size=3000))
def test_noise_is_nothing(noise: bytes) -> None:
    protocol = Protocol()
    # What noise begins may lie in wait for one frame's length
    assert numbers(protocol.receive(noise + bytes(wire.MAX_FRAME) + event(7), 0)) == [7]
    assert protocol.skipped_bytes == len(noise) + wire.MAX_FRAME


@given(st.lists(st.booleans(), min_size=2, max_size=60), st.integers(0, 0xFFFF))
def test_frames_that_did_not_come_are_counted(arrives: list[bool], first: int) -> None:
    arrives[0] = arrives[-1] = True
    protocol = Protocol()
    for number, here in enumerate(arrives):
        if here:
            frame = build_frame(
                wire.PROBE_REPLY, struct.pack("<III", number, 1, 2), (first + number) & 0xFFFF, EPOCH
            )
            assert protocol.receive(frame, 0) == [ProbeReply(number, 1, 2)]
    assert protocol.lost_frames == arrives.count(False)  # and none before the first that we saw


@given(st.integers(wire.DICTIONARY, wire.EVENT), payloads)
def test_a_whole_frame_with_a_payload_that_does_not_fit_is_counted_not_raised(
    kind: int, payload: bytes
) -> None:
    protocol = Protocol()
    messages = protocol.receive(build_frame(kind, payload, 0, EPOCH), 0)
    assert len(messages) + protocol.corrupt <= 1
