"""Writes XDF 1.0, the field's format for streams recorded together, so that a crash costs little.

XDF is a magic word followed by chunks, each with its own length. Nothing written is ever changed:
a file that stops anywhere is a whole file plus at most one torn chunk. Three rules follow, and the
rest of this file is them:

* A chunk reaches the system in one write, so that a killed host leaves whole chunks behind it.
* If a write fails half-way (a full disk), the half is cut off again, and the file stays readable.
* What is not yet written is at most `HOLD_S` old while anything at all is being recorded.

Times. A sample's stamp is in the clock of the device that took it. A clock offset says what to add
to such a stamp, at that moment of the device's clock, to get the host's; readers map with these.
Regular streams carry one stamp per call of `samples`, and a reader counts on from it at the
nominal rate, so a gap is kept simply by stamping the next samples with their own time. By default,
some readers draw one straight line through all stamps, which smears gaps over their surroundings:
each regular stream therefore says `can_drop_samples`, which makes them leave the times alone.

Format: https://github.com/sccn/xdf/wiki/Specifications
"""

from __future__ import annotations

import math
import re
import struct
import time
import uuid
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.errors import RecordingError

Dtype = Literal["float32", "float64", "int32", "int16", "string"]
Desc = Mapping[str, object]

HOLD_S = 0.5
BOUNDARY_EVERY_S = 10.0

_MAGIC = b"XDF:"
_FILE_HEADER, _STREAM_HEADER, _SAMPLES, _CLOCK_OFFSET, _BOUNDARY, _STREAM_FOOTER = range(1, 7)
# Fixed by the format: what a reader looks for when it has lost its place.
_BOUNDARY_MARK = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")
_XML_HEAD = '<?xml version="1.0"?>'
_CHANNEL_FORMAT = {
    "float32": "float32",
    "float64": "double64",
    "int32": "int32",
    "int16": "int16",
    "string": "string",
}
# XML 1.0 cannot express these at all, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_XML_NAME = re.compile(r"[A-Za-z_][\w.-]*\Z")


class _Stream:
    """What the writer keeps of one stream between calls."""

    def __init__(self, ident: int, channels: int, rate_hz: float, dtype: Dtype) -> None:
        self.ident = ident
        self.channels = channels
        self.rate_hz = rate_hz
        self.dtype = None if dtype == "string" else np.dtype(dtype).newbyteorder("<")
        self.pending: list[bytes] = []
        self.pending_count = 0
        self.count = 0
        self.first_s = math.nan
        self.last_s = math.nan


