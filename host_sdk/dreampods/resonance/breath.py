"""Breaths of a belt: the phase at every sample, each breath with its quality, and the rate.

The live phase is known at once and as right as it can be before a breath is over. `breath_phase`
tells it afterwards, between crests and troughs that are certain. How both are found is told in
csrc/include/resonance/rhythm.h.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import (
    KernelObject,
    between,
    checked,
    ffi,
    lib,
    masked,
    pointer,
    whole,
)
from dreampods.resonance.events import Events

_LEAST_HZ, _MOST_HZ = 10, 1000
# rs_breath of rhythm.h
_BREATH = np.dtype(
    [
        ("at", np.float64),
        ("trough", np.float64),
        ("interval_s", np.float64),
        ("depth", np.float64),
        ("quality", np.float64),
        ("told", np.int64),
        ("channel", np.int32),
        ("verdict", np.int32),
    ]
)


class BreathVerdict(IntEnum):
    """What to think of the breath that a crest ends.

    SIGH: more than 1.8 times as deep as usual. SHALLOW: less than half. PAUSE: more than 1.7 times
    as long as usual. DOUBTFUL: quality below 0.5, as in movement, or one of the first breaths.
    GAP: samples are missing since the crest before, or there was none; its length is NaN.
    """

    STEADY = lib.RS_BREATH_STEADY
    SIGH = lib.RS_BREATH_SIGH
    SHALLOW = lib.RS_BREATH_SHALLOW
    PAUSE = lib.RS_BREATH_PAUSE
    DOUBTFUL = lib.RS_BREATH_DOUBTFUL
    GAP = lib.RS_BREATH_GAP


@dataclass(frozen=True, slots=True, eq=False)
class Breaths(Events):
    """Breaths, all arrays (n,), ordered by channel, then by time.

    time_s: of the crest, full inhalation, seconds since the first sample that the follower ever got.
    trough_s: of the lowest point before it, NaN if none was seen. interval_s: since the crest before; NaN
    where the verdict is GAP. depth: from trough to crest, in the signal's unit, NaN where no trough was seen.
    quality: 0..1. verdict: a `BreathVerdict`. told_s: time of the sample that brought the news.
    """

    time_s: NDArray[np.float64]
    trough_s: NDArray[np.float64]
    interval_s: NDArray[np.float64]
    depth: NDArray[np.float64]
    quality: NDArray[np.float64]
    verdict: NDArray[np.int64]
    told_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Breathing:
    """phase (frames, channels): radians from -π to π, 0 at the crest, π at the trough; NaN before anything
    is known. confidence (frames, channels): 0..1. breaths: those that became certain.
    """

    phase: NDArray[np.float64]
    confidence: NDArray[np.float64]
    breaths: Breaths


class BreathFollower(KernelObject):
    """Follows breaths in signals as they come, at constant cost per sample.

    channels: number of signals, belts or others that rise with the breath in (turn a thermistor at the nose
    round if it does not). rate_hz: 10 to 1000.

    A breath is told when the signal has fallen by a quarter of the usual depth, most often half a second to a
    second after its crest; for as long as somebody holds the breath in, its crest is not certain. So
    nothing is left to be told when the signal ends: a last crest from which it did not fall is no breath yet.
    """

    def __init__(self, channels: int, rate_hz: float) -> None:
        signals = whole("channels", channels)
        rate = between("rate_hz", rate_hz, _LEAST_HZ, _MOST_HZ)
        self._make(lib.rs_breaths_new, lib.rs_breaths_free, signals, rate)
        self._channels, self._rate_hz = signals, rate

    @property
    def hz(self) -> NDArray[np.float64]:
        """(channels,), breaths per second, the median of the last seven; NaN before there was one."""
        hz = np.empty(self._channels)
        self._call(lib.rs_breaths_rate, pointer(hz))
        return hz

    def process(self, x: ArrayLike, valid: ArrayLike | None = None) -> Breathing:
        """Phase, confidence and breaths of the signals x (frames, channels), any unit.

        valid: (frames, channels), False where a sample is missing; x may be anything there.
        However the frames are divided into calls, the results are the same.

        Raises:
            ValueError: wrong shape, nothing in it, or NaN or infinity in a valid sample.
        """
        signal, mask = masked(x, valid, self._channels)
        phase, confidence = np.empty(signal.shape), np.empty(signal.shape)
        found = np.empty(self._call(lib.rs_breaths_most, len(signal)), _BREATH)
        count = self._call(
            lib.rs_breaths_process,
            len(signal),
            pointer(signal),
            pointer(mask),
            pointer(phase),
            pointer(confidence),
            ffi.from_buffer("rs_breath[]", found),
        )
        return Breathing(phase, confidence, self._told(found[:count]))

    def _told(self, found: NDArray[np.void]) -> Breaths:
        found = found[np.argsort(found["channel"], kind="stable")]
        return Breaths(
            channel=found["channel"].astype(np.int64),
            time_s=found["at"] / self._rate_hz,
            trough_s=found["trough"] / self._rate_hz,
            interval_s=found["interval_s"].copy(),
            depth=found["depth"].copy(),
            quality=found["quality"].copy(),
            verdict=found["verdict"].astype(np.int64),
            told_s=found["told"] / self._rate_hz,
        )


def breath_phase(
    breaths: Breaths, time_s: ArrayLike, *, channel: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Phase (n,) in radians from -π to π at the moments time_s (n,), and where it is valid (n,).

    channel: whose.
    Known afterwards: 0 at each crest, π at the trough between, straight lines between them. Not valid, and
    NaN, outside of the breaths, and in those with the verdict GAP or DOUBTFUL.

    Raises:
        ValueError: time_s of another shape, empty, or not finite.
    """
    t = checked("time_s", time_s, np.float64, ("n",))
    mine = breaths.channel == channel
    crest, trough, verdict = breaths.time_s[mine], breaths.trough_s[mine], breaths.verdict[mine]
    if len(crest) < 2:
        return np.full(t.shape, np.nan), np.zeros(t.shape, np.bool_)
    ends = np.searchsorted(crest, t, side="right")
    inside = (ends > 0) & (ends < len(crest))
    at = np.where(inside, ends, 1)
    believed = (verdict != BreathVerdict.GAP) & (verdict != BreathVerdict.DOUBTFUL)
    valid = inside & believed[at]
    before, low, after = crest[at - 1], trough[at], crest[at]
    with np.errstate(divide="ignore", invalid="ignore"):  # of breaths that are not valid
        phase = np.where(
            t < low, np.pi * (t - before) / (low - before), np.pi * (t - after) / (after - low)
        )
    return np.where(valid, phase, np.nan), valid
