"""Phase, amplitude and confidence of rhythms, sample by sample, without waiting for a window.

Each channel runs through one complex one-pole resonator per band. Its state is the projection of
the recent past on a rotating phasor, so the phase is known at every sample at constant cost, with
no lag at the centre frequency. Every phase comes with a confidence, because a phase can be
computed of anything, also of noise.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import (
    KernelObject,
    checked,
    lib,
    masked,
    pointer,
    positive,
    whole,
)

_SLOWEST = 1e-7  # of the rate: below, what a sample adds to a resonator is lost in rounding


class ResonatorBank(KernelObject):
    """Complex one-pole resonators, ``z[n] = r e^{iω} z[n-1] + g (x[n] - recent mean)``.

    Given out is the sinusoid at the centre that, beside a constant, fits the recent past best
    (least squares, weights falling as r^k): for a cosine of amplitude A at the centre a phasor of
    magnitude A and the angle of that cosine at the sample, whatever the offset. Forgetting takes
    about 1 / (π bandwidth) seconds, and drifts slower than half the bandwidth are let go too.

    channels: number of signals. freq_hz, bandwidth_hz: (bands,), centres and -3 dB full widths,
    both from a ten-millionth to half of rate_hz; widths are exact for bands narrow against their
    centre.
    """

    def __init__(
        self, channels: int, freq_hz: ArrayLike, bandwidth_hz: ArrayLike, rate_hz: float
    ) -> None:
        signals = whole("channels", channels)
        rate = positive("rate_hz", rate_hz)
        freq = _in_reach("freq_hz", freq_hz, ("bands",), rate)
        bands = len(freq)
        bandwidth = _in_reach("bandwidth_hz", bandwidth_hz, (bands,), rate)
        self._make(
            lib.rs_resonators_new,
            lib.rs_resonators_free,
            signals,
            bands,
            rate,
            pointer(freq),
            pointer(bandwidth),
        )
        self._channels, self._bands, self._rate_hz = signals, bands, rate

    def process(self, x: ArrayLike, valid: ArrayLike | None = None) -> NDArray[np.complex128]:
        """Phasors (frames, channels, bands) of the signals x (frames, channels).

        valid: (frames, channels), False where a sample is missing; x may be anything there. Over
        a gap the phasor rotates on and decays, nothing is added, and the confidence falls.
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
            lib.rs_resonators_process,
            len(signal),
            pointer(signal),
            pointer(mask),
            pointer(phasors),
            pointer(confidence if judged else None),
        )
        return phasors, confidence

    def retune(self, freq_hz: ArrayLike) -> None:
        """New centres (channels, bands), one per signal, as when following a person.

        The phase goes on without a jump; the bandwidths stay.
        """
        freq = _in_reach("freq_hz", freq_hz, (self._channels, self._bands), self._rate_hz)
        self._call(lib.rs_resonators_retune, pointer(freq))

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
        """(channels, bands), 0..1: share of the recent variance that the phasor explains.

        Missing samples count as unexplained. 1 for a clean sine at the centre, near 0 for noise.
        """
        return self._state()[1]

    def _state(self) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        phasor = np.empty((self._channels, self._bands), np.complex128)
        confidence = np.empty((self._channels, self._bands))
        self._call(lib.rs_resonators_state, pointer(phasor), pointer(confidence))
        return phasor, confidence


def _in_reach(
    name: str, value: ArrayLike, shape: tuple[int | str, ...], rate_hz: float
) -> NDArray[np.float64]:
    hz = checked(name, value, np.float64, shape)
    least, most = _SLOWEST * rate_hz, rate_hz / 2
    if not ((hz >= least) & (hz < most)).all():
        raise ValueError(f"{name} must lie between {least:g} and {most:g}, half the rate")
    return hz
