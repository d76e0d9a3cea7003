"""How strong rhythms have been: band power and envelope from the phasors of a bank."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import (
    KernelObject,
    between,
    lib,
    pointer,
    positive,
    weighted,
    whole,
)

_MOST_FRAMES = 1e12  # of a memory: of more, one frame's share is lost in rounding


class BandPower(KernelObject):
    """Mean of ``|phasor|² / 2`` per channel and band, with a memory fading as ``e^{-t/memory_s}``.

    Calibrated in the signal's unit squared: a sine of amplitude A at a band's centre has power
    A² / 2. Noise of spectral density S per Hz has S times the bank's noise bandwidth; that is
    ``π/2 · bandwidth_hz`` for `ResonatorBank` (exact for bands narrow against their centre), so
    power divided by it is a density. It is a mean from the first frame on, not a rise from 0.

    channels, bands: as of the bank. rate_hz: of the phasors.
    """

    def __init__(self, channels: int, bands: int, rate_hz: float, *, memory_s: float) -> None:
        signals, rhythms = whole("channels", channels), whole("bands", bands)
        rate = positive("rate_hz", rate_hz)
        self._make(
            lib.rs_power_new,
            lib.rs_power_free,
            whole("channels x bands", signals * rhythms),
            rate,
            between("memory_s", memory_s, 1e-3 / rate, _MOST_FRAMES / rate),
        )
        self._channels, self._bands = signals, rhythms

    def push(self, phasors: ArrayLike, weight: ArrayLike | None = None) -> None:
        """Takes in phasors (frames, channels, bands), complex.

        weight: same shape, from 0; 1 each if None. A frame of weight 0, as in a gap, changes
        nothing but the age of the others.
        """
        shape = ("frames", self._channels, self._bands)
        z, weights = weighted("phasors", phasors, weight, np.complex128, shape)
        self._call(lib.rs_power_push, len(z), pointer(z), pointer(weights))

    @property
    def power(self) -> NDArray[np.float64]:
        """(channels, bands), unit²; NaN where nothing of any weight has come."""
        return self._values()[0]

    @property
    def envelope(self) -> NDArray[np.float64]:
        """(channels, bands): amplitude of the sine that has this power, in the signal's unit."""
        return np.sqrt(2 * self._values()[0])

    @property
    def evidence(self) -> NDArray[np.float64]:
        """(channels, bands): fading mean of the weights. From 0 towards 1 for weights of 1."""
        return self._values()[1]

    def _values(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        values = np.empty((self._channels, self._bands))
        evidence = np.empty_like(values)
        self._call(lib.rs_power_values, pointer(values), pointer(evidence))
        return values, evidence
