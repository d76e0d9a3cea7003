"""A cable in simulated time that delays bytes, and damages them for as long as it is told to."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Faults:
    """Chances, per write, of a changed byte, of bytes lost, and of bytes that come twice."""

    flip: float = 0.0
    drop: float = 0.0
    double: float = 0.0
    swallow: float = 0.0  # all of the write

    def spoil(self, data: bytes, dice: random.Random) -> bytes:
        spoilt = bytearray(data)
        if dice.random() < self.flip:
            spoilt[dice.randrange(len(spoilt))] ^= dice.randrange(1, 256)
        at = dice.randrange(len(spoilt))
        if dice.random() < self.drop:
            del spoilt[at : at + dice.randrange(1, 40)]
        if dice.random() < self.double:
            spoilt[at:at] = spoilt[at : at + dice.randrange(1, 2000)]
        if dice.random() < self.swallow:
            spoilt.clear()
        return bytes(spoilt)


class Channel:
    """One direction. Bytes keep their order, as in any serial port and in TCP."""

    def __init__(self, dice: random.Random, faults: Faults, delay_us: tuple[int, int]) -> None:
        self.faults = faults
        self.taken = 0  # bytes, before any damage
        self._dice = dice
        self._delay_us = delay_us
        self._under_way: deque[tuple[int, bytes]] = deque()

    def write(self, data: bytes, now_us: int) -> None:
        self.taken += len(data)
        if not data:
            return
        data = self.faults.spoil(data, self._dice)
        arrives_us = now_us + self._dice.randint(*self._delay_us)
        if self._under_way:
            arrives_us = max(arrives_us, self._under_way[-1][0])
        self._under_way.append((arrives_us, data))

    def read(self, now_us: int) -> bytes:
        """All that has arrived by now."""
        arrived = b""
        while self._under_way and self._under_way[0][0] <= now_us:
            arrived += self._under_way.popleft()[1]
        return arrived
