"""Rushing noise whose brightness follows bodies: wind, surf, deep water.

A filter with a moving corner is a recursion over samples, which numpy can't do block by block. But
noise has no phase to keep, so the filter can be a mixer: one long loop of noise per octave, made
once by an inverse FFT, each octave's gain set to what the filter would let through there. Gains
ramp over the block, so a sweep is smooth; loops are circular by construction, so they have no
seam. Every ear of every sleeper reads the loops from a place of its own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dreampods.dreamscape.bodies import Floats
from dreampods.dreamscape.cue import Audio, Cue, ramp
from dreampods.dreamscape.scene import Noise

_LOOP_FRAMES = 1 << 19  # 16 s at 32 kHz: longer than anyone remembers a rush of noise
_RIPPLE_HZ = 1.0


class NoisePlayer:
    def __init__(
        self, noise: Noise, voices: int, rate_hz: float, frames: int, rng: np.random.Generator
    ) -> None:
        self._frames = frames
        self._centres_hz, loops = _octaves(noise, rate_hz, rng)
        # The loop's start once more at its end, so that a block is always one plain slice.
        padded = np.concatenate([loops, loops[:, :frames]], axis=1)
        windows = np.lib.stride_tricks.sliding_window_view(padded, frames, axis=1)
        self._windows = windows.transpose(1, 0, 2)  # (place in the loop, octaves, frames)
        self._at = rng.integers(0, _LOOP_FRAMES, (voices, 2))
        self._gains: Floats | None = None
        self._ramp = ramp(frames)

    def render(self, cue: Cue) -> Audio:
        gains = _low_pass(self._centres_hz, cue.brightness_hz)
        before = gains if self._gains is None else self._gains
        self._gains = gains
        start_and_change = np.stack([before, gains - before], axis=1).astype(np.float32)
        octaves = self._windows[self._at]  # (voices, ears, octaves, frames)
        self._at = (self._at + self._frames) % _LOOP_FRAMES
        mixed = (start_and_change[:, None] @ octaves).transpose(2, 0, 3, 1)
        out: Audio = mixed[0] + self._ramp * mixed[1]
        return out


def _low_pass(centres_hz: Floats, corner_hz: Floats) -> Floats:
    """Gain per voice and octave of a gentle 12 dB per octave filter, (voices, octaves)."""
    ratio = centres_hz[None, :] / corner_hz[:, None]
    gain: Floats = 1 / np.sqrt(1 + ratio**4)
    return gain


def _octaves(
    noise: Noise, rate_hz: float, rng: np.random.Generator
) -> tuple[Floats, npt.NDArray[np.float32]]:
    """Centres (octaves,) and loops (octaves, frames) that sum to noise of RMS 1."""
    freq_hz = np.fft.rfftfreq(_LOOP_FRAMES, 1 / rate_hz)
    freq_hz[0] = 1.0
    power = 1 / freq_hz if noise.colour == "pink" else 1 / freq_hz**2
    # Butterworth edges, steep enough to mean something, soft enough not to be heard as a pitch.
    edges = 1 + (noise.low_hz / freq_hz) ** 6 + (freq_hz / noise.high_hz) ** 6
    size = np.sqrt(power) / edges
    size[0] = 0.0
    top_hz = min(2 * noise.high_hz, rate_hz / 2)
    count = max(2, round(np.log2(top_hz / (0.7 * noise.low_hz))))
    place = np.log2(freq_hz / noise.low_hz)  # in octaves above the low edge
    loops = np.empty((count, _LOOP_FRAMES), dtype=np.float32)
    for octave in range(count):
        distance = place - octave
        # The outermost octaves take everything beyond them.
        if octave == 0:
            distance = np.maximum(distance, 0)
        if octave == count - 1:
            distance = np.minimum(distance, 0)
        # Neighbours cross like sine and cosine: powers of independent noises add up to one.
        share = np.cos(np.pi / 2 * np.clip(np.abs(distance), 0, 1))
        spectrum = rng.standard_normal((2, len(freq_hz)))
        loop = np.fft.irfft((spectrum[0] + 1j * spectrum[1]) * size * share, _LOOP_FRAMES)
        loops[octave] = loop * _ripple(noise.ripple_db, rate_hz, rng)
    loops /= np.sqrt(np.sum(np.mean(loops.astype(np.float64) ** 2, axis=1)))
    return noise.low_hz * 2.0 ** np.arange(count), loops


def _ripple(depth_db: float, rate_hz: float, rng: np.random.Generator) -> Floats:
    """Slow random swelling around 1, of standard deviation `depth_db`, circular like the loop."""
    spectrum = np.zeros(_LOOP_FRAMES // 2 + 1, dtype=np.complex128)
    slow = max(2, int(_RIPPLE_HZ * _LOOP_FRAMES / rate_hz))
    spectrum[1:slow] = np.exp(2j * np.pi * rng.random(slow - 1)) / np.sqrt(np.arange(1, slow))
    swell = np.fft.irfft(spectrum, _LOOP_FRAMES)
    ripple: Floats = 10 ** (depth_db / 20 * swell / np.std(swell))
    return ripple
