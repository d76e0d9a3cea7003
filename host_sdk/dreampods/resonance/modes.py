"""Things that ring when they are struck, or while they are driven: bowls, bells, bars, rubbed glasses.

A thing that rings is a sum of modes, decaying sines. Their sound is a closed form, so a block is
computed at once, exact however long it rings, and what nobody can hear any more costs nothing.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import KernelObject, between, checked, ffi, lib, pointer, whole

_NOWHERE = np.empty(0, np.uintp)


class ModeBank(KernelObject):
    """voices: number of things, alike but each struck and driven by itself. freq_hz: (modes,), from
    0 to below half of rate_hz. decay_s: (modes,), time to fall by 60 dB, 1e-6 to 1e9. drive_gain: (modes, 2),
    amplitude in each ear of what one frame of a drive of 1 strikes; None: nothing is driven.
    """

    def __init__(
        self,
        voices: int,
        freq_hz: ArrayLike,
        decay_s: ArrayLike,
        *,
        rate_hz: float = 32000,
        drive_gain: ArrayLike | None = None,
    ) -> None:
        things = whole("voices", voices)
        rate = between("rate_hz", rate_hz, 1000, 1e6)
        freq = checked("freq_hz", freq_hz, np.float64, ("modes",), least=0)
        if not (freq < rate / 2).all():
            raise ValueError(f"freq_hz must be below half of rate_hz = {rate:g}")
        modes = len(freq)
        if modes > 65536:
            raise ValueError(f"freq_hz must not hold more than 65536, it holds {modes}")
        decay = checked("decay_s", decay_s, np.float64, (modes,), least=1e-6, most=1e9)
        gain = None
        if drive_gain is not None:
            gain = checked("drive_gain", drive_gain, np.float32, (modes, 2))
        self._make(
            lib.rs_modes_new,
            lib.rs_modes_free,
            things,
            modes,
            rate,
            pointer(freq),
            pointer(decay),
            pointer(gain),
        )
        self._voices, self._modes, self._driven = things, modes, gain is not None

    def process(
        self,
        frames: int,
        voice: ArrayLike | None = None,
        frame: ArrayLike | None = None,
        amplitude: ArrayLike | None = None,
        drive: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """The next block, (voices, frames, 2).

        voice, frame: (strikes,), whom and where in the block each strike hits, frames in rising
        order. amplitude: (strikes, modes, 2), peak of each mode in each ear, which starts as a sine
        in that frame. drive: (voices, frames), for a bank that has a drive_gain.
        """
        count = whole("frames", frames)
        strikes = 0 if voice is None else np.size(voice)
        hit, when, size = _NOWHERE, _NOWHERE, None
        if strikes:
            hit = _places("voice", voice, strikes, self._voices)
            when = _places("frame", frame, strikes, count)
            if (when[1:] < when[:-1]).any():
                raise ValueError("frame must rise, or stay, from strike to strike")
            size = checked("amplitude", amplitude, np.float32, (strikes, self._modes, 2))
        elif any(one is not None and np.size(one) for one in (frame, amplitude)):
            raise ValueError("frame and amplitude are of strikes, but voice names none")
        force = None
        if drive is not None:
            if not self._driven:
                raise ValueError("this bank has no drive_gain, so it cannot be driven")
            force = checked("drive", drive, np.float32, (self._voices, count))
        out = np.empty((self._voices, count, 2), np.float32)
        self._call(
            lib.rs_modes_process,
            count,
            strikes,
            ffi.from_buffer("size_t[]", hit),
            ffi.from_buffer("size_t[]", when),
            pointer(size),
            pointer(force),
            pointer(out),
        )
        return out


def _places(name: str, value: ArrayLike | None, strikes: int, end: int) -> NDArray[np.uintp]:
    """(strikes,), whole numbers from 0 and below `end`."""
    found = checked(name, value, np.float64, (strikes,), least=0)
    if (found % 1).any() or not (found < end).all():
        raise ValueError(f"{name} must hold whole numbers from 0 to {end - 1}")
    return found.astype(np.uintp)
