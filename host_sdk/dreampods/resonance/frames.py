"""The wire in bulk: bytes of many pods to frames, frames to bytes, packed samples to numbers.

`link.protocol` holds what frames mean, and `firmware/dreampod/wire.py` defines them; here is only what
must be fast when one host listens to a room, or reads what was recorded of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.firmware.dreampod import wire
from dreampods.resonance._kernel import (
    KernelObject,
    checked,
    ffi,
    lib,
    number,
    octets,
    pointer,
    whole,
)

FRAME = np.dtype(
    [
        ("offset", np.uint32),
        ("pod", np.uint32),
        ("seq", np.uint16),
        ("length", np.uint16),
        ("type", np.uint8),
        ("epoch", np.uint8),
        ("spare", np.uint8, (2,)),
    ],
    align=True,
)
"""One frame. seq, type, epoch: its header's, as `firmware/dreampod/wire.py` defines them. offset,
length: where in the payloads its own lies, in bytes. pod: whose stream brought it. spare: nothing.
"""
_LEAST_FRAME = wire.HEADER_BYTES + wire.CRC_BYTES
_MOST_BYTES = 2**32 - 1  # what an offset can count
_REFUSED = 2 ** (8 * ffi.sizeof("size_t")) - 1
_FORMATS = {
    "u16": lib.RS_U16,
    "i16": lib.RS_I16,
    "i16be": lib.RS_I16BE,
    "u24be": lib.RS_U24BE,
    "i24be": lib.RS_I24BE,
}


@dataclass(slots=True, eq=False)
class Frames:
    """frames: (n,) of FRAME, in the order in which they ended. payloads: (bytes,) uint8."""

    frames: NDArray[Any]
    payloads: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.frames)

    def payload(self, index: int) -> bytes:
        """The payload of frame `index`."""
        frame = self.frames[index]
        start = int(frame["offset"])
        return self.payloads[start : start + int(frame["length"])].tobytes()


class FrameDecoder(KernelObject):
    """Finds the frames in the bytes of many pods, wherever reads may have cut them.

    A header whose check fails and a frame whose CRC fails are given up at their first byte, and
    reading goes on at the next magic byte.

    Args:
        pods: how many streams; they are numbered from 0.

    Raises:
        ValueError: pods below 1, or above 2**32 - 1.
    """

    def __init__(self, pods: int) -> None:
        streams = whole("pods", pods, most=_MOST_BYTES)
        self._make(lib.rs_frames_new, lib.rs_frames_free, streams)
        self._pods = streams

    def decode(self, reads: Iterable[tuple[int, bytes]]) -> Frames:
        """Take reads, (pod, bytes) each, in their order; returns the frames that are whole by now.

        Raises:
            ValueError: no such pod, something that is not bytes, or 4 GiB and more in one call.
                Nothing was taken then.
        """
        try:
            columns = tuple(zip(*reads, strict=True))
            pods, parts = columns if columns else ((), ())
            data = b"".join(parts)
        except (TypeError, ValueError) as error:
            raise ValueError(f"reads must be pairs (pod, bytes): {error}") from error
        lengths = tuple(map(len, parts))
        with self._turn:
            most = lib.rs_frames_held(self._c) + len(data)
            # As many frames as there would be without payloads; as bytes, which numpy makes faster
            room = np.empty(most // _LEAST_FRAME * FRAME.itemsize, np.uint8)
            payloads = np.empty(most, np.uint8)
            try:
                found = lib.rs_frames_decode(
                    self._c,
                    len(lengths),
                    pods,
                    lengths,
                    len(data),
                    data,
                    ffi.from_buffer("rs_frame[]", room),
                    ffi.from_buffer("uint8_t[]", payloads),
                )
            except OverflowError:  # beyond 32 bits
                found = _REFUSED
            except TypeError as error:
                raise ValueError(f"reads must be pairs (pod, bytes): {error}") from error
        if found == _REFUSED:
            raise self._refusal(pods, lengths, data)
        return Frames(np.ndarray((found,), FRAME, room), payloads)

    def _refusal(self, pods: tuple[int, ...], lengths: tuple[int, ...], data: bytes) -> ValueError:
        if not 0 <= min(pods) <= max(pods) < self._pods:
            return ValueError(
                f"pods are 0 to {self._pods - 1}, there are reads of {min(pods)} to {max(pods)}"
            )
        if sum(lengths) != len(data):
            return ValueError("a read must be bytes, or an array of uint8")
        return ValueError(f"{len(data)} bytes are too many for one call")

    def restart(self, pod: int) -> None:
        """A new connection to `pod`: the start of a frame that was held is forgotten, counters stay."""
        self._call(lib.rs_frames_restart, whole("pod", pod, least=0, most=self._pods - 1))

    @property
    def corrupt(self) -> NDArray[np.uint64]:
        """(pods,): headers and frames that failed their check."""
        return self._faults()[:, 0]

    @property
    def skipped_bytes(self) -> NDArray[np.uint64]:
        """(pods,): bytes thrown away while looking for the next frame."""
        return self._faults()[:, 1]

    def _faults(self) -> NDArray[np.uint64]:
        faults = np.empty((self._pods, 2), np.uint64)
        self._call(lib.rs_frames_state, ffi.from_buffer("rs_frame_faults[]", faults))
        return faults


def encode_frames(frames: NDArray[Any], payloads: bytes | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frames, (n,) of FRAME, as (bytes,) uint8 for the wire, one behind the other.

    Args:
        frames: `offset` and `length` say where in `payloads` each payload lies; `pod` plays no part.
        payloads: bytes, or (bytes,) uint8.

    Raises:
        ValueError: another type or shape, no frame, a payload of more than 1024 bytes, or one that
            lies outside `payloads`.
    """
    frames = np.asarray(frames)
    if frames.dtype != FRAME or frames.ndim != 1 or not len(frames):
        raise ValueError(f"frames are (n,) of FRAME, not {frames.shape} of {frames.dtype}")
    content = octets("payloads", payloads)
    described = ffi.from_buffer("rs_frame[]", frames.tobytes())  # C reads it twice: nobody else's
    size = lib.rs_frames_bytes(len(frames), described, len(content))
    if not size:
        most = frames["length"].max()
        if most > wire.MAX_PAYLOAD:
            raise ValueError(f"a payload has at most {wire.MAX_PAYLOAD} bytes, not {most}")
        raise ValueError(f"a payload ends outside the {len(content)} bytes of payloads")
    out = np.empty(size, np.uint8)
    lib.rs_frames_encode(len(frames), described, content, pointer(out))
    return out


