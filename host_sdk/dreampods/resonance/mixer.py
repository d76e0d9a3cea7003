"""One mix per pod: the sleeper's own sound beside a collective of all others.

All own sounds go, each as loud as its send gain, to one bus together with the collective; a pod
hears that bus without itself (mix-minus) and its own sound at its own level. One bus for all
makes the cost linear in pods, and the sleeper's own level independent of the crowd's.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import (
    checked,
    lib,
    new,
    not_negative,
    pointer,
    positive,
    whole,
)


@dataclass(frozen=True, slots=True)
class Mixed:
    """One block, full scale at 1.0.

    pods: (N, frames, 2). collective: (frames, 2), the bus, for a recording of the whole.
    peak: (N,), the largest magnitude in each pod's block. mean_square: (N,), over both sides.
    """

    pods: NDArray[np.float32]
    collective: NDArray[np.float32]
    peak: NDArray[np.float32]
    mean_square: NDArray[np.float32]


class Mixer:
    """Mixes blocks of `frames` stereo frames for a number of pods, each limited to its ceiling.

    The limiter looks lookahead_ms ahead, goes down on a straight line so as to arrive with the
    peak, and recovers with the time constant release_ms.
    """

    def __init__(
        self,
        pods: int,
        frames: int,
        rate_hz: float = 32000,
        lookahead_ms: float = 1.5,
        release_ms: float = 80,
    ) -> None:
        self._pods = whole("pods", pods)
        self._frames = whole("frames", frames)
        rate = positive("rate_hz", rate_hz)
        lookahead_s = not_negative("lookahead_ms", lookahead_ms) / 1000
        if lookahead_s > 1:
            raise ValueError(f"lookahead_ms must not be above 1000, it is {lookahead_ms:g}")
        self._mixer = new(
            lib.rs_mixer_new,
            lib.rs_mixer_free,
            self._pods,
            self._frames,
            rate,
            lookahead_s,
            not_negative("release_ms", release_ms) / 1000,
        )

    @property
    def latency_frames(self) -> int:
        """How much later than it came in everything leaves, always the same."""
        return int(lib.rs_mixer_latency(self._mixer))

    def process(
        self,
        own: ArrayLike,
        collective: ArrayLike,
        own_gain: ArrayLike,
        collective_gain: ArrayLike,
        send: ArrayLike,
        ceiling: ArrayLike,
    ) -> Mixed:
        """Mixes one block: pod i gets

            own_gain[i] own[i] + collective_gain[i] (collective + Σ send[j] own[j], j ≠ i)

        own: (N, frames, 2). collective: (frames, 2). own_gain, collective_gain, send: (N,), from
        0, linear; they are reached at the block's end on a straight line from those of the block
        before, in the first block from silence. ceiling: (N,), from 0, the largest magnitude a
        pod may get; it holds at once and exactly.
        """
        n, frames = self._pods, self._frames
        sounds = checked("own", own, np.float32, (n, frames, 2))
        common = checked("collective", collective, np.float32, (frames, 2))
        gains = [
            checked(name, value, np.float32, (n,), least=0)
            for name, value in (
                ("own_gain", own_gain),
                ("collective_gain", collective_gain),
                ("send", send),
                ("ceiling", ceiling),
            )
        ]
        mixed = Mixed(
            pods=np.empty((n, frames, 2), np.float32),
            collective=np.empty((frames, 2), np.float32),
            peak=np.empty(n, np.float32),
            mean_square=np.empty(n, np.float32),
        )
        lib.rs_mixer_process(
            self._mixer,
            pointer(sounds),
            pointer(common),
            *map(pointer, gains),
            pointer(mixed.pods),
            pointer(mixed.collective),
            pointer(mixed.peak),
            pointer(mixed.mean_square),
        )
        return mixed
