"""How loud a sound is, to an ear and for a week: weighted levels, loudness, and dose.

Everything is kept as energies, which add: those of two blocks, of two hosts, of seven nights. Levels
are made of them only to be shown.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import (
    KernelObject,
    between,
    checked,
    lib,
    not_negative,
    number,
    pointer,
    positive,
    whole,
)

Floats = NDArray[np.float64]

REFERENCE_PA = 20e-6  # 0 dB of sound pressure
_MOST_DBA = 200.0  # at 194 the valleys between crests are empty of air
WEEK_PA2H = 1.6  # ITU-T H.870: 100 % of a week's dose for adults, 80 dBA for 40 h


class Meter(KernelObject):
    """Weighted energies of N stereo sounds, block after block.

    weighting: "A" after IEC 61672-1, at 32 kHz within 0.4 dB of its table from 20 Hz to 10 kHz, and
    0.7 dB at 12.5 kHz (class 1 allows +2 and -5 there); "K" after ITU-R BS.1770-4.
    """

    def __init__(
        self, sounds: int, *, rate_hz: float = 32000, weighting: Literal["A", "K"] = "A"
    ) -> None:
        count = whole("sounds", sounds)
        rate = between("rate_hz", rate_hz, lib.RS_METER_LEAST_HZ, lib.RS_METER_MOST_HZ)
        if weighting not in ("A", "K"):
            raise ValueError(f'weighting must be "A" or "K", not {weighting!r}')
        self._make(lib.rs_meter_new, lib.rs_meter_free, count, rate, weighting.encode())
        self._sounds = count

    def energy(self, x: ArrayLike) -> Floats:
        """Σ of squares of the weighted x (N, frames, 2), over both sides: (N,). Full scale at 1.0.

        The mean square, as `Mixed.weighted_square` and `Exposure.of_sound` have it, is that divided
        by 2 frames.
        """
        sound = checked("x", x, np.float32, (self._sounds, "frames", 2))
        energy = np.empty(self._sounds)
        self._call(lib.rs_meter_process, sound.shape[1], pointer(sound), pointer(energy))
        return energy


class Loudness:
    """Momentary and short-term loudness of N stereo sounds, in LUFS (ITU-R BS.1770-4, EBU Tech 3341).

    block_frames: of each block that comes; 0.4 s and 3 s must be whole numbers of blocks.
    """

    def __init__(self, sounds: int, block_frames: int, *, rate_hz: float = 32000) -> None:
        frames = whole("block_frames", block_frames)
        rate = number("rate_hz", rate_hz)
        meter = Meter(sounds, rate_hz=rate, weighting="K")
        blocks = [_blocks(seconds, frames, rate) for seconds in (0.4, 3.0)]
        self._momentary, self._short = blocks
        self._sounds, self._meter, self._frames = int(sounds), meter, frames
        self._energy: deque[Floats] = deque(maxlen=self._short)

    def push(self, x: ArrayLike) -> None:
        """The next block, x (N, block_frames, 2)."""
        sound = checked("x", x, np.float32, (self._sounds, self._frames, 2))
        self._energy.append(self._meter.energy(sound))

    @property
    def momentary(self) -> Floats:
        """Of the last 0.4 s, (N,), LUFS; -inf for silence, NaN before there are so many."""
        return self._level(self._momentary)

    @property
    def short_term(self) -> Floats:
        """Of the last 3 s, (N,), LUFS; -inf for silence, NaN before there are so many."""
        return self._level(self._short)

    def _level(self, blocks: int) -> Floats:
        if len(self._energy) < blocks:
            return np.full(self._sounds, np.nan)
        # The sum over both sides, each with weight 1, of its mean square.
        power = sum(list(self._energy)[-blocks:]) / (blocks * self._frames)
        with np.errstate(divide="ignore"):
            return np.asarray(-0.691 + 10 * np.log10(power))


def _blocks(seconds: float, frames: int, rate_hz: float) -> int:
    blocks = seconds * rate_hz / frames
    if blocks < 0.5 or abs(blocks - round(blocks)) > 1e-6:
        raise ValueError(f"{seconds:g} s are not a whole number of blocks of {frames} frames")
    return round(blocks)


@dataclass(frozen=True, slots=True)
class Exposure:
    """What an ear has taken in: sound exposure of A-weighted sound, in Pa²s, and over how long.

    Exposures add: ``first + second``, whoever measured them and in whatever order.
    """

    pa2s: float = 0.0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        for name in ("pa2s", "seconds"):
            object.__setattr__(self, name, not_negative(name, getattr(self, name)))

    def __add__(self, other: Exposure) -> Exposure:
        return Exposure(self.pa2s + other.pa2s, self.seconds + other.seconds)

    @classmethod
    def of_level(cls, laeq_dba: float, seconds: float) -> Exposure:
        """A level that lasted for a time: LAeq, dBA."""
        level = between("laeq_dba", laeq_dba, -_MOST_DBA, _MOST_DBA)
        lasted = positive("seconds", seconds)
        return cls(REFERENCE_PA**2 * 10 ** (level / 10) * lasted, lasted)

    @classmethod
    def of_sound(cls, mean_square: float, seconds: float, full_scale_dba: float) -> Exposure:
        """A-weighted mean square (full scale 1), as `Mixed.weighted_square`, of a sound that lasted.

        full_scale_dba: the sound level of a full-scale sine, whose mean square is one half.
        """
        power, lasted = not_negative("mean_square", mean_square), positive("seconds", seconds)
        full = between("full_scale_dba", full_scale_dba, -_MOST_DBA, _MOST_DBA)
        return cls(REFERENCE_PA**2 * 10 ** (full / 10) * 2 * power * lasted, lasted)

    @property
    def laeq_dba(self) -> float:
        """The equivalent continuous level, dBA; -inf for silence or no time at all."""
        power = self.pa2s / self.seconds if self.seconds > 0 else 0.0
        return 10 * math.log10(power / REFERENCE_PA**2) if power > 0 else -math.inf

    @property
    def sel_dba(self) -> float:
        """The sound exposure level: the same energy within one second, dBA."""
        return 10 * math.log10(self.pa2s / REFERENCE_PA**2) if self.pa2s > 0 else -math.inf

    @property
    def dose(self) -> float:
        """The share of a week's 1.6 Pa²h (WHO-ITU H.870, adults); 1.0 is all of it.

        Equal energy: 3 dB more is twice the dose. Everything counts, however quiet.
        """
        return self.pa2s / (3600 * WEEK_PA2H)
