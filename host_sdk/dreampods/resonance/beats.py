"""Heartbeats of a pulse wave or an electrocardiogram, one by one, and the heart rate they make.

A beat comes with its quality, and its interval with a verdict. Nothing is corrected: a missed beat
stays missing, an extra one is called so by the next, and where no interval is steady there is no
heart rate. What counts as what is told in csrc/include/resonance/rhythm.h.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import (
    KernelObject,
    between,
    ffi,
    lib,
    masked,
    number,
    pointer,
    positive,
    whole,
)
from dreampods.resonance.events import Events

_LISTEN = {"pulse": lib.RS_PULSE, "ecg": lib.RS_ECG}
_LEAST_HZ, _MOST_HZ = 25, 1000
# rs_beat of rhythm.h
_BEAT = np.dtype(
    [
        ("at", np.float64),
        ("interval_s", np.float64),
        ("quality", np.float64),
        ("told", np.int64),
        ("channel", np.int32),
        ("verdict", np.int32),
    ]
)


class Verdict(IntEnum):
    """What to think of the interval that a beat ends. Only STEADY ones make a heart rate.

    EARLY: much shorter than the last ones; this beat is ectopic, or none: the next one tells.
    LATE: much longer, by no whole number of beats. MISSED: about two or more beats long.
    EXTRA: with the early one before, as long as one beat: the beat between them was none.
    PAUSE: with the early one before, as long as two: the beat between them was ectopic.
    DOUBTFUL: a beat at its end is below quality 0.5, or nothing can be expected, because fewer than
    two intervals are known or they change by a quarter from each to the next, as in noise.
    GAP: samples are missing in it, it exceeds 2.5 s, or it is the first; its length is NaN.
    """

    STEADY = lib.RS_BEAT_STEADY
    EARLY = lib.RS_BEAT_EARLY
    LATE = lib.RS_BEAT_LATE
    MISSED = lib.RS_BEAT_MISSED
    EXTRA = lib.RS_BEAT_EXTRA
    PAUSE = lib.RS_BEAT_PAUSE
    DOUBTFUL = lib.RS_BEAT_DOUBTFUL
    GAP = lib.RS_BEAT_GAP


@dataclass(frozen=True, slots=True, eq=False)
class Beats(Events):
    """Beats, all arrays (n,), ordered by channel, then by time.

    time_s: of the R wave or the pulse's crest, seconds since the first sample that
    the detector ever got. interval_s: since the beat before, of a pulse between the steepest rises;
    NaN where the verdict is GAP. quality: 0..1. verdict: a `Verdict`. told_s: time of the sample
    that brought the news.
    """

    time_s: NDArray[np.float64]
    interval_s: NDArray[np.float64]
    quality: NDArray[np.float64]
    verdict: NDArray[np.int64]
    told_s: NDArray[np.float64]


class BeatDetector(KernelObject):
    """Finds beats in signals as they come, at constant cost per sample.

    channels: number of signals. rate_hz: 25 to 1000; an electrocardiogram wants 50 or more, since
    its R wave lasts less than a sample of 25 Hz. listen: "pulse" for a pulse wave (PPG, blood
    volume) that rises when blood comes: turn raw light intensities round, or the foot of a pulse is
    taken for its crest; "ecg" for an electrocardiogram of either polarity. Where its waves up and
    down are as high, it is the one up.

    Source: two moving averages after Elgendi 2013 (doi 10.1371/journal.pone.0073557 and
    10.1371/journal.pone.0076585), taken over slopes; quality by correlation with a running
    template after Orphanidou et al. 2015 (doi 10.1109/JBHI.2014.2338351).
    """

    def __init__(self, channels: int, rate_hz: float, listen: Literal["pulse", "ecg"]) -> None:
        signals = whole("channels", channels)
        rate = between("rate_hz", rate_hz, _LEAST_HZ, _MOST_HZ)
        if listen not in _LISTEN:
            raise ValueError(f"listen must be 'pulse' or 'ecg', not {listen!r}")
        self._make(lib.rs_beats_new, lib.rs_beats_free, signals, rate, _LISTEN[listen])
        self._channels, self._rate_hz = signals, rate

    @property
    def latency_s(self) -> float:
        """How long after it happened a beat is told at most; half of this is usual."""
        return int(self._call(lib.rs_beats_latency)) / self._rate_hz

    def process(self, x: ArrayLike, valid: ArrayLike | None = None) -> Beats:
        """The beats that the signals x (frames, channels), any unit, bring to light.

        valid: (frames, channels), False where a sample is missing; x may be anything there.
        However the frames are divided into calls, the beats are the same.

        Raises:
            ValueError: wrong shape, nothing in it, or NaN or infinity in a valid sample.
        """
        signal, mask = masked(x, valid, self._channels)
        found = np.empty(self._call(lib.rs_beats_most, len(signal)), _BEAT)
        count = self._call(
            lib.rs_beats_process,
            len(signal),
            pointer(signal),
            pointer(mask),
            ffi.from_buffer("rs_beat[]", found),
        )
        return self._told(found[:count])

    def finish(self) -> Beats:
        """The last beats, when no sample will follow: goes on with missing ones for latency_s.

        Their time has passed then: a new recording wants a new detector.
        """
        frames = int(self._call(lib.rs_beats_latency))
        shape = (frames, self._channels)
        return self.process(np.zeros(shape), np.zeros(shape, np.bool_))

    def _told(self, found: NDArray[np.void]) -> Beats:
        found = found[np.argsort(found["channel"], kind="stable")]
        return Beats(
            channel=found["channel"].astype(np.int64),
            time_s=found["at"] / self._rate_hz,
            interval_s=found["interval_s"].copy(),
            quality=found["quality"].copy(),
            verdict=found["verdict"].astype(np.int64),
            told_s=found["told"] / self._rate_hz,
        )


def heart_rate(
    beats: Beats,
    start_s: float,
    stop_s: float,
    rate_hz: float = 4.0,
    *,
    channel: int = 0,
    form: Literal["step", "linear"] = "step",
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Heart rate (n,) in beats per minute at start_s + k / rate_hz before stop_s, and where it is valid (n,).

    channel: whose; one that told no beat has no rate. Live, ask for the last few seconds of the last
    dozens of parts (``Beats.joined(parts[-60:])``) and take the newest valid value: it is a second old,
    since a beat ends the interval that tells the rate, and is itself told late.
    form: "step", 60 / length of the steady interval that a moment lies in; "linear", straight lines
    between the middles of steady intervals that follow each other. NaN and not valid wherever no
    steady interval is. Made again from more beats, a value stays once one beat after it has been told,
    a "linear" one once two have.

    Raises:
        ValueError: stop_s not after start_s, or numbers that are none.
    """
    start, stop = number("start_s", start_s), number("stop_s", stop_s)
    rate = positive("rate_hz", rate_hz)
    if stop <= start:
        raise ValueError(f"stop_s must be after start_s, {start:g}, it is {stop:g}")
    if form not in ("step", "linear"):
        raise ValueError(f"form must be 'step' or 'linear', not {form!r}")
    t = start + np.arange(int(np.ceil(np.round((stop - start) * rate, 6)))) / rate
    mine = beats.channel == channel
    time = beats.time_s[mine]
    if len(time) < 2:
        return np.full(t.shape, np.nan), np.zeros(t.shape, np.bool_)
    bpm = np.where(beats.verdict[mine] == Verdict.STEADY, 60 / beats.interval_s[mine], np.nan)
    ends = np.searchsorted(time, t, side="left")
    inside = (ends > 0) & (ends < len(time))
    at = np.where(inside, ends, 0)
    value = np.where(inside, bpm[at], np.nan)
    if form == "linear":
        # Towards the neighbour on whose side of the middle the moment lies, if that is steady too
        middle = np.r_[np.nan, (time[1:] + time[:-1]) / 2]
        other = np.clip(np.where(t < middle[at], at - 1, at + 1), 0, len(time) - 1)
        steady = np.isfinite(value) & np.isfinite(bpm[other]) & (other != at)
        here, there = at[steady], other[steady]
        share = (t[steady] - middle[here]) / (middle[there] - middle[here])
        value[steady] += share * (bpm[there] - bpm[here])
    return value, np.isfinite(value)
