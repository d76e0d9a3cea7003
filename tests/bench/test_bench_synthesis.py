"""Layers of sound, 20 ms of n stereo voices at 32 kHz: the kernel beside the same sound in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from dreampods.dreamscape import Bodies, Synth, load_scene, scene_names
from dreampods.resonance import GrainCloud, ModeBank, NoiseBank, Reverb, ToneBank, add_layer

RATE_HZ, FRAMES = 32000, 640
VOICES = [1, 8, 64]
MODES, SINES = 96, 12
RING = f"{MODES} modes each, all ringing, 20 ms of n voices"
TONE = f"{SINES} gliding sines each, 20 ms of n voices"
NOISE = "pink noise under a moving low-pass, 20 ms of n voices"
BUS = "a layer onto its bus and the room's, 20 ms of n voices"
ROOM = "a room of 8 delay lines, 20 ms of n voices"
GRAINS = "a voice in 8 grains at once, 20 ms of n voices"
SCENE = "a block of the scene {}, 20 ms for n sleepers"
DICE = np.random.default_rng(1)
# Nothing falls silent while it is timed, or it would cost nothing.
FREQ_HZ, DECAY_S = DICE.uniform(100, 4000, MODES), DICE.uniform(1e6, 9e6, MODES)


def _strikes(voices: int) -> np.ndarray:
    return np.random.default_rng(2).normal(size=(voices, MODES, 2)) / MODES


class _NumpyModes:
    """A block of all modes as one matrix product with a table of powers."""

    def __init__(self, voices: int) -> None:
        poles = np.exp((2j * np.pi * FREQ_HZ - np.log(1000) / DECAY_S) / RATE_HZ)
        powers = poles[:, None] ** np.arange(FRAMES)
        self._table = np.concatenate([powers.real, -powers.imag]).astype(np.float32)
        self._onward = poles**FRAMES
        self._state = -1j * _strikes(voices).transpose(0, 2, 1)

    def process(self) -> np.ndarray:
        rows = np.concatenate([self._state.real, self._state.imag], axis=-1).astype(np.float32)
        self._state *= self._onward
        return np.ascontiguousarray(np.swapaxes(rows @ self._table, -1, -2))


@pytest.mark.parametrize("n", VOICES)
def test_modes_ours(race, n):
    bank, plain = ModeBank(n, FREQ_HZ, DECAY_S), _NumpyModes(n)
    first = bank.process(FRAMES, np.arange(n), np.zeros(n), _strikes(n))
    np.testing.assert_allclose(first, plain.process(), atol=1e-5)
    race(RING, "ours", lambda: bank.process(FRAMES), n=n, unit="µs")


@pytest.mark.parametrize("n", VOICES)
def test_modes_numpy(race, n):
    race(RING, "numpy", _NumpyModes(n).process, n=n, unit="µs")


def _tone_bed(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    dice = np.random.default_rng(3)
    return dice.random((n, SINES)), dice.uniform(60, 3000, (n, SINES)), dice.random((n, SINES, 2))


class _NumpyTones:
    """Parabolas of phase in float64, reduced to a turn before they become float32."""

    def __init__(self, n: int) -> None:
        self._turns, freq_hz, self._gain = _tone_bed(n)
        self._step = freq_hz / RATE_HZ
        self._frame = np.arange(FRAMES, dtype=np.float64)
        self._ramp = (np.arange(1, FRAMES + 1, dtype=np.float32) / FRAMES)[:, None]

    def process(self, bend: float = 1.0) -> np.ndarray:
        before, self._step = self._step, self._step * bend
        change = self._step - before
        powers = np.stack([np.ones(FRAMES), self._frame, self._frame**2 / (2 * FRAMES)])
        turns = np.stack([self._turns, before, change], axis=2) @ powers
        waves = np.sin(((turns - np.floor(turns)) * (2 * np.pi)).astype(np.float32))
        self._turns = np.mod(self._turns + (before + self._step) * (FRAMES / 2), 1.0)
        rows = np.concatenate([self._gain, 0 * self._gain], axis=2).astype(np.float32)
        mixed = (rows.transpose(0, 2, 1) @ waves).transpose(0, 2, 1)
        return mixed[:, :, :2] + self._ramp * mixed[:, :, 2:]


@pytest.mark.parametrize("n", VOICES)
def test_tones_ours(race, n):
    turns, freq_hz, gain = _tone_bed(n)
    bank, plain = ToneBank(turns), _NumpyTones(n)
    for bend in (1.0, 1.01):
        freq_hz = freq_hz * bend
        np.testing.assert_allclose(
            bank.process(FRAMES, freq_hz, gain), plain.process(bend), atol=3e-5
        )
    race(TONE, "ours", lambda: bank.process(FRAMES, freq_hz, gain), n=n, unit="µs")


@pytest.mark.parametrize("n", VOICES)
def test_tones_numpy(race, n):
    race(TONE, "numpy", _NumpyTones(n).process, n=n, unit="µs")


class _NumpyNoise:
    """Loops of noise made before, an octave each, mixed with the gains that a low-pass would have."""

    FRAMES = 1 << 19

    def __init__(self, n: int) -> None:
        dice = np.random.default_rng(4)
        self._centres_hz = 60 * 2.0 ** np.arange(8)
        freq_hz = np.maximum(np.fft.rfftfreq(self.FRAMES, 1 / RATE_HZ), 1)
        loops = []
        for centre in self._centres_hz:
            distance = np.clip(np.abs(np.log2(freq_hz / centre)), 0, 1)
            size = np.cos(np.pi / 2 * distance) / np.sqrt(freq_hz)
            spectrum = dice.standard_normal((2, len(freq_hz)))
            loops.append(np.fft.irfft((spectrum[0] + 1j * spectrum[1]) * size, self.FRAMES))
        made = np.array(loops, dtype=np.float32)
        made /= np.sqrt(np.sum(np.mean(made.astype(np.float64) ** 2, axis=1)))
        padded = np.concatenate([made, made[:, :FRAMES]], axis=1)
        windows = np.lib.stride_tricks.sliding_window_view(padded, FRAMES, axis=1)
        self._windows = windows.transpose(1, 0, 2)
        self._at = dice.integers(0, self.FRAMES, (n, 2))
        self._gains = np.ones((n, 8))
        self._ramp = (np.arange(1, FRAMES + 1, dtype=np.float32) / FRAMES)[:, None]

    def process(self, corner_hz: np.ndarray) -> np.ndarray:
        gains = 1 / np.sqrt(1 + (self._centres_hz / corner_hz[:, None]) ** 4)
        both = np.stack([self._gains, gains - self._gains], axis=1).astype(np.float32)
        self._gains = gains
        octaves = self._windows[self._at]
        self._at = (self._at + FRAMES) % self.FRAMES
        mixed = (both[:, None] @ octaves).transpose(2, 0, 3, 1)
        return mixed[0] + self._ramp * mixed[1]


@pytest.mark.parametrize("n", VOICES)
def test_noise_ours(race, n):
    corner_hz = np.full(n, 2000.0)
    bank = NoiseBank(n, low_hz=60, high_hz=8000, ripple_db=2)
    plain = _NumpyNoise(n)
    loud = [
        np.mean([np.square(make()).mean() for _ in range(500)])
        for make in (lambda: bank.process(FRAMES, corner_hz), lambda: plain.process(corner_hz))
    ]
    assert abs(10 * np.log10(loud[0] / loud[1])) < 2  # both are noise: only alike in power
    race(NOISE, "ours", lambda: bank.process(FRAMES, corner_hz), n=n, unit="µs")


@pytest.mark.parametrize("n", VOICES)
def test_noise_numpy(race, n):
    plain, corner_hz = _NumpyNoise(n), np.full(n, 2000.0)
    race(NOISE, "numpy, loops made before", lambda: plain.process(corner_hz), n=n, unit="µs")


class _NumpyRoom:
    """The same network, 640 frames at once: every delay is longer."""

    DELAY = np.rint(
        np.array([0.02117, 0.02633, 0.03179, 0.03793, 0.04457, 0.05273, 0.06181, 0.07331]) * RATE_HZ
    ).astype(int)

    def __init__(self, n: int) -> None:
        self._size = 4096
        self._held = np.zeros((n, 8, self._size), np.float32)
        self._at = 0
        gain = 10 ** (-3 * self.DELAY / RATE_HZ / 2.0)
        sign = np.array([1, 1, -1, -1, 1, 1, -1, -1])
        own = np.stack([np.arange(8) % 2 == ear for ear in (0, 1)]) * sign
        self._feedback = ((np.eye(8) - 0.25) * gain).astype(np.float32)
        self._enter = own.T.astype(np.float32)
        self._leave = (own / 2 * np.sqrt(np.mean(1 - gain**2))).astype(np.float32)

    def process(self, dry: np.ndarray) -> np.ndarray:
        reach = np.arange(-1, FRAMES + 1)[None, :] - self.DELAY[:, None]
        heard = self._held[:, np.arange(8)[:, None], (self._at + reach) % self._size]
        soft = np.float32(0.68) * heard[:, :, 1:-1]
        soft += np.float32(0.16) * (heard[:, :, :-2] + heard[:, :, 2:])
        write = (self._at + np.arange(FRAMES)) % self._size
        self._held[:, :, write] = self._feedback @ soft + self._enter @ dry.transpose(0, 2, 1)
        self._at = (self._at + FRAMES) % self._size
        return np.ascontiguousarray((self._leave @ soft).transpose(0, 2, 1))


def _dry(n: int) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(n, FRAMES, 2)).astype(np.float32)


@pytest.mark.parametrize("n", VOICES)
def test_room_ours(race, n):
    room, plain, dry = Reverb(n, 2.0), _NumpyRoom(n), _dry(n)
    for _ in range(10):
        np.testing.assert_allclose(room.process(dry), plain.process(dry), atol=1e-4)
    race(ROOM, "ours", lambda: room.process(dry), n=n, unit="µs")


@pytest.mark.parametrize("n", VOICES)
def test_room_numpy(race, n):
    plain, dry = _NumpyRoom(n), _dry(n)
    race(ROOM, "numpy", lambda: plain.process(dry), n=n, unit="µs")


def _numpy_layer(sound, before, after, bus, room):
    ramp = (np.arange(1, FRAMES + 1, dtype=np.float32) / FRAMES)[:, None]
    sound = np.float32(0.9) * sound + np.float32(0.4) * sound[:, :, ::-1]
    placed = sound * (before[:, None] + ramp * (after - before)[:, None])
    bus += placed
    room += np.float32(0.3) * placed


def _layer(n: int) -> tuple[np.ndarray, ...]:
    ears = np.random.default_rng(6).random((2, n, 2)).astype(np.float32)
    return (_dry(n), *ears, *np.zeros((2, n, FRAMES, 2), np.float32))


def _our_layer(sound, before, after, bus, room):
    add_layer(sound, before, after, bus, straight=0.9, across=0.4, send=0.3, send_bus=room)


@pytest.mark.parametrize("n", VOICES)
def test_layer_ours(race, n):
    ours, plain = _layer(n), _layer(n)
    _our_layer(*ours)
    _numpy_layer(*plain)
    np.testing.assert_allclose(ours[3], plain[3], atol=1e-5)
    np.testing.assert_allclose(ours[4], plain[4], atol=1e-5)
    race(BUS, "ours", lambda: _our_layer(*ours), n=n, unit="µs")


@pytest.mark.parametrize("n", VOICES)
def test_layer_numpy(race, n):
    plain = _layer(n)
    race(BUS, "numpy", lambda: _numpy_layer(*plain), n=n, unit="µs")


class _NumpyGrains:
    """Eight grains of each voice, in their middle, read between frames by numpy.interp."""

    def __init__(self, n: int) -> None:
        self._recording = np.random.default_rng(7).normal(size=(n, 5 * RATE_HZ)).astype(np.float32)
        self._from = np.random.default_rng(8).uniform(0, 4 * RATE_HZ, (n, 8))
        self._frame = np.arange(FRAMES)
        self._grid = np.arange(5 * RATE_HZ)

    def process(self) -> np.ndarray:
        out = np.zeros((len(self._from), FRAMES, 2), np.float32)
        window = np.sin(np.pi * (1000 + self._frame) / 3200).astype(np.float32) ** 2
        for voice, places in enumerate(self._from):
            for k, place in enumerate(places):
                at = place + 1.1 * self._frame
                first = int(at[0])
                piece = self._recording[voice, first : first + 2 * FRAMES]
                mono = np.interp(at - first, self._grid[: 2 * FRAMES], piece) * window
                out[voice, :, 0] += (0.5 + k / 20) * mono
                out[voice, :, 1] += (0.5 - k / 20) * mono
        return out


@pytest.mark.parametrize("n", VOICES)
def test_grains_ours(race, n):
    cloud = GrainCloud(n, 5.0)
    for voice in range(n):
        cloud.load(voice, np.random.default_rng(voice).normal(size=5 * RATE_HZ))
    how = {"seconds": 0.1, "per_s": 80.0, "pitch": 1.1}
    cloud.process(RATE_HZ, **how)
    assert 0.8 < cloud.process(RATE_HZ, **how).std() < 1.0  # as loud as its recording
    race(GRAINS, "ours", lambda: cloud.process(FRAMES, **how), n=n, unit="µs")


@pytest.mark.parametrize("n", VOICES)
def test_grains_numpy(race, n):
    race(GRAINS, "numpy", _NumpyGrains(n).process, n=n, unit="µs")


@pytest.mark.parametrize("n", [8, 64])
@pytest.mark.parametrize("name", scene_names())
def test_scene(race, name, n):
    synth, bodies = Synth(load_scene(name), n), Bodies.still(n)
    blocks = iter(range(250, 10**9))
    race(SCENE.format(name), "ours", lambda: synth.render(next(blocks) * 0.02, bodies), n=n)
