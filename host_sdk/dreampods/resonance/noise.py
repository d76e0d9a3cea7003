"""Rushing noise, pink or brown, whose brightness moves: wind, surf, deep water."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import (
    KernelObject,
    between,
    checked,
    lib,
    not_negative,
    pointer,
    seeded,
    whole,
)

_COLOURS = ("pink", "brown")
_MOST_RIPPLE_DB = 12.0
_LEAST_HIGH_HZ = 5.0  # below, what is left of the noise is its slowest swing


class NoiseBank(KernelObject):
    """voices: each with two ears, all independent. RMS 1 in each ear while brightness is open.

    colour: "pink" falls by 3 dB an octave (within 0.25 dB from 20 Hz to 12 kHz at 32 kHz and above),
    "brown" by 6. low_hz, high_hz: edges, 24 dB an octave, 6 dB down at that frequency; 0 for none;
    brown needs a low one. ripple_db: standard deviation by which each octave swells by itself,
    slower than once a second. seed: from 0 to 2⁶⁴ - 1; same seed, same sound.
    """

    def __init__(
        self,
        voices: int,
        *,
        rate_hz: float = 32000,
        colour: str = "pink",
        low_hz: float = 0.0,
        high_hz: float = 0.0,
        ripple_db: float = 0.0,
        seed: int = 0,
    ) -> None:
        sounds = whole("voices", voices)
        rate = between("rate_hz", rate_hz, 1000, 1e6)
        if colour not in _COLOURS:
            raise ValueError(f"colour must be one of {', '.join(_COLOURS)}, not {colour!r}")
        low, high = not_negative("low_hz", low_hz), not_negative("high_hz", high_hz)
        if not (low < 0.45 * rate and high < 0.45 * rate):
            raise ValueError(f"low_hz and high_hz must be below 0.45 of rate_hz = {rate:g}")
        if 0 < high < _LEAST_HIGH_HZ:
            raise ValueError(f"high_hz must be 0 or at least {_LEAST_HIGH_HZ:g}, it is {high:g}")
        if high and high <= low:
            raise ValueError(f"high_hz = {high:g} must be above low_hz = {low:g}")
        if colour == "brown" and not low:
            raise ValueError("brown noise needs a low_hz above 0: towards 0 Hz it has no end")
        self._make(
            lib.rs_noise_new,
            lib.rs_noise_free,
            sounds,
            rate,
            int(colour == "brown"),
            low,
            high,
            between("ripple_db", ripple_db, 0, _MOST_RIPPLE_DB),
            seeded(seed),
        )
        self._voices = sounds

    def process(self, frames: int, brightness_hz: ArrayLike) -> NDArray[np.float32]:
        """The next block, (voices, frames, 2).

        brightness_hz: (voices,), from 0.001: corner of a low-pass of 12 dB an octave (Butterworth),
        reached at the block's end; in the first block it is there at once.
        """
        count = whole("frames", frames)
        corner = checked("brightness_hz", brightness_hz, np.float64, (self._voices,), least=1e-3)
        out = np.empty((self._voices, count, 2), np.float32)
        self._call(lib.rs_noise_process, count, pointer(corner), pointer(out))
        return out
