"""The host's end of the wire, without any input or output of its own.

Bytes from the pod go into `receive`, which returns messages; what is to be sent is taken from
`outgoing`. Both are told the time. Nothing here waits, sleeps or opens anything, so that hours of
broken links can be played through in a moment.

Towards the pod, sequenced frames are repeated until they are acknowledged (go-back-N: the pod
accepts in order only and keeps nothing out of order, which costs it no memory). A pod's reader
blocks until it has all bytes a header promised; if bytes were lost, or the last host died in the
middle of a frame, it would wait for the next frame's. So padding goes first, to let it drain,
whenever nothing is acknowledged for a while and before a HELLO. A STOP is repeated until the pod
says that it has stopped.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections import deque
from dataclasses import dataclass
from typing import Any

from dreampods.firmware.dreampod import wire
from dreampods.resonance._kernel import ffi, lib

WINDOW_FRAMES = 12  # in flight; bounds what a STOP can have in front of it
RESEND_AFTER_NS = 100_000_000
RESEND_AFTER_MOST_NS = 400_000_000
REPEAT_NOT_WITHIN_NS = 20_000_000  # answers to one loss come in a bunch; repeat once
STOP_AGAIN_NS = 20_000_000  # a few fit into the 200 ms in which a pod must be silent

_PADDING = bytes(wire.MAX_FRAME)
_SOUNDING = (wire.OPEN, wire.CHUNK)
_FRAMES_AT_ONCE = 256  # found by one call of the kernel; more take more calls
_FRAME = struct.Struct("=IIHHBBxx")  # rs_frame: offset, pod, seq, length, type, epoch
_HALF_SEQ = 0x8000


@dataclass(frozen=True, slots=True)
class Dictionary:
    """What the pod says it is."""

    nonce: int
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ProbeReply:
    """When a probe reached the pod and left it again, by the pod's 32-bit clock."""

    probe: int
    received_us: int
    answered_us: int


@dataclass(frozen=True, slots=True)
class Ack:
    """How far the pod has come, and what room it has for sound; `refused` if it did not take a frame."""

    boot_id: int
    next_seq: int
    free_slots: int
    state: int
    refused: int


