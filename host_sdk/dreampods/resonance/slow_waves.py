"""Cues at a phase of deep sleep's slow waves, foretold from what has come so far.

What an analysis finds afterwards, with a filter that runs both ways, a sleeper's pod needs before
it comes. `SlowWaves` learns the autocovariance of each channel and reads from the last seconds what
comes nearest to that later answer in the mean square: Wiener's filter, made anew for each sleeper.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import KernelObject, between, ffi, lib, masked, pointer, whole
from dreampods.resonance.events import Events

_LEAST_REFRACTORY_S = 0.1
_CUE = np.dtype(
    [
        ("frame", np.float64),
        ("phase", np.float64),
        ("amplitude", np.float64),
        ("confidence", np.float64),
        ("channel", np.uintp),
    ]
)


@dataclass(frozen=True, slots=True, eq=False)
class SlowWaveCues(Events):
    """Moments at which slow waves reach the target phase, all arrays (n,), by channel, then by time.

    channel: whose. frame: where the target is, in frames and fractions of one since the first, which
    was 0. phase: foretold there, radians; the target, or beyond where that was noticed too late.
    amplitude: foretold there, µV. confidence: 0..1, a² / (a² + error²), times the share of the
    readings that was not missing.
    """

    moment: ClassVar[str] = "frame"
    frame: NDArray[np.float64]
    phase: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    confidence: NDArray[np.float64]


class SlowWaves(KernelObject):
    """Foretells slow waves on EEG channels, one cue for each large wave.

    Readings are taken every 10 to 20 ms of signal, and a cue is found in one of them: at least
    `lead_s` before its moment, or at it. Whoever hands in longer blocks learns of it at the end of
    the block: choose blocks of 20 ms, or `lead_s` of at least a block and what the sound needs to
    become heard.

    channels: number of signals, in µV, with the positive half-wave as up-state (surface
    electrodes). rate_hz: of the samples, 50 to 20,000.
    target_rad: -2π to 2π; 0 is the crest of the up-state, -π/2 the rise to it.
    lead_s: a reading looks this much ahead, 0 to 0.5 s. Each 50 ms cost some accuracy.
    low_hz, high_hz: the band of the wave that is foretold, from 0.2 to 5 Hz: Butterworth of
    order 2 run both ways (``scipy.signal.sosfiltfilt``), and its Hilbert transform.
    least_uv: smallest height from trough to crest, as foretold: scaled to be as large in the mean
    square as what an analysis finds later, but scattered around it. Either half-wave has at least
    a quarter of it.
    least_confidence: 0..1. refractory_s: least time between cues of a channel, from 0.1 s.

    No cue comes in the first 12 s, nor where the readings rest on too much that is missing.

    Sources: Wiener 1949 (Extrapolation of Stationary Time Series); the criterion of 75 µV from
    trough to crest is that of the AASM manual for slow-wave activity.
    """

    def __init__(
        self,
        channels: int,
        rate_hz: float,
        target_rad: float = 0.0,
        *,
        lead_s: float = 0.0,
        low_hz: float = 0.5,
        high_hz: float = 2.0,
        least_uv: float = 75.0,
        least_confidence: float = 0.5,
        refractory_s: float = 0.5,
    ) -> None:
        signals = whole("channels", channels)
        rate = between("rate_hz", rate_hz, 50, 20_000)
        low = between("low_hz", low_hz, 0.2, 5)
        high = between("high_hz", high_hz, 0.2, 5)
        if low >= high:
            raise ValueError(f"low_hz must be below high_hz, {low:g} is not below {high:g}")
        settings = {
            "rate_hz": rate,
            "target_rad": between("target_rad", target_rad, -2 * np.pi, 2 * np.pi),
            "lead_s": between("lead_s", lead_s, 0, 0.5),
            "low_hz": low,
            "high_hz": high,
            "least_uv": between("least_uv", least_uv, 0, 1e6),
            "least_confidence": between("least_confidence", least_confidence, 0, 1),
            "refractory_s": between("refractory_s", refractory_s, _LEAST_REFRACTORY_S, 1e6),
        }
        self._make(
            lib.rs_slow_waves_new,
            lib.rs_slow_waves_free,
            signals,
            ffi.new("rs_slow_waves_settings *", settings),
        )
        self._channels, self._rate_hz = signals, rate

    def process(self, x: ArrayLike, valid: ArrayLike | None = None) -> SlowWaveCues:
        """The cues that the signals x (frames, channels), in µV, have led to.

        A cue's frame may lie beyond this block, or in it, and then it is past. valid: (frames,
        channels), False where a sample is missing; x may be anything there.
        """
        signal, mask = masked(x, valid, self._channels)
        most = 2 + int(len(signal) / (_LEAST_REFRACTORY_S * self._rate_hz))
        cues = np.empty(self._channels * most, _CUE)
        found = self._call(
            lib.rs_slow_waves_process,
            len(signal),
            pointer(signal),
            pointer(mask),
            ffi.from_buffer("rs_slow_wave_cue[]", cues),
        )
        cues = cues[:found]
        cues = cues[np.argsort(cues["channel"], kind="stable")]
        return SlowWaveCues(
            channel=cues["channel"].astype(np.int64),
            frame=cues["frame"].copy(),
            phase=cues["phase"].copy(),
            amplitude=cues["amplitude"].copy(),
            confidence=cues["confidence"].copy(),
        )

    @property
    def phasor(self) -> NDArray[np.complex128]:
        """(channels,): the wave foretold last, `lead_s` ahead: |µV|, angle 0 at the crest.

        Readings come 50 to 100 times a second; this is of the newest. 0 in the first 12 s and on
        channels where nothing is heard.
        """
        return self._state()[0]

    @property
    def confidence(self) -> NDArray[np.float64]:
        """(channels,), 0..1, of `phasor`."""
        return self._state()[1]

    def _state(self) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        phasor = np.empty(self._channels, np.complex128)
        confidence = np.empty(self._channels)
        self._call(lib.rs_slow_waves_state, pointer(phasor), pointer(confidence))
        return phasor, confidence
