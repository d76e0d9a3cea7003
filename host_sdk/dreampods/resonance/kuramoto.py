"""Oscillators that feel the group and their own body, for sound to follow.

Each sleeper has one (Kuramoto 1975, with the lag of Sakaguchi & Kuramoto 1986):

    dθi/dt = ωi + K R sin(ψ - θi - α) + Di sin(δi - θi) + noise

K draws it to the group's mean phase ψ, as strongly as the group is in order (R); D holds it to the
sleeper's own rhythm δ. Where there are several groups, each is drawn to the mean of every group h
by its own K[g, h] and α[g, h] (as in Abrams et al. 2008):

    dθi/dt = ωi + Σh K[g, h] Rh sin(ψh - θi - α[g, h]) + Di sin(δi - θi) + noise

This makes sound drift apart and together in a lifelike way. It is no model of how sleepers
influence each other.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import (
    KernelObject,
    between,
    checked,
    ffi,
    lib,
    pointer,
    seeded,
    whole,
)

_MOST = 1e6  # hertz or radians: more than that turns too far in a step to be followed


class Kuramoto(KernelObject):
    """natural_hz: (N,), own frequencies ω / 2π. coupling_hz: K / 2π. lag_rad: α. noise: standard
    deviation of the phase after one second of noise alone, radians. seed: of the noise and of the
    phases at the start, from 0 to 2⁶⁴ - 1; the same seed gives the same phases on every machine.

    sizes: (G,), how many oscillators each group has; they stand group after group, and their sum
    is N. One group of all by default. coupling_hz and lag_rad: one number, or (G, G), whose row g
    is what moves group g. phase: (N,), where the oscillators start, anywhere by default.
    """

    def __init__(
        self,
        natural_hz: ArrayLike,
        coupling_hz: ArrayLike,
        lag_rad: ArrayLike = 0.0,
        noise: float = 0.0,
        seed: int = 0,
        *,
        sizes: ArrayLike | None = None,
        phase: ArrayLike | None = None,
    ) -> None:
        own = _bounded("natural_hz", natural_hz, ("N",)).copy()
        n = len(own)
        members = _sizes(sizes, n)
        coupling = _between_groups("coupling_hz", coupling_hz, len(members))
        lag = _between_groups("lag_rad", lag_rad, len(members))
        scatter = between("noise", noise, 0, _MOST)
        dice = seeded(seed)
        if phase is None:
            start = np.random.default_rng(dice).uniform(-np.pi, np.pi, n)
        else:
            start = _bounded("phase", phase, (n,))
        self._make(
            lib.rs_kuramoto_new,
            lib.rs_kuramoto_free,
            len(members),
            ffi.new("size_t[]", members.tolist()),
            pointer(start),
            dice,
        )
        self._natural_hz, self._coupling_hz, self._lag_rad, self._noise = (
            own,
            coupling,
            lag,
            scatter,
        )

    @property
    def natural_hz(self) -> NDArray[np.float64]:
        """(N,), the frequency each oscillator would have alone."""
        return self._natural_hz.copy()

    @natural_hz.setter
    def natural_hz(self, hz: ArrayLike) -> None:
        self._natural_hz = _bounded("natural_hz", hz, self._natural_hz.shape).copy()

    @property
    def coupling_hz(self) -> NDArray[np.float64]:
        """(G, G), K / 2π; row g is what moves group g."""
        return self._coupling_hz.copy()

    @coupling_hz.setter
    def coupling_hz(self, hz: ArrayLike) -> None:
        self._coupling_hz = _between_groups("coupling_hz", hz, len(self._coupling_hz))

    def step(
        self,
        dt_s: float,
        drive_phase: ArrayLike | None = None,
        drive_hz: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """Goes on by dt_s seconds; returns the phases (N,), radians in [-π, π).

        drive_phase: (N,), each sleeper's own rhythm, held during the step. drive_hz: (N,),
        D / 2π, how strongly it pulls. Either both or none.

        The step is accurate while (K + D) dt_s stays well below 1 radian.
        """
        phase: NDArray[np.float64] = self.run(1, dt_s, drive_phase, drive_hz)[0]
        return phase

    def run(
        self,
        steps: int,
        dt_s: float,
        drive_phase: ArrayLike | None = None,
        drive_hz: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """`steps` times `step`; returns the phases after each, (steps, N). Drives are held."""
        count = whole("steps", steps)
        dt = between("dt_s", dt_s, 1e-12, 1e3)
        n = self._natural_hz.shape
        if (drive_phase is None) != (drive_hz is None):
            raise ValueError("drive_phase and drive_hz come together, one of them is missing")
        pull_to = None if drive_phase is None else _bounded("drive_phase", drive_phase, n)
        pull_hz = None if drive_hz is None else _bounded("drive_hz", drive_hz, n)
        phase = np.empty((count, *n))
        self._call(
            lib.rs_kuramoto_run,
            count,
            dt,
            pointer(self._natural_hz),
            pointer(self._coupling_hz),
            pointer(self._lag_rad),
            pointer(pull_to),
            pointer(pull_hz),
            self._noise,
            pointer(phase),
        )
        return phase


def _bounded(name: str, value: ArrayLike, shape: tuple[int | str, ...]) -> NDArray[np.float64]:
    return checked(name, value, np.float64, shape, least=-_MOST, most=_MOST)


def _between_groups(name: str, value: ArrayLike, groups: int) -> NDArray[np.float64]:
    if np.ndim(value) == 0:
        return np.full((groups, groups), _bounded(name, value, ()))
    return _bounded(name, value, (groups, groups)).copy()


def _sizes(sizes: ArrayLike | None, n: int) -> NDArray[np.int64]:
    if sizes is None:
        return np.array([n])
    given = checked("sizes", sizes, np.float64, ("G",), least=1)
    if (given % 1).any() or given.sum() != n:
        raise ValueError(f"sizes must be whole numbers whose sum is N = {n}, not {sizes}")
    return given.astype(np.int64)
