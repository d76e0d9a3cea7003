"""A recorded sound or voice, once or again and again.

The file is resampled to the engine's rate once, through its whole spectrum: it is known from end
to end, so no filter needs to be chosen. It plays by the session's clock from when it is due; short
fades at both ends spare a click where a recording was cut in the middle of a sound.
"""

from __future__ import annotations

import numpy as np
import soundfile

from dreampods.dreamscape.bodies import Floats
from dreampods.dreamscape.cue import Audio, Cue
from dreampods.dreamscape.scene import File
from dreampods.errors import SceneError

_EDGE_S = 0.02
# Longer jumps of session time than this mean that somebody moved in the session, not jitter.
_JUMP_S = 0.1


class FilePlayer:
    def __init__(self, file: File, voices: int, rate_hz: float, frames: int) -> None:
        self._sound = _load(file, rate_hz)
        self._voices = voices
        self._rate_hz = rate_hz
        self._frames = frames
        self._start = round(file.start_s * rate_hz)
        self._every = None if file.every_s is None else round(file.every_s * rate_hz)
        self._next: int | None = None

    def render(self, cue: Cue) -> Audio:
        # Frames follow each other whatever jitter session_s has: a rounded clock would click.
        due = round(cue.session_s * self._rate_hz)
        if self._next is None or abs(due - self._next) > _JUMP_S * self._rate_hz:
            self._next = due
        frame = np.arange(self._next, self._next + self._frames) - self._start
        self._next += self._frames
        if self._every is not None:
            frame = np.where(frame >= 0, frame % self._every, -1)
        heard = (frame >= 0) & (frame < len(self._sound))
        block = np.zeros((self._frames, 2), dtype=np.float32)
        block[heard] = self._sound[frame[heard]]
        return np.repeat(block[None], self._voices, axis=0)


def _load(file: File, rate_hz: float) -> Audio:
    """(frames, 2) at `rate_hz`, its loudest sample 1."""
    try:
        values, file_rate_hz = soundfile.read(str(file.path), dtype="float64", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise SceneError(f"{file.path}: cannot be read as sound: {error}") from error
    if len(values) == 0 or not np.all(np.isfinite(values)):
        raise SceneError(f"{file.path}: holds no sound, or samples that are not numbers")
    stereo = np.repeat(values, 2, axis=1) if values.shape[1] == 1 else values
    sound = _resampled(stereo, file_rate_hz, rate_hz)
    edge = min(round(_EDGE_S * rate_hz), len(sound) // 2)
    fade = (np.arange(edge) / max(edge, 1))[:, None]
    sound[:edge] *= fade
    sound[len(sound) - edge :] *= fade[::-1]
    loudest = float(np.max(np.abs(sound)))
    return (sound / loudest if loudest else sound).astype(np.float32)


def _resampled(values: Floats, from_hz: float, to_hz: float) -> Floats:
    """Band-limited resampling of a whole file by FFT; silence around it keeps the ends apart."""
    if from_hz == to_hz:
        return values.copy()
    pad = int(from_hz)  # one second: far longer than the ringing of a cut-off spectrum
    padded = np.pad(values, ((0, pad), (0, 0)))
    count = round(len(padded) * to_hz / from_hz)
    spectrum = np.fft.rfft(padded, axis=0)
    kept = np.zeros((count // 2 + 1, values.shape[1]), dtype=np.complex128)
    share = min(len(spectrum), len(kept))
    kept[:share] = spectrum[:share]
    out: Floats = np.fft.irfft(kept, count, axis=0) * (count / len(padded))
    return out[: round(len(values) * to_hz / from_hz)]
