"""A voice in grains, a layer on its bus, and the room around it."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.signal import butter, periodogram, resample_poly, sosfilt

from dreampods.resonance import GrainCloud, Reverb, add_layer

RATE_HZ = 32000
Floats = NDArray[np.float64]
_PROJECT = Path(__file__).resolve().parents[2]
_VOICES = Path(os.environ.get("DREAMPODS_DATA", _PROJECT / "../shared/data")) / "voice"


def _sine(hz: float, seconds: float = 2.0) -> Floats:
    return np.asarray(np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ))


def _cloud(*recordings: Floats, seed: int = 1) -> GrainCloud:
    cloud = GrainCloud(len(recordings), 10.0, seed=seed)
    for voice, recording in enumerate(recordings):
        cloud.load(voice, recording)
    return cloud


def test_one_grain_is_its_recording_under_a_window() -> None:
    cloud = _cloud(np.ones(RATE_HZ))
    sound = cloud.process(8000, per_s=1.0, seconds=0.1, spread=0.0)[0]
    window = np.sin(np.pi * np.arange(3200) / 3200) ** 2
    assert_allclose(sound[:3200], np.repeat(window[:, None], 2, axis=1), atol=1e-6)
    assert not sound[3200:].any()


def test_a_grain_reads_from_its_place_at_its_pitch() -> None:
    ramp = np.arange(RATE_HZ) / RATE_HZ
    for pitch in (0.5, 1.0, 1.7):
        cloud = _cloud(ramp)
        sound = cloud.process(
            3200, per_s=1.0, seconds=0.1, place=0.3, jitter=0.0, spread=0.0, pitch=pitch
        )[0, :, 0]
        t = np.arange(3200)
        expected = (0.3 + pitch * t / RATE_HZ) * np.sin(np.pi * t / 3200) ** 2
        assert_allclose(sound, expected, atol=2e-6)


@pytest.mark.parametrize("pitch", [0.5, 1.0, 2.0])
def test_pitch_moves_every_frequency(pitch: float) -> None:
    sound = _cloud(_sine(500)).process(
        4 * RATE_HZ, per_s=10.0, seconds=0.5, pitch=pitch, spread=0.0
    )[0, RATE_HZ:, 0]
    freq_hz, power = periodogram(sound.astype(np.float64), RATE_HZ, "hann")
    near = np.abs(freq_hz - 500 * pitch) < 12
    assert power[near].sum() > 0.999 * power.sum()


def test_density_counts_grains_and_loudness_stays() -> None:
    impulse_like = _cloud(np.ones(RATE_HZ))
    sound = impulse_like.process(20 * RATE_HZ, per_s=5.0, seconds=0.02, spread=0.0)[0, :, 0]
    begins = np.flatnonzero((sound[1:] > 1e-4) & (sound[:-1] <= 1e-4))
    assert len(begins) == pytest.approx(100, abs=4)
    gaps = np.diff(begins) / RATE_HZ * 5
    assert gaps.min() > 0.49
    assert gaps.max() < 1.51
    soft = butter(4, 4000, fs=RATE_HZ, output="sos")
    noise = sosfilt(soft, np.random.default_rng(1).normal(size=5 * RATE_HZ))
    for per_s, expected in ((10.0, np.sqrt(3 / 8)), (40.0, 1.0), (150.0, 1.0)):
        heard = _cloud(noise).process(10 * RATE_HZ, per_s=per_s, seconds=0.1, spread=0.0)
        rms = np.sqrt(np.mean(heard[:, RATE_HZ:] ** 2)) / noise.std()
        assert rms == pytest.approx(expected, rel=0.05)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=12))
def test_blocks_may_be_cut_anywhere(blocks: list[int]) -> None:
    recordings = [np.random.default_rng(k).normal(size=20000) for k in range(3)]
    how = {"per_s": [20.0, 300.0, 0.0], "seconds": [0.2, 0.05, 0.1], "pitch": [1.0, 1.3, 1.0]}
    once = _cloud(*recordings).process(sum(blocks), **how)  # type: ignore[arg-type]
    cut = _cloud(*recordings)
    joined = np.concatenate([cut.process(n, **how) for n in blocks], axis=1)  # type: ignore[arg-type]
    assert_allclose(joined, once, atol=1e-6)
    assert not once[2].any()


def test_grains_of_a_harsh_cut_do_not_click() -> None:
    """A recording of a constant, cut anywhere: only windows are heard, and they are smooth."""
    sound = _cloud(np.ones(4000)).process(5 * RATE_HZ, per_s=30.0, seconds=0.1)[0].astype(np.float64)
    # sin^2 of length n bends by 2 (pi / n)^2 at most, and at most 5 such windows overlap.
    assert np.abs(np.diff(sound, n=2, axis=0)).max() < 5 * 2 * (np.pi / 3200) ** 2


def test_forgotten_is_silent_at_once_and_wiped() -> None:
    cloud = _cloud(np.ones(RATE_HZ), np.ones(RATE_HZ))
    assert cloud.process(640)[0].any()
    cloud.forget(0)
    later = cloud.process(RATE_HZ)
    assert not later[0].any()
    assert later[1].any()
    cloud.load(0, np.zeros(100))  # a new recording shows nothing of the old one behind its end
    assert not cloud.process(RATE_HZ, place=1.0)[0].any()


def test_a_seed_repeats_everything_and_voices_scatter_by_themselves() -> None:
    noise = np.random.default_rng(1).normal(size=RATE_HZ)
    one, same, other = (_cloud(noise, noise, seed=seed).process(RATE_HZ) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    for a, b in ((one[0], one[1]), (one[0], other[0])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.3


@pytest.mark.skipif(not _VOICES.is_dir(), reason=f"no recorded voices in {_VOICES}")
def test_real_voices_keep_their_colour_and_lose_their_words() -> None:
    for path in sorted(_VOICES.glob("*.wav"))[:4]:
        values, rate_hz = soundfile.read(path, dtype="float64", always_2d=True)
        voice = resample_poly(values[: 8 * rate_hz, 0], RATE_HZ, rate_hz)
        sound = _cloud(voice / np.abs(voice).max()).process(20 * RATE_HZ, seconds=0.08, per_s=60.0)[0]
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() < 2
        spectra = []
        for x in (voice, sound[:, 0]):
            freq_hz, power = periodogram(x, RATE_HZ)
            octave = np.digitize(freq_hz, 125 * 2.0 ** np.arange(6))
            spectra.append(10 * np.log10([power[octave == k].sum() for k in range(1, 6)]))
        away = spectra[0] - spectra[1]
        assert np.abs(away - away.mean()).max() < 6
        fit = np.correlate(sound[: len(voice), 0], voice, "valid")
        assert np.abs(fit).max() < 0.3 * np.linalg.norm(voice) * np.linalg.norm(sound[: len(voice), 0])


def test_unusable_input_is_refused() -> None:
    for arguments, why in (
        ({"voices": 0}, "at least 1"),
        ({"most_s": 0.0}, "above 0"),
        ({"most_s": 1e9}, "no length"),
        ({"rate_hz": 10.0}, "between 1000 and"),
        ({"seed": -1}, "seed"),
    ):
        with pytest.raises(ValueError, match=why):
            GrainCloud(**{"voices": 1, "most_s": 1.0, **arguments})
    cloud = GrainCloud(2, 1.0)
    for voice, recording, why in (
        (2, [1.0], "voice must be at most 1"),
        (0, [], "holds nothing"),
        (0, [np.nan], "NaN"),
        (0, np.ones(RATE_HZ + 1), "room for 32000"),
    ):
        with pytest.raises(ValueError, match=why):
            cloud.load(voice, recording)
    with pytest.raises(ValueError, match="voice must be at least 0, not -1"):
        cloud.forget(-1)
    for wrong, why in (
        ({"pitch": 0.0}, "pitch must not be below 0.25"),
        ({"place": [0.5, np.nan]}, "NaN"),
        ({"place": [0.5]}, "shape"),
        ({"per_s": 100.0, "seconds": 1.0}, "16 grains"),
    ):
        with pytest.raises(ValueError, match=why):
            cloud.process(10, **wrong)  # type: ignore[arg-type]
    assert not cloud.process(100).any()


# --- a layer on its bus, and the room ---------------------------------------------------------


@pytest.mark.parametrize("send", [0.0, 0.7])
def test_a_layer_lands_on_its_bus(send: float) -> None:
    dice = np.random.default_rng(1)
    sound = dice.normal(size=(3, 100, 2)).astype(np.float32)
    before, after = dice.random((3, 2)), dice.random((3, 2))
    bus, room = np.ones((2, 3, 100, 2), np.float32)
    add_layer(sound, before, after, bus, straight=0.9, across=0.3, send=send, send_bus=room)
    part = (np.arange(100) + 1)[:, None] / 100
    gain = before[:, None] + part * (after - before)[:, None]
    expected = (0.9 * sound + 0.3 * sound[:, :, ::-1]) * gain
    assert_allclose(bus, 1 + expected, atol=1e-5)
    assert_allclose(room, 1 + send * expected, atol=1e-5)
    for wrong, why in (
        ((sound[:2], before, after, bus), "shape"),
        ((sound * np.nan, before, after, bus), "NaN"),
        ((sound, before, after, bus.astype(np.float64)), "packed float32"),
        ((sound, before, after, bus[:, ::-1]), "packed float32"),
    ):
        with pytest.raises(ValueError, match=why):
            add_layer(*wrong)


def _plain_room(dry: Floats, decay_s: float) -> Floats:
    """The same network, frame by frame."""
    delay = np.rint(
        np.array([0.02117, 0.02633, 0.03179, 0.03793, 0.04457, 0.05273, 0.06181, 0.07331]) * RATE_HZ
    ).astype(int)
    gain = 10 ** (-3 * delay / RATE_HZ / decay_s)
    sign = np.array([1, 1, -1, -1, 1, 1, -1, -1])
    level = np.sqrt(np.mean(1 - gain**2)) / 2
    lines = np.zeros((8, 4000 + len(dry)))
    wet = np.zeros_like(dry)
    for t in range(len(dry)):
        at = 4000 + t - delay
        rows = np.arange(8)
        soft = 0.68 * lines[rows, at] + 0.16 * (lines[rows, at - 1] + lines[rows, at + 1])
        back = gain * soft
        lines[:, 4000 + t] = back - back.sum() / 4 + sign * dry[t, rows % 2]
        wet[t] = [np.sum((sign * soft)[ear::2]) * level for ear in (0, 1)]
    return wet


def test_the_room_is_its_network_and_blocks_may_be_cut_anywhere() -> None:
    dry = np.random.default_rng(2).normal(size=(2, 6000, 2))
    once = Reverb(2, 2.0).process(dry)
    for voice in range(2):
        expected = _plain_room(dry[voice], 2.0)
        assert_allclose(once[voice], expected, atol=1e-5 * np.abs(expected).max())
    room, at, parts = Reverb(2, 2.0), 0, []
    for n in (1, 63, 64, 65, 640, 3000, 2167):
        parts.append(room.process(dry[:, at : at + n]))
        at += n
    assert_allclose(np.concatenate(parts, axis=1), once, atol=1e-6)


def test_a_silent_room_is_exactly_silent() -> None:
    room = Reverb(2, 0.3)
    dry = np.zeros((2, 3 * RATE_HZ, 2))
    assert not room.process(dry).any()
    dry[0, 0] = 1.0
    wet = room.process(dry)
    assert wet[0, :RATE_HZ].any()
    assert not wet[0, -RATE_HZ // 2 :].any()
    assert not wet[1].any()


def test_a_room_refuses_what_it_cannot_be() -> None:
    for arguments, why in (
        ({"voices": 0}, "at least 1"),
        ({"decay_s": 0.0}, "decay_s must lie between 0.001"),
        ({"level": -1.0}, "level must lie between 0"),
        ({"rate_hz": 1000}, "4000"),
    ):
        with pytest.raises(ValueError, match=why):
            Reverb(**{"voices": 1, "decay_s": 1.0, **arguments})
    room = Reverb(1, 1.0)
    for dry, why in ((np.zeros((2, 9, 2)), "shape"), (np.full((1, 9, 2), np.nan), "NaN")):
        with pytest.raises(ValueError, match=why):
            room.process(dry)
