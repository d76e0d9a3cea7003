"""Windowed cross-correlation: do two slow signals follow each other, who leads, and by how much?

For heart rate and skin conductance, which have no clear phase, and in which one may answer another
seconds later (Boker et al. 2002, doi 10.1037/1082-989X.7.3.338). Short windows tell real pairs from
others better, and matter more than the largest lag (Behrens et al. 2020). The strongest of many
lags is large by chance: judge it by `shift_p_values`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import weighted, whole

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class WindowedCorrelation:
    """r: (windows, lags), -1..1, NaN without evidence. lags: (lags,), frames by which y comes after
    x. starts: (windows,), the first frame of each window of x.
    """

    r: Floats
    lags: NDArray[np.int64]
    starts: NDArray[np.int64]

    @property
    def peak(self) -> Floats:
        """(windows,), the largest r of each window; NaN where there is none."""
        known = np.where(np.isfinite(self.r), self.r, -np.inf).max(axis=1)
        return np.where(np.isfinite(known), known, np.nan)

    @property
    def peak_lag(self) -> Floats:
        """(windows,), its lag, positive where y comes after x; NaN where there is none.

        A peak at either end of the lags may be the flank of one beyond.
        """
        best = np.where(np.isfinite(self.r), self.r, -np.inf).argmax(axis=1)
        return np.where(np.isfinite(self.peak), self.lags[best], np.nan)


def windowed_cross_correlation(
    x: ArrayLike,
    y: ArrayLike,
    *,
    window: int,
    max_lag: int,
    step: int = 1,
    weight_x: ArrayLike | None = None,
    weight_y: ArrayLike | None = None,
) -> WindowedCorrelation:
    """Pearson's r of x[t .. t + window] and y[t + lag .. t + lag + window], (frames,) each.

    Lags go from -max_lag to max_lag, windows begin every `step` frames, from the first to the last
    for which all lags lie inside. weight_x, weight_y: (frames,), from 0; 1 each if None: a frame
    counts with the product of both, so that gaps are left out. A window costs the same whatever
    its length.
    """
    first, given_x = weighted("x", x, weight_x, np.float64, ("frames",), "weight_x")
    frames = len(first)
    second, given_y = weighted("y", y, weight_y, np.float64, (frames,), "weight_y")
    of_first, of_second = (np.ones(frames) if w is None else w for w in (given_x, given_y))
    size, hop = whole("window", window), whole("step", step)
    most = whole("max_lag", max_lag) if max_lag != 0 else 0
    if size + 2 * most > frames:
        raise ValueError(
            f"a window of {size} frames with lags of ±{most} needs {size + 2 * most} frames, "
            f"x has {frames}"
        )
    starts = np.arange(most, frames - size - most + 1, hop)
    lags = np.arange(-most, most + 1)
    first, second = _centred(first, of_first), _centred(second, of_second)
    # What comes round from the other end lies outside of all windows
    r = np.stack(
        [
            _correlations(
                first, np.roll(second, -lag), of_first * np.roll(of_second, -lag), starts, size
            )
            for lag in lags
        ],
        axis=1,
    )
    return WindowedCorrelation(r, lags, starts)


def _centred(x: Floats, weight: Floats) -> Floats:
    """x less its median, with which sums of squares would lose their last digits; 0 in gaps."""
    known = weight > 0
    return np.where(known, x - (np.median(x[known]) if known.any() else 0.0), 0.0)


def _correlations(
    x: Floats, y: Floats, weight: Floats, starts: NDArray[np.int64], size: int
) -> Floats:
    blocks, within = divmod(starts, size)

    def over_windows(product: Floats) -> Floats:
        # The end of one block and the beginning of the next: no window knows of what lies outside
        padded = np.zeros((len(product) // size + 2, size))
        padded.flat[: len(product)] = product
        begun = np.cumsum(padded, axis=1)
        left = np.cumsum(padded[:, ::-1], axis=1)[:, ::-1]
        rest = np.where(within > 0, begun[blocks + 1, within - 1], 0.0)
        return np.asarray(left[blocks, within] + rest)

    w, wx, wy = over_windows(weight), over_windows(weight * x), over_windows(weight * y)
    frames = over_windows((weight > 0).astype(float))
    xx, yy = over_windows(weight * x * x), over_windows(weight * y * y)
    of_x, of_y = w * xx - wx * wx, w * yy - wy * wy
    # Less is what rounding leaves of nothing
    vary = (frames > 1) & (of_x > 1e-12 * w * xx) & (of_y > 1e-12 * w * yy)
    r = np.divide(
        w * over_windows(weight * x * y) - wx * wy,
        np.sqrt(np.where(vary, of_x, 1.0)) * np.sqrt(np.where(vary, of_y, 1.0)),
        out=np.full(len(starts), np.nan),
        where=vary,
    )
    return np.asarray(np.clip(r, -1.0, 1.0))
