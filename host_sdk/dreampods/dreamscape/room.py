"""A soft space around dry sounds: a feedback delay network (Jot & Chaigne 1991).

Eight delay lines feed one another through an orthogonal matrix, so energy is neither made nor
lost but for one gain per line, set so that every echo falls by 60 dB in `decay_s`, and a
three-point smoothing that makes highs die earlier, as cloth and skin do. Every delay is longer
than a step, so a whole step can be computed at once from what is already known.
"""

from __future__ import annotations

import numpy as np

from dreampods.dreamscape.cue import Audio
from dreampods.dreamscape.scene import Room

# Longest step in one go; mutually prime delays above it spread the echoes.
_STEP_S = 0.020
_DELAYS_S = (0.02117, 0.02633, 0.03179, 0.03793, 0.04457, 0.05273, 0.06181, 0.07331)
_DAMPING = 0.16
# A dying echo would end in denormal numbers, which are slow; this floor, 360 dB down, is not.
_FLOOR = np.float32(1e-18)


class RoomPlayer:
    """One such space for each of `voices` stereo sounds."""

    def __init__(self, room: Room, voices: int, rate_hz: float) -> None:
        self._step = int(_STEP_S * rate_hz)
        lines = len(_DELAYS_S)
        delays = np.array([round(delay * rate_hz) for delay in _DELAYS_S])
        self._size = int(delays.max()) + self._step + 2
        self._held = np.zeros((voices, lines, self._size), dtype=np.float32)
        self._at = 0
        # One sample more on either side of what is read, for the smoothing.
        self._reach = np.arange(-1, self._step + 1)[None, :] - delays[:, None]
        gain = 10 ** (-3 * delays / rate_hz / room.decay_s)
        # Householder reflection: orthogonal, and every line feeds every other alike.
        matrix = np.eye(lines) - 2 / lines
        self._feedback = (matrix * gain[None, :]).astype(np.float32)
        sign = np.where(np.arange(lines) // 2 % 2, -1.0, 1.0)
        ear = np.arange(lines) % 2
        ears = np.stack([sign * (ear == 0), sign * (ear == 1)]) / np.sqrt(lines / 2)
        level = 10 ** (room.level_db / 20) * np.sqrt(np.mean(1 - gain**2))
        self._enter = ears.T.astype(np.float32) * np.float32(np.sqrt(lines / 2))
        self._leave = (ears * level).astype(np.float32)

    def render(self, dry: Audio) -> Audio:
        """What the room answers to `dry` (voices, frames, 2), same shape, without `dry`."""
        wet = np.empty_like(dry)
        for start in range(0, dry.shape[1], self._step):
            part = dry[:, start : start + self._step]
            wet[:, start : start + self._step] = self._answer(part)
        return wet

    def _answer(self, dry: Audio) -> Audio:
        frames = dry.shape[1]
        index = (self._at + self._reach[:, : frames + 2]) % self._size
        lines = np.arange(len(index))[:, None]
        heard = self._held[:, lines, index]
        soft = (1 - 2 * _DAMPING) * heard[:, :, 1:-1] + _DAMPING * (
            heard[:, :, :-2] + heard[:, :, 2:]
        )
        write = (self._at + np.arange(frames)) % self._size
        fresh = self._enter @ dry.transpose(0, 2, 1) + _FLOOR
        self._held[:, :, write] = self._feedback @ soft + fresh
        self._at = (self._at + frames) % self._size
        answer: Audio = (self._leave @ soft).transpose(0, 2, 1)
        return answer
