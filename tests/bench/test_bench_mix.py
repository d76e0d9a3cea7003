"""From own sounds to the PCM of every pod: beside numpy, SuperCollider, pedalboard, scipy and soxr.

`EVERYTHING` is all that a host does for a block of 20 ms: ambisonic bus, mix-minus, own share,
true-peak limiter, levels with A-weighting, resampling to each pod's crystal, dither, PCM. One core is
enough for as many pods as take 20 ms. Our times include the checks in Python.
"""

from __future__ import annotations

import threading

import numpy as np
import pytest
import soundfile
from scipy.signal import bilinear_zpk, resample_poly, sosfreqz, zpk2sos
from scsynth import SCSYNTH, Desk

from dreampods.resonance import Mixer, Resampler, encode_ima, read_chunks

RATE_HZ, FRAMES = 32000, 640
EVERYTHING = "own sounds to PCM, n pods, 20 ms, everything included"
LOUD = "the same, every pod's limiter at work all the time"
STEREO = "mix-minus and limiter for n pods, 20 s of sound"
SCALE = [8, 64, 512, 2048, 4096]
GAINS, FLOOR_DB, CEILING = (0.8, 0.5, 0.25), -6.0, 0.9
HISTORY = 1300


class Desk32:
    """The kernel's whole way, for n pods on a circle."""

    def __init__(self, n: int, level: float, seed: int = 0) -> None:
        dice = np.random.default_rng(seed)
        self.own = (level * dice.standard_normal((n, FRAMES, 2))).astype(np.float32)
        self.bed = (level * dice.standard_normal((FRAMES, 2))).astype(np.float32)
        self.azimuth = np.linspace(0, 2 * np.pi, n, endpoint=False)
        self.gains = (0.8, 0.5, 0.25 / np.sqrt(n))
        self._arguments = [np.full(n, gain, np.float32) for gain in (*self.gains, CEILING)]
        self._floor = np.full(n, FLOOR_DB)
        self.mixer = Mixer(n, FRAMES, rate_hz=RATE_HZ, order=1)
        self.mixer.place(self.azimuth)
        self.feeds = [Resampler(RATE_HZ, RATE_HZ, 2, HISTORY, seed=k) for k in range(n)]
        self.step = 1 + 2e-5 * dice.standard_normal(n)
        for _ in range(5):
            self.mix()

    def mix(self):
        return self.mixer.process(
            self.own, self.bed, *self._arguments, own_floor_db=self._floor, feeds=self.feeds
        )

    def block(self):
        mixed = self.mix()
        start = np.full(len(self.feeds), self.feeds[0].readable_until - FRAMES - 0.7)
        return mixed, read_chunks(self.feeds, start, self.step, FRAMES)


def _numpy_desk(ours: Desk32):
    from numpy_desk import NumpyDesk

    # The kernel's A-weighting in second-order sections; its two upper poles are told in weighting.c.
    return NumpyDesk(
        ours.azimuth, FRAMES, ours.gains, FLOOR_DB, CEILING, 0.08, _a_weighting(), HISTORY + 64
    )


def _a_weighting() -> np.ndarray:
    low = (
        -2
        * RATE_HZ
        * np.tan(np.pi * np.array([20.598997, 20.598997, 107.65265, 737.86223]) / RATE_HZ)
    )
    sos = zpk2sos(*bilinear_zpk(np.zeros(4), low, 1.0, RATE_HZ))
    nyquist = RATE_HZ / 2 / 12194.217
    high, middle = 1 / (1 + nyquist**2), 1 / (1 + (0.625 * nyquist) ** 2)
    root = np.sqrt((1 - middle) / (np.tan(np.pi * 0.3125) ** 2 * (middle - high)))
    pole = (root - 1) / (root + 1)
    total, difference = 1 - pole, (1 + pole) * np.sqrt(high)
    zero = np.array([total + difference, total - difference]) / 2
    sos = np.vstack([sos, [*np.convolve(zero, zero), 1, -2 * pole, pole**2]])
    _, gain = sosfreqz(sos, [1000.0], fs=RATE_HZ)
    sos[0, :3] /= abs(gain[0])
    return sos


def _numpy_does_the_same(level):
    ours = Desk32(8, level)
    desk = _numpy_desk(ours)
    for _ in range(5):  # as many as there have been
        desk.process(ours.own, ours.bed)
    for _ in range(30):
        mixed, pcm = ours.block()
        peak, square, weighted = desk.process(ours.own, ours.bed)
    np.testing.assert_allclose(mixed.peak, peak, rtol=1e-4)
    np.testing.assert_allclose(mixed.mean_square, square, rtol=1e-4)
    np.testing.assert_allclose(mixed.weighted_square, weighted, rtol=1e-4)
    start = np.full(8, HISTORY + 64 - 17 - FRAMES - 0.7)
    expected = desk.read(start, ours.step, FRAMES, dither=False)
    assert np.abs(pcm.astype(int) - expected).max() <= 3  # dither and two roundings
    if level > 0.1:
        assert (mixed.peak > 0.8 * CEILING).all()


