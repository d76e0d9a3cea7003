"""Frames found and built in bulk: the kernel, plain Python, and COBS framing with zlib's CRC.

COBS is what many links use instead of a length: its decoder is a C extension. A reader of such a link
splits at the zeros, decodes, and checks the CRC; that is what is timed here.
"""

from __future__ import annotations

import sys
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from dreampods.firmware.dreampod import wire
from dreampods.link.protocol import Protocol, build_frame
from dreampods.resonance import FRAME, FrameDecoder, decode_samples, encode_frames, new_frames
from dreampods.resonance._kernel import ffi, lib, pointer

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from plain_frames import PlainReader

FIND = "frames found, 100 frames with n bytes of payload, one stream in reads of {} bytes"
MANY = "frames found, n pods, a read of 4 frames of 100 bytes from each"
BUILD = "frames built, one for each of 128 pods, n bytes of payload"
FIND_C = "frames found, 100 frames with n bytes of payload, the C call alone"
BUILD_C = "frames built, 100 frames with n bytes of payload, the C call alone"
OPENED = "messages opened by the host's protocol, reads of 4 blocks of n bytes"
CRC = "CRC-32 of n bytes"
SAMPLES = "packed i24be samples to float32, 2 channels, n samples"
COUNT = 100
PODS = 128
SIZES = (16, 100, 1024)


def _payloads(size: int, count: int = COUNT) -> list[bytes]:
    noise = np.random.default_rng(size).integers(0, 256, (count, size), np.uint8)
    return [row.tobytes() for row in noise]


def _stream(size: int, count: int = COUNT) -> bytes:
    return _stream_of(_payloads(size, count))


def _stream_of(payloads: list[bytes]) -> bytes:
    return b"".join(build_frame(wire.BLOCK, p, k, 3) for k, p in enumerate(payloads))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("who", ["ours", "plain Python", "cobs + zlib"])
@pytest.mark.parametrize("most", [4096, 65536])  # what a pty, and what the links read at once
def test_find(race, who: str, size: int, most: int) -> None:
    stream, payloads, name = _stream(size), _payloads(size), FIND.format(most)
    reads = [stream[at : at + most] for at in range(0, len(stream), most)]
    if who == "ours":
        decoder, taken = FrameDecoder(1), [(0, read) for read in reads]
        got = decoder.decode(taken)
        assert [got.payload(k) for k in range(COUNT)] == payloads
        race(name, who, lambda: decoder.decode(taken), n=size, unit="µs")
    elif who == "plain Python":
        reader = PlainReader()

        def take() -> list[bytes]:
            return [frame for read in reads for frame in reader.take(read)]

        assert [frame[8:-4] for frame in take()] == payloads
        race(name, who, take, n=size, unit="µs")
    else:
        cobs = pytest.importorskip("cobs.cobs")
        packed = b"\0".join(cobs.encode(p + zlib.crc32(p).to_bytes(4, "little")) for p in payloads)

        def find() -> list[bytes]:
            whole = map(cobs.decode, packed.split(b"\0"))
            return [frame[:-4] for frame in whole if zlib.crc32(frame) == wire.CRC_RESIDUE]

        assert find() == payloads
        race(name, who, find, n=size, unit="µs")


@pytest.mark.parametrize("pods", [8, 64, 512, 4096])
@pytest.mark.parametrize("who", ["ours", "plain Python"])
def test_many(race, who: str, pods: int) -> None:
    read = b"".join(build_frame(wire.BLOCK, p, k, 3) for k, p in enumerate(_payloads(100, 4)))
    if who == "ours":
        decoder = FrameDecoder(pods)
        taken = [(pod, read) for pod in range(pods)]
        assert len(decoder.decode(taken).frames) == 4 * pods
        race(MANY, who, lambda: decoder.decode(taken), n=pods, unit="µs")
    else:
        readers = [PlainReader() for _ in range(pods)]
        race(MANY, who, lambda: [list(one.take(read)) for one in readers], n=pods, unit="µs")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("who", ["ours", "plain Python", "cobs + zlib"])
def test_build(race, who: str, size: int) -> None:
    payloads = _payloads(size, PODS)
    if who == "ours":
        frames = new_frames(wire.BLOCK, np.arange(PODS), size, 3)
        together = b"".join(payloads)
        assert encode_frames(frames, together).tobytes() == _stream(size, PODS)
        race(BUILD, who, lambda: encode_frames(frames, together), n=size, unit="µs")
    elif who == "plain Python":

        def build() -> bytes:
            return b"".join(build_frame(wire.BLOCK, p, k, 3) for k, p in enumerate(payloads))

        race(BUILD, who, build, n=size, unit="µs")
    else:
        cobs = pytest.importorskip("cobs.cobs")

        def pack() -> bytes:
            return b"\0".join(
                cobs.encode(p + zlib.crc32(p).to_bytes(4, "little")) for p in payloads
            )

        race(BUILD, who, pack, n=size, unit="µs")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("who", ["ours", "plain Python"])
