"""Oscillators that feel the group and their own body, for sound to follow.

Each sleeper has one (Kuramoto 1975, with the lag of Sakaguchi & Kuramoto 1986):

    dθi/dt = ωi + K R sin(ψ - θi - α) + Di sin(δi - θi) + noise

K draws it to the group's mean phase ψ, as strongly as the group is in order (R); D holds it to the
sleeper's own rhythm δ. This makes sound drift apart and together in a lifelike way. It is no
model of how sleepers influence each other.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import (
    checked,
    lib,
    new,
    not_negative,
    number,
    pointer,
    positive,
)


class Kuramoto:
    """natural_hz: (N,), own frequencies ω / 2π. coupling_hz: K / 2π. lag_rad: α. noise: standard
    deviation of the phase after one second of noise alone, radians. seed: of the noise and of the
    phases at the start.
    """

    def __init__(
        self,
        natural_hz: ArrayLike,
        coupling_hz: float,
        lag_rad: float = 0.0,
        noise: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._natural_hz = checked("natural_hz", natural_hz, np.float64, ("N",)).copy()
        self._coupling_hz = number("coupling_hz", coupling_hz)
        self._lag_rad = number("lag_rad", lag_rad)
        self._noise = not_negative("noise", noise)
        self._random = np.random.default_rng(seed)
        start = self._random.uniform(-np.pi, np.pi, len(self._natural_hz))
        self._group = new(lib.rs_kuramoto_new, lib.rs_kuramoto_free, len(start), pointer(start))

    @property
    def natural_hz(self) -> NDArray[np.float64]:
        """(N,), the frequency each oscillator would have alone."""
        return self._natural_hz.copy()

    @natural_hz.setter
    def natural_hz(self, hz: ArrayLike) -> None:
        self._natural_hz = checked("natural_hz", hz, np.float64, self._natural_hz.shape).copy()

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
        dt = positive("dt_s", dt_s)
        n = self._natural_hz.shape
        if (drive_phase is None) != (drive_hz is None):
            raise ValueError("drive_phase and drive_hz come together, one of them is missing")
        pull_to = (
            None if drive_phase is None else checked("drive_phase", drive_phase, np.float64, n)
        )
        pull_hz = None if drive_hz is None else checked("drive_hz", drive_hz, np.float64, n)
        kick = self._random.standard_normal(n) * (self._noise * np.sqrt(dt))
        phase = np.empty(n)
        lib.rs_kuramoto_step(
            self._group,
            dt,
            pointer(self._natural_hz),
            self._coupling_hz,
            self._lag_rad,
            pointer(pull_to),
            pointer(pull_hz),
            pointer(kick) if self._noise else pointer(None),
            pointer(phase),
        )
        return phase