@dataclass(frozen=True, slots=True)
class Block:
    """Samples `first` … `first + count - 1` of a stream; sample `stamp_counter` was taken at `stamp_us`."""

    stream: int
    count: int
    first: int
    stamp_counter: int
    stamp_us: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Stats:
    """The pod's counters, by the names in `wire.STATS_FIELDS`."""

    values: dict[str, int]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened on the pod; `which` and `text` as `wire.EVENT_*` says."""

    kind: int
    which: int
    pod_us: int
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """The answer to a request that takes more than an acknowledgement."""

    request: int
    content: dict[str, Any]


Message = Dictionary | ProbeReply | Ack | Block | Stats | Event | Report


def build_frame(kind: int, payload: bytes, seq: int = 0, epoch: int = 0) -> bytes:
    """One whole frame.

    Raises:
        ValueError: a payload of more than 1024 bytes.
    """
    if len(payload) > wire.MAX_PAYLOAD:
        raise ValueError(f"a payload has at most {wire.MAX_PAYLOAD} bytes, not {len(payload)}")
    frame = bytearray(wire.HEADER_BYTES)
    wire.put_header(frame, kind, seq, len(payload), epoch)
    frame += payload
    return bytes(frame + struct.pack("<I", zlib.crc32(frame)))


@dataclass(slots=True)
class _Sent:
    kind: int
    frame: bytes


class Protocol:
    """One link. `epoch` is 0 until the pod has introduced itself."""

    def __init__(self) -> None:
        self.corrupt = 0  # headers or frames from the pod that failed their check
        self.skipped_bytes = 0
        self.lost_frames = 0  # gaps in the pod's frame numbers
        self.repeated = 0  # frames sent again
        self.epoch = 0
        self.free_slots = 0
        self._held = b""
        self._found = ffi.new("size_t *")
        self._faults = ffi.new("rs_frame_faults *")
        self._frames = ffi.new("rs_frame[]", _FRAMES_AT_ONCE)
        self._next_rx = (0, 0)  # epoch and number of the frame that should come next
        self._parts: dict[int, dict[int, bytes]] = {wire.DICTIONARY: {}, wire.REPORT: {}}
        self._reset_sending()

    def _reset_sending(self) -> None:
        self._urgent: list[bytes] = []
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._flying: deque[_Sent] = deque()
        self._base = 0  # sequence number of the oldest frame in flight
        self._progress_ns = 0
        self._repeated_ns = 0
        self._patience_ns = RESEND_AFTER_NS
        self._repeat = False
        self._stopping = False
        self._stop_ns = 0

    # --- out ---------------------------------------------------------------------------------

    def hello(self, nonce: int) -> None:
        """Begin anew: whatever was under way is forgotten, on both sides."""
        self._reset_sending()
        self.epoch = 0
        for parts in self._parts.values():
            parts.clear()
        self._urgent.append(_PADDING + build_frame(wire.HELLO, struct.pack("<I", nonce)))

    def probe(self, probe: int) -> bytes:
        """The frame of a clock probe, to be written at once by the caller, who keeps the time."""
        return build_frame(wire.PROBE, struct.pack("<I", probe))

    def send(self, kind: int, payload: bytes = b"") -> None:
        """Queue a sequenced frame."""
        if kind == wire.OPEN:
            self._stopping = False
        self._waiting.append((kind, payload))

    def stop(self) -> None:
        """Silence the pod: ahead of everything, and nothing of the stream is sent any more."""
        self._waiting = deque(item for item in self._waiting if item[0] not in _SOUNDING)
        for place, sent in enumerate(self._flying):
            if sent.kind in _SOUNDING:
                # Its number is used up and it may have to be repeated: as a frame that starts nothing
                seq = (self._base + place) & 0xFFFF
                self._flying[place] = _Sent(
                    wire.CLOSE, build_frame(wire.CLOSE, b"", seq, self.epoch)
                )
        self._stopping = True
        self._stop_ns = -STOP_AGAIN_NS

    @property
    def backlog(self) -> int:
        """Sequenced frames not yet acknowledged."""
        return len(self._waiting) + len(self._flying)

    def outgoing(self, now_ns: int) -> bytes:
        """The bytes to write now; empty if there is nothing to say."""
        out = bytearray().join(self._urgent)
        self._urgent.clear()
        if self._stopping and now_ns - self._stop_ns >= STOP_AGAIN_NS:
            self._stop_ns = now_ns
            out += build_frame(wire.STOP, b"", 0, self.epoch)
        if not self.epoch:
            return bytes(out)
        if self._flying and now_ns - self._progress_ns > self._patience_ns:
            out += _PADDING
            self._repeat = True
            self._progress_ns = now_ns
            self._patience_ns = min(2 * self._patience_ns, RESEND_AFTER_MOST_NS)
        if self._repeat and now_ns - self._repeated_ns > REPEAT_NOT_WITHIN_NS:
            self._repeat = False
            self._repeated_ns = now_ns
            self.repeated += len(self._flying)
            for sent in self._flying:
                out += sent.frame
        chunks = sum(sent.kind == wire.CHUNK for sent in self._flying)
        while self._waiting and len(self._flying) < WINDOW_FRAMES:
            kind, payload = self._waiting[0]
            if kind == wire.CHUNK:
                if chunks >= self.free_slots:
                    break
                chunks += 1
            self._waiting.popleft()
            if not self._flying:
                self._progress_ns = now_ns
            seq = (self._base + len(self._flying)) & 0xFFFF
            frame = build_frame(kind, payload, seq, self.epoch)
            self._flying.append(_Sent(kind, frame))
            out += frame
        return bytes(out)

    def _acknowledge(self, ack: Ack, now_ns: int) -> None:
        self.free_slots = ack.free_slots
        if ack.state == wire.STATE_STOPPED:
            self._stopping = False
        done = (ack.next_seq - self._base) & 0xFFFF
        if 0 < done <= len(self._flying):
            for _ in range(done):
                self._flying.popleft()
            self._base = ack.next_seq
            self._progress_ns = now_ns
            self._patience_ns = RESEND_AFTER_NS
        if ack.refused:  # it saw one that was not the next, or had no room after all
            self._repeat = bool(self._flying)

    # --- in ----------------------------------------------------------------------------------

    def receive(self, data: bytes, now_ns: int) -> list[Message]:
        """Take bytes as they came; returns the messages that are whole by now."""
        held = self._held + data if self._held else bytes(data)
        begin = ffi.from_buffer("uint8_t[]", held)
        messages: list[Message] = []
        at = 0
        found = _FRAMES_AT_ONCE
        while found == _FRAMES_AT_ONCE:
            self._found[0] = 0
            done = lib.rs_frames_scan(
                len(held) - at,
                begin + at,
                _FRAMES_AT_ONCE,
                self._frames,
                self._found,
                self._faults,
            )
            found = self._found[0]
            described = ffi.buffer(self._frames, found * _FRAME.size)
            for offset, _pod, seq, length, kind, epoch in _FRAME.iter_unpack(described):
                payload = held[at + offset : at + offset + length]
                message = self._open(kind, seq, epoch, payload, now_ns)
                if message is not None:
                    messages.append(message)
            at += done
        self._held = held[at:]
        faults = self._faults
        self.corrupt += faults.corrupt
        self.skipped_bytes += faults.skipped
        faults.corrupt = faults.skipped = 0
        return messages

    def _open(
        self, kind: int, seq: int, epoch: int, payload: bytes, now_ns: int
    ) -> Message | None:
        ahead = (seq - self._next_rx[1]) & 0xFFFF
        if epoch == self._next_rx[0] and ahead < _HALF_SEQ:  # beyond: a frame came twice
            self.lost_frames += ahead
        self._next_rx = (epoch, (seq + 1) & 0xFFFF)
        try:
            message = self._decode(kind, epoch, payload)
        except (struct.error, ValueError, RecursionError):  # the last: JSON nested without end
            self.corrupt += 1
            return None
        if isinstance(message, Ack) and epoch == self.epoch:
            self._acknowledge(message, now_ns)
        return message

    def _decode(self, kind: int, epoch: int, payload: bytes) -> Message | None:
        if kind == wire.BLOCK:
            stream, count, first, counter, stamp_us = struct.unpack_from(wire.BLOCK_HEAD, payload)
            return Block(stream, count, first, counter, stamp_us, payload[wire.BLOCK_HEAD_BYTES :])
        if kind == wire.ACK:
            return Ack(*struct.unpack(wire.ACK_FORMAT, payload))
        if kind == wire.PROBE_REPLY:
            return ProbeReply(*struct.unpack(wire.PROBE_REPLY_FORMAT, payload))
        if kind == wire.STATS:
            values = struct.unpack(wire.STATS_FORMAT, payload)
            return Stats(dict(zip(wire.STATS_FIELDS, values, strict=True)))
        if kind == wire.EVENT:
            what, which, pod_us = struct.unpack_from(wire.EVENT_FORMAT, payload)
            text = payload[wire.EVENT_HEAD_BYTES :].decode(errors="replace")
            return Event(what, which, pod_us, text)
        if kind == wire.DICTIONARY:
            whole = self._gather(kind, wire.DICTIONARY_HEAD, payload)
            if whole is None:
                return None
            self.epoch = epoch
            return Dictionary(*whole)
        if kind == wire.REPORT:
            whole = self._gather(kind, wire.REPORT_HEAD, payload)
            return None if whole is None else Report(*whole)
        return None

    def _gather(self, kind: int, head: str, payload: bytes) -> tuple[int, dict[str, Any]] | None:
        """The number and content of a JSON text that comes in parts, once it is whole."""
        number, part, count = struct.unpack_from(head, payload)
        parts = self._parts[kind]
        if part == 0:
            parts.clear()
        parts[part] = payload[struct.calcsize(head) :]
        if len(parts) < count:
            return None
        text = b"".join(parts[i] for i in range(count) if i in parts)
        parts.clear()
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError("a JSON text that is no object")
        return number, content
