"""IMA ADPCM on the host: what is encoded comes back as every decoder would have it."""

from __future__ import annotations

import numpy as np
import pytest
from dreampod import _plain
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dreampods.resonance import decode_ima, encode_ima

# Recommended practices, 1992: the step sizes.
# fmt: off
_STEPS = [
    7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60,
    66, 73, 80, 88, 97, 107, 118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371,
    408, 449, 494, 544, 598, 658, 724, 796, 876, 963, 1060, 1166, 1282, 1411, 1552, 1707,
    1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894, 6484, 7132,
    7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623,
    27086, 29794, 32767,
]
# fmt: on


def _at_the_pod(chunk: bytes, frames: int, channels: int) -> NDArray[np.int16]:
    pcm = bytearray(frames * channels * 2)
    _plain.ima(pcm, chunk, 0, frames, channels)
    return np.frombuffer(bytes(pcm), "<i2").reshape(frames, channels)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("frames", [1, 2, 3, 31, 480])
def test_the_host_decodes_as_the_pod_does(frames: int, channels: int) -> None:
    dice = np.random.default_rng(frames)
    for level in (3, 300, 30000):
        pcm = (level * dice.uniform(-1, 1, (frames, channels))).astype(np.int16)
        chunk = encode_ima(pcm)
        np.testing.assert_array_equal(
            decode_ima(chunk, channels), _at_the_pod(chunk, frames, channels)
        )


@settings(max_examples=300)
@given(st.binary(max_size=64), st.sampled_from([1, 2]))
def test_any_bytes_are_a_chunk_or_are_refused(data: bytes, channels: int) -> None:
    try:
        pcm = decode_ima(data, channels)
    except ValueError as error:
        assert "no chunk" in str(error)
    else:
        np.testing.assert_array_equal(pcm, _at_the_pod(data, len(pcm), channels))


def _error_of(index: int, pcm: NDArray[np.int16]) -> float:
    """What the first 32 frames of a mono chunk lose that begins at this index, by plain rules."""
    value, error = int(pcm[0]), 0.0
    for wanted in pcm[1:32].astype(int):
        step = _STEPS[index]
        missing = wanted - value
        code = min(abs(missing) * 4 // step, 7)
        change = (step >> 3) + sum(step >> k for k in range(3) if code & 4 >> k)
        value = min(max(value + (-change if missing < 0 else change), -32768), 32767)
        index = min(max(index + (-1, -1, -1, -1, 2, 4, 6, 8)[code], 0), 88)
        error += float(wanted - value) ** 2
    return error


@pytest.mark.parametrize("level", [4, 90, 2500, 29000])
def test_the_first_index_is_the_best_of_all(level: int) -> None:
    dice = np.random.default_rng(level)
    for _ in range(5):
        pcm = (level * dice.uniform(-1, 1, 64)).astype(np.int16)
        errors = [_error_of(index, pcm) for index in range(89)]
        assert encode_ima(pcm[:, None])[2] == int(np.argmin(errors))


def test_unusable_input_is_refused() -> None:
    good = encode_ima(np.zeros((240, 2), np.int16))
    assert decode_ima(good, 2).shape == (240, 2)
    for chunk in (b"", good[:7], good[:2] + b"\x59" + good[3:], good[:3] + b"\x02" + good[4:]):
        with pytest.raises(ValueError, match="no chunk"):
            decode_ima(chunk, 2)
    with pytest.raises(ValueError, match="channels must be 1 or 2"):
        decode_ima(good, 3)
