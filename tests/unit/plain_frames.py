"""Frames found in plain Python: what the kernel must equal, and is measured against.

The reader that the host had before the kernel took its place: step by step what `wire.py` says.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from dreampods.firmware.dreampod import wire


class PlainReader:
    """One stream; counters as `link.protocol` keeps them."""

    def __init__(self) -> None:
        self.corrupt = 0
        self.skipped_bytes = 0
        self.held = bytearray()

    def take(self, data: bytes) -> Iterator[bytes]:
        """The frames that are whole by now."""
        self.held += data
        held = self.held
        at = 0
        while len(held) - at >= wire.HEADER_BYTES:
            if not wire.header_ok(held[at : at + wire.HEADER_BYTES]):
                if held[at] == wire.MAGIC:
                    self.corrupt += 1
                following = held.find(wire.MAGIC, at + 1)
                following = len(held) if following < 0 else following
                self.skipped_bytes += following - at
                at = following
                continue
            length = wire.HEADER_BYTES + wire.payload_length(held[at:]) + wire.CRC_BYTES
            if len(held) - at < length:
                break
            frame = bytes(held[at : at + length])
            if zlib.crc32(frame) != wire.CRC_RESIDUE:
                self.corrupt += 1
                self.skipped_bytes += 1
                at += 1
                continue
            at += length
            yield frame
        del held[:at]
