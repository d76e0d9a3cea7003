"""One sleeper's body, as their pod's sensors tell it: breath, pulse and the bands of the EEG.

Each rhythm is followed by a resonator whose centre moves slowly to where the rhythm is. It knows
the phase at the last sample; the sound that follows it is heard most of a second later, so phases
are asked for *at a time*, and counted on to there with the rhythm's own frequency.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dreampods.dreamscape.scene import Follow
from dreampods.fleet import ClockMap, Stream
from dreampods.resonance import ResonatorBank

_BREATH_WIDTH_HZ = 0.1
_PULSE_WIDTH_HZ = 0.3
_FREQUENCY_MEMORY_CYCLES = 3.0
_BASELINE_CYCLES = 4.0  # of the slowest rhythm looked for
_RECENT_MAXIMUM_S = 60.0
_STALE_NS = 2_000_000_000  # a rhythm whose last sample is older is not known any more


class _Baseline:
    """What a sensor's voltage hovers around: a mean that forgets, quick at first."""

    def __init__(self, memory_samples: float) -> None:
        self._memory = memory_samples
        self._count = 0
        self._mean = 0.0

    def remove(self, values: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
        for value in values[valid]:
            self._count += 1
            self._mean += (value - self._mean) / min(self._count, self._memory)
        return np.where(valid, values - self._mean, 0.0)


class Rhythm:
    """Phase, frequency, strength and trust of one rhythm in one stream."""

    def __init__(self, rate_hz: float, band_hz: tuple[float, float], width_hz: float) -> None:
        self._band_hz = band_hz
        self._rate_hz = rate_hz
        self.hz = math.sqrt(band_hz[0] * band_hz[1])
        self._bank = ResonatorBank(1, [self.hz], [width_hz], rate_hz)
        self._baseline = _Baseline(_BASELINE_CYCLES / band_hz[0] * rate_hz)
        self._last = 0j
        self._turning = 0j  # mean rotation from sample to sample, weighted by strength
        self._most = 0.0
        self._at_ns = 0.0
        self.phase = math.nan
        self.depth = 0.0
        self.confidence = 0.0

    def add(self, values: NDArray[np.float32], last_ns: float) -> None:
        """Take samples, NaN where one is missing; the last was taken at host time `last_ns`."""
        column = values[:, 0].astype(np.float64)
        valid = np.isfinite(column)
        signal = self._baseline.remove(column, valid)
        phasors = self._bank.process(signal[:, None], valid[:, None])[:, 0, 0]
        self._follow(phasors)
        self.phase = float(np.angle(phasors[-1]))
        self.confidence = float(self._bank.confidence[0, 0])
        amplitude = float(np.abs(phasors[-1]))
        self._most = max(amplitude, self._most * math.exp(-len(column) / self._rate_hz / _RECENT_MAXIMUM_S))
        self.depth = amplitude / self._most if self._most else 0.0
        self._at_ns = last_ns

    def _follow(self, phasors: NDArray[np.complex128]) -> None:
        series = np.concatenate([[self._last], phasors])
        self._last = complex(phasors[-1])
        forget = math.exp(-len(phasors) / self._rate_hz * self.hz / _FREQUENCY_MEMORY_CYCLES)
        self._turning = self._turning * forget + complex(np.vdot(series[:-1], series[1:]))
        if self.confidence > 0.2 and abs(self._turning) > 0:
            found = float(np.angle(self._turning)) / (2 * math.pi) * self._rate_hz
            self.hz = min(max(found, self._band_hz[0]), self._band_hz[1])
            self._bank.retune([[self.hz]])

    def at(self, host_ns: float) -> tuple[float, float]:
        """(phase, confidence) at a host time; (NaN, 0) where nothing recent is known."""
        if math.isnan(self.phase) or abs(host_ns - self._at_ns) > _STALE_NS:
            return math.nan, 0.0
        turned = self.phase + 2 * math.pi * self.hz * (host_ns - self._at_ns) * 1e-9
        return math.remainder(turned, 2 * math.pi), self.confidence


class Bands:
    """Levels of EEG bands, each against the sleeper's own recent maximum, over all channels."""

    def __init__(self, rate_hz: float, channels: int, bands_hz: dict[str, tuple[float, float]]) -> None:
        self.names = tuple(bands_hz)
        low, high = np.array(list(bands_hz.values())).T
        self._rate_hz = rate_hz
        self._bank = ResonatorBank(channels, (low + high) / 2, high - low, rate_hz)
        self._baseline = [_Baseline(2 * rate_hz) for _ in range(channels)]
        self._most = np.zeros(len(self.names))
        self.level = np.zeros(len(self.names))

    def add(self, values: NDArray[np.float32]) -> None:
        """Take samples (n, channels), NaN where missing."""
        valid = np.isfinite(values)
        signal = np.stack(
            [
                baseline.remove(values[:, i].astype(np.float64), valid[:, i])
                for i, baseline in enumerate(self._baseline)
            ],
            axis=1,
        )
        self._bank.process(signal, valid)
        amplitude = self._bank.amplitude.mean(axis=0)
        forget = math.exp(-len(values) / self._rate_hz / _RECENT_MAXIMUM_S)
        self._most = np.maximum(amplitude, self._most * forget)
        self.level = amplitude / np.where(self._most > 0, self._most, 1.0)


class Body:
    """All rhythms of one sleeper. A pod without a sensor leaves its rhythm unknown."""

    def __init__(self, follow: Follow) -> None:
        self._follow = follow
        self.breath: Rhythm | None = None
        self.pulse: Rhythm | None = None
        self.bands: Bands | None = None

    def add(self, stream: Stream, values: NDArray[np.float32], mapping: ClockMap) -> None:
        """Take new samples of one of the sleeper's streams."""
        last_ns = stream.host_ns(stream.next_number - 1, mapping)
        if stream.name == "breath":
            if self.breath is None:
                self.breath = Rhythm(stream.rate_hz, self._follow.breath_hz, _BREATH_WIDTH_HZ)
            self.breath.add(values, last_ns)
        elif stream.name == "pulse":
            if self.pulse is None:
                self.pulse = Rhythm(stream.rate_hz, self._follow.pulse_hz, _PULSE_WIDTH_HZ)
            self.pulse.add(values, last_ns)
        elif stream.name == "eeg":
            if self.bands is None:
                self.bands = Bands(stream.rate_hz, len(stream.channels), dict(self._follow.eeg_hz))
            self.bands.add(values)