class XdfWriter:
    """An XDF file being written. Not for use from several threads at once.

    Raises `RecordingError` from any method whose data the system would not take. The data of that
    call is then missing from the file, the file stays readable, and later calls try anew.
    """

    def __init__(self, path: Path | str) -> None:
        """Create `path`; a file that exists is never overwritten."""
        self.path = Path(path)
        self._streams: list[_Stream] = []
        self._size = 0
        self._flushed_s = self._boundary_s = time.monotonic()
        try:
            # Unbuffered: each write below is one system call, here and on every platform.
            self._file = self.path.open("xb", buffering=0)
        except FileExistsError:
            raise RecordingError(
                f"{self.path} already exists; choose a new folder, recordings are not replaced"
            ) from None
        except OSError as error:
            raise RecordingError(f"cannot create {self.path}: {error.strerror}") from error
        try:
            head = f"{_XML_HEAD}<info><version>1.0</version></info>".encode()
            self._write(_MAGIC + _chunk(_FILE_HEADER, head))
        except RecordingError:
            self._file.close()
            raise

    def add_stream(
        self,
        name: str,
        type: str,
        labels: Sequence[str],
        units: Sequence[str],
        rate_hz: float,
        dtype: Dtype,
        source_id: str = "",
        desc: Desc | None = None,
    ) -> int:
        """Announce a stream and return the number by which `samples` knows it.

        `labels` and `units` have one entry a channel. `rate_hz` is 0 for an irregular stream.
        `desc` is metadata: nested mappings become nested elements, a list repeats its element.
        Characters that XML cannot hold are replaced by U+FFFD.
        """
        if dtype not in _CHANNEL_FORMAT:
            raise ValueError(f"dtype is {dtype!r}, must be one of {', '.join(_CHANNEL_FORMAT)}")
        if not labels or len(labels) != len(units):
            raise ValueError(f"{name}: {len(labels)} labels and {len(units)} units; one each")
        if not (math.isfinite(rate_hz) and rate_hz >= 0):
            raise ValueError(f"{name}: rate_hz is {rate_hz}, must be 0 or more")
        described: dict[str, object] = dict(desc or {})
        if rate_hz > 0:
            described.setdefault("synchronization", {"can_drop_samples": "true"})
        described["channels"] = {
            "channel": [
                {"label": label, "unit": unit, "type": type}
                for label, unit in zip(labels, units, strict=True)
            ]
        }
        info: Desc = {
            "name": name,
            "type": type,
            "channel_count": len(labels),
            "nominal_srate": float(rate_hz),
            "channel_format": _CHANNEL_FORMAT[dtype],
            "source_id": source_id,
            "uid": uuid.uuid4(),
            "desc": described,
        }
        stream = _Stream(len(self._streams) + 1, len(labels), float(rate_hz), dtype)
        self._write(_stream_chunk(_STREAM_HEADER, stream.ident, _xml_document(info)))
        self._streams.append(stream)
        return stream.ident

    def samples(self, stream: int, first_s: float | ArrayLike, values: ArrayLike) -> None:
        """Record samples of one stream; they reach the file within `HOLD_S`.

        `values` is (n, channels), or (n,) for one channel; for a string stream of one channel a
        list of n strings. `first_s` is the time of the first sample in the stream's own clock; the
        others follow at the nominal rate (in an irregular stream they share it). An array of n
        times stamps every sample. Numbers that the stream's type cannot hold are a ValueError.
        """
        state = self._stream(stream)
        if state.dtype is None:
            rows = _string_rows(values, state.channels)
        else:
            rows = _number_rows(values, state.channels, state.dtype)
        stamps = np.asarray(first_s, dtype=np.float64)
        if stamps.ndim == 0 and state.rate_hz == 0:
            stamps = np.full(len(rows), stamps)
        if stamps.ndim and stamps.shape != (len(rows),):
            raise ValueError(f"{len(rows)} samples, but times of shape {stamps.shape}")
        if not np.isfinite(stamps).all():
            raise ValueError("a time is not finite")
        if not len(rows):
            return
        if stamps.ndim:
            encoded = b"".join(
                b"\x08" + struct.pack("<d", stamp) + row
                for stamp, row in zip(stamps.tolist(), rows, strict=True)
            )
            first, last = float(stamps[0]), float(stamps[-1])
        else:
            first = float(stamps)
            last = first + (len(rows) - 1) / state.rate_hz
            encoded = b"\x08" + struct.pack("<d", first) + b"\x00".join(rows)
        state.pending.append(encoded)
        state.pending_count += len(rows)
        if math.isnan(state.first_s):
            state.first_s = first
        state.last_s = last
        if time.monotonic() - self._flushed_s >= HOLD_S:
            self.flush()

    def clock_offset(self, stream: int, collection_s: float, offset_s: float) -> None:
        """At `collection_s` of the stream's own clock, the host's clock read `offset_s` more."""
        if not (math.isfinite(collection_s) and math.isfinite(offset_s)):
            raise ValueError(f"clock offset {offset_s} at {collection_s} is not finite")
        ident = self._stream(stream).ident
        self._write(
            _stream_chunk(_CLOCK_OFFSET, ident, struct.pack("<dd", collection_s, offset_s))
        )

    def flush(self) -> None:
        """Hand everything held back to the system. It survives the end of this process then."""
        now = time.monotonic()
        self._flushed_s = now
        for stream in self._streams:
            if not stream.pending:
                continue
            body = _length(stream.pending_count) + b"".join(stream.pending)
            count = stream.pending_count
            # Let go before writing: on a full disk, memory must not fill up as well.
            stream.pending, stream.pending_count = [], 0
            self._write(_stream_chunk(_SAMPLES, stream.ident, body))
            stream.count += count
        if now - self._boundary_s >= BOUNDARY_EVERY_S:
            self._boundary_s = now
            self._write(_chunk(_BOUNDARY, _BOUNDARY_MARK))

    def close(self) -> None:
        """Write what is left and the footers, and close the file. Further calls do nothing."""
        if self._file.closed:
            return
        try:
            self.flush()
            for stream in self._streams:
                footer: dict[str, object] = {"sample_count": stream.count}
                if stream.count:
                    footer = {
                        "first_timestamp": stream.first_s,
                        "last_timestamp": stream.last_s,
                        **footer,
                    }
                self._write(_stream_chunk(_STREAM_FOOTER, stream.ident, _xml_document(footer)))
        finally:
            self._file.close()

    def _stream(self, ident: int) -> _Stream:
        if not 1 <= ident <= len(self._streams):
            raise ValueError(f"there is no stream {ident}")
        return self._streams[ident - 1]

    def _write(self, data: bytes) -> None:
        if self._file.closed:
            raise ValueError(f"{self.path} is closed")
        try:
            done = self._file.write(data)
            # A disk takes what still fits; only the write after that says that it is full.
            while done < len(data):
                done += self._file.write(data[done:])
        except OSError as error:
            self._file.seek(self._size)
            self._file.truncate()
            raise RecordingError(
                f"cannot write {self.path}: {error.strerror}; free some space, "
                "what was recorded before stays readable"
            ) from error
        self._size += len(data)


