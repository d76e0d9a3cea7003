"""A first-order field: everybody hears the others around them, and nobody themselves."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from dreampods.resonance import Mixer, decode_matrix, encode_matrix

_FRAMES = 64
_OPEN = 1e6


def _field(azimuth: float, elevation: float) -> NDArray[np.float64]:
    """AmbiX, as its definition says: ACN order W, Y, Z, X; SN3D."""
    return np.array(
        [
            1.0,
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
            np.cos(azimuth) * np.cos(elevation),
        ]
    )


def _noise(seed: int, *shape: int) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def _steady(mixer: Mixer, own: NDArray[np.float32], own_gain: float, heard: float, send: float):
    n, frames = own.shape[0], own.shape[1]
    gains = [np.full(n, gain) for gain in (own_gain, heard, send, _OPEN)]
    silence = np.zeros((_FRAMES, 2))
    mixer.process(np.zeros((n, _FRAMES, 2)), silence, *gains)
    blocks = np.split(own, frames // _FRAMES, axis=1)
    mixed = [mixer.process(block, silence, *gains) for block in blocks]
    late = mixer.latency_frames
    pods = np.concatenate([one.pods for one in mixed], 1)[:, late:]
    return pods, np.concatenate([one.collective for one in mixed])[late:]


@pytest.mark.parametrize("azimuth", [0.0, 1.0, -2.5])
@pytest.mark.parametrize("elevation", [0.0, 0.7, -1.2])
def test_a_pod_is_encoded_where_it_is(azimuth: float, elevation: float) -> None:
    matrix = encode_matrix(azimuth, elevation)
    apart = np.radians(10)
    for side, at in enumerate((azimuth + apart, azimuth - apart)):
        assert_allclose(matrix[:, side], 0.5 * _field(at, elevation), rtol=1e-6, atol=1e-7)


def test_ears_hear_what_is_on_their_side_and_nobody_is_fainter_for_lying_behind() -> None:
    for facing in (0.0, 0.4, 3.0):
        ears = decode_matrix(facing)
        front, left, behind, right = (
            ears @ _field(facing + turn, 0) for turn in (0, np.pi / 2, np.pi, -np.pi / 2)
        )
        assert_allclose(front, [0.5**0.5, 0.5**0.5], rtol=1e-6)
        assert_allclose(behind, [0.5**0.5, 0.5**0.5], rtol=1e-6)
        assert_allclose(left, [2**0.5, 0], atol=1e-6)
        assert_allclose(right, [0, 2**0.5], atol=1e-6)
        everywhere = [ears @ _field(turn, 0.3) for turn in np.linspace(0, 6, 40)]
        assert_allclose(np.sum(everywhere, 1), 2**0.5, rtol=1e-6)


def test_each_pod_hears_the_others_from_where_they_are() -> None:
    rng = np.random.default_rng(0)
    n = 9
    azimuth, elevation, facing = (
        rng.uniform(-3, 3, n),
        rng.uniform(-1, 1, n),
        rng.uniform(-3, 3, n),
    )
    own = _noise(1, n, 20 * _FRAMES, 2)
    mixer = Mixer(n, _FRAMES, order=1)
    mixer.place(azimuth, elevation, facing)
    pods, bus = _steady(mixer, own, 0.7, 0.5, 0.3)
    encoded = np.stack(
        [own[i].astype(float) @ encode_matrix(azimuth[i], elevation[i]).T for i in range(n)]
    )
    for i in range(n):
        others = 0.3 * (encoded.sum(0) - encoded[i])
        expected = 0.7 * own[i] + 0.5 * others @ decode_matrix(facing[i]).T
        assert_allclose(pods[i], expected[: len(pods[i])], rtol=1e-4, atol=1e-6)
    middle = 0.3 * encoded.sum(0) @ decode_matrix(0).T
    assert_allclose(bus, middle[: len(bus)], rtol=1e-4, atol=1e-6)


def test_a_room_that_is_turned_sounds_the_same_to_those_in_it() -> None:
    own = _noise(2, 4, 10 * _FRAMES, 2)
    heard = []
    for turn in (0.0, 1.1):
        mixer = Mixer(4, _FRAMES, order=1)
        mixer.place(np.array([0.1, 1.7, 3.0, -1.2]) + turn)
        heard.append(_steady(mixer, own, 0.0, 1.0, 1.0)[0])
    assert_allclose(heard[0], heard[1], atol=1e-6)


def test_whoever_lies_opposite_is_in_front() -> None:
    """Facing the middle, as those are who are not told otherwise."""
    mixer = Mixer(2, _FRAMES, order=1)
    mixer.place([0.3, 0.3 + np.pi])
    own = np.zeros((2, 10 * _FRAMES, 2), np.float32)
    own[1] = _noise(3, 1, 10 * _FRAMES, 1)[0]
    left, right = _steady(mixer, own, 0.0, 1.0, 1.0)[0][0].T
    assert_allclose(left, right, atol=1e-7)
    mixer.place([0.3, 0.3 + np.pi / 2])  # now to the right, for who looks to the middle from 0.3
    left, right = _steady(mixer, own, 0.0, 1.0, 1.0)[0][0].T
    assert right.std() > 5 * left.std()


def test_nobody_meets_themselves_even_on_the_way_to_another_place() -> None:
    mixer = Mixer(1, _FRAMES, order=1)
    gains = [[0.0], [1.0], [1.0], [_OPEN]]
    rng = np.random.default_rng(4)
    for _ in range(20):
        mixer.place(*rng.uniform(-3, 3, (3, 1)))
        out = mixer.process(_noise(5, 1, _FRAMES, 2), np.zeros((_FRAMES, 2)), *gains).pods
        assert np.abs(out).max() < 1e-7


def test_a_place_is_reached_without_a_step() -> None:
    mixer = Mixer(2, _FRAMES, order=1)
    own = np.ones((2, _FRAMES, 2), np.float32)
    own[0] = 0
    gains = [[0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [_OPEN, _OPEN]]
    mixer.place([0.0, np.pi])
    heard = []
    for k in range(12):
        if k == 6:
            mixer.place([0.0, np.pi / 2])
        heard.append(mixer.process(own, np.zeros((_FRAMES, 2)), *gains).pods[0])
    steps = np.abs(np.diff(np.concatenate(heard[4:]), axis=0))
    assert 0 < steps.max() < 2 / _FRAMES


def test_the_collective_is_heard_as_it_is() -> None:
    mixer = Mixer(1, _FRAMES, order=1)
    bed = _noise(6, _FRAMES, 2)
    for _ in range(3):
        out = mixer.process(np.zeros((1, _FRAMES, 2)), bed, [0.0], [1.0], [0.0], [_OPEN])
    late = mixer.latency_frames % _FRAMES
    assert_allclose(out.pods[0], np.roll(bed, late, axis=0), atol=1e-7)


def test_unusable_places_are_refused() -> None:
    with pytest.raises(ValueError, match="plain stereo"):
        Mixer(2, _FRAMES).place([0.0, 1.0])
    mixer = Mixer(2, _FRAMES, order=1)
    for arguments, why in (
        (([0.0],), "azimuth must have the shape"),
        (([0.0, np.nan],), "azimuth holds NaN"),
        (([0.0, 1.0], [0.0]), "elevation must have the shape"),
        (([0.0, 1.0], None, [np.inf, 0.0]), "facing holds NaN, infinity"),
    ):
        with pytest.raises(ValueError, match=why):
            mixer.place(*arguments)
    with pytest.raises(ValueError, match="finite"):
        encode_matrix(np.nan)
    with pytest.raises(ValueError, match="finite"):
        decode_matrix(np.inf)
