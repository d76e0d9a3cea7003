"""Rushing noise whose brightness follows bodies: wind, surf, deep water.

Every ear of every sleeper has noise of its own, which never repeats
(`dreampods.resonance.NoiseBank`).
"""

from __future__ import annotations

import numpy as np

from dreampods.dreamscape.cue import Audio, Cue
from dreampods.dreamscape.scene import Noise
from dreampods.resonance import NoiseBank


class NoisePlayer:
    def __init__(
        self, noise: Noise, voices: int, rate_hz: float, frames: int, rng: np.random.Generator
    ) -> None:
        self._frames = frames
        self._bank = NoiseBank(
            voices,
            rate_hz=rate_hz,
            colour=noise.colour,
            low_hz=noise.low_hz,
            # What the rate cannot carry needs no edge.
            high_hz=noise.high_hz if noise.high_hz < 0.45 * rate_hz else 0.0,
            ripple_db=noise.ripple_db,
            seed=int(rng.integers(2**63)),
        )

    def render(self, cue: Cue) -> Audio:
        return self._bank.process(self._frames, cue.brightness_hz)
