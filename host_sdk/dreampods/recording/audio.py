"""Writes a mix to FLAC so that the file opens, and holds nearly everything, even after a kill.

The encoder hands each block of sound to the system as soon as the block is full, so a killed host
loses no more than one block. But a FLAC file says in its head how many frames it has, and the
encoder fills that in only when it closes: until then the count is "unknown", which many readers
refuse. The 36 bits of that count stand at a fixed place, so we keep them current ourselves, always
a little behind what the system has been given.

Format: RFC 9639, section 8.2 (STREAMINFO).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from dreampods.errors import RecordingError

COUNT_EVERY_S = 0.5

# libsndfile's block size. A block leaves the encoder with the first frame of the next.
_BLOCK_FRAMES = 4096
# The count's low 36 bits begin in the low half of this byte: 'fLaC', block head, 13.5 bytes in.
_COUNT_AT = 4 + 4 + 13


class AudioWriter:
    """A stereo 16 bit FLAC file being written; frames that the disk will not take raise."""

    def __init__(self, path: Path, rate_hz: int) -> None:
        self.path = path
        self._rate_hz = rate_hz
        self._frames = 0
        self._counted = 0
        try:
            self._sound = soundfile.SoundFile(
                path, "w", samplerate=rate_hz, channels=2, subtype="PCM_16", format="FLAC"
            )
            self._head = path.open("r+b", buffering=0)
        except (OSError, soundfile.LibsndfileError) as error:
            raise RecordingError(f"cannot create {path}: {error}") from error

    def write(self, frames: NDArray[np.float32]) -> None:
        """Append (frames, 2) samples; 1.0 is full scale, and what is beyond it is clipped."""
        if frames.ndim != 2 or frames.shape[1] != 2:
            raise ValueError(f"sound of shape {frames.shape}; a mix is (frames, 2)")
        try:
            self._sound.write(frames)
            self._frames += len(frames)
            if self._frames - self._counted >= COUNT_EVERY_S * self._rate_hz:
                self._count()
        except (OSError, soundfile.LibsndfileError, AssertionError) as error:
            # soundfile itself asserts that everything was written.
            raise self._full() from error

    def close(self) -> None:
        """Finish the file. Further calls do nothing."""
        if self._head.closed:
            return
        self._head.close()
        try:
            self._sound.close()
        except (OSError, soundfile.LibsndfileError) as error:
            raise self._full() from error

    def _count(self) -> None:
        on_disk = max(0, self._frames - _BLOCK_FRAMES - 1)
        self._head.seek(_COUNT_AT)
        first = self._head.read(1)[0]
        self._head.seek(_COUNT_AT)
        self._head.write(
            bytes([first & 0xF0 | on_disk >> 32]) + (on_disk & 0xFFFFFFFF).to_bytes(4)
        )
        self._counted = self._frames

    def _full(self) -> RecordingError:
        return RecordingError(
            f"cannot write {self.path}: is the disk full? What was recorded before stays readable"
        )
