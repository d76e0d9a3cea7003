"""What all that makes phasors of signals has in common: channels × bands, sample by sample."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import KernelObject, masked, pointer


class PhasorBank(KernelObject):
    """Signals in, phasors out, one for each frame, channel and band; and the state at the end."""

    _process: ClassVar[Callable[..., Any]]
    _tell: ClassVar[Callable[..., Any]]
    _channels: int
    _bands: int

    def process(self, x: ArrayLike, valid: ArrayLike | None = None) -> NDArray[np.complex128]:
        """Phasors (frames, channels, bands) of the signals x (frames, channels).

        Each belongs to its own sample and knows nothing later. valid: (frames, channels), False
        where a sample is missing; x may be anything there.
        """
        return self._processed(x, valid, False)[0]

    def process_with_confidence(
        self, x: ArrayLike, valid: ArrayLike | None = None
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        """The phasors of `process`, and the `confidence` of each, (frames, channels, bands).

        As weights for `Pairs` or `order_parameter`, for example.
        """
        return self._processed(x, valid, True)

    def _processed(
        self, x: ArrayLike, valid: ArrayLike | None, judged: bool
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        signal, mask = masked(x, valid, self._channels)
        phasors = np.empty((len(signal), self._channels, self._bands), np.complex128)
        confidence = np.empty(phasors.shape if judged else 0)
        self._call(
            type(self)._process,
            len(signal),
            pointer(signal),
            pointer(mask),
            pointer(phasors),
            pointer(confidence if judged else None),
        )
        return phasors, confidence

    @property
    def phase(self) -> NDArray[np.float64]:
        """(channels, bands), radians in (-π, π], 0 at the crest."""
        return np.angle(self._state()[0])

    @property
    def amplitude(self) -> NDArray[np.float64]:
        """(channels, bands), in the unit of the signal."""
        return np.abs(self._state()[0])

    @property
    def confidence(self) -> NDArray[np.float64]:
        """(channels, bands), 0..1: share of the variance that the phasor's rhythm explains.

        Of the same stretch, weighted alike; missing samples count as unexplained. 1 for a clean
        sine at the centre, near 0 for noise.
        """
        return self._state()[1]

    def _state(self) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        phasor = np.empty((self._channels, self._bands), np.complex128)
        confidence = np.empty((self._channels, self._bands))
        self._call(type(self)._tell, pointer(phasor), pointer(confidence))
        return phasor, confidence
