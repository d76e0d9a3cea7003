"""What phase locking unrelated sleepers would show: the level to judge a PLV against.

Two people who breathe at nearly the same pace look locked for as long as a window lasts, without
knowing of each other. How often depends on how regular each of them is, so no formula tells; but
their own recordings do: a window of one person against windows of the other *from another
time* has all of their regularity and none of their togetherness.

Why windows from a longer stretch, and not the usual circular shifts within the window: a window
of ten breaths holds only a handful of independent shifts, and the seam of each shift breaks the
rhythm. On real slow waves and pulses such a 95 % level was passed by 8 to 15 % of unrelated
windows; the one made here by 4.8 % of 7,292, slow waves to spindles and pulses.
Even the longer stretch is a finite sample, so the quantile is raised the way a permutation test
counts its own observation (Phipson & Smyth 2010, doi 10.2202/1544-6115.1585), with the number of
windows that do not overlap as the sample size.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import checked, whole

# A window is put together from this many blocks, and windows begin a block apart: more of them
# tell little more. Which number leaves the fewest frames over decides.
_BLOCKS = range(4, 9)


def plv_surrogates(
    u: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    window: int,
    min_shift: int,
    quantile: float = 0.95,
) -> NDArray[np.float64]:
    """The PLV (N, N) that a window of an unrelated pair exceeds in 1 - quantile of all cases.

    u: (frames, N) complex, a stretch much longer than the window; weight: (frames, N), from 0, as
    the PLV itself is weighted. window: frames of the PLV to be judged. min_shift: frames between
    two windows from which on nothing of a togetherness is left; several periods of the rhythm.

    The level is 1, which no PLV exceeds, where the stretch is too short to tell: for 0.95 below
    about five windows. Use ten or more. The diagonal is 1.
    """
    phasors = checked("u", u, np.complex128, ("frames", "N"))
    frames, n = phasors.shape
    size = whole("window", window)
    apart = whole("min_shift", min_shift)
    if size > frames:
        raise ValueError(f"window must not exceed the stretch of {frames} frames, it is {size}")
    if not 0 < quantile < 1:
        raise ValueError(f"quantile must lie between 0 and 1, not {quantile}")
    weights = (
        np.ones(phasors.shape)
        if weight is None
        else checked("weight", weight, np.float64, phasors.shape, least=0)
    )
    length = np.abs(phasors)
    weights = np.where(length > 0, weights, 0.0)

    level = np.ones((n, n))
    raised = _raised(quantile, frames // size, size, apart)
    if raised >= 1:
        return level
    blocks = min(_BLOCKS, key=lambda k: size % k) if size >= _BLOCKS.start else size
    hop = size // blocks
    count = frames // hop
    starts = np.arange(count - blocks + 1) * hop
    far = np.abs(starts[:, None] - starts) >= apart
    of_units, of_weights = (
        np.ascontiguousarray(series[frames - count * hop :].T).reshape(n, count, hop)
        for series in (weights * phasors / np.where(length > 0, length, 1.0), weights)
    )
    for a in range(n):
        for b in range(a + 1, n):
            locked = _of_windows(of_units[a] @ of_units[b].conj().T, blocks)[far]
            evidence = _of_windows(of_weights[a] @ of_weights[b].T, blocks)[far]
            values = np.abs(locked[evidence > 0]) / evidence[evidence > 0]
            if values.size:
                level[a, b] = level[b, a] = np.quantile(values, raised, method="higher")
    return np.minimum(level, 1.0)


def _of_windows(products: NDArray[Any], blocks: int) -> NDArray[Any]:
    """Sums for all windows of one against all of the other, from the sums of their blocks.

    A window's sum is that of as many neighbours along a diagonal: a quarter of the work of
    multiplying windows, and products small enough for BLAS to leave other threads alone, which a
    host that also makes sound needs.
    """
    windows = len(products) - blocks + 1
    shifted = [products[k : k + windows, k : k + windows] for k in range(blocks)]
    return np.asarray(np.sum(shifted, axis=0))


def _raised(quantile: float, windows: int, size: int, apart: int) -> float:
    """The quantile of m surrogates that the next one exceeds with probability 1 - quantile.

    m is the number of pairs of windows that do not overlap, and are far enough apart.
    """
    steps = np.arange(windows) * size
    m = np.count_nonzero(np.abs(steps[:, None] - steps) >= apart)
    return float(quantile + quantile / m) if m else 1.0
