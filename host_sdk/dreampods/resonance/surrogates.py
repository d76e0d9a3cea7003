"""What synchrony unrelated sleepers would show: levels and p-values to judge a figure by.

Two people who breathe at nearly the same pace look locked for as long as a window lasts, without
knowing of each other. How often depends on how regular each of them is, so no formula tells; but
their own recordings do: a window of one person against windows of the other *from another
time* has all of their regularity and none of their togetherness.

Why windows from a longer stretch, and not the usual circular shifts within the window: a window
of ten breaths holds only a handful of independent shifts, and the seam of each shift breaks the
rhythm. On real slow waves and pulses such a 95 % level was passed by 8 to 15 % of unrelated
windows; the one made here by 4.8 % of 7,292, slow waves to spindles and pulses.
Where the whole stretch is judged, shifts are the better choice, since there are many of them and
one seam is little in a long one: `shift_p_values`, for any statistic.

Even the longer stretch is a finite sample, so the quantile is raised the way a permutation test
counts its own observation (Phipson & Smyth 2010, doi 10.2202/1544-6115.1585), with the number of
windows that do not overlap as the sample size.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import (
    checked,
    number,
    seeded,
    unit_phasors,
    weighted,
    whole,
)

# A window is put together from this many blocks, and windows begin a block apart: more of them
# tell little more. Which number leaves the fewest frames over decides.
_BLOCKS = range(4, 9)
_MOST_DRAWS = 10**6
_MOST_WINDOWS = 8192

Floats = NDArray[np.float64]


def plv_surrogates(
    u: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    window: int,
    min_shift: int,
    quantile: float = 0.95,
) -> Floats:
    """The PLV (N, N) that a window of an unrelated pair exceeds in 1 - quantile of all cases.

    u: (frames, N) complex, a stretch much longer than the window; weight: (frames, N), from 0, as
    the PLV itself is weighted. window: frames of the PLV to be judged. min_shift: frames between
    two windows from which on nothing of a togetherness is left; several periods of the rhythm.

    The level is 1, which no PLV exceeds, where the stretch is too short to tell: for 0.95 below
    about five windows. Use ten or more. The diagonal is 1.
    """
    if not 0 < number("quantile", quantile) < 1:
        raise ValueError(f"quantile must lie between 0 and 1, not {quantile}")
    blocks = _Blocks(u, weight, window, min_shift)
    level = np.ones((blocks.n, blocks.n))
    raised = quantile * (1 + 1 / blocks.independent) if blocks.independent else 1.0
    if raised >= 1:
        return level
    for a, b, values in blocks.strangers():
        level[a, b] = level[b, a] = np.quantile(values, raised, method="higher")
    return np.minimum(level, 1.0)


def plv_p_values(
    u: ArrayLike, weight: ArrayLike | None = None, *, window: int, min_shift: int
) -> Floats:
    """How often an unrelated pair is locked at least as much as each is in the last window, (N, N).

    Arguments and surrogates are those of `plv_surrogates`: p is at most 0.05 where the PLV exceeds
    the level for 0.95, but for ties. It is never 0, and 1 where the stretch is too short to tell, or
    the last window holds no evidence. The diagonal is 1.
    """
    blocks = _Blocks(u, weight, window, min_shift)
    p = np.ones((blocks.n, blocks.n))
    if not blocks.independent:
        return p
    for a, b, values in blocks.strangers():
        own = blocks.last(a, b)
        if np.isfinite(own):
            # Rounding makes equals differ: a metronome is no more locked than its past
            reached = int(np.count_nonzero(values >= own - 1e-12))
            p[a, b] = p[b, a] = _p_value(reached, values.size, blocks.independent)
    return p


def order_p_value(
    u: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    window: int,
    min_shift: int,
    draws: int = 1000,
    seed: int = 0,
) -> float:
    """How often unrelated people are at least as much in order as these are in the last window.

    Order is the mean over the window of R² (|Σ w e^{iθ}|² / (Σ w)²). A surrogate takes each
    person's window from another time of their own, at least min_shift frames from everybody
    else's (pseudo-groups). u, weight, window, min_shift: as for `plv_surrogates`, with a stretch of
    more windows than people. 1 where the stretch is too short to tell.
    """
    units, weights, size, apart = _prepared(u, weight, window, min_shift)
    frames, n = units.shape
    count = whole("draws", draws, most=_MOST_DRAWS)
    independent = frames // max(size, apart)
    last = frames - size
    if independent < 2 or (n - 1) * apart > last:
        return 1.0
    dice = np.random.default_rng(seeded(seed))
    own = _mean_order(units[last:], weights[last:])
    if not np.isfinite(own):
        return 1.0
    inside = np.arange(size)[:, None]
    people = np.arange(n)
    values = []
    for _ in range(count):
        # Random gaps between the starts in order, then everybody gets one of the starts
        slack = np.sort(dice.integers(0, last - (n - 1) * apart + 1, n))
        starts = dice.permutation(slack + apart * people)
        values.append(
            _mean_order(units[inside + starts, people], weights[inside + starts, people])
        )
    known = np.array(values)
    known = known[np.isfinite(known)]
    if not known.size:
        return 1.0
    # As many independent windows as the stretch holds, not as many as were drawn from it
    fewer = min(count, independent * (independent - 1))
    return _p_value(int(np.count_nonzero(known >= own - 1e-12)), known.size, fewer)


def shift_p_values(
    statistic: Callable[[NDArray[Any]], ArrayLike],
    x: ArrayLike,
    *,
    draws: int = 199,
    seed: int = 0,
) -> Floats:
    """How often a statistic of unrelated people's series is at least as large as that of x.

    statistic: from an array like x (frames, N), real or complex, to values of any shape, such as
    ``lambda x: leave_one_out(x)[0]`` or the mean peak of a windowed cross-correlation; for what
    may be large either way, its size. A surrogate moves each column on by a random number of
    frames, circularly: it keeps each one's rhythm and ends their togetherness.

    Every shift is as likely, also none: only then is p exact, as the rank of one among its equals.
    So p will not be much below the part of x that the rhythm remembers; with less than a hundred
    memories in x, the seams also make it too small: 6 % instead of 5 with fifty. Returned in the
    shape of the statistic: (1 + surrogates as large) / (1 + draws) (Phipson & Smyth 2010); 1 where
    the statistic is NaN.
    """
    raw = np.asarray(x)
    dtype = np.complex128 if raw.dtype.kind == "c" else np.float64
    series = checked("x", x, dtype, ("frames", "N"))
    frames, n = series.shape
    count = whole("draws", draws, most=_MOST_DRAWS)
    dice = np.random.default_rng(seeded(seed))
    own = np.asarray(statistic(series.copy()), np.float64)
    reached = np.zeros(own.shape)
    rows, columns = np.arange(frames)[:, None], np.arange(n)
    for _ in range(count):
        moved = series[(rows + dice.integers(0, frames, n)) % frames, columns]
        reached += ~(np.asarray(statistic(moved), np.float64) < own - 1e-12)
    return np.where(np.isfinite(own), (1 + reached) / (1 + count), 1.0)


def _prepared(
    u: ArrayLike, weight: ArrayLike | None, window: int, min_shift: int
) -> tuple[NDArray[np.complex128], Floats, int, int]:
    """Unit phasors (frames, N), weights, which are 0 where a phasor is, and both numbers."""
    phasors, weights = weighted("u", u, weight, np.complex128, ("frames", "N"))
    frames = len(phasors)
    size = whole("window", window)
    apart = whole("min_shift", min_shift)
    if size > frames:
        raise ValueError(f"window must not exceed the stretch of {frames} frames, it is {size}")
    units = unit_phasors(phasors)
    return units, (units != 0) * (1.0 if weights is None else weights), size, apart


class _Blocks:
    """A stretch cut into blocks, of which windows are put together."""

    def __init__(
        self, u: ArrayLike, weight: ArrayLike | None, window: int, min_shift: int
    ) -> None:
        units, weights, size, apart = _prepared(u, weight, window, min_shift)
        frames, self.n = units.shape
        self.independent = _independent(frames // size, size, apart)
        self._blocks = min(_BLOCKS, key=lambda k: size % k) if size >= _BLOCKS.start else size
        hop = size // self._blocks
        count = frames // hop
        if count > _MOST_WINDOWS:
            raise ValueError(
                f"u holds {count} blocks of {hop} frames, and at most {_MOST_WINDOWS} can be compared "
                "with each other: take a shorter stretch, or fewer frames a second"
            )
        starts = np.arange(count - self._blocks + 1) * hop
        self._far = np.abs(starts[:, None] - starts) >= apart
        self._units, self._weights = (
            np.ascontiguousarray(series[frames - count * hop :].T).reshape(self.n, count, hop)
            for series in (weights * units, weights)
        )
        self._last = (weights * units)[frames - size :], weights[frames - size :]

    def strangers(self) -> Iterator[tuple[int, int, Floats]]:
        """Of each pair a < b, the PLV of windows of one against windows of the other far away."""
        for a in range(self.n):
            for b in range(a + 1, self.n):
                locked = _of_windows(self._units[a] @ self._units[b].conj().T, self._blocks)
                evidence = _of_windows(self._weights[a] @ self._weights[b].T, self._blocks)
                known = self._far & (evidence > 0)
                if known.any():
                    yield a, b, np.abs(locked[known]) / evidence[known]

    def last(self, a: int, b: int) -> float:
        """The PLV of a pair in the last window; NaN if it shares no evidence."""
        units, weights = self._last
        evidence = weights[:, a] @ weights[:, b]
        if not evidence > 0:
            return float("nan")
        return float(abs(np.vdot(units[:, a], units[:, b])) / evidence)


def _mean_order(units: NDArray[np.complex128], weights: Floats) -> float:
    """The mean of R² over the frames in which anybody has weight; NaN if there are none."""
    total = weights.sum(axis=1)
    known = total > 0
    if not known.any():
        return float("nan")
    summed = np.abs((weights * units).sum(axis=1))
    return float(np.mean((summed[known] / total[known]) ** 2))


def _of_windows(products: NDArray[Any], blocks: int) -> NDArray[Any]:
    """Sums for all windows of one against all of the other, from the sums of their blocks.

    A window's sum is that of as many neighbours along a diagonal: a quarter of the work of
    multiplying windows, and products small enough for BLAS to leave other threads alone, which a
    host that also makes sound needs.
    """
    windows = len(products) - blocks + 1
    shifted = [products[k : k + windows, k : k + windows] for k in range(blocks)]
    return np.asarray(np.sum(shifted, axis=0))


def _p_value(reached: int, of: int, independent: int) -> float:
    """The share of surrogates that reach a value, counting it as one more of the independent ones."""
    own = of / independent
    return (reached + own) / (of + own)


def _independent(windows: int, size: int, apart: int) -> int:
    """How many pairs of windows do not overlap and are far enough apart: the sample's true size.

    The quantile q of m surrogates is exceeded by the next one with probability 1 - q if it is
    raised to q (1 + 1/m).
    """
    steps = np.arange(windows) * size
    return int(np.count_nonzero(np.abs(steps[:, None] - steps) >= apart))
