"""Parts of a pod in simulated time: a clock that stands until it is turned, and an I2S ring.

All times are microseconds of the pod's crystal since it was switched on, not wrapped; `ticks_us`
shows them as the chip would. The ring works like `firmware/virtual/machine.py`'s: two halves of a
DMA buffer play in turn, and each time one has played, it is filled from the ring and the ring from
the write that is pending.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dreampods.boards import load_board

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
TICKS = 1 << 30
BOARD: dict[str, Any] = load_board("virtual").compiled()
SOUND: dict[str, Any] = BOARD["sound"]

_COPY_BYTES = 512  # what one interrupt moves from a pending write into the ring


class Time:
    """Simulated pod time, and what happens when."""

    def __init__(self, start_us: int = TICKS - 700_000) -> None:  # every test sees the ticks wrap
        self.us = start_us
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0

    def ticks_us(self) -> int:
        return self.us % TICKS

    def at(self, us: int, action: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._due, (us, self._order, action))

    def run(self, us: int) -> None:
        """Let `us` microseconds pass."""
        end = self.us + us
        while self._due and self._due[0][0] <= end:
            due, _, action = heapq.heappop(self._due)
            self.us = max(self.us, due)
            action()
        self.us = end


class Ring:
    """The I2S. `lateness_us` says by how much each callback is to come late."""

    def __init__(self, time: Time, spec: dict[str, Any] = SOUND) -> None:
        self._time = time
        self._rate_hz = spec["rate_hz"]
        self._channels = spec["channels"]
        self._size = spec["ring_frames"] * spec["channels"] * 2
        self._half = spec["dma_frames"] * spec["channels"]  # bytes of half the DMA buffer
        self._half_us = spec["dma_frames"] // 2 * 1_000_000 // spec["rate_hz"]
        self._held = bytearray()
        self._pending = b""
        self._callback: Callable[[object], None] = lambda _ring: None
        self.lateness_us: Callable[[], int] = lambda: 0
        self.began_us = time.us
        self._played = bytearray(2 * self._half)  # both halves are silent at first
        time.at(time.us + self._half_us, self._fire)

    def irq(self, handler: Callable[[object], None]) -> None:
        self._callback = handler

    def write(self, buffer: bytearray) -> None:
        self._pending = bytes(buffer)

    def _fire(self) -> None:
        self._time.at(self._time.us + self._half_us, self._fire)
        if len(self._held) >= self._half:
            self._played += self._held[: self._half]
            del self._held[: self._half]
        else:
            self._played += bytes(self._half)
        if self._pending:
            count = min(_COPY_BYTES, self._size - len(self._held))
            self._held += self._pending[:count]
            self._pending = self._pending[count:]
            if not self._pending:
                self._time.at(self._time.us + self.lateness_us(), lambda: self._callback(self))

    @property
    def played(self) -> np.ndarray[Any, np.dtype[np.int16]]:
        """(frames, channels): all that has been handed to the transducer, partly yet to sound."""
        return np.frombuffer(bytes(self._played), "<i2").reshape(-1, self._channels)

    @property
    def next_us(self) -> float:
        """When the first frame of the next write will play, if the ring does not run dry."""
        handed = len(self._played) + len(self._held) + len(self._pending)
        return self.us(handed / (2 * self._channels))

    def us(self, frame: float) -> float:
        """When a frame begins to play."""
        return self.began_us + frame * 1e6 / self._rate_hz

    def frame(self, us: float) -> int:
        """The frame that begins to play nearest to `us`."""
        return round((us - self.began_us) * self._rate_hz / 1e6)