def test_the_calls_alone(race, who: str, size: int) -> None:
    stream, payloads = _stream(size), _payloads(size)
    if who == "plain Python":
        reader = PlainReader()
        race(FIND_C, who, lambda: list(reader.take(stream)), n=size, unit="µs")
        return
    frames, room = np.empty(len(stream) // 12, FRAME), np.empty(len(stream), np.uint8)
    found, out = ffi.from_buffer("rs_frame[]", frames), pointer(room)
    streams = ffi.gc(lib.rs_frames_new(1), lib.rs_frames_free)
    pod, length = ffi.new("uint32_t[]", [0]), ffi.new("uint32_t[]", [len(stream)])

    def find() -> int:
        return int(lib.rs_frames_decode(streams, 1, pod, length, len(stream), stream, found, out))

    assert find() == COUNT
    assert room[: COUNT * size].tobytes() == b"".join(payloads)
    race(FIND_C, who, find, n=size, unit="µs")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("who", ["ours", "plain Python"])
def test_the_building_call_alone(race, who: str, size: int) -> None:
    payloads = _payloads(size)
    if who == "plain Python":
        race(BUILD_C, who, lambda: _stream_of(payloads), n=size, unit="µs")
        return
    described = new_frames(wire.BLOCK, np.arange(COUNT), size, 3)
    frames, together = ffi.from_buffer("rs_frame[]", described), b"".join(payloads)
    room = np.empty(COUNT * (size + 12), np.uint8)
    out = pointer(room)
    lib.rs_frames_encode(COUNT, frames, together, out)
    assert room.tobytes() == _stream_of(payloads)
    race(BUILD_C, who, lambda: lib.rs_frames_encode(COUNT, frames, together, out), n=size, unit="µs")


class _PlainProtocol(Protocol):
    """The host's protocol with the plain reader in it."""

    def __init__(self) -> None:
        super().__init__()
        self._reader = PlainReader()

    def receive(self, data: bytes, now_ns: int) -> list:
        frames = self._reader.take(data)
        opened = (self._open(f[1], f[2] | f[3] << 8, f[6], f[8:-4], now_ns) for f in frames)
        return [message for message in opened if message is not None]


@pytest.mark.parametrize("size", [64, 1000])
@pytest.mark.parametrize("who", ["ours", "plain Python"])
def test_opened(race, who: str, size: int) -> None:
    blocks = [bytes(16) + p for p in _payloads(size, 4)]
    read = b"".join(build_frame(wire.BLOCK, p, k, 3) for k, p in enumerate(blocks))
    protocol = Protocol() if who == "ours" else _PlainProtocol()
    assert protocol.receive(read, 0) == _PlainProtocol().receive(read, 0)
    race(OPENED, who, lambda: protocol.receive(read, 0), n=size, unit="µs")


@pytest.mark.parametrize("size", [1036, 1 << 16])
@pytest.mark.parametrize("who", ["ours", "zlib"])
def test_crc(race, who: str, size: int) -> None:
    data = _payloads(size, 1)[0]
    assert lib.rs_crc32(0, size, data) == zlib.crc32(data)
    call = partial(lib.rs_crc32, 0, size) if who == "ours" else zlib.crc32
    race(CRC, who, lambda: call(data), n=size, unit="µs")


def _numpy_samples(data: bytes, channels: int, scale: float, offset: float) -> np.ndarray:
    raw = np.frombuffer(data, np.uint8).reshape(-1, channels, 3).astype(np.int32)
    counts = raw[..., 0] << 16 | raw[..., 1] << 8 | raw[..., 2]
    return ((counts << 8 >> 8) * scale + offset).astype(np.float32)


@pytest.mark.parametrize("samples", [25, 10_000])
@pytest.mark.parametrize("who", ["ours", "numpy"])
def test_samples(race, who: str, samples: int) -> None:
    data = _payloads(samples * 6, 1)[0]
    expected = _numpy_samples(data, 2, 0.0223, 1.5)
    np.testing.assert_array_equal(decode_samples(data, 2, "i24be", 0.0223, 1.5), expected)
    if who == "ours":
        race(SAMPLES, who, lambda: decode_samples(data, 2, "i24be", 0.0223, 1.5), n=samples, unit="µs")
    else:
        race(SAMPLES, who, lambda: _numpy_samples(data, 2, 0.0223, 1.5), n=samples, unit="µs")
