"""Beds of sines: warm chords that never repeat exactly.

Each partial of each note is a pair of sines a fraction of a hertz apart, one leaning to each ear.
They beat so slowly that one hears movement, not beating, and at different rates for every partial,
so the colour of the chord keeps changing (`dreampods.resonance.ToneBank`).
"""

from __future__ import annotations

import numpy as np

from dreampods.dreamscape.bodies import Floats
from dreampods.dreamscape.cue import Audio, Cue
from dreampods.dreamscape.scene import Tone
from dreampods.resonance import ToneBank

_LEAN = 0.85  # how far each sine of a pair leans to its own ear


class TonePlayer:
    def __init__(
        self, tone: Tone, voices: int, rate_hz: float, frames: int, rng: np.random.Generator
    ) -> None:
        self._frames = frames
        self._highest_hz = 0.45 * rate_hz
        self._freq_hz, self._size = _sines(tone, voices, rate_hz, rng)  # (voices, sines)
        self._bank = ToneBank(rng.random(self._freq_hz.shape), rate_hz=rate_hz)
        lean = np.where(np.arange(self._freq_hz.shape[1]) % 2, _LEAN, -_LEAN)
        angle = (lean + 1) * np.pi / 4
        self._ears = np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], axis=1)  # (sines, ears)

    def render(self, cue: Cue) -> Audio:
        freq_hz = self._freq_hz * 2 ** (cue.pitch_semitones / 12)[:, None]
        size = self._size / (1 + (self._freq_hz / cue.brightness_hz[:, None]) ** 2)
        size = np.where(freq_hz < self._highest_hz, size, 0.0)
        return self._bank.process(
            self._frames, np.minimum(freq_hz, self._highest_hz), size[:, :, None] * self._ears
        )


def _sines(
    tone: Tone, voices: int, rate_hz: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Frequencies and amplitudes (voices, sines), pairs side by side; a voice has RMS 1."""
    notes = np.array(tone.notes_hz)
    own = notes[np.arange(voices) % len(notes)][:, None]
    notes = own if tone.one_each else np.tile(notes, (voices, 1))
    partial = np.arange(1, tone.partials + 1)
    freq_hz = (notes[:, :, None] * partial).reshape(voices, -1)
    size = np.tile(10 ** (-tone.roll_off_db / 20 * np.log2(partial)), notes.shape[1])
    size = np.where(freq_hz < 0.45 * rate_hz, size, 0.0)
    # Higher notes of a chord softer, as a choir would sing it.
    size *= np.sqrt(notes.min() / np.repeat(notes, tone.partials, axis=1))
    beat_hz = tone.beat_hz * rng.uniform(0.4, 1.0, freq_hz.shape)
    pairs_hz = np.stack([freq_hz - beat_hz / 2, freq_hz + beat_hz / 2], axis=2)
    sizes = np.repeat(size, 2, axis=1)
    sizes /= np.sqrt(np.sum(sizes**2, axis=1, keepdims=True) / 2)
    return pairs_hz.reshape(voices, -1), sizes
