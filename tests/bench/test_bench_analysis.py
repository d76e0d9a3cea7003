"""Rhythms in sensor samples: the kernel beside scipy."""

from __future__ import annotations

import numpy as np
import pytest

from dreampods.resonance import ResonatorBank

RESONATORS = "resonators, n channels x 8 bands, 1 s at 250 Hz"
RATE_HZ = 250.0
FREQ_HZ = np.array([0.9, 2, 4, 6, 8, 10, 13, 20])


def _signal(channels: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((250, channels))


@pytest.mark.parametrize("channels", [8, 64, 512])
def test_resonators_ours(race, channels):
    bank = ResonatorBank(channels, FREQ_HZ, FREQ_HZ / 5, RATE_HZ)
    x = _signal(channels)
    race(RESONATORS, "ours", lambda: bank.process(x), n=channels)


@pytest.mark.parametrize("channels", [8, 64, 512])
def test_resonators_scipy(race, channels):
    """The bare recursion z[n] = a z[n-1] + b x[n], without mean, least squares or confidence."""
    from scipy.signal import lfilter

    x = _signal(channels)
    poles = np.exp((2j * FREQ_HZ - FREQ_HZ / 5) * np.pi / RATE_HZ)
    race(
        RESONATORS,
        "scipy lfilter",
        lambda: [lfilter([1 - abs(pole)], [1, -pole], x, axis=0) for pole in poles],
        n=channels,
    )
