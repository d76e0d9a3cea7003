"""The phase at the newest sample of a window: the endpoint-corrected Hilbert transform, live.

A Hilbert transform rings at a window's ends, and the newest sample is one of them. Schreglmann et
al. (2021) take the ringing away with a causal band-pass in the same Fourier transform. Since all of
that is linear and only the last sample is wanted, it is one dot product with the window: that is
what each new sample costs here, instead of two transforms.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import checked, lib, pointer, positive, whole
from dreampods.resonance.phasor_bank import PhasorBank

_SHORTEST, _LONGEST = 8, int(lib.RS_HILBERT_MOST)


class EndpointHilbert(PhasorBank):
    """Endpoint-corrected Hilbert transform (ecHT) of channels × bands, calibrated.

    For a cosine at a band's centre, the phasor has its amplitude and phase at the sample exactly,
    whatever the offset; the mirror image that the plain method leaves is taken out too. The centre
    is √(low·high) as the bilinear transform bends frequencies; `centre_hz` tells it.

    channels: number of signals. low_hz, high_hz: (bands,), -3 dB edges of a causal Butterworth
    band-pass of order 2, ``scipy.signal.butter(2, [low, high], "bandpass", fs=rate_hz)``.
    window_s: what is looked at; 8 to 16,384 samples, and at least one cycle of each band's middle.

    Missing samples are left out and the others calibrated anew; the phasor is 0 where less than a
    quarter of the window's weight is there, as at the start. The confidence is weighted over the
    window as the transform is.

    Sources: Schreglmann et al. 2021, Nature Communications 12:363, doi 10.1038/s41467-020-20581-7;
    calibration after arXiv 2601.13962.
    """

    _process, _tell = lib.rs_hilbert_process, lib.rs_hilbert_state

    def __init__(
        self,
        channels: int,
        low_hz: ArrayLike,
        high_hz: ArrayLike,
        rate_hz: float,
        *,
        window_s: float,
    ) -> None:
        signals = whole("channels", channels)
        rate = positive("rate_hz", rate_hz)
        low = checked("low_hz", low_hz, np.float64, ("bands",))
        bands = len(low)
        high = checked("high_hz", high_hz, np.float64, (bands,))
        least = rate / _LONGEST / 100
        if not ((low >= least) & (low < high) & (high < rate / 2)).all():
            raise ValueError(
                f"{least:g} <= low_hz < high_hz < {rate / 2:g}, half the rate, does not hold for all "
                "bands"
            )
        window = round(positive("window_s", window_s) * rate)
        if not _SHORTEST <= window <= _LONGEST:
            raise ValueError(
                f"window_s must hold {_SHORTEST} to {_LONGEST} samples, {_SHORTEST / rate:g} to "
                f"{_LONGEST / rate:g} s, not {window_s:g}"
            )
        if not (window * (low + high) >= 2 * rate).all():
            cycle = 2 / (low + high).min()
            raise ValueError(
                f"window_s must hold a cycle of each band's middle, {cycle:g} s, not {window_s:g}"
            )
        centre: NDArray[np.float64] = (
            np.arctan(np.sqrt(np.tan(np.pi * low / rate) * np.tan(np.pi * high / rate)))
            * rate
            / np.pi
        )
        self._make(
            lib.rs_hilbert_new,
            lib.rs_hilbert_free,
            signals,
            bands,
            window,
            rate,
            pointer(low),
            pointer(high),
        )
        self._channels, self._bands, self._centre_hz = signals, bands, centre

    @property
    def centre_hz(self) -> NDArray[np.float64]:
        """(bands,): where phase and amplitude are exact."""
        return self._centre_hz.copy()
