"""IMA ADPCM for pods whose link is thin: 16-bit sound in 4 bits a sample, each chunk for itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._kernel import lib, octets, pointer, whole


def encode_ima(pcm: NDArray[np.int16]) -> bytes:
    """A chunk of sound, (frames, 1 or 2) int16, as the payload of a CHUNK frame without its time.

    Layout: `firmware/dreampod/wire.py`. Source: IMA Digital Audio Focus and Technical Working Groups,
    Recommended practices for enhancing digital audio compatibility, 1992.

    Raises:
        ValueError: another shape, or nothing in it.
    """
    pcm = np.asarray(pcm)
    if (
        pcm.dtype.newbyteorder("=") != np.int16
        or pcm.ndim != 2
        or not pcm.shape[0]
        or pcm.shape[1] not in (1, 2)
    ):
        raise ValueError(f"a chunk is (frames, 1 or 2) of int16, not {pcm.shape} of {pcm.dtype}")
    frames, channels = pcm.shape
    out = np.empty(lib.rs_ima_bytes(frames, channels), np.uint8)
    packed = np.ascontiguousarray(pcm, np.int16)
    lib.rs_ima_encode(frames, channels, pointer(packed), pointer(out))
    return out.tobytes()


def decode_ima(chunk: bytes, channels: int) -> NDArray[np.int16]:
    """The sound (frames, channels) of a chunk that `encode_ima` or a pod made.

    Raises:
        ValueError: no such chunk: too short, an index above 88, or bytes left over.
    """
    if whole("channels", channels) > 2:
        raise ValueError(f"channels must be 1 or 2, not {channels}")
    data = octets("chunk", chunk)
    frames = lib.rs_ima_frames(len(data), channels, data)
    if not frames:
        raise ValueError(
            f"these {len(data)} bytes are no chunk of IMA ADPCM in {channels} channels"
        )
    pcm = np.empty((frames, channels), np.int16)
    lib.rs_ima_decode(len(data), channels, data, pointer(pcm))
    return pcm
