"""The host's side of an update over the link, without input or output: payloads out, reports in.

The pod's side is `firmware/dreampod/update.py`. The pod says which files it holds already, so an update
that was cut off is taken up by beginning again.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections import deque
from typing import Any, Literal

from dreampods.errors import FlashError
from dreampods.firmware.dreampod import wire

from .bundle import Bundle

_PIECE_BYTES = wire.MAX_PAYLOAD - 1  # behind the op

State = Literal["asking", "sending", "checking", "done", "refused"]


class UpdateSession:
    """Brings one bundle to one pod. `next` gives what to send, `take` gets what the pod reports.

    Args:
        bundle: what `read_bundle` has checked.
        key: the pod's own key.
    """

    def __init__(self, bundle: Bundle, key: bytes) -> None:
        self._bundle = bundle
        self._mac = hmac.new(key, bundle.manifest, hashlib.sha256).digest()
        self._files: list[list[Any]] = bundle.about["files"]
        self.total_bytes = sum(int(size) for _, size, _ in self._files)
        self.begin()

    def begin(self) -> None:
        """Begin, or begin again: after the pod was out of reach, for instance."""
        self.state: State = "asking"
        self.reason = ""  # why the pod refused
        self.slot = ""  # the slot that will be started, once done
        self.sent_bytes = 0  # of all the pod needs, with what it held before
        manifest = self._bundle.manifest
        self._queue: deque[bytes] = deque()
        head = struct.pack("<I", len(manifest)) + self._mac
        self._queue.append(_payload(wire.UPDATE_BEGIN, head))
        self._append(wire.UPDATE_MANIFEST, manifest)

    def next(self, room: int) -> list[bytes]:
        """At most `room` payloads to send now."""
        payloads: list[bytes] = []
        while self._queue and len(payloads) < room:
            payload = self._queue.popleft()
            if payload[0] == wire.UPDATE_DATA:
                self.sent_bytes += len(payload) - 1
            payloads.append(payload)
        if self.state == "sending" and not self._queue:
            self.state = "checking"
        return payloads

    def take(self, report: dict[str, Any]) -> None:
        """Follow a report of the pod's; those of others are let pass."""
        kind = report.get("update")
        if kind == "begin" and self.state == "asking":
            self._send_files(set(report.get("have", ())))
        elif kind == "done" and self.state == "checking":
            self.slot = str(report.get("slot", ""))
            self.state = "done"
        elif kind == "refused":
            self._queue.clear()
            self.reason = str(report.get("reason", "no reason given"))
            self.state = "refused"

    def raise_if_refused(self, pod: str) -> None:
        """Raise FlashError with the pod's reason, if it has refused."""
        if self.state == "refused":
            raise FlashError(f"{pod} keeps its firmware: {self.reason}")

    def _send_files(self, have: set[int]) -> None:
        self.state = "sending"
        for number, (name, size, _) in enumerate(self._files):
            if number in have:
                self.sent_bytes += int(size)
                continue
            self._queue.append(_payload(wire.UPDATE_FILE, struct.pack("<H", number)))
            self._append(wire.UPDATE_DATA, self._bundle.files[name])
        self._queue.append(_payload(wire.UPDATE_END))

    def _append(self, op: int, data: bytes) -> None:
        for at in range(0, len(data), _PIECE_BYTES):
            self._queue.append(_payload(op, data[at : at + _PIECE_BYTES]))


def _payload(op: int, data: bytes = b"") -> bytes:
    return bytes((op,)) + data
