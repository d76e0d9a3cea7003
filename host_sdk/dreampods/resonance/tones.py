"""Beds of sines whose frequency and loudness glide: chords, beats, pulses.

Phases are as exact after a night of sound as after a second. Two sines a few hertz apart, one in
each ear, make a binaural beat; pulses of a whole voice are isochronic.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import KernelObject, between, checked, lib, pointer, whole


class ToneBank(KernelObject):
    """turns: (voices, sines), where in its turn each sine starts: 0.25 is its crest."""

    def __init__(self, turns: ArrayLike, *, rate_hz: float = 32000) -> None:
        start = checked("turns", turns, np.float64, ("voices", "sines"), least=-1e6, most=1e6)
        if start.shape[1] > 65536:
            raise ValueError(f"a voice must not have more than 65536 sines, not {start.shape[1]}")
        rate = between("rate_hz", rate_hz, 1000, 1e6)
        self._make(lib.rs_tones_new, lib.rs_tones_free, *start.shape, rate, pointer(start))
        self._shape, self._rate_hz = start.shape, rate

    def process(
        self,
        frames: int,
        freq_hz: ArrayLike,
        gain: ArrayLike,
        pulse_hz: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """The next block, (voices, frames, 2).

        freq_hz: (voices, sines), from 0 to below half the rate; gain: (voices, sines, 2), in each ear.
        Both are reached at the block's end on a straight line from those of the block before; in
        the first block they are there at once. pulse_hz: (voices,), how often a second the voice
        comes and goes, as sin² from silence; 0 for a voice, or None, for not at all.
        """
        count = whole("frames", frames)
        freq = checked("freq_hz", freq_hz, np.float64, self._shape, least=0)
        if not (freq < self._rate_hz / 2).all():
            raise ValueError(f"freq_hz must be below half of rate_hz = {self._rate_hz:g}")
        size = checked("gain", gain, np.float32, (*self._shape, 2))
        pulses = None
        if pulse_hz is not None:
            pulses = checked("pulse_hz", pulse_hz, np.float64, self._shape[:1], least=0)
            if not (pulses < self._rate_hz / 2).all():
                raise ValueError(f"pulse_hz must be below half of rate_hz = {self._rate_hz:g}")
        out = np.empty((self._shape[0], count, 2), np.float32)
        self._call(
            lib.rs_tones_process,
            count,
            pointer(freq),
            pointer(size),
            pointer(pulses),
            pointer(out),
        )
        return out
