"""One sleeper's body, as their pod's sensors tell it: breath, pulse and the bands of the EEG.

How a rhythm is found. The rates that a body may have are tried side by side. For each, the sum of
an offset, a sinusoid and its second harmonic is fitted to the recent past by least squares, with
weights that fall exponentially: the floating-mean Lomb-Scargle periodogram (Zechmeister & Kürster
2009), kept up to date sample by sample at constant cost. It knows which samples it has seen, at
the very beginning and over gaps as well, and so

- a sensor's offset is fitted, not filtered away, and nothing has to settle: a pulse is found after
  one or two beats, a breath after about one breath;
- harmonics are no rates of their own: a pulse and its dicrotic wave belong together, and the rate
  that explains both wins over the one that explains the second. The reverse mistake, half the
  true rate, is ruled out by not counting a harmonic beyond the strength of its fundamental;
- what is left over tells how likely each rate is. The likelihood, times how common a rate is among
  people at rest, keeps the first guesses sane; what it adds to that prior is the confidence.

Bodies are irregular (a breath differs from the next by a sixth of its length), so the rate is
judged over a longer memory and the phase over a shorter one. The sound that follows is heard most
of a second after the sample was taken; phases are therefore asked for *at a time*, and counted on
to there with the rhythm's own rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dreampods.dreamscape.scene import Follow
from dreampods.fleet import ClockMap, Stream
from dreampods.resonance import ResonatorBank

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

_HARMONICS = 2
_RATE, _PHASE = 0, 1  # the two memories
# A priori strength of what is sought: as many samples' worth of silence, as a share of a memory's
# full weight, are added to what was seen. It keeps a second of signal from being "explained".
_SILENCE = (0.05, 0.15)  # first, second harmonic
_BESIDE = 0.37  # distance of rates tried, in widths of the memory's spectral peak
_AROUND = 3  # so many on each side of the best count as the same rhythm
_LEAST_MISFIT = 1e-3
_JUDGE_EVERY_S = 0.2
_EEG_BASELINE_S = 2.0
_RECENT_MAXIMUM_S = 60.0
_STALE_NS = 2_000_000_000  # a rhythm whose last sample is older is not known any more
_LOST_S = 0.5  # a jump in time that is no jitter of the clock but samples that never came


@dataclass(frozen=True, slots=True)
class Manner:
    """How a rhythm of the body usually goes.

    typical_hz, spread: middle of the rates of people at rest, and standard deviation of their log.
    rate_memory_s, phase_memory_s: over what times rate and phase are judged.
    news_per_cycle: independent measurements that one typical cycle is worth.
    """

    typical_hz: float
    spread: float
    rate_memory_s: float
    phase_memory_s: float
    news_per_cycle: float


# At rest people breathe 12 to 20 times a minute, and their hearts beat 50 to 90 times; wide enough
# to follow a paced breath of 6 a minute. Of the memories, on sixteen recordings, little depends
# within a factor of 1.5; twice as long ones lag behind irregular breaths. What they achieve is
# measured in tests/unit/test_body.py.
BREATH = Manner(0.25, 0.4, 5.0, 2.0, 4.0)
PULSE = Manner(1.15, 0.35, 2.2, 0.7, 4.0)


class _Past:
    """Weighted sums over the past: all that the fits of all rates need to know of it.

    `sums` (memory, rate, harmonic -2H..2H, 2): of e^{i harmonic w age} over the samples there
    are, and of the same times the sample's value. Ages count backwards from the newest sample.
    """

    def __init__(self, turn: Floats, memory: Floats) -> None:
        self._angle = np.arange(-2 * _HARMONICS, 2 * _HARMONICS + 1) * turn[:, None]
        self._forget = -1 / memory
        self.sums = np.zeros((len(memory), *self._angle.shape, 2), np.complex128)
        self.power = np.zeros(len(memory))
        self.expected = np.zeros(len(memory))  # weight there would be, had no sample been lost
        self._prepare(1)

    def _prepare(self, count: int) -> None:
        """Make the factors for a block of `count` samples."""
        self._count = count
        age = np.arange(count - 1, -1, -1.0)
        self._weight = np.exp(self._forget[:, None] * age)
        wave = self._weight[:, None, None, :] * np.exp(1j * self._angle[:, :, None] * age)
        self._wave = wave.reshape(-1, count)
        self._kept, self._turned = self._ageing(count)

    def _ageing(self, count: int) -> tuple[Floats, Complexes]:
        """What `count` samples' time leaves of weights, and does to the sums."""
        kept: Floats = np.exp(self._forget * count)
        turned: Complexes = kept[:, None, None, None] * np.exp(1j * self._angle * count)[..., None]
        return kept, turned

    def wait(self, count: int) -> None:
        """Let the time of `count` samples pass, none of which came."""
        kept, turned = self._ageing(count)
        self.sums *= turned
        self.power *= kept
        unseen = (1 - kept) / (1 - np.exp(self._forget))
        self.expected = self.expected * kept + unseen

    def add(self, values: Floats, valid: NDArray[np.bool_]) -> None:
        """Take samples; those that are not valid are 0 in `values`."""
        if len(values) != self._count:
            self._prepare(len(values))
        new = self._wave @ np.stack([valid, values], axis=1).astype(np.complex128)
        self.sums = self.sums * self._turned + new.reshape(self.sums.shape)
        self.power = self.power * self._kept + self._weight @ (values * values)
        self.expected = self.expected * self._kept + self._weight.sum(axis=1)


