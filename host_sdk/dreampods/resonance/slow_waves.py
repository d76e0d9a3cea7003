"""Phases that only the future could tell, as well as the past can; cues at one of slow waves.

A phase is defined by what comes after as well as by what came before. `CausalPhasor` is the
estimate with the least mean square error that the past allows (Wiener 1949), with weights that
follow from the signal's own spectrum, which it learns on the way; it can also look a little
ahead. `SlowWaves` gives cues with it: at the crest of the up-states of deep sleep, or at any
other phase.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import (
    checked,
    ffi,
    lib,
    new,
    not_negative,
    number,
    pointer,
    positive,
    whole,
)


class CausalPhasor:
    """The phasor of a band as filtering afterwards will show it, told at once.

    channels: number of signals, at rate_hz. low_hz, high_hz: edges of the band (-6 dB), a
    Butterworth band-pass of order 2 forwards and backwards; high_hz is 1.2 to 20 times low_hz, and
    at most a tenth of rate_hz. lead_s: by how much the estimate looks ahead, at most a period of
    high_hz. memory_s: time constant of the learned spectrum, at least 4 / low_hz and
    12 / (high_hz - low_hz). largest: what is beyond it on either side is an artefact, and taken as missing.
    """

    def __init__(
        self,
        channels: int,
        low_hz: float,
        high_hz: float,
        rate_hz: float,
        lead_s: float = 0.0,
        memory_s: float = 120.0,
        largest: float = 1e300,
    ) -> None:
        self._channels = whole("channels", channels)
        rate = positive("rate_hz", rate_hz)
        low, high = positive("low_hz", low_hz), positive("high_hz", high_hz)
        if not 1.2 * low <= high <= min(rate / 10, 20 * low):
            raise ValueError(
                f"high_hz must be 1.2 to 20 times low_hz = {low:g}, and at most a tenth of the rate"
                f" of {rate:g}, not {high:g}"
            )
        lead = not_negative("lead_s", lead_s)
        if lead > 1 / high:
            raise ValueError(
                f"lead_s must be at most {1 / high:g}, a period of high_hz, not {lead:g}"
            )
        memory = positive("memory_s", memory_s)
        if memory < (least := max(4 / low, 12 / (high - low))):
            raise ValueError(f"memory_s must be at least {least:g} for this band, not {memory:g}")
        self._wiener = new(
            lib.rs_wiener_new,
            lib.rs_wiener_free,
            self._channels,
            rate,
            low,
            high,
            lead,
            memory,
            positive("largest", largest),
        )

    @property
    def hop(self) -> int:
        """Samples per step."""
        return int(lib.rs_wiener_hop(self._wiener))

    def process(
        self, x: ArrayLike, valid: ArrayLike | None = None
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64], NDArray[np.float64]]:
        """Phasors, confidences and errors, (steps, channels) each, a row for each step that x
        completes.

        x: (frames, channels). valid: (frames, channels), False where a sample is missing; x may
        be anything there. A phasor is that of the time lead_s after the last sample of its step,
        in the unit of x. The confidence, 0..1, is the share of the band's variance that the
        estimate is expected to explain; the error the root mean square of what it is expected to
        be off, infinite for as long at first as the least memory_s.
        """
        signal, mask = _signal(x, valid, self._channels)
        room = len(signal) // self.hop + 1
        phasors = np.empty((room, self._channels), np.complex128)
        confidence, error = np.empty((2, room, self._channels))
        steps = lib.rs_wiener_process(
            self._wiener,
            len(signal),
            pointer(signal),
            pointer(mask),
            pointer(phasors),
            pointer(confidence),
            pointer(error),
        )
        return phasors[:steps], confidence[:steps], error[:steps]


@dataclass(frozen=True, slots=True)
class SlowWaveCue:
    """at: when the wave will be at the target phase, in samples since the first.

    amplitude: half of peak to peak. sigma_rad: standard uncertainty of the phase.
    """

    at: float
    channel: int
    amplitude: float
    sigma_rad: float


class SlowWaves:
    """Cues at a phase of slow waves (0.5 to 2 Hz), before it comes.

    rate_hz: at least 20. target_rad: the phase, 0 at the crest of the surface-positive half-wave
    (the up-state). lead_s: a cue is told at least so long before its time, up to 0.5; the further
    ahead, the less is known. least: amplitude from which on a wave gets a cue. largest: what is
    beyond it is an artefact. Both are in the unit of the signals; 20 and 500 are meant for EEG in
    microvolts.
    """

    def __init__(
        self,
        channels: int,
        rate_hz: float,
        target_rad: float = 0.0,
        lead_s: float = 0.02,
        least: float = 20.0,
        largest: float = 500.0,
    ) -> None:
        self._channels = whole("channels", channels)
        rate = positive("rate_hz", rate_hz)
        if rate < 20:
            raise ValueError(f"rate_hz must be at least 20, not {rate:g}")
        lead = not_negative("lead_s", lead_s)
        if lead > 0.5:
            raise ValueError(f"lead_s must be at most 0.5, not {lead:g}")
        self._waves = new(
            lib.rs_slow_waves_new,
            lib.rs_slow_waves_free,
            self._channels,
            rate,
            number("target_rad", target_rad),
            lead,
            not_negative("least", least),
            positive("largest", largest),
        )

    def process(self, x: ArrayLike, valid: ArrayLike | None = None) -> list[SlowWaveCue]:
        """The cues that the samples x (frames, channels) make known, in the order in which they
        become so.

        valid: (frames, channels), False where a sample is missing; x may be anything there.
        """
        signal, mask = _signal(x, valid, self._channels)
        room = self._channels * (len(signal) // int(lib.rs_slow_waves_hop(self._waves)) + 1)
        cues = ffi.new("rs_cue[]", room)
        count = lib.rs_slow_waves_process(
            self._waves, len(signal), pointer(signal), pointer(mask), cues
        )
        return [
            SlowWaveCue(cue.at, cue.channel, cue.amplitude, cue.sigma_rad)
            for cue in (cues[i] for i in range(count))
        ]


def _signal(
    x: ArrayLike, valid: ArrayLike | None, channels: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    shape = ("frames", channels)
    if valid is None:
        return checked("x", x, np.float64, shape), None
    signal = checked("x", x, np.float64, shape, finite=False)
    mask = checked("valid", valid, np.bool_, signal.shape)
    checked("x where valid", np.where(mask, signal, 0.0), np.float64, shape)
    return signal, mask
