"""Phase, amplitude and confidence of rhythms, sample by sample, without waiting for a window.

Each channel runs through one complex one-pole resonator per band. Its state is the projection of
the recent past on a rotating phasor, so the phase is known at every sample at constant cost, with
no lag at the centre frequency. Every phase comes with a confidence, because a phase can be
computed of anything, also of noise.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import checked, lib, pointer, positive, whole
from dreampods.resonance.phasor_bank import PhasorBank

_SLOWEST = 1e-7  # of the rate: below, what a sample adds to a resonator is lost in rounding


class ResonatorBank(PhasorBank):
    """Complex one-pole resonators, ``z[n] = r e^{iω} z[n-1] + g (x[n] - recent mean)``.

    Given out is the sinusoid at the centre that, beside a constant, fits the recent past best
    (least squares, weights falling as r^k): for a cosine of amplitude A at the centre a phasor of
    magnitude A and the angle of that cosine at the sample, whatever the offset. Forgetting takes
    about 1 / (π bandwidth) seconds, and drifts slower than half the bandwidth are let go too. Over a
    gap the phasor rotates on and decays, nothing is added, and the confidence falls.

    channels: number of signals. freq_hz, bandwidth_hz: (bands,), centres and -3 dB full widths,
    both from a ten-millionth to half of rate_hz; widths are exact for bands narrow against their
    centre.
    """

    _process, _tell = lib.rs_resonators_process, lib.rs_resonators_state

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

    def retune(self, freq_hz: ArrayLike) -> None:
        """New centres (channels, bands), one per signal, as when following a person.

        The phase goes on without a jump; the bandwidths stay.
        """
        freq = _in_reach("freq_hz", freq_hz, (self._channels, self._bands), self._rate_hz)
        self._call(lib.rs_resonators_retune, pointer(freq))


def _in_reach(
    name: str, value: ArrayLike, shape: tuple[int | str, ...], rate_hz: float
) -> NDArray[np.float64]:
    hz = checked(name, value, np.float64, shape)
    least, most = _SLOWEST * rate_hz, rate_hz / 2
    if not ((hz >= least) & (hz < most)).all():
        raise ValueError(f"{name} must lie between {least:g} and {most:g}, half the rate")
    return hz
