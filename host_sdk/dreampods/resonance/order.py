"""How much a group moves as one: Kuramoto's order parameter, never without its chance level.

|mean of e^{iθ}| is 1 when all phases agree, but not 0 when they have nothing to do with each
other: N independent phases give √(π / 4N) on average (the mean length of a random walk of N unit
steps, over N), 0.31 for eight sleepers. Weighted phases count as ``n_eff = (Σw)² / Σw²`` equal
ones: `chance` is √(π / 4 n_eff). `corrected` is R² without what chance adds to it, the mean cosine
of all pairs of phases: (N R² - 1) / (N - 1), with weights (|Σ w e^{iθ}|² - Σw²) / ((Σw)² - Σw²).
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from dreampods.resonance._kernel import ffi, lib, pointer, weighted

_ONE_PHASE = 1e-9  # of n_eff: less than that beyond 1 is rounding


@dataclass(frozen=True, slots=True)
class Order:
    """value: R, 0..1. angle: the group's phase, radians. chance: √(π / 4 n_eff), the mean R of as many
    independent phases, 1 % below it for eight and 2 % for three (one alone is always at 1).
    n_eff: how many equal phases weigh as much. corrected: (n_eff R² - 1) / (n_eff - 1), on the
    scale of R², up to 1, and 0 on average for independent phases; NaN where there are fewer than two.

    Where no phase has any weight, value, angle and n_eff are 0 and chance is 1.
    """

    value: float
    angle: float
    chance: float
    n_eff: float
    corrected: float = field(compare=False)


@dataclass(frozen=True, slots=True)
class OrderSums:
    """The sums behind an order parameter: Σ w e^{iθ}, Σ w, Σ w². Those of several hosts add up."""

    phasor: complex = 0j
    weight: float = 0.0
    square: float = 0.0

    def __add__(self, other: "OrderSums") -> "OrderSums":
        return OrderSums(
            self.phasor + other.phasor, self.weight + other.weight, self.square + other.square
        )

    def order(self) -> Order:
        """The order parameter of all phases in the sums."""
        if self.square == 0:
            return Order(value=0.0, angle=0.0, chance=1.0, n_eff=0.0, corrected=math.nan)
        n_eff = self.weight * self.weight / self.square
        pairs = self.weight * self.weight - self.square
        locked = self.phasor.real**2 + self.phasor.imag**2 - self.square
        return Order(
            value=min(abs(self.phasor) / self.weight, 1.0),
            angle=math.atan2(self.phasor.imag, self.phasor.real),
            chance=math.sqrt(math.pi / (4 * n_eff)),
            n_eff=n_eff,
            corrected=min(locked / pairs, 1.0) if n_eff > 1 + _ONE_PHASE else math.nan,
        )


def order_sums(phase: ArrayLike, weight: ArrayLike | None = None) -> OrderSums:
    """Sums over phase (N,), radians, or phasors (N,) complex; weight: (N,), from 0, such as
    confidences, or 1 each.

    Of phasors only the angle counts, and 0 has none (weight 0).
    """
    complex_ones = np.asarray(phase).dtype.kind == "c"
    dtype = np.complex128 if complex_ones else np.float64
    phases, weights = weighted("phase", phase, weight, dtype, ("N",))
    sums = ffi.new("rs_order_sums *")
    add = lib.rs_order_add_phasors if complex_ones else lib.rs_order_add
    add(sums, len(phases), pointer(phases), pointer(weights))
    return OrderSums(complex(sums.re, sums.im), sums.weight, sums.square)


def order_parameter(phase: ArrayLike, weight: ArrayLike | None = None) -> Order:
    """Order parameter of phase (N,), radians or complex, weighted by weight (N,) from 0."""
    return order_sums(phase, weight).order()
