"""Phase locking value of all pairs: over a stretch, or live over a sliding window.

``PLV = |Σ w e^{i(θa - θb)}| / Σ w`` with w the product of both weights (Lachaux et al. 1999,
Human Brain Mapping 8:194). It is 1 for a constant phase difference, whatever that difference is.

Short windows of slow rhythms lock by chance, and more so the fewer cycles they hold: judge a value
only against `plv_surrogates`. n_eff is no remedy, since it counts frames, of which neighbours
in a slow rhythm are nearly the same.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import checked, lib, new, pointer, whole


class PairwisePLV:
    """PLV of all pairs of pods, per band, over the last `window` frames.

    A frame costs the same whatever the window's length. Until the window is full, what has
    come so far counts.
    """

    def __init__(self, pods: int, bands: int, window: int) -> None:
        self._pods = whole("pods", pods)
        self._bands = whole("bands", bands)
        self._pairs = new(
            lib.rs_pairwise_new,
            lib.rs_pairwise_free,
            self._pods,
            self._bands,
            whole("window", window),
        )

    def push(self, u: ArrayLike, weight: ArrayLike | None = None) -> None:
        """Takes in phasors u (frames, pods, bands), of which only the angle counts.

        weight: same shape, from 0; 1 each if None. A phasor of 0 has no angle and no weight.
        """
        phasors = checked("u", u, np.complex128, ("frames", self._pods, self._bands))
        weights = (
            None
            if weight is None
            else checked("weight", weight, np.float64, phasors.shape, least=0)
        )
        lib.rs_pairwise_push(self._pairs, len(phasors), pointer(phasors), pointer(weights))

    @property
    def plv(self) -> NDArray[np.float64]:
        """(bands, pods, pods), symmetric, 0..1; NaN where a pair shares no weighted frame."""
        return self._values()[0]

    @property
    def n_eff(self) -> NDArray[np.float64]:
        """(bands, pods, pods): (Σw)² / Σw², the number of equal frames that weigh as much."""
        return self._values()[1]

    def _values(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        values = np.empty((self._bands, self._pods, self._pods))
        n_eff = np.empty_like(values)
        lib.rs_pairwise_values(self._pairs, pointer(values), pointer(n_eff))
        return values, n_eff


def plv(u: ArrayLike, weight: ArrayLike | None = None) -> NDArray[np.float64]:
    """PLV (N, N) of all pairs of the columns of u (frames, N) complex, over all frames.

    weight: (frames, N), from 0, multiplied per pair; 1 each if None. NaN where a pair shares no
    weighted frame.
    """
    phasors = checked("u", u, np.complex128, ("frames", "N"))
    frames, n = phasors.shape
    pairs = PairwisePLV(n, 1, frames)
    if weight is None:
        pairs.push(phasors[:, :, np.newaxis])
    else:
        weights = checked("weight", weight, np.float64, phasors.shape, least=0)
        pairs.push(phasors[:, :, np.newaxis], weights[:, :, np.newaxis])
    values: NDArray[np.float64] = pairs.plv[0]
    return values
