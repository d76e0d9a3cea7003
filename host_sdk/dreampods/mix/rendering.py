"""One block of the dreamscape for all pods: layers, gains that follow the sleepers, limits.

The gains are where resonance becomes audible. A sleeper who moves with the group hears more of it and is
heard more by it; the more the whole group moves as one, the further the own layer steps back, but
never below the floor that the scene guarantees. The same floor holds for what comes out: where the
collective would be louder than the own layer by more, the mixer turns it down.

The sleepers lie in a circle, in the order in which they are named, and look to its middle: each hears the
others around them, the opposite one in front. The collective layers are everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dreampods.dreamscape import Bodies, Scene, Synth
from dreampods.guardian import Gate
from dreampods.resonance import Mixed, Mixer

ENGINE_RATE_HZ = 32000
BLOCK_FRAMES = 640
BLOCK_S = BLOCK_FRAMES / ENGINE_RATE_HZ

_OWN_RECEDES_DB = 3.0  # at full order
_COLLECTIVE_SPAN_DB = 4.0  # between no coupling and full coupling
_SEND_SPAN_DB = 6.0
_SILENT_DB = -120.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Gains:
    """Who hears what, and who is heard, each (N,) in dB; -120 is not at all."""

    own_db: Floats
    collective_db: Floats
    send_db: Floats


class Rendering:
    """Makes the mixes of all pods, block after block."""

    def __init__(self, scene: Scene, gate: Gate, pods: list[str], seed: int = 0) -> None:
        self._scene = scene
        self._gate = gate
        self._pods = pods
        self._synth = Synth(scene, len(pods), ENGINE_RATE_HZ, BLOCK_FRAMES, seed)
        self._mixer = Mixer(len(pods), BLOCK_FRAMES, rate_hz=ENGINE_RATE_HZ, order=1)
        self._mixer.place(np.linspace(0, 2 * np.pi, len(pods), endpoint=False))
        self.gains = Gains(*(np.full(len(pods), _SILENT_DB) for _ in range(3)))

    def block(self, session_s: float, bodies: Bodies) -> Mixed:
        """The block that begins at `session_s`."""
        own, collective = self._synth.render(session_s, bodies)
        self.gains = self._follow(bodies)
        trim = np.array([self._gate.trim(pod, BLOCK_S) for pod in self._pods])
        mixed = self._mixer.process(
            own,
            collective,
            _linear(self.gains.own_db) * trim,
            _linear(self.gains.collective_db) * trim,
            _linear(self.gains.send_db),
            np.array([self._gate.mixer_ceiling(pod) for pod in self._pods]),
            own_floor_db=np.full(len(self._pods), self._scene.mix.own_floor_db),
        )
        for pod, square in zip(self._pods, mixed.weighted_square, strict=True):
            self._gate.measure(pod, float(square), BLOCK_S)
        return mixed

    def _follow(self, bodies: Bodies) -> Gains:
        mix = self._scene.mix
        known = np.nan_to_num(bodies.coupling)
        room_above = max(1 - bodies.order_chance, 1e-9)  # 0 while nothing is known of anyone
        above_chance = max(0.0, (bodies.order - bodies.order_chance) / room_above)
        own_db = np.full(len(self._pods), mix.own_db - _OWN_RECEDES_DB * above_chance)
        shared = np.array([self._gate.consent.allows(pod, "share") for pod in self._pods])
        return Gains(
            own_db=np.maximum(own_db, mix.own_floor_db),
            collective_db=mix.collective_db + _COLLECTIVE_SPAN_DB * (known - 0.5),
            send_db=np.where(shared, mix.send_db + _SEND_SPAN_DB * (known - 0.5), _SILENT_DB),
        )


def _linear(db: Floats) -> Floats:
    return np.where(db > _SILENT_DB, 10 ** (db / 20), 0.0)
