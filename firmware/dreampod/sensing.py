"""Sensing: samples from an interrupt into a ring, from the ring into blocks for the host.

No sample carries a time. Each carries its number, and each block one pair (number, pod clock) that
ties the two; the host regresses over the pairs and so knows the sensor's own rate. Samples that
nobody fetched in time are overwritten, but their numbers are used up: the host sees which are missing.
"""

import struct

from dreampod import wire
from dreampod.clock import ticks_us

_BLOCKS_HELD = 8


class Stream:
    """One sensor's samples. The driver calls `push` from its interrupt, the loop calls `step`."""

    def __init__(self, number, spec, fast, link, clock):
        self.number = number
        self.spec = spec
        self._link = link
        self._clock = clock
        self._copy = fast.copy
        self._frame_bytes = wire.SAMPLE_BYTES[spec["format"]] * len(spec["channels"])
        self._block = spec["block"]
        if wire.BLOCK_HEAD_BYTES + self._block * self._frame_bytes > wire.MAX_PAYLOAD:
            raise ValueError(
                "stream %s: a block of %d samples does not fit a frame"
                % (spec["name"], self._block)
            )
        self._size = self._block * _BLOCKS_HELD  # samples
        self._ring = bytearray(self._size * self._frame_bytes)
        # The clock at the first sample of each block held
        self._stamps = [ticks_us()] * _BLOCKS_HELD
        self._broken = bytearray(_BLOCKS_HELD)  # 1: a sample of that block never came
        self.on = False
        self._counter = 0  # samples the sensor has delivered; only the interrupt writes it
        self._sent = 0  # samples sent or given up; only the loop writes it
        self.overflows = 0
        self.tap = None  # who else wants each sample as it comes; only copies, for this is an interrupt

    def start(self, on):
        """Begin to send samples, from the next whole block on, or stop."""
        if on and not self.on:
            self._sent = (self._counter // self._block + 1) * self._block
        self.on = on

    def push(self, source, offset):
        """Take one frame of samples from `source` at `offset`. Runs in an interrupt: no allocation."""
        self.push_at(source, offset, ticks_us())

    def push_at(self, source, offset, ticks):
        """The same, by a driver that knows better when the sample was taken."""
        counter = self._counter
        place = counter % self._size
        if place % self._block == 0:
            self._stamps[place // self._block] = ticks
            self._broken[place // self._block] = 0
        self._copy(self._ring, place * self._frame_bytes, source, offset, self._frame_bytes)
        self._counter = counter + 1
        if self.tap is not None:
            self.tap.sample(source, offset)

    def skip(self, count):
        """Samples were taken that nobody can have. Their numbers are used up, their blocks given up."""
        first = self._counter // self._block
        self._counter += count
        behind = (self._counter + self._block - 1) // self._block
        for block in range(max(first, behind - _BLOCKS_HELD), behind):
            self._broken[block % _BLOCKS_HELD] = 1

    def step(self, _now):
        """Send a block if one is whole."""
        if not self.on or self._counter - self._sent < self._block:
            return
        if self._overwritten():
            return
        link = self._link
        place = self._sent % self._size
        if self._broken[place // self._block]:
            self.overflows += self._block
            self._sent += self._block
            return
        length = self._block * self._frame_bytes
        struct.pack_into(
            wire.BLOCK_HEAD, link.tx, 8, self.number, self._block, self._sent, self._sent, 0
        )
        self._clock.put(link.tx, 20, self._stamps[place // self._block])
        self._copy(link.tx, 24, self._ring, place * self._frame_bytes, length)
        if self._overwritten():  # the interrupt came round while we copied
            return
        self._sent += self._block
        link.send(wire.BLOCK, wire.BLOCK_HEAD_BYTES + length)

    def _overwritten(self):
        """Give up the blocks that newer samples have replaced; true if there were any."""
        excess = self._counter - self._sent - self._size
        if excess <= 0:
            return False
        lost = (excess + self._block - 1) // self._block * self._block
        self.overflows += lost
        self._sent += lost
        return True
