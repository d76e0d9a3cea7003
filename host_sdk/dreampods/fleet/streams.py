"""A pod's sensor stream on the host: a ring of samples, a map of its gaps, and the samples' times.

Samples are addressed by their number, never by their arrival. A missing sample is NaN in the ring and
counted; it is not bridged. Times come from a line through the pairs (sample number, pod clock) that
the pod sends with its blocks: the sensor's own oscillator sets the pace, not the pod's crystal.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dreampods.link import Block
from dreampods.resonance import decode_samples

from .clock import ClockMap, PodClock

HELD_S = 120.0
_PAIRS = 400
_PAIRS_FOR_RATE = 20


@dataclass(frozen=True, slots=True)
class Gap:
    """Samples `first` … `first + count - 1` never came."""

    first: int
    count: int


@dataclass(slots=True)
class Stream:
    """One stream of one pod; made from the pod's dictionary."""

    name: str
    unit: str
    rate_hz: float
    channels: tuple[str, ...]
    format: str
    scale: float
    offset: float
    samples: int = 0  # received, over all boots of the pod
    lost: int = 0
    gaps: list[Gap] = field(default_factory=list)
    _ring: NDArray[np.float32] = field(init=False)
    _next: int | None = None  # number of the sample expected next; None before the first
    _held: int = 0
    _pairs: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=_PAIRS))
    _line: tuple[float, float, float] | None = None  # number, pod_us there, µs per sample

    def __post_init__(self) -> None:
        self._ring = np.full((int(HELD_S * self.rate_hz), len(self.channels)), np.nan, np.float32)

    @classmethod
    def from_dictionary(cls, entry: dict[str, Any]) -> Stream:
        """A stream as a pod's dictionary describes it."""
        return cls(
            name=str(entry["name"]),
            unit=str(entry["unit"]),
            rate_hz=float(entry["rate_hz"]),
            channels=tuple(str(label) for label in entry["channels"]),
            format=str(entry["format"]),
            scale=float(entry["scale"]),
            offset=float(entry["offset"]),
        )

    def restart(self) -> None:
        """The pod has rebooted, or sensing begins anew: numbers and clock start over."""
        self._next = None
        self._held = 0
        self._pairs.clear()
        self._line = None

    def count_anew(self) -> None:
        """Begin to count samples and gaps; what was not asked for meanwhile is not missing."""
        self.samples = self.lost = 0
        self.gaps.clear()
        self._next = None
        self._held = 0

    def add(self, block: Block, clock: PodClock) -> NDArray[np.float32]:
        """Take a block; returns its samples (count, channels), after NaN for those missing before it."""
        values = self._decode(block)
        missing = 0
        if self._next is not None:
            missing = block.first - self._next
            if missing < 0:
                return values[:0]  # seen before
            if missing:
                self.lost += missing
                self.gaps.append(Gap(self._next, missing))
        self.samples += len(values)
        self._next = block.first + len(values)
        self._pairs.append((block.stamp_counter, float(clock.extend(block.stamp_us))))
        self._line = None
        if missing:
            missing = min(missing, len(self._ring))
            values = np.concatenate(
                [np.full((missing, len(self.channels)), np.nan, np.float32), values]
            )
        self._store(values)
        return values

    def latest(self, seconds: float) -> NDArray[np.float32]:
        """The last samples, (n, channels), in physical units, NaN where one is missing."""
        count = min(self._held, int(seconds * self.rate_hz))
        if self._next is None or not count:
            return self._ring[:0]
        index = np.arange(self._next - count, self._next) % len(self._ring)
        return self._ring[index]

    @property
    def next_number(self) -> int:
        """Number of the sample that would come next."""
        return self._next or 0

    @property
    def true_rate_hz(self) -> float:
        """Samples per second of pod time, measured where enough was seen, nominal before."""
        return 1e6 / self._fit()[2]

    def pod_us(self, number: float) -> float:
        """Pod time of a sample, in counted-on µs."""
        at, there, period = self._fit()
        return there + (number - at) * period

    def host_ns(self, number: float, mapping: ClockMap) -> float:
        """Host time of a sample."""
        return mapping.to_host_ns(self.pod_us(number))

    def _fit(self) -> tuple[float, float, float]:
        if self._line is None:
            nominal = 1e6 / self.rate_hz
            if not self._pairs:
                return 0.0, 0.0, nominal
            number, stamp = np.array(self._pairs).T
            at, there = number.mean(), stamp.mean()
            period = nominal
            if len(number) >= _PAIRS_FOR_RATE:
                spread = ((number - at) ** 2).sum()
                period = float(((number - at) * (stamp - there)).sum() / spread)
            self._line = float(at), float(there), period
        return self._line

    def _decode(self, block: Block) -> NDArray[np.float32]:
        return decode_samples(
            block.data, len(self.channels), self.format, self.scale, self.offset
        )

    def _store(self, values: NDArray[np.float32]) -> None:
        assert self._next is not None
        values = values[-len(self._ring) :]
        index = np.arange(self._next - len(values), self._next) % len(self._ring)
        self._ring[index] = values
        self._held = min(self._held + len(values), len(self._ring))
