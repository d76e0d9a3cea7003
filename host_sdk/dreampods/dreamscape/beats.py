"""One tone that beats: binaurally, in the listener, or isochronically, by itself.

Binaural: each ear gets one steady sine, a little apart; nothing in the air flickers, and the beat
arises where both meet in the brainstem. Isochronic: both ears get the same sine, which comes and
goes as sin², with no harmonics of the rate and no click. What either does to sleep is unsettled;
here they are sounds.
"""

from __future__ import annotations

import numpy as np

from dreampods.dreamscape.cue import Audio, Cue
from dreampods.dreamscape.scene import Beats
from dreampods.resonance import ToneBank


class BeatsPlayer:
    def __init__(
        self, beats: Beats, voices: int, rate_hz: float, frames: int, rng: np.random.Generator
    ) -> None:
        self._frames = frames
        ears_hz = beats.carrier_hz + np.array([-0.5, 0.5]) * beats.binaural_hz
        self._freq_hz = np.tile(ears_hz, (voices, 1))
        # A sine of its own for each ear, at RMS 1.
        self._gain = np.tile(np.sqrt(2) * np.eye(2), (voices, 1, 1))
        self._pulse_hz = np.full(voices, beats.isochronic_hz)
        # Both ears start together: where they are in step is the middle.
        self._bank = ToneBank(np.repeat(rng.random((voices, 1)), 2, axis=1), rate_hz=rate_hz)

    def render(self, cue: Cue) -> Audio:
        return self._bank.process(self._frames, self._freq_hz, self._gain, self._pulse_hz)
