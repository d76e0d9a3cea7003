"""True peaks: what leaves the limiter stays below its ceiling between the samples too.

The judge is scipy's resample_poly at 8 times the rate, with its own filter and with a sharper one.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import wavfile
from scipy.signal import resample_poly

from dreampods.resonance import Mixer, Resampler

Sound = NDArray[np.float64]
DATA = Path(os.environ.get("DREAMPODS_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
_FRAMES = 640
_VOICES = sorted((DATA / "voice").glob("*.wav"))


def _limited(x: Sound, ceiling: float, gain: float = 1.0, lookahead_ms: float = 1.5) -> Sound:
    """x (frames, 2) as it leaves a pod's limiter."""
    mixer = Mixer(1, _FRAMES, lookahead_ms=lookahead_ms)
    silence = np.zeros((_FRAMES, 2))
    mixer.process(silence[None], silence, [gain], [0], [0], [ceiling])
    whole = np.concatenate([x, np.zeros((-len(x) % _FRAMES + _FRAMES, 2))])
    blocks = whole.reshape(-1, 1, _FRAMES, 2)
    mixed = [mixer.process(one, silence, [gain], [0], [0], [ceiling]).pods[0] for one in blocks]
    return np.concatenate(mixed).astype(float)


def _true_peak_db(x: Sound, ceiling: float) -> float:
    """The highest of both readings at 8 times the rate, relative to the ceiling."""
    tops = [
        np.abs(resample_poly(x, 8, 1, axis=0, window=("kaiser", beta))).max()
        for beta in (5.0, 10.0)
    ]
    return float(20 * np.log10(max(tops) / ceiling))


def _faded(x: Sound) -> Sound:
    fade = np.clip(np.minimum(np.arange(len(x)), np.arange(len(x))[::-1]) / 640, 0, 1)
    return np.stack([x * fade, x * fade], 1)


def test_the_classic_tone_whose_samples_all_miss_its_peak() -> None:
    """fs/4 at 45 degrees: every sample is 3 dB below the crest."""
    tone = _faded(np.sin(2 * np.pi * np.arange(32000) / 4 + np.pi / 4))
    out = _limited(tone, 0.72)
    assert np.abs(tone).max() < 0.72  # a limiter that looks at samples would let it pass
    assert -0.25 < _true_peak_db(out, 0.72) < 0


@pytest.mark.parametrize("lookahead_ms", [0.0, 1.5, 20.0])
@pytest.mark.parametrize("hz", [50, 1000, 4567, 8000, 11200, 12800, 13440, 14400])
def test_tones_of_any_height(hz: float, lookahead_ms: float) -> None:
    for phase in (0.0, 0.3, 1.1):
        tone = _faded(np.sin(2 * np.pi * hz / 32000 * np.arange(16000) + phase))
        assert _true_peak_db(_limited(tone, 0.4, lookahead_ms=lookahead_ms), 0.4) < 0.0


def test_noise_and_clicks() -> None:
    rng = np.random.default_rng(0)
    noise = np.repeat(rng.standard_normal((64000, 1)), 2, 1)
    band = np.fft.rfft(noise, axis=0)
    band[int(0.85 * len(band)) :] = 0
    assert _true_peak_db(_limited(np.fft.irfft(band, axis=0), 0.5), 0.5) < 0.0
    clicks = np.zeros((64000, 2))
    clicks[1000:63000:997] = 3.0
    assert _true_peak_db(_limited(clicks, 0.5), 0.5) < 0.0
    # White up to the Nyquist frequency has peaks that depend on who looks: nobody's are far above.
    assert _true_peak_db(_limited(noise, 0.5), 0.5) < 0.1


@pytest.mark.skipif(not _VOICES, reason=f"no voices in {DATA}; set DREAMPODS_DATA")
@pytest.mark.parametrize("gain", [1.0, 4.0])
def test_voices(gain: float) -> None:
    for path in _VOICES:
        _, pcm = wavfile.read(path)
        voice = resample_poly(pcm[: 16000 * 8] / 32768, 2, 1)
        out = _limited(np.stack([voice, np.roll(voice, 11)], 1), 0.2, gain)
        assert -0.3 < _true_peak_db(out, 0.2) < 0.0, path.name


@pytest.mark.parametrize("ppm", [-120.0, 0.0, 35.0])
def test_no_sample_is_above_the_ceiling_after_the_pods_crystal_either(ppm: float) -> None:
    rng = np.random.default_rng(1)
    loud = rng.standard_normal((64000, 2)) * np.repeat(rng.random(100), 640)[:, None]
    out = _limited(loud, 0.3)
    resampler = Resampler(32000, 32000, history_frames=len(out))
    resampler.write(out)
    pcm = resampler.read(500.123, 1 + ppm * 1e-6, 62000)
    assert 0.28 < np.abs(pcm).max() / 32767 <= 0.3 + 1 / 32767
