"""From own sounds to one mix per pod: the kernel beside numpy."""

from __future__ import annotations

import numpy as np

from dreampods.resonance import Mixer

MIX = "mix, n pods, 20 ms of stereo at 32 kHz, gains ramped, limited"
RATE_HZ, FRAMES, PODS = 32000, 640, 64


def _block() -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    dice = np.random.default_rng(2)
    own = (0.02 * dice.standard_normal((PODS, FRAMES, 2))).astype(np.float32)
    collective = (0.02 * dice.standard_normal((FRAMES, 2))).astype(np.float32)
    return own, collective, [np.full(PODS, gain, np.float32) for gain in (0.8, 0.5, 0.25)]


def _numpy_mix(own: np.ndarray, collective: np.ndarray, gains: list[np.ndarray]) -> np.ndarray:
    """The same mix without its limiter, which does nothing at these levels, and without ramps."""
    own_gain, collective_gain, send = (gain[:, None, None] for gain in gains)
    sent = send * own
    bus = collective + sent.sum(axis=0)
    return own_gain * own + collective_gain * (bus - sent)


def test_mix_ours(race):
    own, collective, gains = _block()
    mixer = Mixer(PODS, FRAMES, RATE_HZ)
    ceiling = np.ones(PODS, np.float32)
    mixer.process(own, collective, *gains, ceiling)
    mixed = mixer.process(own, collective, *gains, ceiling).pods
    late = mixer.latency_frames
    expected = _numpy_mix(own, collective, gains)
    np.testing.assert_allclose(mixed[:, late:], expected[:, :-late], rtol=1e-4, atol=1e-6)
    race(MIX, "ours", lambda: mixer.process(own, collective, *gains, ceiling), n=PODS)


def test_mix_numpy(race):
    own, collective, gains = _block()
    race(MIX, "numpy", lambda: _numpy_mix(own, collective, gains), n=PODS)
