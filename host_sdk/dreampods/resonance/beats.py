"""Heartbeats of a pulse wave or an electrocardiogram, one by one, and the heart rate they make.

Every beat says how good it is, and every interval whether it is to be believed. Nothing is
corrected: a missed beat stays missing, and where no interval is steady there is no heart rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import checked, ffi, lib, new, number, pointer, positive, whole


class Verdict(IntEnum):
    """What is to be thought of the interval that a beat ends."""

    STEADY = lib.RS_BEAT_STEADY
    EARLY = lib.RS_BEAT_EARLY
    LATE = lib.RS_BEAT_LATE
    MISSED = lib.RS_BEAT_MISSED
    EXTRA = lib.RS_BEAT_EXTRA
    PAUSE = lib.RS_BEAT_PAUSE
    DOUBTFUL = lib.RS_BEAT_DOUBTFUL
    GAP = lib.RS_BEAT_GAP


@dataclass(frozen=True, slots=True)
class Beats:
    """Beats (n,), by channel, then by time.

    time_s: of the R wave, or the pulse's crest, seconds since the first sample ever given.
    """

    channel: NDArray[np.int64]
    time_s: NDArray[np.float64]
    interval_s: NDArray[np.float64]
    quality: NDArray[np.float64]
    verdict: NDArray[np.int64]
    told_s: NDArray[np.float64]


_BEAT = np.dtype(
    [
        ("at", "f8"),
        ("interval_s", "f8"),
        ("quality", "f8"),
        ("told", "i8"),
        ("channel", "i4"),
        ("verdict", "i4"),
    ]
)
_LISTEN = {"pulse": (lib.RS_PULSE, 25.0), "ecg": (lib.RS_ECG, 50.0)}


class BeatDetector:
    def __init__(self, channels: int, rate_hz: float, listen: Literal["pulse", "ecg"]) -> None:
        self._channels = whole("channels", channels)
        self._rate_hz = positive("rate_hz", rate_hz)
        kind, least_hz = _LISTEN[listen]
        self._beats = new(
            lib.rs_beats_new, lib.rs_beats_free, self._channels, self._rate_hz, kind
        )

    @property
    def latency_s(self) -> float:
        return int(lib.rs_beats_latency(self._beats)) / self._rate_hz

    def process(self, x: ArrayLike, valid: ArrayLike | None = None) -> Beats:
        shape = ("frames", self._channels)
        if valid is None:
            signal = checked("x", x, np.float64, shape)
            mask = None
        else:
            signal = checked("x", x, np.float64, shape, finite=False)
            mask = checked("valid", valid, np.bool_, signal.shape)
            checked("x where valid", np.where(mask, signal, 0.0), np.float64, shape)
        found = np.empty(lib.rs_beats_most(self._beats, len(signal)), _BEAT)
        count = lib.rs_beats_process(
            self._beats, len(signal), pointer(signal), pointer(mask),
            ffi.from_buffer("rs_beat[]", found),
        )
        told = found[:count]
        return Beats(
            told["channel"].astype(np.int64), told["at"] / self._rate_hz, told["interval_s"].copy(),
            told["quality"].copy(), told["verdict"].astype(np.int64), told["told"] / self._rate_hz,
        )
