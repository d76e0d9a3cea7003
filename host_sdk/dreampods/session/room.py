"""What the sleepers have in common: the group's order, each one's coupling to it, and all pairs.

Coupling of a sleeper is the length of the mean of e^{i(own phase - phase of all others)} over the
last breaths (the cluster phase of Richardson et al. 2012, leaving oneself out): near 1 for one who
keeps a steady relation to the others, whatever that relation is.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dreampods import resonance
from dreampods.dreamscape import Bodies, Scene
from dreampods.dreamscape.bodies import EEG_BANDS
from dreampods.resonance import Kuramoto, Order, order_parameter, plv_surrogates

from .body import BREATH, Bands, Body, Rhythm

MOMENT_S = 0.1
_COUPLING_MEMORY_S = 12.0
_PAIR_WINDOW_S = (8.0, 30.0)
_PAIR_WINDOWS = 12  # in a session, at least: surrogates need stretches to draw from
_HISTORY_WINDOWS = 20
_MIN_SHIFT_S = 8.0
_BELIEVED = 0.3  # the least confidence with which a breath counts in the group's order

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pairs:
    """PLV of all pairs' breaths over the last window, and the 95 % level of unrelated ones.

    NaN where a pair shares no evidence, or the session is too short to know the level.
    """

    plv: Floats
    chance: Floats


class Room:
    """The sleepers together. `step` once per moment, `bodies` for each block of sound."""

    def __init__(self, scene: Scene, bodies: list[Body], seconds: float) -> None:
        self._bodies = bodies
        self._scene = scene
        count = len(bodies)
        window_s = min(max(seconds / _PAIR_WINDOWS, _PAIR_WINDOW_S[0]), _PAIR_WINDOW_S[1])
        self._window = round(window_s / MOMENT_S)
        self._pairs = resonance.Pairs(count, 1, self._window, measures="plv")
        self._history: deque[tuple[NDArray[np.complex128], Floats]] = deque(
            maxlen=_HISTORY_WINDOWS * self._window
        )
        natural_hz = np.full(count, BREATH.typical_hz)
        self._oscillators = Kuramoto(natural_hz, scene.group.coupling_hz, seed=1)
        self._oscillator_phase = np.zeros(count)
        self._togetherness = np.zeros(count, np.complex128)
        self._trust = np.zeros(count)
        self._unknown = 1.0
        self.coupling = np.zeros(count)
        self.order: Order = order_parameter(np.zeros(count), np.zeros(count))

    def step(self, host_ns: float) -> None:
        """Compare the sleepers as they are at `host_ns`; call every MOMENT_S."""
        phase, confidence = self._breaths(host_ns)
        known = np.nan_to_num(phase)
        unit = np.exp(1j * known)
        # Phases that are mostly guessed lie together because the guesses begin together
        self.order = order_parameter(known, np.where(confidence >= _BELIEVED, confidence, 0.0))
        self._couple(unit, confidence)
        self._pairs.push(unit[None, :, None], confidence[None, :, None])
        self._history.append((unit, confidence))
        self._oscillators.natural_hz = np.array(
            [body.breath.hz if body.breath else BREATH.typical_hz for body in self._bodies]
        )
        self._oscillator_phase = self._oscillators.step(
            MOMENT_S, known, self._scene.group.drive_hz * confidence
        )

    def _couple(self, unit: NDArray[np.complex128], confidence: Floats) -> None:
        """Update each sleeper's relation to all others."""
        weighted = unit * confidence
        others = weighted.sum() - weighted
        length = np.abs(others)
        relation = weighted * np.conj(others) / np.where(length > 0, length, 1.0)
        keep = math.exp(-MOMENT_S / _COUPLING_MEMORY_S)
        self._togetherness = keep * self._togetherness + (1 - keep) * relation
        self._trust = keep * self._trust + (1 - keep) * np.where(length > 0, confidence, 0.0)
        # What the memory does not hold yet counts as no relation: a session begins uncoupled
        self._unknown *= keep
        self.coupling = np.abs(self._togetherness) / np.maximum(self._trust + self._unknown, 1e-9)

    def pairs(self) -> Callable[[], Pairs]:
        """The room as it is now; called, in whatever thread, it compares all pairs, (N, N).

        The chance level is NaN until the session is long enough to tell.
        """
        plv = self._pairs.plv[0]
        phasors = np.array([unit for unit, _ in self._history])
        weights = np.array([weight for _, weight in self._history])

        def compare() -> Pairs:
            chance = np.full_like(plv, np.nan)
            if len(phasors) > self._window:
                min_shift = round(_MIN_SHIFT_S / MOMENT_S)
                level = plv_surrogates(phasors, weights, window=self._window, min_shift=min_shift)
                chance = np.where(level < 1.0, level, np.nan)  # 1 stands for: too short to tell
            return Pairs(plv, chance)

        return compare

    def bodies(self, host_ns: float) -> Bodies:
        """The sleepers as they will be at `host_ns`, for sound that is heard then."""
        breath, breath_confidence = self._breaths(host_ns)
        pulse, pulse_confidence = self._rhythms(host_ns, [body.pulse for body in self._bodies])
        levels = [_levels(body.bands) for body in self._bodies]
        return Bodies(
            breath_phase=breath,
            breath_depth=np.array([b.breath.depth if b.breath else 0.0 for b in self._bodies]),
            breath_confidence=breath_confidence,
            pulse_phase=pulse,
            pulse_hz=np.array([b.pulse.hz if b.pulse else math.nan for b in self._bodies]),
            pulse_confidence=pulse_confidence,
            eeg={band: np.array([of.get(band, 0.0) for of in levels]) for band in EEG_BANDS},
            coupling=self.coupling,
            kuramoto_phase=self._oscillator_phase,
            order=self.order.value,
            order_chance=self.order.chance,
        )

    def _breaths(self, host_ns: float) -> tuple[Floats, Floats]:
        return self._rhythms(host_ns, [body.breath for body in self._bodies])

    def _rhythms(self, host_ns: float, rhythms: list[Rhythm | None]) -> tuple[Floats, Floats]:
        values = [rhythm.at(host_ns) if rhythm else (math.nan, 0.0) for rhythm in rhythms]
        return np.array([value[0] for value in values]), np.array([value[1] for value in values])


def _levels(bands: Bands | None) -> dict[str, float]:
    return dict(zip(bands.names, bands.level.tolist(), strict=True)) if bands else {}
