"""Sound from a scene and the sleepers' bodies, block by block.

Every sleeper has sound of their own, and all have one collective sound; the mixer decides who
hears how much of which. All sleepers are computed at once: an array's first axis is the sleeper.
Sources and faders continue from block to block, so block borders can't be heard. Same scene,
pods, seed and bodies: same sound.
"""

from __future__ import annotations

import math

import numpy as np

from dreampods.dreamscape.bodies import Bodies, Drivers
from dreampods.dreamscape.cue import Audio, ramp
from dreampods.dreamscape.layers import LayerPlayer
from dreampods.dreamscape.room import RoomPlayer
from dreampods.dreamscape.scene import Scene


class Synth:
    """Plays `scene` to `pods` sleepers in blocks of `frames` stereo frames at `rate_hz`.

    Raises ValueError for a number of pods, a rate or a block that can't be played, and SceneError
    when a scene's sound file can't be read.
    """

    def __init__(
        self, scene: Scene, pods: int, rate_hz: float = 32000, frames: int = 640, seed: int = 0
    ) -> None:
        if pods < 1 or frames < 16:
            raise ValueError(f"pods={pods} and frames={frames} must be at least 1 and 16")
        if not 8000 <= rate_hz <= 192000:
            raise ValueError(f"rate_hz={rate_hz:g} must be within 8000 to 192000")
        self._scene = scene
        self._block_s = frames / rate_hz
        self._master = 0.0
        self._ramp = ramp(frames)
        self._drivers = Drivers(pods, self._block_s)
        # One stream of chance per layer: a layer sounds the same whatever stands beside it.
        self._layers = [
            LayerPlayer(layer, pods, rate_hz, frames, np.random.default_rng([seed, *name]))
            for layer in scene.layers
            for name in [layer.name.encode()]
        ]
        self._shape = {False: (pods, frames, 2), True: (1, frames, 2)}
        self._rooms = {
            collective: RoomPlayer(scene.room, shape[0], rate_hz)
            for collective, shape in self._shape.items()
            if any(layer.room and layer.collective == collective for layer in self._layers)
        }

    def render(self, session_s: float, bodies: Bodies) -> tuple[Audio, Audio]:
        """The block that starts at `session_s`: own (pods, frames, 2), collective (frames, 2).

        Blocks are expected in order; after a jump of `session_s` sounds glide to where they should
        be. Raises ValueError when `bodies` are of another number of sleepers.
        """
        if not math.isfinite(session_s):
            raise ValueError(f"session_s={session_s} is not a time")
        self._drivers.step(bodies)
        before, self._master = self._master, self._scene.fade(session_s + self._block_s)
        # Over the rooms too: what still echoes at the end of a scene ends with it.
        master = before + (self._master - before) * self._ramp
        own, group = (self._bus(which, session_s) * master for which in (False, True))
        return own, group[0]

    def _bus(self, collective: bool, session_s: float) -> Audio:
        dry = np.zeros(self._shape[collective], dtype=np.float32)
        to_room = np.zeros_like(dry)
        for layer in self._layers:
            if layer.collective == collective:
                layer.add(session_s, self._drivers, dry, to_room)
        if collective in self._rooms:
            dry += self._rooms[collective].render(to_room)
        return dry
