"""The wire in C: the same frames, counters and numbers as plain Python finds, however bytes arrive."""

from __future__ import annotations

import json
import struct
import zlib
from itertools import groupby, pairwise
from operator import itemgetter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plain_frames import PlainReader

from dreampods.firmware.dreampod import wire
from dreampods.link.protocol import Protocol, build_frame
from dreampods.resonance import (
    FRAME,
    FrameDecoder,
    decode_samples,
    encode_frames,
    new_frames,
)
from dreampods.resonance._kernel import lib

BYTES = st.integers(0, 255)
# Payloads that themselves look like frames are the hard case
PAYLOADS = st.one_of(
    st.binary(max_size=40),
    st.integers(0, wire.MAX_PAYLOAD).map(lambda n: bytes(n)),
    st.integers(0, wire.MAX_PAYLOAD).map(lambda n: bytes([wire.MAGIC]) * n),
    st.binary(max_size=20).map(lambda inner: build_frame(wire.EVENT, inner)),
)
FRAMES = st.builds(build_frame, BYTES, PAYLOADS, st.integers(0, 65535), BYTES)
# A header that promises 1024 bytes: what follows it is held for long, and found again inside it
PROMISES = st.builds(lambda kind: build_frame(kind, bytes(wire.MAX_PAYLOAD))[:8], BYTES)


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A frame with a bit flipped, a part missing, or none of it."""
    frame = bytearray(draw(FRAMES))
    kind = draw(st.sampled_from(["flip", "cut", "hole"]))
    at = draw(st.integers(0, len(frame) - 1))
    if kind == "flip":
        frame[at] ^= 1 << draw(st.integers(0, 7))
    elif kind == "cut":
        del frame[at:]
    else:
        del frame[at : at + draw(st.integers(1, 12))]
    return bytes(frame)


GARBAGE = st.one_of(st.binary(max_size=30), st.binary(max_size=10).map(lambda b: b + b"\xd7"))
STREAMS = st.lists(st.one_of(FRAMES, FRAMES, spoiled(), GARBAGE, PROMISES), max_size=8).map(b"".join)


@st.composite
def reads(draw: st.DrawFn, pods: int = 3) -> list[tuple[int, bytes]]:
    """Streams of some pods, cut anywhere, in turns."""
    taken: list[tuple[int, bytes]] = []
    for pod in range(pods):
        stream = draw(STREAMS)
        cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=6)))
        edges = [0, *cuts, len(stream)]
        taken += [(pod, stream[a:b]) for a, b in pairwise(edges)]
    order = draw(st.randoms(use_true_random=False))
    places = [pod for pod, _data in taken]
    order.shuffle(places)
    queues = {pod: [data for other, data in taken if other == pod] for pod in range(pods)}
    return [(pod, queues[pod].pop(0)) for pod in places]


def fields(frame: bytes) -> tuple[int, int, int, bytes]:
    return frame[1], frame[2] | frame[3] << 8, frame[6], frame[8:-4]


def found(decoder: FrameDecoder, taken: list[tuple[int, bytes]]) -> list[tuple[int, object]]:
    got = decoder.decode(taken)
    return [
        (int(f["pod"]), (int(f["type"]), int(f["seq"]), int(f["epoch"]), got.payload(i)))
        for i, f in enumerate(got.frames)
    ]


PROMISE = build_frame(1, bytes(wire.MAX_PAYLOAD))[:8]


@settings(max_examples=400, deadline=None)
@given(reads(), st.integers(1, 5))
# What was held turns out broken, and its last magic byte lies just before the end of the room
@example([(0, PROMISE), (0, bytes(1040)), (0, bytes(7))], 1)
@example([(0, PROMISE + b"\xd7"), (0, bytes(1028) + b"\xd7\x01" + bytes(9))], 1)
@example([(0, b"\xd7"), (0, b""), (0, build_frame(1, b"")[1:])], 3)
def test_frames_and_counters_are_those_of_plain_python(
    taken: list[tuple[int, bytes]], at_once: int
) -> None:
    decoder = FrameDecoder(3)
    plain = [PlainReader() for _ in range(3)]
    for start in range(0, len(taken), at_once):
        part = taken[start : start + at_once]
        together = [  # what one pod sent in a row is one read, however it was cut
            (pod, b"".join(data for _pod, data in row)) for pod, row in groupby(part, itemgetter(0))
        ]
        expected = [(p, fields(frame)) for p, data in together for frame in plain[p].take(data)]
        assert found(decoder, part) == expected
        # After every read, not only in the end: a count that comes late is a loss told late
        assert decoder.corrupt.tolist() == [reader.corrupt for reader in plain]
        assert decoder.skipped_bytes.tolist() == [reader.skipped_bytes for reader in plain]


@pytest.mark.parametrize("size", [0, 1, 5, 200, wire.MAX_PAYLOAD])
def test_a_frame_is_found_wherever_it_is_cut(size: int) -> None:
    payload = (bytes(range(256)) * 4)[:size]
    stream = b"\xd7\x00" + build_frame(wire.BLOCK, payload, 7, 9)
    for cut in range(len(stream) + 1):
        decoder = FrameDecoder(1)
        got = found(decoder, [(0, stream[:cut])]) + found(decoder, [(0, stream[cut:])])
        assert got == [(0, (wire.BLOCK, 7, 9, payload))]
        assert decoder.corrupt.tolist() == [1]
        assert decoder.skipped_bytes.tolist() == [2]


@settings(max_examples=150, deadline=None)
@given(STREAMS, st.lists(st.integers(1, 700), min_size=1, max_size=9))
def test_the_protocol_counts_and_finds_as_plain_python(stream: bytes, sizes: list[int]) -> None:
    protocol, plain = Protocol(), PlainReader()
    opened: list[tuple[int, int, int, bytes]] = []

    def note(kind: int, seq: int, epoch: int, payload: bytes, _now: int) -> None:
        opened.append((kind, seq, epoch, payload))

    protocol._open = note  # type: ignore[method-assign, assignment]
    expected = []
    at = turn = 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        expected += [fields(frame) for frame in plain.take(stream[at : at + size])]
        protocol.receive(stream[at : at + size], 0)
        at, turn = at + size, turn + 1
        assert opened == expected
        assert (protocol.corrupt, protocol.skipped_bytes) == (plain.corrupt, plain.skipped_bytes)


def test_the_protocol_takes_more_frames_than_one_call_finds() -> None:
    for count in (255, 256, 257, 1000):
        stream = b"".join(build_frame(wire.STATS, bytes(112), n, 3) for n in range(count))
        protocol = Protocol()
        assert len(protocol.receive(stream + b"\xd7", 0)) == count
        assert protocol.lost_frames == protocol.corrupt == protocol.skipped_bytes == 0


def test_json_nested_without_end_is_a_corrupt_frame_and_no_crash() -> None:
    protocol = Protocol()
    text = b"[" * 1000
    for part in range(200):
        payload = struct.pack(wire.REPORT_HEAD, 1, part, 200) + text
        assert protocol.receive(build_frame(wire.REPORT, payload, part, 3), 0) == []
    assert protocol.corrupt == 1
    payload = struct.pack(wire.REPORT_HEAD, 1, 0, 1) + json.dumps({"a": 1}).encode()
    assert len(protocol.receive(build_frame(wire.REPORT, payload, 200, 3), 0)) == 1


@given(st.lists(st.tuples(BYTES, st.integers(0, 65535), BYTES, PAYLOADS), min_size=1, max_size=6))
def test_many_frames_are_encoded_as_each_alone_and_found_again(
    wanted: list[tuple[int, int, int, bytes]],
) -> None:
    kinds, seqs, epochs, payloads = zip(*wanted, strict=True)
    frames = new_frames(kinds, seqs, [len(one) for one in payloads], epochs)
    stream = encode_frames(frames, b"".join(payloads)).tobytes()
    assert stream == b"".join(
        build_frame(kind, payload, seq, epoch) for kind, seq, epoch, payload in wanted
    )
    assert found(FrameDecoder(1), [(0, stream)]) == [(0, one) for one in wanted]


def test_restarting_a_stream_forgets_what_it_held() -> None:
    frame = build_frame(wire.EVENT, b"12345678")
    decoder = FrameDecoder(2)
    found(decoder, [(0, frame[:9]), (1, frame[:9])])
    decoder.restart(0)
    assert found(decoder, [(0, frame), (1, frame[9:])]) == [
        (0, fields(frame)),
        (1, fields(frame)),
    ]


def crc32(data: bytes, start: int = 0) -> int:
    return int(lib.rs_crc32(start, len(data), data))


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1))
def test_the_crc_is_that_of_zlib(data: bytes, start: int) -> None:
    assert crc32(data) == zlib.crc32(data)
    assert crc32(data, start) == zlib.crc32(data, start)


def test_the_crc_is_that_of_zlib_at_every_length_and_place() -> None:
    noise = np.random.default_rng(3).integers(0, 256, 5000, np.uint8).tobytes()
    for length in [*range(700), 1036, 4096, 4999]:
        for place in (0, 1, 7):
            part = noise[place : place + length]
            assert crc32(part, 77) == zlib.crc32(part, 77)


FORMATS = {"u16": "<u2", "i16": "<i2", "i16be": ">i2"}


@given(st.sampled_from(sorted(wire.SAMPLE_BYTES)), st.integers(1, 9), st.binary(max_size=600))
def test_samples_are_those_of_numpy(format: str, channels: int, data: bytes) -> None:
    size = wire.SAMPLE_BYTES[format]
    data = data[: len(data) // (size * channels) * size * channels]
    if size == 2:
        counts = np.frombuffer(data, FORMATS[format]).astype(np.int64)
    else:
        signed = format == "i24be"
        pieces = [data[at : at + 3] for at in range(0, len(data), 3)]
        counts = np.array([int.from_bytes(p, "big", signed=signed) for p in pieces], np.int64)
    expected = (counts.reshape(-1, channels) * 0.0223 + 17.5).astype(np.float32)
    np.testing.assert_array_equal(decode_samples(data, channels, format, 0.0223, 17.5), expected)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: FrameDecoder(0), "pods must be at least 1"),
        (lambda: FrameDecoder(2**32), "pods must be at most"),
        (lambda: FrameDecoder(2).decode([(0, b""), (2, b"")]), "pods are 0 to 1"),
        (lambda: FrameDecoder(2).decode([(-1, b"")]), "reads of -1 to -1"),
        (lambda: FrameDecoder(2).restart(5), "pod must be at most 1, not 5"),
        (lambda: FrameDecoder(2).decode([(0, np.zeros(3))]), "must be bytes"),
        (lambda: encode_frames(np.zeros(1, "u1"), b""), "of FRAME"),
        (lambda: encode_frames(np.zeros(0, FRAME), b""), "of FRAME"),
        (lambda: encode_frames(new_frames(1, 0, 4), b"123"), "ends outside the 3 bytes"),
        (lambda: encode_frames(new_frames(1, 0, 3), np.array([1, 2, 3])), "uint8, not .* of int64"),
        (lambda: encode_frames(new_frames(1, 0, 3), "abc"), "payloads must be bytes"),
        (lambda: encode_frames([1], b"123"), "of FRAME"),
        (lambda: decode_samples("12", 1, "u16"), "data must be bytes"),
        (lambda: encode_frames(np.array([(0, 0, 0, 1025, 1, 0, (0, 0))], FRAME), bytes(2000)), "not 1025"),
        (lambda: new_frames(1, 0, 1025), "length must hold whole numbers from 0 to 1024"),
        (lambda: new_frames(256, 0, 0), "type must hold"),
        (lambda: new_frames(1, float("nan"), 0), "seq holds NaN"),
        (lambda: new_frames(1, 0.5, 0), "seq must hold whole numbers"),
        (lambda: new_frames([1, 2], [1, 2, 3], 0), "shape"),
        (lambda: decode_samples(b"123", 1, "u16"), "not whole samples"),
        (lambda: decode_samples(b"12", 0, "u16"), "channels must be at least 1"),
        (lambda: decode_samples(b"12", 1, "f32"), "no sample format"),
        (lambda: decode_samples(b"12", 1, "u16", float("inf")), "scale must be a finite"),
        (lambda: build_frame(1, bytes(1025)), "at most 1024 bytes"),
    ],
)
def test_what_cannot_be_used_is_refused(call, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: np.frombuffer(b, np.uint8)])
def test_bytes_of_any_kind_are_samples_and_payloads(kind) -> None:
    assert decode_samples(kind(b"\x02\x01"), 1, "u16").tolist() == [[0x102]]
    assert encode_frames(new_frames(7, 1, 2), kind(b"ab")).tobytes() == build_frame(7, b"ab", 1, 0)


def test_a_refused_read_takes_nothing() -> None:
    frame = build_frame(wire.EVENT, b"12345678")
    decoder = FrameDecoder(1)
    with pytest.raises(ValueError, match="pods are 0 to 0"):
        decoder.decode([(0, frame), (1, frame)])
    assert found(decoder, [(0, frame)]) == [(0, fields(frame))]
    assert decoder.skipped_bytes.tolist() == [0]
