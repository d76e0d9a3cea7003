"""One pod's sound at the rate of that pod's own crystal.

The engine writes at its own rate, and each chunk for the pod is read at the engine positions where
the pod's clock says its frames will sound. A crystal 30 ppm fast is a step 30 ppm smaller, and
nothing ever has to be inserted or dropped.

Between its samples a sound may rise above them, and a read may find it there. The mixer's limiter
counts on that: what it lets through stays below its ceiling wherever it is read, to within the
ripple of the filters and one step of dither.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import (
    KernelObject,
    checked,
    ffi,
    lib,
    new,
    number,
    occupied,
    pointer,
    positive,
    seeded,
    whole,
)

# How far above the nominal step a read may go. A crystal is off by parts in 10,000 at most; more
# than this is a mistake of the caller, and would alias.
_STEP_MARGIN = 1.1


@lru_cache(maxsize=16)
def _sinc(in_rate_hz: float, out_rate_hz: float) -> Any:
    """The filter, some 30 to 500 KB, shared by all pods of the same rate."""
    return new(lib.rs_sinc_new, lib.rs_sinc_free, in_rate_hz, out_rate_hz)


class Resampler(KernelObject):
    """Windowed sinc reading at any position of the sound written so far.

    in_rate_hz: of the engine. out_rate_hz: nominal, of the pod; at least a sixteenth of
    in_rate_hz. channels: 2, or 1 for the mean of both sides. history_frames: how far behind the
    last frame written a read may at least begin. seed: of the dither, 0 to 2³²-1, another one for
    each pod; the same reads give the same samples.
    """

    def __init__(
        self,
        in_rate_hz: float,
        out_rate_hz: float,
        channels: Literal[1, 2] = 2,
        history_frames: int = 16384,
        seed: int = 0,
    ) -> None:
        in_rate = positive("in_rate_hz", in_rate_hz)
        out_rate = positive("out_rate_hz", out_rate_hz)
        if in_rate > 16 * out_rate:
            raise ValueError(f"out_rate_hz must be at least a sixteenth of {in_rate:g}")
        if channels not in (1, 2):
            raise ValueError(f"channels must be 1 or 2, not {channels}")
        shared = _sinc(in_rate, out_rate)
        self._make(
            lib.rs_resampler_new,
            lib.rs_resampler_free,
            shared,
            channels,
            whole("history_frames", history_frames),
            seeded(seed, 32),
        )
        self._filter = shared  # kept here because C only points to it
        self._channels = channels
        self._largest_step = _STEP_MARGIN * in_rate / out_rate

    @property
    def channels(self) -> int:
        """1 or 2."""
        return self._channels

    def write(self, x: ArrayLike) -> None:
        """Appends engine sound x (frames, 2), full scale at 1.0."""
        sound = checked("x", x, np.float32, ("frames", 2))
        self._call(lib.rs_resampler_write, len(sound), pointer(sound))

    def read(self, start: float, step: float, frames: int) -> NDArray[np.int16]:
        """PCM (frames, channels); frame k is the sound at engine frame ``start + k * step``.

        step: engine frames per pod frame. TPDF dither, but silence stays 0. Beyond full scale it
        saturates at ±32767. ValueError if a position lies outside first_readable ..
        readable_until.
        """
        count = whole("frames", frames)
        begin = number("start", start)
        stride = positive("step", step)
        self._check_step(stride)
        pcm = np.empty((count, self._channels), np.int16)
        if self._call(lib.rs_resampler_read, begin, stride, count, pointer(pcm)):
            raise ValueError(self._refusal(begin, stride, count))
        return pcm

    def _check_step(self, step: float) -> None:
        """ValueError if reading with this step would alias."""
        if step > self._largest_step:
            raise ValueError(f"step must not be above {self._largest_step:g}, it is {step:g}")

    def _refusal(self, start: float, step: float, frames: int) -> str:
        """Why such a read is refused."""
        return (
            f"cannot read engine frames {start:.2f} to {start + (frames - 1) * step:.2f}: "
            f"{self.first_readable} to {self.readable_until} can be read"
        )

    @property
    def written(self) -> int:
        """Engine frames written so far; the next one has this index."""
        return int(self._call(lib.rs_resampler_written))

    @property
    def first_readable(self) -> int:
        """The first position that a read may touch. Silence lies before engine frame 0."""
        return int(self._call(lib.rs_resampler_first))

    @property
    def readable_until(self) -> int:
        """The last position that a read may touch; below first_readable while there is none."""
        return int(self._call(lib.rs_resampler_last))


def read_chunks(
    resamplers: Sequence[Resampler], start: ArrayLike, step: ArrayLike, frames: int
) -> NDArray[np.int16]:
    """A chunk for each of N pods, (N, frames, channels): `Resampler.read` for all in one call.

    start, step: (N,). ValueError if any cannot be read, or if some are mono and some stereo.
    """
    if not resamplers:
        raise ValueError("resamplers holds nothing")
    count = whole("frames", frames)
    channels = resamplers[0].channels
    if any(one.channels != channels for one in resamplers):
        raise ValueError("resamplers must all have the same number of channels")
    n = len(resamplers)
    begin = checked("start", start, np.float64, (n,))
    stride = checked("step", step, np.float64, (n,))
    if stride.min() <= 0:
        raise ValueError(f"step must be above 0, one is {stride.min():g}")
    for one, its in zip(resamplers, stride.tolist(), strict=True):
        one._check_step(its)
    pcm = np.empty((n, count, channels), np.int16)
    handles = ffi.new("rs_resampler *[]", [one._c for one in resamplers])
    with occupied(set(resamplers)):
        done = lib.rs_resamplers_read(
            n, handles, pointer(begin), pointer(stride), count, pointer(pcm)
        )
    if done < n:
        why = resamplers[done]._refusal(begin[done], stride[done], count)
        raise ValueError(f"resampler {done} {why}")
    return pcm