def decode_samples(
    data: bytes | NDArray[np.uint8],
    channels: int,
    format: str,
    scale: float = 1.0,
    offset: float = 0.0,
) -> NDArray[np.float32]:
    """Packed sensor values as a pod sends them, in physical units: value * scale + offset.

    Args:
        data: whole samples of all channels, one after the other; bytes, or (bytes,) uint8.
        channels: values in a sample.
        format: u16, i16 (little-endian), i16be, u24be or i24be (big-endian).

    Returns:
        (samples, channels); computed in float64, then rounded.

    Raises:
        ValueError: an unknown format, not a whole number of samples, scale or offset not finite.
    """
    if format not in _FORMATS:
        raise ValueError(f"no sample format {format!r}, there are {', '.join(_FORMATS)}")
    width = whole("channels", channels)
    packed = octets("data", data)
    samples, rest = divmod(len(packed), wire.SAMPLE_BYTES[format] * width)
    if rest:
        raise ValueError(f"{len(packed)} bytes are not whole samples of {width} x {format}")
    x = np.empty((samples, width), np.float32)
    lib.rs_samples_decode(
        _FORMATS[format],
        x.size,
        packed,
        number("scale", scale),
        number("offset", offset),
        pointer(x),
    )
    return x


def new_frames(
    kind: ArrayLike, seq: ArrayLike, length: ArrayLike, epoch: ArrayLike = 0
) -> NDArray[Any]:
    """FRAMEs whose payloads lie one behind the other, for `encode_frames`.

    Args:
        kind, seq, length, epoch: (n,) whole numbers from 0, or one for all.

    Raises:
        ValueError: shapes that do not fit each other, or a number outside its field.
    """
    columns = np.broadcast_arrays(*(np.atleast_1d(one) for one in (kind, seq, length, epoch)))
    frames = np.zeros(columns[0].shape, FRAME)
    for name, column, most in zip(
        ("type", "seq", "length", "epoch"),
        columns,
        (255, 65535, wire.MAX_PAYLOAD, 255),
        strict=True,
    ):
        values = checked(name, column, np.float64, ("n",), least=0)
        if values.max() > most or (values != np.floor(values)).any():
            raise ValueError(f"{name} must hold whole numbers from 0 to {most}")
        frames[name] = values.astype(np.int64)
    ends = np.cumsum(frames["length"], dtype=np.int64)
    if ends[-1] > _MOST_BYTES:
        raise ValueError(f"{ends[-1]} bytes of payloads are more than an offset can count")
    frames["offset"] = ends - frames["length"]
    return frames
