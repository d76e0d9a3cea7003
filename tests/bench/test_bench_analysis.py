"""Rhythms in sensor samples: the kernel beside numpy and scipy, which start no threads for any of this."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import fft
from scipy.signal import butter, lfilter, sosfreqz

from dreampods.resonance import BandPower, EndpointHilbert, ResonatorBank, SlowWaves

RESONATORS = "resonators, n channels x 8 bands, 1 s at 250 Hz"
RESONATORS_LIVE = "resonators live, n channels x 8 bands, 100 ms at 250 Hz"
ENDPOINT = "endpoint-corrected Hilbert, 4 s window at 250 Hz, 1 s of n channels x 1 band"
ENDPOINT_LIVE = "endpoint-corrected Hilbert, 4 s window at 250 Hz, 1 sample of n channels x 1 band"
POWER = "band power, n channels x 8 bands, 1 s at 250 Hz"
SLOW = "slow waves, n channels, 10 s at 250 Hz"
RATE_HZ = 250.0
FREQ_HZ = np.array([0.9, 2, 4, 6, 8, 10, 13, 20])
WINDOW = 1000
LOW_HZ, HIGH_HZ = 0.5, 2.0


def _signal(channels: int, frames: int = 250) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((frames, channels))


@pytest.mark.parametrize("channels", [8, 64, 512])
def test_resonators_ours(race, channels):
    bank = ResonatorBank(channels, FREQ_HZ, FREQ_HZ / 5, RATE_HZ)
    x = _signal(channels)
    race(RESONATORS, "ours", lambda: bank.process(x), n=channels)


@pytest.mark.parametrize("channels", [8, 64, 512])
def test_resonators_scipy(race, channels):
    """The bare recursion z[n] = a z[n-1] + b x[n], without mean, least squares or confidence."""
    x = _signal(channels)
    poles = np.exp((2j * FREQ_HZ - FREQ_HZ / 5) * np.pi / RATE_HZ)
    race(
        RESONATORS,
        "scipy lfilter",
        lambda: [lfilter([1 - abs(pole)], [1, -pole], x, axis=0) for pole in poles],
        n=channels,
    )


@pytest.mark.parametrize("channels", [8, 64, 512, 4096])
def test_resonators_live_ours(race, channels):
    """Blocks as they come live, up to 4,096 channels: time by n, the cost of a channel, is to be flat."""
    bank = ResonatorBank(channels, FREQ_HZ, FREQ_HZ / 5, RATE_HZ)
    x = _signal(channels, 25)
    race(RESONATORS_LIVE, "ours", lambda: bank.process(x), n=channels, unit="µs")


def _response() -> np.ndarray:
    """What the published method multiplies the spectrum of a window with."""
    double = np.zeros(WINDOW)
    double[[0, WINDOW // 2]] = 1
    double[1 : WINDOW // 2] = 2
    sos = butter(2, [LOW_HZ, HIGH_HZ], "bandpass", fs=RATE_HZ, output="sos")
    return double * sosfreqz(sos, np.fft.fftfreq(WINDOW, 1 / RATE_HZ), fs=RATE_HZ)[1]


RESPONSE = _response()


def _numpy_endpoint(windows: np.ndarray) -> np.ndarray:
    """As published: two Fourier transforms for each window, here all windows at once."""
    return np.fft.ifft(np.fft.fft(windows) * RESPONSE)[..., -1]


def _calibrated(raw: np.ndarray, centre_hz: float) -> np.ndarray:
    angle = 2 * np.pi * centre_hz * np.arange(-WINDOW + 1, 1) / RATE_HZ
    cosine, sine = _numpy_endpoint(np.cos(angle)), _numpy_endpoint(-np.sin(angle))
    gain = np.array([[cosine.real, sine.real], [cosine.imag, sine.imag]])
    re, im = np.linalg.solve(gain, np.stack([raw.real.ravel(), raw.imag.ravel()]))
    return (re + 1j * im).reshape(raw.shape)


@pytest.mark.parametrize("channels", [1, 16, 128])
def test_endpoint_ours(race, channels):
    transform = EndpointHilbert(channels, [LOW_HZ], [HIGH_HZ], RATE_HZ, window_s=WINDOW / RATE_HZ)
    x = _signal(channels, WINDOW + 249)
    z = transform.process(x)[WINDOW - 1 :, :, 0]
    windows = np.lib.stride_tricks.sliding_window_view(x, WINDOW, 0)[::50]
    expected = _calibrated(_numpy_endpoint(windows), float(transform.centre_hz[0]))
    np.testing.assert_allclose(z[::50], expected, rtol=1e-8, atol=1e-11)
    block = x[:250]
    race(ENDPOINT, "ours", lambda: transform.process(block), n=channels)


@pytest.mark.parametrize("channels", [1, 16])
def test_endpoint_numpy(race, channels):
    windows = np.lib.stride_tricks.sliding_window_view(_signal(channels, WINDOW + 249), WINDOW, 0)
    race(ENDPOINT, "numpy FFT", lambda: _numpy_endpoint(windows), n=channels)


@pytest.mark.parametrize("channels", [1, 16])
def test_endpoint_scipy(race, channels):
    """pocketfft straight, on real input: the fastest that scipy offers for this."""
    windows = np.ascontiguousarray(
        np.lib.stride_tricks.sliding_window_view(_signal(channels, WINDOW + 249), WINDOW, 0)
    )
    response = RESPONSE[: WINDOW // 2 + 1]
    whole = np.zeros((*windows.shape[:-1], WINDOW), complex)

    def transform():
        whole[..., : WINDOW // 2 + 1] = fft.rfft(windows) * response
        return fft.ifft(whole)[..., -1]

    np.testing.assert_allclose(transform(), _numpy_endpoint(windows), rtol=1e-8, atol=1e-11)
    race(ENDPOINT, "scipy FFT", transform, n=channels)


@pytest.mark.parametrize("channels", [1, 64])
def test_endpoint_live_ours(race, channels):
    transform = EndpointHilbert(channels, [LOW_HZ], [HIGH_HZ], RATE_HZ, window_s=WINDOW / RATE_HZ)
    transform.process(_signal(channels, WINDOW))
    x = _signal(channels, 1)
    race(ENDPOINT_LIVE, "ours", lambda: transform.process(x), n=channels, unit="µs")


@pytest.mark.parametrize("channels", [1, 64])
def test_endpoint_live_numpy(race, channels):
    windows = _signal(WINDOW, channels)
    race(ENDPOINT_LIVE, "numpy FFT", lambda: _numpy_endpoint(windows), n=channels, unit="µs")


@pytest.mark.parametrize("channels", [64, 512])
def test_power_ours(race, channels):
    z = ResonatorBank(channels, FREQ_HZ, FREQ_HZ / 5, RATE_HZ).process(_signal(channels))
    power = BandPower(channels, len(FREQ_HZ), RATE_HZ, memory_s=1.0)
    race(POWER, "ours", lambda: power.push(z), n=channels)


@pytest.mark.parametrize("channels", [64, 512])
def test_power_scipy(race, channels):
    z = ResonatorBank(channels, FREQ_HZ, FREQ_HZ / 5, RATE_HZ).process(_signal(channels))
    decay = np.exp(-1 / RATE_HZ)
    race(
        POWER,
        "scipy lfilter",
        lambda: lfilter([(1 - decay) / 2], [1, -decay], np.abs(z) ** 2, axis=0)[-1],
        n=channels,
    )


@pytest.mark.parametrize("channels", [1, 64])
def test_slow_waves_ours(race, channels):
    """Solving for new weights included. Nobody else does this, so it has no peer."""
    waves = SlowWaves(channels, RATE_HZ)
    waves.process(20 * _signal(channels, 10_000))
    x = 20 * _signal(channels, 2500)
    race(SLOW, "ours", lambda: waves.process(x), n=channels)
