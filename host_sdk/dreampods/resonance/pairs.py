"""Synchrony of all pairs: over a stretch, or live over a sliding or a fading window.

==================  ===============================================================================
plv                 phase locking value, 0..1 (Lachaux et al. 1999, Human Brain Mapping 8:194)
ppc                 pairwise phase consistency: PLV² without its bias of 1/n, up to 1, 0 on average
                    by chance (Vinck et al. 2010, NeuroImage 51:112)
ciplv               corrected imaginary PLV, 0..1: blind to phases that merely are the same, as a
                    common pickup makes them (Bruña et al. 2018, J Neural Eng 15:056011)
wpli                weighted phase lag index, 0..1 (Vinck et al. 2011, NeuroImage 55:1548)
wpli2_debiased      its square without bias, up to 1 (the same paper)
accorr              adjusted circular correlation, -1..1 (Zimmermann et al. 2024,
                    doi 10.1162/imag_a_00350)
ccorr               circular correlation, -1..1 (Jammalamadaka & SenGupta 2001), with its sign
envelope            Pearson's correlation of the amplitudes, -1..1
n_eff               (Σw)² / Σw²: how many equal frames weigh as much
==================  ===============================================================================

The formulae stand in csrc/include/resonance/synchrony.h. A pair's weight in a frame is the product
of both weights: a gap, or a phase that is hardly known, counts less or not at all, and is never
taken for a phase of 0. Where a pair has no evidence, or a value would be a quotient of nothing (no
variation), it is NaN.

Short windows of slow rhythms lock by chance, and more so the fewer cycles they hold: judge a value
only against `plv_surrogates` or `plv_p_values`. n_eff is no remedy, since it counts frames, of
which neighbours in a slow rhythm are nearly the same. Between two bodies a phase lag of 0 is as
good as any; ciplv and wpli are there for channels of one body, and against common pickup.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import (
    KernelObject,
    between,
    checked,
    lib,
    pointer,
    unit_phasors,
    weighted,
    whole,
)

Floats = NDArray[np.float64]

_C_NAMES = {
    "plv": lib.RS_PLV,
    "ppc": lib.RS_PPC,
    "ciplv": lib.RS_CIPLV,
    "wpli": lib.RS_WPLI,
    "wpli2_debiased": lib.RS_WPLI2_DEBIASED,
    "accorr": lib.RS_ACCORR,
    "ccorr": lib.RS_CCORR,
    "envelope": lib.RS_ENVELOPE_CORR,
    "n_eff": lib.RS_N_EFF,
}
MEASURES = tuple(_C_NAMES)
_MOST_POWER = 1000
_FOR_EVER = float(np.finfo(np.float64).max)  # a memory, in frames


class _Measured:
    """The measures as attributes, each (bands, pods, pods) and symmetric."""

    __slots__ = ()

    def value(self, measure: str) -> Floats:
        """The measure of that name, (bands, pods, pods)."""
        raise NotImplementedError

    @property
    def plv(self) -> Floats:
        """Phase locking value, 0..1."""
        return self.value("plv")

    @property
    def ppc(self) -> Floats:
        """Pairwise phase consistency, up to 1. NaN from one frame.

        0 on average by chance where frames are independent. Neighbouring frames of a rhythm are
        not, so a live value is above 0 by chance too: judge it as the PLV.
        """
        return self.value("ppc")

    @property
    def ciplv(self) -> Floats:
        """Corrected imaginary PLV, 0..1. NaN where the phases are always the same."""
        return self.value("ciplv")

    @property
    def wpli(self) -> Floats:
        """Weighted phase lag index, 0..1. NaN where there never is a lag, as on the diagonal."""
        return self.value("wpli")

    @property
    def wpli2_debiased(self) -> Floats:
        """Debiased square of the weighted phase lag index, up to 1. NaN as wpli."""
        return self.value("wpli2_debiased")

    @property
    def accorr(self) -> Floats:
        """Adjusted circular correlation, -1..1. NaN where a phase does not vary."""
        return self.value("accorr")

    @property
    def ccorr(self) -> Floats:
        """Circular correlation, -1..1. NaN where a phase does not vary."""
        return self.value("ccorr")

    @property
    def envelope(self) -> Floats:
        """Correlation of the amplitudes, -1..1. NaN where one varies by less than 0.1 %."""
        return self.value("envelope")

    @property
    def n_eff(self) -> Floats:
        """(Σw)² / Σw², the number of equal frames that weigh as much; 0 without evidence.

        Frames, not independent ones: of a slow rhythm there are far fewer of those.
        """
        return self.value("n_eff")


@dataclass(frozen=True, slots=True, eq=False)
class PairSums(_Measured):
    """The sums behind the measures. Those of different frames add up, also of different hosts.

    measures: those that can be had. numbers: (sums, bands, pods, pods).
    """

    measures: frozenset[str]
    numbers: Floats

    def __add__(self, other: "PairSums") -> "PairSums":
        if self.measures != other.measures or self.numbers.shape != other.numbers.shape:
            raise ValueError(
                "only sums of the same measures, bands and pods can be added, not "
                f"{_told(self)} and {_told(other)}"
            )
        return PairSums(self.measures, self.numbers + other.numbers)

    def value(self, measure: str) -> Floats:
        """The measure of that name, (bands, pods, pods)."""
        _require(measure, self.measures)
        kept = _sums_for(_named(self.measures))
        square = np.shape(self.numbers)[-1:] * 2
        numbers = checked(
            "numbers", self.numbers, np.float64, (kept.bit_count(), "bands", *square), finite=False
        )
        _, bands, pods, _ = numbers.shape
        out = np.empty((bands, pods, pods))
        lib.rs_pair_values(_C_NAMES[measure], kept, pods, bands, pointer(numbers), pointer(out))
        return out


class Pairs(KernelObject, _Measured):
    """Measures of all pairs of pods, per band, over the last frames.

    window: how many frames count, all of them equally; until it is full, what has come so far
    counts. memory: instead, the number of frames after which one weighs 1/e of the newest. A frame
    costs the same whatever the window's length, but that a band is summed anew where weights or
    amplitudes of a pod have fallen far; several in one push cost less than one by one.

    measures: what will be asked for, a name or several of `MEASURES`; only what they need is
    computed. weighted: False where every frame of every pod counts fully, for less work.
    precision: "float32" takes phasors, and multiplies, in single precision, for more speed and
    values within about 1e-6 (sums are double in both).
    """

    def __init__(
        self,
        pods: int,
        bands: int,
        window: int | None = None,
        *,
        memory: float | None = None,
        measures: str | Iterable[str] = ("plv", "n_eff"),
        weighted: bool = True,
        precision: Literal["float64", "float32"] = "float64",
    ) -> None:
        if (window is None) == (memory is None):
            raise ValueError("give either a window or a memory, in frames")
        if precision not in ("float64", "float32"):
            raise ValueError(f"precision must be float64 or float32, not {precision!r}")
        sleepers = whole("pods", pods)
        rhythms = whole("bands", bands)
        names = _named(measures)
        single = precision == "float32"
        self._make(
            lib.rs_pairs_new,
            lib.rs_pairs_free,
            sleepers,
            rhythms,
            0 if window is None else whole("window", window),
            0.0 if memory is None else between("memory", memory, 1e-3, _FOR_EVER),
            _sums_for(names),
            bool(weighted),
            single,
        )
        self._pods, self._bands, self._measures = sleepers, rhythms, names
        self._complex = np.dtype(np.complex64 if single else np.complex128)
        self._push = lib.rs_pairs_push_single if single else lib.rs_pairs_push

    def push(self, u: ArrayLike, weight: ArrayLike | None = None) -> None:
        """Takes in phasors u (frames, pods, bands); amplitudes count for envelope and wpli alone.

        weight: same shape, from 0; 1 each if None. A phasor of 0 has no angle and no weight; where
        all frames are to count fully it is refused.
        """
        shape = ("frames", self._pods, self._bands)
        phasors, weights = weighted("u", u, weight, self._complex, shape)
        if self._call(self._push, len(phasors), pointer(phasors), pointer(weights)):
            if weights is not None:
                raise ValueError("these pairs were made without weights")
            raise ValueError("u holds a 0, which has no angle and so no weight; use weights")

    def value(self, measure: str) -> Floats:
        """The measure of that name, (bands, pods, pods)."""
        _require(measure, self._measures)
        out = np.empty((self._bands, self._pods, self._pods))
        self._call(lib.rs_pairs_values, _C_NAMES[measure], pointer(out))
        return out

    def sums(self) -> PairSums:
        """What the window holds now, to be added to what other hosts hold, or to be kept."""
        kept = _sums_for(self._measures).bit_count()
        numbers = np.empty((kept, self._bands, self._pods, self._pods))
        self._call(lib.rs_pairs_sums, pointer(numbers))
        return PairSums(self._measures, numbers)


def pair_sums(
    u: ArrayLike, weight: ArrayLike | None = None, *, measures: str | Iterable[str] = MEASURES
) -> PairSums:
    """All pairs of the columns of u (frames, N) or (frames, N, bands) complex, over all frames.

    weight: same shape as u, from 0; 1 each if None. The measures' arrays have bands as their first
    axis, 1 if u has none.
    """
    raw = np.asarray(u)
    shape: tuple[int | str, ...] = ("frames", "N", "bands") if raw.ndim == 3 else ("frames", "N")
    phasors, weights = weighted("u", u, weight, np.complex128, shape)
    if phasors.ndim == 2:
        phasors = phasors[:, :, np.newaxis]
        weights = None if weights is None else weights[:, :, np.newaxis]
    # Nothing ever leaves a window that holds all, and a fading one keeps no frames
    equal = weights is None and phasors.all()
    whole_stretch = Pairs(
        *phasors.shape[1:], memory=_FOR_EVER, measures=measures, weighted=not equal
    )
    whole_stretch.push(phasors, weights)
    return whole_stretch.sums()


def plv(u: ArrayLike, weight: ArrayLike | None = None) -> Floats:
    """PLV (N, N) of all pairs of the columns of u (frames, N) complex, over all frames.

    weight: (frames, N), from 0, multiplied per pair; 1 each if None. NaN where a pair shares no
    weighted frame.
    """
    if np.ndim(u) != 2:
        raise ValueError(f"u must have the shape (frames, N), this has {np.shape(u)}")
    values: Floats = pair_sums(u, weight, measures="plv").plv[0]
    return values


def raised(u: ArrayLike, power: int) -> NDArray[np.complex128]:
    """Phasors u, of any shape, turned `power` times as fast; their lengths stay.

    Pushed to `Pairs` beside others they give n:m locking of all: four times a breath's phase
    against one heartbeat's, for example.
    """
    phasors = checked("u", u, np.complex128, tuple(np.shape(u)))
    return np.asarray(
        np.abs(phasors) * unit_phasors(phasors) ** whole("power", power, most=_MOST_POWER)
    )


def nm_plv(a: ArrayLike, b: ArrayLike, n: int, m: int, weight: ArrayLike | None = None) -> float:
    """n:m phase locking value |Σ w e^{i(nα - mβ)}| / Σ w of a and b, each (frames,) complex.

    A heart that beats four times a breath is locked 1:4 to it: ``nm_plv(heart, breath, 1, 4)``
    (Tass et al. 1998, Phys Rev Lett 81:3291; for heart and breath Schäfer et al. 1999). weight:
    (frames,), from 0. NaN where no frame has weight.
    """
    first, weights = weighted("a", a, weight, np.complex128, ("frames",))
    second, _ = weighted("b", b, weight, np.complex128, first.shape)
    both = np.stack([raised(first, n), raised(second, m)], axis=1)
    if weights is not None:
        weights = np.stack([weights, np.ones_like(weights)], axis=1)
    return float(plv(both, weights)[0, 1])


def _named(measures: str | Iterable[str]) -> frozenset[str]:
    names = frozenset([measures] if isinstance(measures, str) else measures)
    unknown = sorted(str(name) for name in names if name not in _C_NAMES)
    if unknown or not names:
        raise ValueError(
            f"measures must be some of {', '.join(MEASURES)}, not {', '.join(unknown) or 'none'}"
        )
    return names


def _sums_for(measures: Iterable[str]) -> int:
    bits = 0
    for name in measures:
        bits |= lib.rs_pair_sums_for(_C_NAMES[name])
    return bits


def _require(measure: str, kept: frozenset[str]) -> None:
    (name,) = _named(measure)
    if name not in kept:
        raise ValueError(f"{name} was not among the measures asked for: {', '.join(sorted(kept))}")


def _told(sums: PairSums) -> str:
    return f"{sorted(sums.measures)} of shape {sums.numbers.shape[1:]}"
