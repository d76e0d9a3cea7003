"""What a source is told for one block, and the interface every source keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dreampods.dreamscape.bodies import Floats, Rhythm

Audio = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Cue:
    """One block's wishes. Arrays have one entry per voice: a sleeper each, or one for the group.

    `rhythms` are always those of all sleepers; `session_s` is the time at the block's start.
    """

    session_s: float
    brightness_hz: Floats
    pitch_semitones: Floats
    rhythms: dict[str, Rhythm]


def ramp(frames: int) -> Audio:
    """The way from an old gain (0) to a new one (1, at the block's last frame), (frames, 1)."""
    steps: Audio = np.arange(1, frames + 1, dtype=np.float32) / np.float32(frames)
    return steps[:, None]


class Player(Protocol):
    """A source being played: the next block of every voice, continuing the one before."""

    def render(self, cue: Cue) -> Audio:
        """(voices, frames, 2), at the source's own full level."""
        ...
