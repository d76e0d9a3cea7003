"""Brings one pod's mix to the pod, chunk by chunk, at the pace of the pod's own crystal.

Chunks follow each other without a gap in *pod* time: the pod never has to insert or drop a sample,
because its I2S runs from the same crystal as its clock. Where such a chunk lies in the mix follows
from the clock map, and the resampler reads there. When the map is corrected, the reading position
moves towards the corrected one, by half a thousandth at most: a pitch change nobody hears.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from dreampods.firmware.dreampod import wire
from dreampods.fleet import Pod
from dreampods.guardian import Gate
from dreampods.resonance import Resampler, encode_ima

from .rendering import ENGINE_RATE_HZ

_SLEW_MOST = 500e-6
_JUMP_S = 0.05  # further off than this, the stream begins anew
_LATEST_S = 0.06  # a chunk that plays sooner than this would come too late, and is not sent


def as_pcm16(pcm: NDArray[np.int16]) -> bytes:
    """Sound as it is: frames of 16 bits, little-endian."""
    return pcm.astype("<i2").tobytes()


class Feed:
    """The sound stream to one pod. `start_ns`: host time at which engine frame 0 plays."""

    def __init__(self, pod: Pod, gate: Gate, start_ns: int) -> None:
        self._pod = pod
        self._gate = gate
        self._start_ns = start_ns
        self._format = pod.sound
        self._resampler = Resampler(
            ENGINE_RATE_HZ,
            self._format.rate_hz,
            2 if self._format.channels == 2 else 1,
            history_frames=2 * ENGINE_RATE_HZ,
            seed=zlib.crc32(pod.name.encode()),
        )
        self._chunk_us = self._format.chunk_frames * 1_000_000 // self._format.rate_hz
        self._encode = encode_ima if self._format.codec == wire.CODEC_IMA else as_pcm16
        self._play_us: int | None = (
            None  # pod time of the next chunk; None: the stream is not open
        )
        self._position = 0.0  # engine frame at which the next chunk begins
        self.skipped = 0  # chunks that we were too slow to send in time
        self.unwanted = False  # the sleeper pressed stop: nothing is sent any more

    def reset(self) -> None:
        """The pod begins a new life, or the link was gone: open the stream anew."""
        self._play_us = None

    def close(self) -> None:
        """The stream ends with what was sent."""
        if self._play_us is not None:
            self._pod.close_sound()
            self._play_us = None

    def stop(self) -> None:
        """The sleeper wants no more of it; not even when the pod comes back from a reset."""
        self.unwanted = True
        self._pod.stop()

    def write(self, mix: object) -> None:
        """Append a block of the pod's mix, (frames, 2) float32."""
        self._resampler.write(mix)  # type: ignore[arg-type]

    def send(self, now_ns: int) -> None:
        """Hand the pod all chunks that the mix holds by now."""
        mapping = self._pod.clock.map
        if self._pod.state != "ready" or mapping is None:
            return
        if self.unwanted or self._gate.stopped is not None:
            return

        def engine_frame(pod_us: float) -> float:
            return (mapping.to_host_ns(pod_us) - self._start_ns) * 1e-9 * ENGINE_RATE_HZ

        earliest_us = mapping.to_pod_us(now_ns + _LATEST_S * 1e9)
        if self._play_us is None:
            first_us = max(earliest_us + self._chunk_us, mapping.to_pod_us(self._start_ns))
            self._play_us = int(first_us)
            self._position = engine_frame(self._play_us)
            self._pod.open_sound()
        nominal = ENGINE_RATE_HZ / self._format.rate_hz
        frames = self._format.chunk_frames
        while True:
            until = engine_frame(self._play_us + self._chunk_us)
            step = (until - self._position) / frames
            if abs(step / nominal - 1) * frames * nominal > _JUMP_S * ENGINE_RATE_HZ:
                self._position = engine_frame(self._play_us)
                step = (until - self._position) / frames
            step = min(max(step, nominal * (1 - _SLEW_MOST)), nominal * (1 + _SLEW_MOST))
            if self._position + step * frames > self._resampler.readable_until:
                return
            if self._play_us < earliest_us or self._position < self._resampler.first_readable:
                self.skipped += 1
            else:
                pcm = self._gate.admit(
                    self._pod.name, self._resampler.read(self._position, step, frames)
                )
                if pcm is not None:
                    self._pod.play(self._play_us, self._encode(pcm))
            self._position += step * frames
            self._play_us += self._chunk_us
