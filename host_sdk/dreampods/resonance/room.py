"""From layers to what is heard: their way onto a bus, and a soft space around them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dreampods.resonance._kernel import KernelObject, between, checked, lib, pointer, whole

_MOST_GAIN = 1e6
_MOST_LEVEL = 16.0


class Reverb(KernelObject):
    """A feedback delay network (Jot & Chaigne 1991) for each of `voices` stereo sounds.

    decay_s: until an echo of low frequency has fallen by 60 dB, 0.001 to 1000; the high ones fall
    sooner, those of 2 to 6 kHz in two thirds of it. level: of the echoes, linear, 0 to 16.
    """

    def __init__(
        self, voices: int, decay_s: float, *, level: float = 1.0, rate_hz: float = 32000
    ) -> None:
        sounds = whole("voices", voices)
        self._make(
            lib.rs_room_new,
            lib.rs_room_free,
            sounds,
            between("rate_hz", rate_hz, 4000, 1e6),
            between("decay_s", decay_s, 1e-3, 1000),
            between("level", level, 0, _MOST_LEVEL),
        )
        self._voices = sounds

    def process(self, dry: ArrayLike) -> NDArray[np.float32]:
        """What the room answers to dry (voices, frames, 2), same shape, without dry."""
        sound = checked("dry", dry, np.float32, (self._voices, "frames", 2))
        wet = np.empty_like(sound)
        self._call(lib.rs_room_process, sound.shape[1], pointer(sound), pointer(wet))
        return wet


def add_layer(
    sound: ArrayLike,
    ears_from: ArrayLike,
    ears_to: ArrayLike,
    bus: NDArray[np.float32],
    *,
    straight: float = 1.0,
    across: float = 0.0,
    send: float = 0.0,
    send_bus: NDArray[np.float32] | None = None,
) -> None:
    """Adds sound (voices, frames, 2) to bus, and `send` of it to send_bus, both of its shape.

    ears_from, ears_to: (voices, 2), gain in each ear before the block and at its end, reached on a
    straight line. straight, across: how much of each ear, and of the other, an ear gets.
    """
    layer = checked("sound", sound, np.float32, ("voices", "frames", 2))
    before = checked("ears_from", ears_from, np.float32, (len(layer), 2))
    after = checked("ears_to", ears_to, np.float32, (len(layer), 2))
    for name, out in (("bus", bus), ("send_bus", send_bus)):
        if out is None:
            if name == "bus":
                raise ValueError("bus must be an array to add to")
            continue
        packed = isinstance(out, np.ndarray) and out.dtype == np.float32 and out.flags.carray
        if not packed or out.shape != layer.shape:
            raise ValueError(f"{name} must be a packed float32 array of the shape {layer.shape}")
    heard = [bus] if send_bus is None else [bus, send_bus]
    if any(np.may_share_memory(one, layer) for one in heard) or (
        send_bus is not None and np.may_share_memory(bus, send_bus)
    ):
        raise ValueError("sound, bus and send_bus must not share memory")
    lib.rs_layer_add(
        len(layer),
        layer.shape[1],
        pointer(layer),
        between("straight", straight, -_MOST_GAIN, _MOST_GAIN),
        between("across", across, -_MOST_GAIN, _MOST_GAIN),
        pointer(before),
        pointer(after),
        between("send", send, -_MOST_GAIN, _MOST_GAIN),
        pointer(bus),
        pointer(send_bus),
    )
