"""One mix per pod: the sleeper's own sound beside a collective of all others.

All own sounds go, each as loud as its send gain, to one bus; a pod hears that bus without itself
(mix-minus), the collective, and its own sound at its own level. One bus for all makes the cost
linear in pods, and the sleeper's own level independent of the crowd's.

The bus is plain stereo (order 0), or a first-order ambisonic field (order 1, AmbiX: ACN order, SN3D
norm) in which every pod has a place and hears the others around it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import (
    KernelObject,
    between,
    checked,
    ffi,
    lib,
    occupied,
    pointer,
    whole,
)
from dreampods.resonance.ambisonics import decode_matrix, encode_matrix
from dreampods.resonance.resampler import Resampler

_STEP = int(lib.RS_MIXER_STEP)
_MOST_RAD = 1e6
# Of thousands of such products, the squared sum still fits in single precision
_MOST_SOUND, _MOST_GAIN = 1e6, 1e4


@dataclass(frozen=True, slots=True, eq=False)
class Mixed:
    """One block, full scale at 1.0.

    pods: (N, frames, 2); with feeds (0, frames, 2), as the sound went there. collective:
    (frames, 2), the bus with everybody in it, for a recording of the whole. peak: (N,), the
    largest magnitude in each pod's block. mean_square, weighted_square: (N,), over both sides,
    plain and A-weighted. own_square, rest_square: (N,), of the own sound and of all else in each
    mix before its limiter, which turns both down alike.
    """

    pods: NDArray[np.float32]
    collective: NDArray[np.float32]
    peak: NDArray[np.float32]
    mean_square: NDArray[np.float32]
    weighted_square: NDArray[np.float32]
    own_square: NDArray[np.float32]
    rest_square: NDArray[np.float32]


class Mixer(KernelObject):
    """Mixes blocks of `frames` stereo frames for a number of pods, each limited to its ceiling.

    frames: a multiple of 16. The limiter looks lookahead_ms ahead, goes down on a straight line so
    as to arrive with the peak, and recovers with the time constant release_ms. It counts true
    peaks, those between samples, after ITU-R BS.1770-4, Annex 2. order: 0 for a stereo bus, 1 for
    first-order ambisonics, where nobody is heard before `place`.
    """

    def __init__(
        self,
        pods: int,
        frames: int,
        *,
        rate_hz: float = 32000,
        lookahead_ms: float = 1.5,
        release_ms: float = 80,
        order: int = 0,
    ) -> None:
        listeners, block = whole("pods", pods), whole("frames", frames)
        if block % _STEP:
            raise ValueError(f"frames must be a multiple of {_STEP}, not {frames}")
        if order not in (0, 1):
            raise ValueError(f"order must be 0 or 1, not {order}")
        self._make(
            lib.rs_mixer_new,
            lib.rs_mixer_free,
            listeners,
            block,
            int(lib.RS_AMBISONIC_CHANNELS) if order else 2,
            between("rate_hz", rate_hz, lib.RS_METER_LEAST_HZ, lib.RS_METER_MOST_HZ),
            between("lookahead_ms", lookahead_ms, 0, 1000) / 1000,
            between("release_ms", release_ms, 0, 1e6) / 1000,
        )
        self._pods, self._frames, self._order = listeners, block, order

    @property
    def latency_frames(self) -> int:
        """How much later than it came in everything leaves, always the same."""
        return int(self._call(lib.rs_mixer_latency))

    def place(
        self,
        azimuth: ArrayLike,
        elevation: ArrayLike | None = None,
        facing: ArrayLike | None = None,
    ) -> None:
        """Where the pods are, seen from the middle of the room, and where their sleepers face.

        azimuth, facing: (N,), radians, to the left of the room's front. elevation: (N,), radians,
        0 if not given. facing: towards the middle if not given. The pods get there on a straight
        line through the next block.

        Raises:
            ValueError: unusable angles, or a mixer of order 0, where nobody has a place.
        """
        if self._order == 0:
            raise ValueError("a mixer of order 0 is plain stereo: it has no places")
        at = self._angles("azimuth", azimuth)
        up = np.zeros_like(at) if elevation is None else self._angles("elevation", elevation)
        ahead = at + np.pi if facing is None else self._angles("facing", facing)
        with self._turn:
            for pod in range(self._pods):
                encode, decode = encode_matrix(at[pod], up[pod]), decode_matrix(ahead[pod])
                self._call(lib.rs_mixer_place, pod, pointer(encode), pointer(decode))

    def _angles(self, name: str, value: ArrayLike) -> NDArray[np.float64]:
        return checked(name, value, np.float64, (self._pods,), least=-_MOST_RAD, most=_MOST_RAD)

    def process(
        self,
        own: ArrayLike,
        collective: ArrayLike,
        own_gain: ArrayLike,
        collective_gain: ArrayLike,
        send: ArrayLike,
        ceiling: ArrayLike,
        own_floor_db: ArrayLike | None = None,
        feeds: Sequence[Resampler | None] | None = None,
    ) -> Mixed:
        """Mixes one block: pod i gets

            own_gain[i] own[i] + collective_gain[i] (collective + Σ send[j] own[j], j ≠ i)

        each own[j] heard from its place, in an ambisonic mixer.

        own: (N, frames, 2). collective: (frames, 2). own_gain, collective_gain, send: (N,), from
        0, linear; they are reached at the block's end on a straight line from those of the block
        before, in the first block from silence. ceiling: (N,), from 0, the largest magnitude a
        pod may get; it holds at once and exactly. own_floor_db: (N,), how far the own sound may
        be below the rest, for example -6; the rest is turned down where it would be further (the
        rule, with its levels and times, is in csrc/include/resonance/sound.h). feeds: N
        resamplers, or None for a pod that has none, that get the mixes instead of `Mixed.pods`.
        """
        n, frames = self._pods, self._frames
        sounds, common = (
            checked(name, value, np.float32, shape, least=-_MOST_SOUND, most=_MOST_SOUND)
            for name, value, shape in (
                ("own", own, (n, frames, 2)),
                ("collective", collective, (frames, 2)),
            )
        )
        gains = [
            checked(name, value, np.float32, (n,), least=0, most=_MOST_GAIN)
            for name, value in (
                ("own_gain", own_gain),
                ("collective_gain", collective_gain),
                ("send", send),
            )
        ]
        limits = checked("ceiling", ceiling, np.float32, (n,), least=0)
        floor = None
        if own_floor_db is not None:
            floor_db = checked(
                "own_floor_db", own_floor_db, np.float64, (n,), least=-120, most=120
            )
            floor = checked("own_floor_db", 10 ** (floor_db / 20), np.float32, (n,))
        into, given = ffi.NULL, []
        if feeds is not None:
            if len(feeds) != n:
                raise ValueError(f"feeds must be {n} resamplers, these are {len(feeds)}")
            given = [feed for feed in feeds if feed is not None]
            if not all(isinstance(feed, Resampler) for feed in given):
                raise ValueError("feeds must be resamplers, or None")
            if len(set(given)) != len(given):
                raise ValueError("a resampler cannot be the feed of two pods")
            into = ffi.new(
                "rs_resampler *[]", [ffi.NULL if feed is None else feed._c for feed in feeds]
            )
        pods = np.empty((0 if feeds is not None else n, frames, 2), np.float32)
        bus = np.empty((frames, 2), np.float32)
        levels = np.empty((n, 5), np.float32)
        with occupied(given):
            self._call(
                lib.rs_mixer_process,
                pointer(sounds),
                pointer(common),
                *map(pointer, gains),
                pointer(floor),
                pointer(limits),
                into,
                ffi.NULL if feeds is not None else pointer(pods),
                pointer(bus),
                ffi.cast("rs_level *", pointer(levels)),
            )
        return Mixed(pods, bus, *np.ascontiguousarray(levels.T))
