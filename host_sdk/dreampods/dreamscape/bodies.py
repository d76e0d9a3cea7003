"""What the room knows about the sleepers, and how it becomes something a sound can follow.

A *driver* is one number from 0 to 1 per sleeper. Rhythms (breath, pulse, kuramoto) become a
raised cosine of their phase: 1 at the top of the rhythm, 0 at its bottom, and nothing else, so a
sound that follows them moves with the rhythm's own frequency and no multiple of it. A rhythm that
is not believed, or that turns faster than a body does, shrinks towards the middle value 0.5: the
sound goes on, still, in place of following noise.

For a collective layer a driver is the mean over all sleepers. That is what makes resonance
audible: rhythms out of step cancel to a calm 0.5, and swing together when the group does.
`order` counts only what lies above its chance level; what chance explains makes no sound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

EEG_BANDS = ("slow", "theta", "alpha", "sigma")
RHYTHMS = ("breath", "pulse", "kuramoto")
DRIVERS = (*RHYTHMS, *(f"eeg.{band}" for band in EEG_BANDS), "order", "coupling")

# Nothing that repeats may be heard faster than this; following fades out over the last half hertz.
FLICKER_HZ = 3.0
_FADE_HZ = 0.5
_SPEED_MEMORY_S = 0.5


@dataclass(frozen=True, slots=True)
class Bodies:
    """The sleepers at this moment, as the kernel sees them; every array has length N.

    Phases in rad, 0 at full inhalation and at the pulse's peak; confidences, depth, EEG levels
    (against the sleeper's own recent maximum) and coupling 0..1. `kuramoto_phase` is that of the
    oscillator that follows the sleeper and is drawn to the group. NaN means "not known".
    """

    breath_phase: Floats
    breath_depth: Floats
    breath_confidence: Floats
    pulse_phase: Floats
    pulse_hz: Floats
    pulse_confidence: Floats
    eeg: Mapping[str, Floats]
    coupling: Floats
    kuramoto_phase: Floats
    order: float
    order_chance: float

    @classmethod
    def still(cls, n: int) -> Bodies:
        """`n` sleepers of whom nothing is known: for previews, and until sensors settle."""
        zero = np.zeros(n)
        return cls(
            breath_phase=zero,
            breath_depth=zero,
            breath_confidence=zero,
            pulse_phase=zero,
            pulse_hz=np.ones(n),
            pulse_confidence=zero,
            eeg=dict.fromkeys(EEG_BANDS, zero),
            coupling=zero,
            kuramoto_phase=zero,
            order=0.0,
            order_chance=math.sqrt(math.pi / (4 * max(n, 1))),
        )

    def check(self, n: int) -> None:
        """Raises ValueError unless every array is of shape (n,)."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "eeg"}
        arrays |= {f"eeg[{band!r}]": level for band, level in self.eeg.items()}
        for name, value in arrays.items():
            want = () if name in ("order", "order_chance") else (n,)
            if np.shape(value) != want:
                raise ValueError(f"Bodies.{name} has shape {np.shape(value)}, must be {want}")


def _known(values: npt.ArrayLike, low: float, high: float) -> Floats:
    return np.clip(np.nan_to_num(np.asarray(values, dtype=np.float64), nan=0.0), low, high)


class Rhythm:
    """One rhythm of all sleepers: its phase now and before, and how far it may swing (0..1).

    `rate_hz` is how fast it turns, `speed_hz` how fast it moves at all, to and fro included.
    """

    def __init__(self, n: int) -> None:
        self.phase: Floats = np.zeros(n)
        self.before: Floats = np.zeros(n)
        self.rate_hz: Floats = np.zeros(n)
        self.speed_hz: Floats = np.zeros(n)
        self.confidence: Floats = np.zeros(n)
        self.swing: Floats = np.zeros(n)
        self._known = np.zeros(n, dtype=np.bool_)

    def step(self, phase: Floats, confidence: Floats, depth: Floats | float, dt_s: float) -> None:
        known = np.isfinite(phase)
        # An unknown phase stays where it was, and is not believed. Found again, it may be
        # anywhere: that is no movement.
        now = np.where(known, np.mod(np.where(known, phase, 0.0), 2 * np.pi), self.phase)
        self.before = np.where(self._known, self.phase, now)
        self.phase, self._known = now, known
        turned = np.mod(self.phase - self.before + np.pi, 2 * np.pi) - np.pi
        turned_hz = turned / (2 * np.pi * dt_s)
        new = 1 - math.exp(-dt_s / _SPEED_MEMORY_S)
        self.rate_hz += new * (turned_hz - self.rate_hz)
        self.speed_hz += new * (np.abs(turned_hz) - self.speed_hz)
        calm = np.clip((FLICKER_HZ - self.speed_hz) / _FADE_HZ, 0.0, 1.0)
        self.confidence = np.where(known, confidence, 0.0) * calm
        self.swing = self.confidence * depth

    def value(self, behind: float, smooth_s: float) -> Floats:
        """0..1; ahead by as much as two one-pole filters of `smooth_s` will then delay it.

        A rhythm is regular: where it will be is known, and so a sound need not lag the body.
        """
        lead = 2 * np.arctan(2 * np.pi * self.rate_hz * smooth_s)
        value: Floats = 0.5 + 0.5 * self.swing * np.cos(self.phase + lead - 2 * np.pi * behind)
        return value


class Drivers:
    """The drivers of `pods` sleepers, brought up to date once per block of `dt_s` seconds."""

    def __init__(self, pods: int, dt_s: float) -> None:
        self._pods = pods
        self._dt_s = dt_s
        self.rhythms = {name: Rhythm(pods) for name in RHYTHMS}
        self._levels: dict[str, Floats] = {}

    def step(self, bodies: Bodies) -> None:
        """Take in the bodies of this block. Raises ValueError when a shape is wrong."""
        bodies.check(self._pods)
        dt_s = self._dt_s
        # The root lets a shallow breath still be heard: depth is a ratio of amplitudes, and half
        # the amplitude is not half as meaningful.
        depth = np.sqrt(_known(bodies.breath_depth, 0, 1))
        breath = _known(bodies.breath_confidence, 0, 1)
        pulse = _known(bodies.pulse_confidence, 0, 1)
        self.rhythms["breath"].step(bodies.breath_phase, breath, depth, dt_s)
        self.rhythms["pulse"].step(bodies.pulse_phase, pulse, 1.0, dt_s)
        self.rhythms["kuramoto"].step(bodies.kuramoto_phase, np.ones(self._pods), 1.0, dt_s)
        chance = float(_known(bodies.order_chance, 0, 0.999))
        order = (float(_known(bodies.order, 0, 1)) - chance) / (1 - chance)
        self._levels = {f"eeg.{band}": _known(level, 0, 1) for band, level in bodies.eeg.items()}
        self._levels["coupling"] = _known(bodies.coupling, 0, 1)
        self._levels["order"] = np.full(self._pods, max(order, 0.0))

    def value(self, name: str, behind: float, smooth_s: float, collective: bool) -> Floats:
        """Driver `name` as (pods,), or (1,) for the group.

        A rhythm comes `behind` turns later, once it is smoothed by `smooth_s`.
        """
        if name in self.rhythms:
            value = self.rhythms[name].value(behind, smooth_s)
        else:
            value = self._levels.get(name, np.zeros(self._pods))
        return value.mean(keepdims=True) if collective else value