def open_whole(path: Path | str) -> tuple[BytesIO, int]:
    """The whole chunks of an XDF file, as a file to read, and how many bytes after them are left.

    A torn chunk, left by a power cut, makes readers fail, or worse, complete the last sample with
    bytes of the one before it. Without its torn end the file is as good as a closed one. Reading
    ends likewise where the chain of lengths is damaged.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"cannot read {path}: {error.strerror}") from error
    if not data.startswith(_MAGIC):
        raise RecordingError(f"{path} is not an XDF file: it does not begin with 'XDF:'")
    end = len(_MAGIC)
    while end < len(data):
        size = data[end]
        if size not in (1, 4, 8):
            break
        body = end + 1 + size
        after = body + int.from_bytes(data[end + 1 : body], "little")
        if after > len(data) or after < body + 2:
            break
        end = after
    return BytesIO(data[:end]), len(data) - end


def _length(value: int) -> bytes:
    """The format's variable-length integer: the number of bytes, then the bytes."""
    size = 1 if value < 1 << 8 else 4 if value < 1 << 32 else 8
    return bytes([size]) + value.to_bytes(size, "little")


def _chunk(tag: int, content: bytes) -> bytes:
    return _length(len(content) + 2) + struct.pack("<H", tag) + content


def _stream_chunk(tag: int, stream: int, content: bytes) -> bytes:
    return _chunk(tag, struct.pack("<I", stream) + content)


def _number_rows(values: ArrayLike, channels: int, dtype: np.dtype[np.generic]) -> list[bytes]:
    """One packed row a sample, or a ValueError where a value would change by being stored."""
    given: NDArray[np.generic] = np.asarray(values)
    if given.ndim == 1 and channels == 1:
        given = given[:, np.newaxis]
    if given.ndim != 2 or given.shape[1] != channels:
        raise ValueError(f"values of shape {given.shape}; the stream needs (n, {channels})")
    if not np.can_cast(given.dtype, dtype, casting="same_kind"):
        raise ValueError(f"values of type {given.dtype} do not fit a stream of {dtype}")
    if dtype.kind == "i" and given.size:
        limits = np.iinfo(dtype.name)
        # As Python numbers: an unsigned maximum compares rightly with a signed limit.
        if given.min().item() < limits.min or given.max().item() > limits.max:
            raise ValueError(f"a value does not fit into {dtype.name}")
    packed = np.ascontiguousarray(given, dtype=dtype).tobytes()
    row = channels * dtype.itemsize
    return [packed[at : at + row] for at in range(0, len(packed), row)]


def _string_rows(values: object, channels: int) -> list[bytes]:
    """One encoded row a sample; a lone string is refused: it would be taken letter by letter."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ValueError("a string stream needs a list of strings")
    rows: list[list[str]] = [[v] if isinstance(v, str) else [*v] for v in values]
    if any(len(row) != channels for row in rows):
        raise ValueError(f"each sample of the stream needs {channels} strings")
    return [
        b"".join(_length(len(text)) + text for text in (v.encode(errors="replace") for v in row))
        for row in rows
    ]


def _xml_document(info: Desc) -> bytes:
    return f"{_XML_HEAD}<info>{_xml(info)}</info>".encode()


def _xml(value: object) -> str:
    """`value` as XML content. Readers know no attributes, so elements are all there is."""
    if isinstance(value, Mapping):
        return "".join(_element(name, part) for name, part in value.items())
    # A carriage return left bare would be read back as a line feed.
    return escape(_NOT_XML.sub("\ufffd", str(value)), {"\r": "&#13;"})


def _element(name: object, value: object) -> str:
    if not isinstance(name, str) or not _XML_NAME.match(name):
        raise ValueError(f"{name!r} cannot name an XML element")
    parts = value if isinstance(value, list | tuple) else [value]
    return "".join(f"<{name}>{_xml(part)}</{name}>" for part in parts)
