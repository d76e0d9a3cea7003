"""The gate: every sound on its way to a pod passes here, and nothing reaches a pod past it.

Two limits, both from the pod's calibration and the policy, whichever is lower. The hard limit holds
for each single sample; the mixer's limiter aims for it, the gate makes sure. The level limit holds
for the A-weighted energy, as the mixer measures it: the gate turns a pod down by as much as its sound
of the last seconds, before it was turned down, would exceed it. (Steering by the level after the trim
instead would swing: that level answers late, and a sound far too loud would go to silence and back.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .consent import Consent

CEILING_DBA = 60.0
HARD_DBA = 75.0

_SQUARE_DB = 3.0103  # a square wave above a sine of the same height: no wave of that height is louder
_RESAMPLER_ROOM_DB = 0.5  # what a sound may rise between the samples that the limiter saw
_LEVEL_MEMORY_S = 10.0  # of the level that is shown
_DEMAND_MEMORY_S = 3.0  # of the level that the trim follows; shorter, for it must be there first
_KNEE_DB = 1.0  # the pod is turned down from here on below its ceiling
_FALL_DB_PER_S = 50.0
_RELEASE_DB_PER_S = 1.0
_QUIETEST_MEAN_SQUARE = 1e-12


@dataclass(frozen=True, slots=True)
class Limits:
    """One pod's limits. dBFS: 0 is a full-scale sine."""

    full_scale_dba: float  # the sound level of a full-scale sine, from the pod's calibration
    ceiling_dba: float
    hard_dba: float

    @classmethod
    def of(cls, pod_limits: Mapping[str, float]) -> Limits:
        """The pod's own limits or the policy's, whichever are lower."""
        return cls(
            full_scale_dba=pod_limits["full_scale_dba"],
            ceiling_dba=min(CEILING_DBA, pod_limits["ceiling_dba"]),
            hard_dba=min(HARD_DBA, pod_limits["hard_dba"]),
        )

    @property
    def peak(self) -> float:
        """The largest sample, linear, full scale 1: the crest of a square wave at the hard limit."""
        return min(1.0, 10 ** ((self.hard_dba - self.full_scale_dba - _SQUARE_DB) / 20))

    @property
    def ceiling_dbfs(self) -> float:
        """The level limit, A-weighted, relative to a full-scale sine of 1 kHz."""
        return self.ceiling_dba - self.full_scale_dba


class Gate:
    """For all pods of a session. `trim` before mixing, `admit` before sending."""

    def __init__(self, consent: Consent, limits: Mapping[str, Limits]) -> None:
        self.consent = consent
        self.limits = dict(limits)
        self.stopped: str | None = None  # why
        self.held_samples = 0  # that the hard limit had to hold here: a fault of the mix if not 0
        self._square = dict.fromkeys(limits, 0.0)  # A-weighted, mean
        self._demand = dict.fromkeys(limits, 0.0)  # the same as it would be without the trim
        self._trim_db = dict.fromkeys(limits, 0.0)

    def stop(self, reason: str) -> None:
        """Nothing passes any more."""
        self.stopped = self.stopped or reason

    def mixer_ceiling(self, pod: str) -> float:
        """What the mixer should limit this pod to, linear."""
        return self.limits[pod].peak * 10 ** (-_RESAMPLER_ROOM_DB / 20)

    def trim(self, pod: str, seconds: float) -> float:
        """The linear gain by which this pod is turned down for the next `seconds` of sound."""
        limits = self.limits[pod]
        demand_dbfs = 10 * math.log10(max(2 * self._demand[pod], _QUIETEST_MEAN_SQUARE))
        excess_db = demand_dbfs + _KNEE_DB - limits.ceiling_dbfs
        now_db = self._trim_db[pod]
        lowest_db = now_db - _FALL_DB_PER_S * seconds
        highest_db = now_db + _RELEASE_DB_PER_S * seconds
        self._trim_db[pod] = min(0.0, highest_db, max(lowest_db, -excess_db))
        return float(10 ** (self._trim_db[pod] / 20))

    def measure(self, pod: str, weighted_square: float, seconds: float) -> None:
        """Take note of the A-weighted mean square (full scale 1) of `seconds` of sound for this pod."""
        share = 1 - math.exp(-seconds / _LEVEL_MEMORY_S)
        self._square[pod] += share * (weighted_square - self._square[pod])
        untrimmed = weighted_square / 10 ** (self._trim_db[pod] / 10)
        share = 1 - math.exp(-seconds / _DEMAND_MEMORY_S)
        self._demand[pod] += share * (untrimmed - self._demand[pod])

    def level_dbfs(self, pod: str) -> float:
        """A-weighted level of about the last ten seconds, relative to a full-scale sine of 1 kHz."""
        return 10 * math.log10(max(2 * self._square[pod], _QUIETEST_MEAN_SQUARE))

    def admit(self, pod: str, pcm: NDArray[np.int16]) -> NDArray[np.int16] | None:
        """The sound as it may go out, or None if none may."""
        if self.stopped is not None:
            return None
        most = int(self.limits[pod].peak * 32767)
        if pcm.size and (int(pcm.max()) > most or int(pcm.min()) < -most):
            self.held_samples += int(np.count_nonzero(np.abs(pcm.astype(np.int32)) > most))
            return np.clip(pcm, -most, most).astype(np.int16)
        return pcm
