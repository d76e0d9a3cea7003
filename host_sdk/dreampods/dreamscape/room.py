"""A soft space around dry sounds (`dreampods.resonance.Reverb`)."""

from __future__ import annotations

from dreampods.dreamscape.cue import Audio
from dreampods.dreamscape.scene import Room
from dreampods.resonance import Reverb


class RoomPlayer:
    """One such space for each of `voices` stereo sounds."""

    def __init__(self, room: Room, voices: int, rate_hz: float) -> None:
        self._reverb = Reverb(
            voices, room.decay_s, level=10 ** (room.level_db / 20), rate_hz=rate_hz
        )

    def render(self, dry: Audio) -> Audio:
        """What the room answers to `dry` (voices, frames, 2), same shape, without `dry`."""
        return self._reverb.process(dry)