@pytest.mark.parametrize("n", SCALE)
def test_everything_ours(race, n):
    ours = Desk32(n, 0.05)
    race(EVERYTHING, "ours", ours.block, n=n)


@pytest.mark.parametrize("n", [8, 64])
def test_everything_numpy(race, n):
    _numpy_does_the_same(0.05)
    _numpy_does_the_same(0.5)
    ours = Desk32(n, 0.05)
    desk = _numpy_desk(ours)
    start = np.full(n, HISTORY + 64 - 17 - FRAMES - 0.7)

    def block():
        desk.process(ours.own, ours.bed)
        return desk.read(start, ours.step, FRAMES)

    race(EVERYTHING, "numpy and scipy", block, n=n)


@pytest.mark.parametrize("n", [64, 2048])
def test_everything_ours_limiting(race, n):
    ours = Desk32(n, 0.5)
    mixed = ours.mix()
    assert (mixed.mean_square < 0.8 * (mixed.own_square + mixed.rest_square)).all()
    race(LOUD, "ours", ours.block, n=n)


@pytest.mark.parametrize("threads", [1, 2])
def test_everything_on_threads(race, threads):
    """2,048 pods in as many rooms as threads; the interpreter lock is released while C works."""
    rooms = [Desk32(2048 // threads, 0.05, seed=k) for k in range(threads)]

    def blocks():
        workers = [threading.Thread(target=room.block) for room in rooms]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    blocks()
    race(
        "own sounds to PCM in threads, everything included",
        "ours",
        blocks,
        n=2048,
        threads=threads,
    )


# --- SuperCollider: the stereo bus, without true peaks, levels, resampling and PCM --------------


def _stereo(n):
    dice = np.random.default_rng(1)
    own = (0.05 * dice.standard_normal((n, RATE_HZ, 2))).astype(np.float32)
    mixer = Mixer(n, FRAMES, rate_hz=RATE_HZ)
    gains = [np.full(n, gain, np.float32) for gain in (*GAINS, CEILING)]
    silence = np.zeros((FRAMES, 2), np.float32)
    blocks = [np.ascontiguousarray(block) for block in np.split(own, RATE_HZ // FRAMES, axis=1)]

    def render(seconds, keep=False):
        kept = []
        for _ in range(seconds):
            for block in blocks:
                pods = mixer.process(block, silence, *gains).pods
                if keep:
                    kept.append(pods)
        return kept

    return own, mixer, render


def _scsynth_does_the_same(tmp_path):
    own, mixer, render = _stereo(4)
    path = Desk(tmp_path, own, GAINS, CEILING, 2.0, audible=True).render()
    theirs = soundfile.read(path, dtype="float32")[0].reshape(-1, 4, 2).transpose(1, 0, 2)
    late = mixer.latency_frames
    ours = np.concatenate(render(2, keep=True), axis=1)[:, RATE_HZ + late : 2 * RATE_HZ]
    length = ours.shape[1] - 200
    # Limiter.ar is 96 frames late, and its synths begin a block or a frame after the score.
    off = [
        np.abs(theirs[:, RATE_HZ + lag :][:, :length] - ours[:, :length]).max()
        for lag in range(90, 170)
    ]
    assert min(off) < 1e-6


@pytest.mark.parametrize("n", [8, 64, 256])
def test_stereo_ours(race, n):
    _, _, render = _stereo(n)

    race(STEREO, "ours", lambda: render(20), n=n)


@pytest.mark.skipif(
    SCSYNTH is None, reason="scsynth (Debian: supercollider-server) is not installed"
)
@pytest.mark.parametrize("n", [8, 64, 256])
def test_stereo_scsynth(race, n, tmp_path):
    _scsynth_does_the_same(tmp_path)
    desk = Desk(tmp_path, _stereo(n)[0], GAINS, CEILING, 20.0)
    race(STEREO, "scsynth -N, start included", desk.render, n=n)


# --- one limiter, one resampler, one codec ------------------------------------------------------

LIMITER = "one stereo sound of 10 s limited in blocks of 20 ms (ours: whole mixer, true peaks)"
HALF = "one stereo sound of 10 s, 32 to 16 kHz"
CRYSTAL = "one stereo sound of 10 s, to a crystal 20 ppm slow"
IMA = "IMA ADPCM, chunks of 480 stereo frames, n chunks"
LONG = (0.4 * np.random.default_rng(3).standard_normal((320000, 2))).astype(np.float32)


def test_limiter_ours(race):
    """The whole mixer for one pod: there is no limiter by itself."""
    mixer = Mixer(1, FRAMES, rate_hz=RATE_HZ)
    blocks = [np.ascontiguousarray(block[None]) for block in np.split(LONG, len(LONG) // FRAMES)]
    silence, gains = np.zeros((FRAMES, 2), np.float32), [[1.0], [0.0], [0.0], [0.5]]

    def limited():
        return [mixer.process(block, silence, *gains).pods for block in blocks]

    assert np.abs(np.concatenate(limited(), 1)).max() <= 0.5
    race(LIMITER, "ours", limited, n=1)


def test_resample_half_ours(race):
    resampler = Resampler(RATE_HZ, 16000, 2, len(LONG) + 64)
    resampler.write(np.concatenate([LONG, np.zeros((64, 2), np.float32)]))
    tone = _tone_error(lambda x: _read(x, 16000, 2.0), 2.0)
    assert tone < -85
    race(HALF, "ours", lambda: resampler.read(100, 2.0, 159000), n=1)


def test_resample_half_scipy(race):
    assert (
        _tone_error(lambda x: resample_poly(x, 1, 2, axis=0, window=("kaiser", 7.857)), 2.0) < -60
    )
    race(HALF, "scipy resample_poly, float", lambda: resample_poly(LONG, 1, 2, axis=0), n=1)


def test_resample_half_soxr(race):
    soxr = pytest.importorskip("soxr")
    assert _tone_error(lambda x: soxr.resample(x, 32000, 16000, "HQ"), 2.0) < -85
    race(HALF, "soxr HQ, float", lambda: soxr.resample(LONG, 32000, 16000, "HQ"), n=1)


def test_resample_crystal_ours(race):
    step = 1 + 2e-5
    resampler = Resampler(RATE_HZ, RATE_HZ, 2, len(LONG) + 64)
    resampler.write(np.concatenate([LONG, np.zeros((64, 2), np.float32)]))
    assert _tone_error(lambda x: _read(x, 32000, step), step) < -85
    race(CRYSTAL, "ours", lambda: resampler.read(100, step, 319000), n=1)


def test_resample_crystal_soxr(race):
    soxr = pytest.importorskip("soxr")
    out_hz = 32000 / (1 + 2e-5)
    assert _tone_error(lambda x: soxr.resample(x, 32000, out_hz, "HQ"), 1 + 2e-5) < -80
    race(CRYSTAL, "soxr HQ, float", lambda: soxr.resample(LONG, 32000, out_hz, "HQ"), n=1)


def _read(x, rate_hz, step):
    """All of x as the resampler reads it, as float."""
    resampler = Resampler(RATE_HZ, rate_hz, 2, len(x) + 64)
    resampler.write(np.concatenate([x, np.zeros((64, 2), np.float32)]))
    return resampler.read(0, step, int(len(x) / step)) / 32767


def _tone_error(resample, step):
    """What is not the tone in a resampled tone of 1 kHz, dB below it."""
    tone = 0.9 * np.sin(2 * np.pi * 1000 / RATE_HZ * np.arange(64000))
    got = resample(np.stack([tone, tone], 1).astype(np.float32))[:, 0]
    at = np.arange(1000, len(got) - 1000)
    phase = 2 * np.pi * 1000 / RATE_HZ * step * at
    basis = np.stack([np.sin(phase), np.cos(phase)], 1)
    rest = got[at] - basis @ np.linalg.lstsq(basis, got[at], rcond=None)[0]
    return 20 * np.log10(rest.std() / (0.9 / np.sqrt(2)))


def _pcm_chunks():
    return [
        np.ascontiguousarray(chunk)
        for chunk in np.split((8000 * LONG[:48000]).astype(np.int16), 100)
    ]


def test_ima_ours(race):
    chunks = _pcm_chunks()
    race(IMA, "ours", lambda: [encode_ima(chunk) for chunk in chunks], n=len(chunks))


def test_ima_audioop(race):
    """CPython's own, up to 3.12; mono, so it gets the samples as one channel, and seeks no first index."""
    audioop = pytest.importorskip("audioop", reason="CPython 3.13 has no audioop any more")
    chunks = [chunk.tobytes() for chunk in _pcm_chunks()]
    race(IMA, "audioop", lambda: [audioop.lin2adpcm(c, 2, None) for c in chunks], n=len(chunks))


def test_limiter_pedalboard(race):
    pedalboard = pytest.importorskip("pedalboard")
    limiter = pedalboard.Limiter(threshold_db=-6, release_ms=80)
    blocks = [np.ascontiguousarray(block.T) for block in np.split(LONG, len(LONG) // FRAMES)]

    def limited():
        return [limiter(block, RATE_HZ, buffer_size=FRAMES, reset=False) for block in blocks]

    race(LIMITER, "pedalboard.Limiter, sample peaks", limited, n=1)
