"""Each one with all others, over a stretch: cluster phase of rhythms, correlation of slow signals.

**Cluster phase** (Richardson et al. 2012, doi 10.3389/fphys.2012.00405; Frank & Richardson 2010):
a person's phase relative to the group's, φₖ = θₖ - ψ with ψ the angle of Σ w e^{iθ}. ρₖ = |mean of
e^{iφₖ}| over time is 1 for one who keeps a steady relation to the group, whatever it is. The
group's ρ(t) = |mean over people of e^{i(φₖ - φ̄ₖ)}| is 1 while all keep to theirs. Everyone is part
of the group they are compared with, so in small groups ρ is high by chance: judge it by
`shift_p_values`.

**Leave-one-out correlation** (inter-subject correlation): Pearson's r of a person's signal with the
mean of all others'. For averages and differences take `fisher_z` of it, whose spread does not
depend on its value.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import checked, unit_phasors, weighted, whole

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ClusterPhase:
    """person: (N,), ρ of each, 0..1. relative: (N,), the mean phase of each before the group's,
    radians. over_time: (frames,), ρ of the group, 0..1. group: its mean. NaN without evidence.
    """

    person: Floats
    relative: Floats
    over_time: Floats
    group: float


def cluster_phase(phase: ArrayLike, weight: ArrayLike | None = None) -> ClusterPhase:
    """Cluster phase of phase (frames, N), radians, or phasors (frames, N) complex.

    Of phasors only the angle counts. weight: (frames, N), from 0; 1 each if None.
    """
    complex_ones = np.asarray(phase).dtype.kind == "c"
    dtype = np.complex128 if complex_ones else np.float64
    phases, given = weighted("phase", phase, weight, dtype, ("frames", "N"))
    unit = unit_phasors(phases) if complex_ones else np.exp(1j * phases)
    weights = (unit != 0) * (1.0 if given is None else given)
    group = (weights * unit).sum(axis=1, keepdims=True)
    size = np.abs(group)
    towards = np.divide(group, size, out=np.zeros_like(group), where=size > 0)
    relation = weights * unit * towards.conj()
    evidence = np.where(size > 0, weights, 0.0)
    with np.errstate(invalid="ignore"):  # 0 / 0 where there is no evidence
        of_people = relation.sum(axis=0) / evidence.sum(axis=0)
        kept = np.abs((relation * np.exp(-1j * np.angle(np.nan_to_num(of_people)))).sum(axis=1))
        over_time = kept / evidence.sum(axis=1)
    known = np.isfinite(over_time)
    return ClusterPhase(
        person=np.minimum(np.abs(of_people), 1.0),
        relative=np.angle(of_people),
        over_time=np.minimum(over_time, 1.0),
        group=min(float(over_time[known].mean()), 1.0) if known.any() else float("nan"),
    )


def leave_one_out(
    x: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    window: int | None = None,
    step: int | None = None,
) -> Floats:
    """Correlation of each person's signal with the mean of all others', (windows, N), -1..1.

    x: (frames, N), N from 2, such as heart rates. weight: same shape, from 0; 1 each if None. A
    frame counts with a person's weight times the mean weight of the others. In each window a
    person's own mean is taken away first, so that who is missing does not move the mean of those
    who are there. window: frames, or all; step: frames between windows, or a window. NaN where one
    side does not vary or nobody else is there.
    """
    signals, given = weighted("x", x, weight, np.float64, ("frames", "N"))
    frames, n = signals.shape
    if n < 2:
        raise ValueError("x must hold two people at least")
    weights = np.ones(signals.shape) if given is None else given
    size = frames if window is None else whole("window", window)
    if size > frames:
        raise ValueError(f"window must not exceed the {frames} frames of x, it is {size}")
    hop = size if step is None else whole("step", step)
    return np.array(
        [
            _with_the_others(signals[start : start + size], weights[start : start + size])
            for start in range(0, frames - size + 1, hop)
        ]
    )


def fisher_z(r: ArrayLike) -> Floats:
    """artanh of correlations, of any shape, NaN where they are; for averages and tests.

    ±1 becomes the largest value that a double below 1 has, about ±19, and not infinity.
    """
    values = checked("r", r, np.float64, np.shape(r), finite=False)
    if (np.abs(values) > 1).any():
        raise ValueError("r must lie between -1 and 1")
    most = np.nextafter(1.0, 0.0)
    return np.asarray(np.arctanh(np.clip(values, -most, most)))


def _with_the_others(x: Floats, weight: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 where there is no evidence
        own = x - (weight * x).sum(axis=0) / weight.sum(axis=0)
        own[:, weight.sum(axis=0) == 0] = 0.0
        of_all, there = (
            (weight * own).sum(axis=1, keepdims=True),
            weight.sum(axis=1, keepdims=True),
        )
        left = there - weight
        # What is left of a sum after its only part is taken away is rounding
        left[left < 1e-12 * there] = 0.0
        others = np.divide(of_all - weight * own, left, out=np.zeros_like(own), where=left > 0)
        return weighted_correlation(own, others, weight * left)


def weighted_correlation(x: Floats, y: Floats, weight: Floats) -> Floats:
    """Pearson's r of x and y along their first axis; NaN where one of them does not vary."""
    total = weight.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        dx = x - (weight * x).sum(axis=0) / total
        dy = y - (weight * y).sum(axis=0) / total
        of_x, of_y = (weight * dx * dx).sum(axis=0), (weight * dy * dy).sum(axis=0)
        r = (weight * dx * dy).sum(axis=0) / (np.sqrt(of_x) * np.sqrt(of_y))
        # A constant less its mean is rounding
        flat = (of_x <= 1e-24 * (weight * x * x).sum(axis=0)) | (
            of_y <= 1e-24 * (weight * y * y).sum(axis=0)
        )
    return np.where(flat, np.nan, np.clip(r, -1.0, 1.0))
