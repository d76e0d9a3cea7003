"""A recorded voice as a cloud of grains: near enough to be known, too scattered to be understood.

Each grain is a short stretch of the recording under a smooth window. Recordings stay in memory
only, and are wiped when they are forgotten. Whether a person agreed to this use of their voice is
the host's business: it loads a voice that it may use, and forgets it when that ends.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import (
    KernelObject,
    between,
    checked,
    ffi,
    lib,
    pointer,
    positive,
    seeded,
    whole,
)

_MOST_AT_ONCE = 16


class GrainCloud(KernelObject):
    """voices: number of speakers, each with one recording of at most `most_s` seconds. seed: from 0
    to 2⁶⁴ - 1; same seed, same cloud, and each voice scatters by itself.
    """

    def __init__(
        self, voices: int, most_s: float, *, rate_hz: float = 32000, seed: int = 0
    ) -> None:
        speakers = whole("voices", voices)
        rate = between("rate_hz", rate_hz, 1000, 1e6)
        most = int(positive("most_s", most_s) * rate)
        if not 0 < most <= 2**31:
            raise ValueError(
                f"most_s = {most_s:g} is no length that fits: 1 frame to 2**31 frames"
            )
        self._make(lib.rs_grains_new, lib.rs_grains_free, speakers, most, rate, seeded(seed))
        self._voices, self._most = speakers, most

    def load(self, voice: int, recording: ArrayLike) -> None:
        """Copies a recording, (frames,) at the cloud's rate; what the voice had is forgotten."""
        samples = checked("recording", recording, np.float32, ("frames",))
        if len(samples) > self._most:
            raise ValueError(
                f"recording has {len(samples)} frames, this cloud has room for {self._most}"
            )
        self._call(lib.rs_grains_load, self._voice(voice), len(samples), pointer(samples))

    def forget(self, voice: int) -> None:
        """Wipes the recording of a voice; nothing of it is heard from the next block on.

        A grain that sounds is cut: let the layer's level fall first where there is time for it.
        """
        self._call(lib.rs_grains_forget, self._voice(voice))

    def process(
        self,
        frames: int,
        *,
        place: ArrayLike = 0.5,
        jitter: ArrayLike = 0.5,
        seconds: ArrayLike = 0.12,
        per_s: ArrayLike = 20.0,
        pitch: ArrayLike = 1.0,
        spread: ArrayLike = 0.5,
        gain: ArrayLike = 1.0,
    ) -> NDArray[np.float32]:
        """The next block, (voices, frames, 2). Each argument: one number, or (voices,).

        They hold for grains that begin in this block. place: in the recording, 0 its beginning, 1
        its end; jitter: grains begin so far from there at most (0..1). seconds: length of a grain
        (0.005..2), shorter where the recording is. per_s: grains a second, 0 for none; at most 16
        may sound at once (per_s x seconds). pitch: 1 as recorded, 2 an octave up (0.25..4).
        spread: how far grains lie from the middle at most (0..1). gain: loudness against the
        recording, in each ear, of a grain that lies in the middle: at its own middle where grains
        are few, as RMS where many overlap. A voice without a recording is silent.
        """
        count = whole("frames", frames)
        how = np.empty((self._voices, 7))
        for column, (name, value, low, high) in enumerate(
            (
                ("place", place, 0.0, 1.0),
                ("jitter", jitter, 0.0, 1.0),
                ("seconds", seconds, 0.005, 2.0),
                ("per_s", per_s, 0.0, 2000.0),
                ("pitch", pitch, 0.25, 4.0),
                ("spread", spread, 0.0, 1.0),
                ("gain", gain, 0.0, 16.0),
            )
        ):
            shape = (self._voices,) if np.ndim(value) else ()
            how[:, column] = checked(name, value, np.float64, shape, least=low, most=high)
        if not (how[:, 2] * how[:, 3] <= _MOST_AT_ONCE).all():
            raise ValueError(f"per_s x seconds must not be above {_MOST_AT_ONCE} grains at once")
        out = np.empty((self._voices, count, 2), np.float32)
        self._call(
            lib.rs_grains_process,
            count,
            ffi.cast("rs_grain *", ffi.from_buffer(how)),
            pointer(out),
        )
        return out

    def _voice(self, voice: int) -> int:
        return whole("voice", voice, least=0, most=self._voices - 1)
