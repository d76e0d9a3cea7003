"""Things that sing while a body rubs them: the rim of a glass, a bowl under its leather.

Rubbing is a rush of small strikes: pink noise, as strong as the rhythm is high, drives the modes
of all notes (`dreampods.resonance.ModeBank`). They ring on when it lets go.
"""

from __future__ import annotations

import numpy as np

from dreampods.dreamscape.bodies import Floats
from dreampods.dreamscape.cue import Audio, Cue
from dreampods.dreamscape.modes import MATERIALS
from dreampods.dreamscape.scene import Rubbed
from dreampods.resonance import ModeBank, NoiseBank

_LEAN = 0.6
_LOWEST_HZ = 30.0


class RubbedPlayer:
    """A voice is a sleeper each, or one that all of them rub together."""

    def __init__(
        self, rubbed: Rubbed, voices: int, rate_hz: float, frames: int, rng: np.random.Generator
    ) -> None:
        self._rubbed_by = rubbed.rubbed_by
        # Power follows the hand by half the time in which an amplitude falls to 1/e: a rhythm is
        # regular, so the hand may be early by that (two filters of half of that half each).
        self._early_s = rubbed.decay_s / np.log(1000) / 4
        self._voices = voices
        self._frames = frames
        freq_hz, decay_s, size = _chord(rubbed, rate_hz)
        lean = np.where(np.arange(len(freq_hz)) % 2, _LEAN, -_LEAN) * rng.uniform(0.3, 1)
        angle = (lean + 1) * np.pi / 4
        ears = np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        self._bank = ModeBank(voices, freq_hz, decay_s, rate_hz=rate_hz, drive_gain=size[:, None] * ears)
        self._rush = NoiseBank(voices, rate_hz=rate_hz, low_hz=_LOWEST_HZ, seed=int(rng.integers(2**63)))
        self._open_hz = np.full(voices, rate_hz)
        self._force: Floats = np.zeros(voices)  # nobody's hand is on it yet
        self._part = np.arange(1, frames + 1) / frames

    def render(self, cue: Cue) -> Audio:
        force = cue.rhythms[self._rubbed_by].value(0.0, self._early_s)
        if len(force) != self._voices:
            force = np.full(self._voices, force.mean())
        before, self._force = self._force, force
        way = before[:, None] + (force - before)[:, None] * self._part
        rush = self._rush.process(self._frames, self._open_hz)[:, :, 0]
        return self._bank.process(self._frames, drive=way * rush)


def _chord(rubbed: Rubbed, rate_hz: float) -> tuple[Floats, Floats, Floats]:
    """Frequencies, decays and drive gains (modes,) that sound at RMS 1 when rubbed fully."""
    material = MATERIALS[rubbed.material]
    notes = np.array(rubbed.notes_hz)
    freq_hz = np.outer(notes, material.ratios).ravel()
    level = np.tile(10 ** (np.array(material.gains_db) / 20), len(notes))
    level = np.where(freq_hz < 0.45 * rate_hz, level, 0.0)
    decay_s = rubbed.decay_s * np.tile(material.decays, len(notes))
    # Noise of power s per frame brings a mode of gain g, which loses a part of 2 / loss a frame,
    # to the power s g² loss / 4; and of pink noise each octave holds the same power.
    loss = decay_s * rate_hz / np.log(1000)
    octaves = np.log(rate_hz / 2 / _LOWEST_HZ)
    per_frame = rate_hz / 2 / (np.maximum(freq_hz, _LOWEST_HZ) * octaves)
    size = level / np.sqrt(per_frame * loss / 4)
    return np.minimum(freq_hz, 0.45 * rate_hz), decay_s, size / np.sqrt(np.sum(level**2))
