"""The own share: in its pod's mix, a sleeper's own sound never goes under."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import wavfile
from scipy.signal import resample_poly

from dreampods.resonance import Mixer

Floats = NDArray[np.float64]
DATA = Path(os.environ.get("DREAMPODS_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
_FRAMES = 640
_BLOCK_S = _FRAMES / 32000


def _mix(own: Floats, rest: Floats, floor_db: float | None, rest_gain: float = 1.0):
    """Levels (blocks, 2) of the own sound and the rest, of one pod: mean squares of each block."""
    mixer = Mixer(1, _FRAMES)
    levels = []
    for k in range(0, len(own) // _FRAMES * _FRAMES, _FRAMES):
        part = slice(k, k + _FRAMES)
        floor = None if floor_db is None else [floor_db]
        mixed = mixer.process(
            own[None, part], rest[part], [1.0], [rest_gain], [0.0], [1.0], own_floor_db=floor
        )
        levels.append((mixed.own_square[0], mixed.rest_square[0]))
    return np.array(levels, float)


def _recent(x: Floats) -> Floats:
    """Means over the last 0.4 s, or over what there is."""
    return np.array([x[max(0, k - 20) : k].mean() for k in range(1, len(x) + 1)])


def _remembered(own: Floats) -> Floats:
    level, levels = 0.0, []
    for now in np.maximum(own, _recent(own)):
        level = max(now, level * np.exp(-_BLOCK_S / 3))
        levels.append(level)
    return np.array(levels)


def _rule(own: Floats, rest: Floats, floor_db: float) -> Floats:
    """The rule of sound.h, in numpy: the collective's gain at the end of each block."""
    allowed = _remembered(own) * np.exp(-0.4 / 3) / 10 ** (floor_db / 10)
    target = np.minimum(1, np.sqrt(allowed / np.maximum(rest, _recent(rest))))
    target[np.maximum(own, _recent(own)) <= 1e-6] = 1
    room, rooms = 1.0, []
    for most in target:
        room = min(most, room + (1 - room) * (1 - np.exp(-_BLOCK_S)))
        rooms.append(room)
    return np.array(rooms)


def _noise(seed: int, seconds: float, level: float) -> Floats:
    frames = round(seconds * 32000 / _FRAMES) * _FRAMES
    return level * np.random.default_rng(seed).standard_normal((frames, 2))


def test_where_the_own_sound_is_loud_enough_nothing_changes() -> None:
    own, rest = _noise(0, 4, 0.1), _noise(1, 4, 0.1)
    np.testing.assert_array_equal(_mix(own, rest, -6), _mix(own, rest, None))


@pytest.mark.parametrize("floor_db", [-12.0, -6.0, 0.0])
def test_the_rest_recedes_to_the_floor(floor_db: float) -> None:
    levels = _mix(_noise(0, 6, 0.02), _noise(1, 6, 0.2), floor_db)
    share_db = 10 * np.log10(levels[50:, 0].mean() / levels[50:, 1].mean())
    assert floor_db <= share_db < floor_db + 1


def test_it_follows_the_rule_to_the_digit() -> None:
    rng = np.random.default_rng(2)
    steps = 10 ** rng.uniform(-2.5, 0, (60, 2))
    own, rest = (
        np.repeat(steps[:, k], 5 * _FRAMES)[:, None] * _noise(3 + k, 6, 0.2) for k in (0, 1)
    )
    free, ruled = _mix(own, rest, None), _mix(own, rest, -6)
    room = _rule(free[:, 0], free[:, 1], -6)
    ramp = np.arange(1, _FRAMES + 1) / _FRAMES
    before = np.concatenate([[1.0], room[:-1]])
    gain = before[:, None] + (room - before)[:, None] * ramp
    first = np.concatenate([ramp, np.ones((len(room) - 1) * _FRAMES)]).reshape(-1, _FRAMES)
    expected = np.mean(
        (gain * first)[:, :, None] ** 2 * rest[: gain.size].reshape(-1, _FRAMES, 2) ** 2, (1, 2)
    )
    np.testing.assert_allclose(ruled[:, 1], expected, rtol=1e-4)


def test_a_silent_own_sound_lets_the_collective_be() -> None:
    silence = np.zeros((4 * 32000, 2))
    rest = _noise(1, 4, 0.2)
    np.testing.assert_array_equal(_mix(silence, rest, -6), _mix(silence, rest, None))


def test_the_collective_comes_back_in_a_second_or_so() -> None:
    own = np.concatenate([_noise(0, 3, 0.02), np.zeros((32000 * 40, 2))])
    levels = _mix(own, _noise(1, 43, 0.2), -6)
    gone = np.flatnonzero(levels[:, 0] == 0)[0]
    full = 10 * np.log10(levels[-100:, 1].mean())
    assert 10 * np.log10(levels[gone - 50 : gone, 1].mean()) < full - 10
    assert 10 * np.log10(levels[-1, 1]) == pytest.approx(full, abs=0.5)


_VOICES = ["en_jfk_1961.wav", "de_simplicissimus_a.wav", "en_austen_0870.wav"]


@pytest.mark.skipif(
    not (DATA / "voice").is_dir(), reason=f"no voices in {DATA}; set DREAMPODS_DATA"
)
@pytest.mark.parametrize("name", _VOICES)
@pytest.mark.parametrize("floor_db", [-9.0, -3.0])
def test_a_voice_keeps_its_share_among_seven_others(name: str, floor_db: float) -> None:
    """Against a crowd of voices, each five times as loud: the rest of any 0.4 s beside the own level."""
    files = sorted((DATA / "voice").glob("*.wav"))
    crowd = np.zeros(32000 * 9)
    for k, path in enumerate(file for file in files if file.name != name):
        _, pcm = wavfile.read(path)
        voice = resample_poly(np.resize(pcm / 32768, 16000 * 9), 2, 1)
        crowd += np.roll(voice, 9000 * k)
    _, pcm = wavfile.read(DATA / "voice" / name)
    own = 0.1 * resample_poly(np.resize(pcm / 32768, 16000 * 9), 2, 1)
    crowd *= 0.5
    stereo = [np.stack([x, x], 1) for x in (own, crowd)]
    free, levels = _mix(*stereo, None), _mix(*stereo, floor_db)

    heard = np.maximum(free[:, 0], _recent(free[:, 0])) > 1e-6
    ruled = np.convolve(heard, np.ones(20))[: len(heard)] == 20  # for all of a window
    assert ruled.mean() > 0.5

    def share_db(of: Floats) -> Floats:
        return 10 * np.log10(_remembered(of[:, 0]) / _recent(of[:, 1]))[ruled]

    assert share_db(free).min() < floor_db - 3  # without the rule it would go under
    assert share_db(levels).min() >= floor_db
    np.testing.assert_array_equal(levels[:, 0], free[:, 0])