class Rhythm:
    """Phase, rate, strength and trust of one rhythm in one stream.

    The phase is that of the fundamental: 0 at its crest. A breath's own crest comes with it (10
    degrees before, on average), a pulse's 20 to 40 degrees before, because it rises so steeply.
    `hz` and `confidence` (0..1) as of the last sample; `depth` is the strength against the recent
    maximum, 0..1. The confidence is a product of three shares: of the recent variance, what rhythm
    and harmonic explain; of the doubt about the rate, what the recording has removed; of the
    samples, those that came.
    """

    def __init__(self, rate_hz: float, band_hz: tuple[float, float], manner: Manner) -> None:
        self._rate_hz = rate_hz
        self._band_hz = band_hz
        beside = _BESIDE / (math.pi * manner.rate_memory_s)
        self._hz = np.arange(band_hz[0] - beside / 2, band_hz[1] + beside, beside)
        self.hz = min(max(manner.typical_hz, band_hz[0]), band_hz[1])
        self._prior = -0.5 * (np.log(self._hz / self.hz) / manner.spread) ** 2
        self._common = np.exp(self._prior) / np.exp(self._prior).sum()
        memory = np.array([manner.rate_memory_s, manner.phase_memory_s]) * rate_hz
        self._past = _Past(2 * math.pi / rate_hz * self._hz, memory)
        order = np.arange(-_HARMONICS, _HARMONICS + 1)
        self._pairs = order[:, None] - order + 2 * _HARMONICS
        silence = np.diag([(1e-9, *_SILENCE)[abs(harmonic)] for harmonic in order])
        self._silence = memory[:, None, None] * silence
        self._news_per_sample = manner.news_per_cycle * manner.typical_hz / rate_hz
        self._level: float | None = None
        self._unjudged = math.inf
        self._most = 0.0
        self._at_ns = 0.0
        self.phase = math.nan
        self.depth = 0.0
        self.confidence = 0.0

    def add(self, values: NDArray[np.float32], last_ns: float) -> None:
        """Take samples (n, 1), NaN where one is missing; the last is of host time `last_ns`."""
        column = values[:, 0].astype(np.float64)
        valid = np.isfinite(column)
        came = valid.any()
        if self._level is None:
            if not came:
                return
            self._level = float(column[valid][0])  # sums of squares stay exact near 0
        elif (lost_s := (last_ns - self._at_ns) * 1e-9 - len(column) / self._rate_hz) > _LOST_S:
            self._past.wait(round(lost_s * self._rate_hz))
        self._at_ns = last_ns
        first = int(np.argmax(valid)) if came else len(column)
        if first:
            self._past.wait(first)
        if came:
            self._past.add(np.where(valid, column - self._level, 0.0)[first:], valid[first:])
        self._unjudged += len(column)
        if self._unjudged >= _JUDGE_EVERY_S * self._rate_hz:
            self._judge()
            self._unjudged = 0
        self._read(len(column))

    def _fit(self, memory: int, which: slice) -> tuple[Complexes, Floats, float]:
        """Phasors (rates, harmonics -H..H), misfits as shares of the variance, the variance."""
        sums = self._past.sums[memory, which]
        inner = slice(_HARMONICS, 3 * _HARMONICS + 1)
        seen, projected = sums[:, self._pairs, 0], sums[:, inner, 1]
        phasors = np.linalg.solve(seen + self._silence[memory], projected[..., None])[..., 0]
        power = float(self._past.power[memory])
        weight, total = sums[0, 2 * _HARMONICS].real
        # What rounding leaves of a signal that does not move is no variance
        rounding = 1e-12 * power + 1e-15
        variance = max(power - float(total) ** 2 / max(float(weight), 1e-12), 0.0) + rounding
        left = power - np.einsum("ch,ch->c", phasors.conj(), projected).real
        return phasors, np.clip((left + rounding) / variance, _LEAST_MISFIT, 1.0), variance

    def _judge(self) -> None:
        """Find the likeliest rate and those around it."""
        phasors, misfit, variance = self._fit(_RATE, slice(None))
        weight = float(self._past.sums[_RATE, 0, 2 * _HARMONICS, 0].real)
        strength = 2 * np.abs(phasors[:, _HARMONICS + 1 :]) ** 2 * weight / variance
        excess = np.maximum(strength[:, 1:].max(axis=1) - strength[:, 0], 0.0)
        misfit = np.minimum(misfit + excess, 1.0)
        likely = self._prior - 0.5 * weight * self._news_per_sample * np.log(misfit)
        likely = np.exp(likely - likely.max())
        best = int(np.argmax(likely))
        self._here = slice(max(best - _AROUND, 0), best + _AROUND + 1)
        self._share = likely[self._here] / likely[self._here].sum()
        before = float(self._common[self._here].sum())
        after = float(likely[self._here].sum() / likely.sum())
        self._certainty = max((after - before) / (1 - before), 0.0)
        hz = float(self._share @ self._hz[self._here])
        self.hz = min(max(hz, self._band_hz[0]), self._band_hz[1])

    def _read(self, count: int) -> None:
        """Tell phase and strength at the newest sample."""
        phasors, misfit, _ = self._fit(_PHASE, self._here)
        phasor = complex(self._share @ phasors[:, _HARMONICS + 1])
        self.phase = math.atan2(phasor.imag, phasor.real)
        explained = 1 - float(self._share @ misfit)
        weight = float(self._past.sums[_PHASE, 0, 2 * _HARMONICS, 0].real)
        came = weight / float(self._past.expected[_PHASE])
        self.confidence = min(max(explained * self._certainty * came, 0.0), 1.0)
        forget = math.exp(-count / self._rate_hz / _RECENT_MAXIMUM_S)
        self._most = max(abs(phasor), self._most * forget)
        self.depth = abs(phasor) / self._most if self._most else 0.0

    def at(self, host_ns: float) -> tuple[float, float]:
        """(phase, confidence) at a host time; (NaN, 0) where nothing recent is known."""
        if math.isnan(self.phase) or abs(host_ns - self._at_ns) > _STALE_NS:
            return math.nan, 0.0
        turned = self.phase + 2 * math.pi * self.hz * (host_ns - self._at_ns) * 1e-9
        return math.remainder(turned, 2 * math.pi), self.confidence


