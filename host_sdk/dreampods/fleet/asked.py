"""What a pod can be asked to play or make, and how the wire says it."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from dreampods.firmware.dreampod import wire


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """What a pod plays: `rate_hz`, in chunks of at most `chunk_frames`, as `codec` (`wire.CODEC_*`)."""

    rate_hz: int
    channels: int
    chunk_frames: int
    codec: int


@dataclass(frozen=True, slots=True)
class Cue:
    """A sound or a touch that the pod makes by itself.

    kind: `wire.CUE_PINK`, `wire.CUE_TONE` or `wire.CUE_HAPTIC`.
    level: peak of the sound, 0 to 1 of full scale; the pod's ceiling holds in any case.
    pitch: Hz of a tone; number of the effect of a haptic cue.
    """

    kind: int
    duration_s: float = 0.05
    ramp_s: float = 0.005
    level: float = 0.05
    pitch: int = 0

    def payload(self, number: int, pod_us: int | None) -> bytes:
        """As the wire has it; `pod_us` None: at once."""
        return struct.pack(
            wire.CUE_FORMAT,
            self.kind,
            wire.CUE_NOW if pod_us is None else 0,
            number & 0xFFFF,
            (pod_us or 0) & 0xFFFFFFFF,
            round(self.duration_s * 1000),
            round(self.ramp_s * 1000),
            round(self.level * 32767),
            self.pitch,
        )


@dataclass(frozen=True, slots=True)
class Follow:
    """The pod's own closed loop: a cue at one phase of the slow waves in one EEG channel.

    phase: 0 is the crest of the wave, in rad.
    least_uv, most_uv: amplitude of the wave below and above which nothing is cued.
    confidence: 0 to 1, the least share of the EEG that the wave must be.
    refractory_s: least time between two cues.
    """

    channel: int = 0
    centre_hz: float = 0.9
    phase: float = 0.0
    least_uv: float = 37.5
    most_uv: float = 200.0
    confidence: float = 0.5
    refractory_s: float = 2.0

    def payload(self) -> bytes:
        """As the wire has it."""
        return struct.pack(
            wire.FOLLOW_FORMAT,
            1,
            self.channel,
            round(self.centre_hz * 1000),
            round(self.phase / (2 * math.pi) * 65536) & 0xFFFF,
            round(self.least_uv * 10),
            round(self.most_uv * 10),
            round(self.confidence * 255),
            round(self.refractory_s * 1000),
        )