class Bands:
    """Levels of EEG bands, each against the sleeper's own recent maximum, over all channels."""

    def __init__(
        self, rate_hz: float, channels: int, bands_hz: dict[str, tuple[float, float]]
    ) -> None:
        self.names = tuple(bands_hz)
        low, high = np.array(list(bands_hz.values())).T
        self._rate_hz = rate_hz
        self._bank = ResonatorBank(channels, (low + high) / 2, high - low, rate_hz)
        self._memory = _EEG_BASELINE_S * rate_hz
        self._seen = np.zeros(channels)
        self._baseline = np.zeros(channels)
        self._most = np.zeros(len(self.names))
        self.level = np.zeros(len(self.names))

    def add(self, values: NDArray[np.float32]) -> None:
        """Take samples (n, channels), NaN where missing."""
        if not len(values):
            return
        valid = np.isfinite(values)
        signal = np.where(valid, values, 0.0).astype(np.float64)
        # A mean that forgets, quick at first: electrodes sit millivolts away from zero
        new = valid.sum(axis=0)
        self._seen = np.minimum(self._seen + new, self._memory)
        pull = np.minimum(1.0, new / np.maximum(self._seen, 1.0))
        self._baseline += pull * (signal.sum(axis=0) / np.maximum(new, 1) - self._baseline)
        self._bank.process(np.where(valid, signal - self._baseline, 0.0), valid)
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
        if not len(values):
            return
        last_ns = stream.host_ns(stream.next_number - 1, mapping)
        if stream.name == "breath":
            if self.breath is None:
                self.breath = Rhythm(stream.rate_hz, self._follow.breath_hz, BREATH)
            self.breath.add(values, last_ns)
        elif stream.name == "pulse":
            if stream.unit == "nA":  # a photodiode: where blood comes, less light comes back
                values = -values
            if self.pulse is None:
                self.pulse = Rhythm(stream.rate_hz, self._follow.pulse_hz, PULSE)
            self.pulse.add(values, last_ns)
        elif stream.name == "eeg":
            if self.bands is None:
                self.bands = Bands(stream.rate_hz, len(stream.channels), dict(self._follow.eeg_hz))
            self.bands.add(values)
