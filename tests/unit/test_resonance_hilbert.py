"""The endpoint-corrected Hilbert transform: a dot product that equals the Fourier transforms."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.signal import butter, sosfreqz

from dreampods.resonance import EndpointHilbert

_RATE = 250.0


def _last_of_analytic(
    windows: NDArray[np.float64], low: float, high: float, rate: float
) -> NDArray[np.complex128]:
    """The method as it is published: transform, double, filter, transform back, take the last."""
    n = windows.shape[-1]
    spectrum = np.fft.fft(windows)
    double = np.zeros(n)
    double[0] = 1
    double[1 : (n + 1) // 2] = 2
    if n % 2 == 0:
        double[n // 2] = 1
    sos = butter(2, [low, high], "bandpass", fs=rate, output="sos")
    _, response = sosfreqz(sos, np.fft.fftfreq(n, 1 / rate), fs=rate)
    last: NDArray[np.complex128] = np.fft.ifft(spectrum * double * response)[..., -1]
    return last


def _calibrated(
    x: NDArray[np.float64], n: int, low: float, high: float, rate: float, centre: float
) -> NDArray[np.complex128]:
    """The same of all windows of n, with the tones of the centre mapped on themselves."""
    angle = 2 * np.pi * centre * np.arange(-n + 1, 1) / rate
    of_cosine, of_sine = (
        _last_of_analytic(tone, low, high, rate) for tone in (np.cos(angle), -np.sin(angle))
    )
    raw = _last_of_analytic(np.lib.stride_tricks.sliding_window_view(x, n), low, high, rate)
    gain = np.array([[of_cosine.real, of_sine.real], [of_cosine.imag, of_sine.imag]])
    re, im = np.linalg.solve(gain, np.stack([raw.real, raw.imag]))
    return np.asarray(re + 1j * im, np.complex128)


@pytest.mark.parametrize(
    ("n", "rate", "low", "high"),
    [(1000, 250.0, 0.5, 1.4), (301, 100.0, 8.0, 12.0), (250, 250.0, 8.0, 12.0), (8, 50.0, 6.0, 9.0)],
)
def test_equals_the_published_transforms(n: int, rate: float, low: float, high: float) -> None:
    x = 5 + np.random.default_rng(2).standard_normal(n + 57)
    hilbert = EndpointHilbert(1, [low], [high], rate, window_s=n / rate)
    z = hilbert.process(x[:, None])[n - 1 :, 0, 0]
    expected = _calibrated(x, n, low, high, rate, float(hilbert.centre_hz[0]))
    assert_allclose(z, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("offset", [0.0, -400.0])
def test_a_cosine_at_the_centre_is_exact(offset: float) -> None:
    hilbert = EndpointHilbert(2, [8.0, 0.6], [12.0, 1.2], _RATE, window_s=3.0)
    t = np.arange(2000) / _RATE
    expected = 3 * np.exp(1j * (2 * np.pi * hilbert.centre_hz * t[:, None] + 0.4))
    z = hilbert.process(offset + expected.real)
    for band in range(2):
        assert_allclose(z[750:, band, band], expected[750:, band], rtol=1e-9)
        assert hilbert.amplitude[band, band] == pytest.approx(3)
        assert hilbert.phase[band, band] == pytest.approx(np.angle(expected[-1, band]))
        assert hilbert.confidence[band, band] == pytest.approx(1, abs=1e-9)


def test_what_is_missing_is_left_out_and_a_cosine_stays_exact() -> None:
    rng = np.random.default_rng(3)
    hilbert = EndpointHilbert(1, [8.0], [12.0], _RATE, window_s=1.0)
    t = np.arange(3000) / _RATE
    expected = 3 * np.exp(1j * (2 * np.pi * hilbert.centre_hz[0] * t + 0.4))
    valid = rng.random(t.size) < 0.6
    valid[1000:1040] = False
    x = np.where(valid, 70 + expected.real, np.nan)
    z = hilbert.process(x[:, None], valid[:, None])[:, 0, 0]
    given = z[300:] != 0
    assert 0.97 < given.mean() < 1, "only where too little is there"
    assert_allclose(z[300:][given], expected[300:][given], rtol=1e-8)
    assert hilbert.confidence[0, 0] == pytest.approx(0.6, abs=0.12)


def test_a_gap_lowers_confidence_until_nothing_is_claimed() -> None:
    hilbert = EndpointHilbert(1, [8.0], [12.0], _RATE, window_s=1.0)
    assert hilbert.confidence[0, 0] == 0
    assert hilbert.amplitude[0, 0] == 0
    wave = np.cos(2 * np.pi * hilbert.centre_hz[0] * np.arange(500) / _RATE)[:, None]
    hilbert.process(wave)
    falling = [float(hilbert.confidence[0, 0])]
    for _ in range(10):
        hilbert.process(np.full((25, 1), np.nan), np.zeros((25, 1), bool))
        falling.append(float(hilbert.confidence[0, 0]))
    assert falling[0] > 0.99
    assert all(a >= b for a, b in pairwise(falling))
    assert falling[-1] == 0
    assert hilbert.amplitude[0, 0] == 0


def test_confidence_tells_a_rhythm_from_noise() -> None:
    rng = np.random.default_rng(3)
    t = np.arange(100 * 250) / _RATE
    noise = rng.standard_normal(t.size)
    hilbert = EndpointHilbert(3, [9.0], [11.2], _RATE, window_s=2.0)
    rhythm = np.sqrt(2) * np.cos(2 * np.pi * hilbert.centre_hz[0] * t)  # as much power as the noise
    confidences = []
    for part in np.split(np.stack([rhythm, rhythm + noise, noise], 1), 100):
        hilbert.process(part)
        confidences.append(hilbert.confidence[:, 0])
    clean, half, none = np.mean(confidences[5:], 0)
    assert clean > 0.999
    assert half == pytest.approx(0.5, abs=0.06)
    assert none < 0.05


def test_an_offset_does_not_change_the_confidence() -> None:
    rng = np.random.default_rng(8)
    x, valid = rng.standard_normal((600, 2)), rng.random((600, 2)) < 0.8
    plain, lifted = (EndpointHilbert(2, [8.0], [12.0], _RATE, window_s=1.0) for _ in range(2))
    _, of_plain = plain.process_with_confidence(x, valid)
    _, of_lifted = lifted.process_with_confidence(x + 1e6, valid)
    assert_allclose(of_lifted, of_plain, atol=1e-6)


def _wandering(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """120 s at 0.85 Hz whose frequency wanders by 5 %, in pink noise; and the phase that is in it.

    The noise has a quarter of the wave's power (6 dB less) within 0.5-1.4 Hz.
    """
    rng = np.random.default_rng(seed)
    n, rate = 30_000, _RATE
    wander, step = np.zeros(n), np.exp(-1 / (2 * rate))  # forgets in 2 s
    kicks = rng.standard_normal(n) * np.sqrt(1 - step**2)
    for i in range(1, n):
        wander[i] = step * wander[i - 1] + kicks[i]
    phase = 2 * np.pi * np.cumsum(0.85 * (1 + 0.05 * wander)) / rate
    hz = np.fft.rfftfreq(n, 1 / rate)
    spectrum = rng.standard_normal(hz.size) + 1j * rng.standard_normal(hz.size)
    spectrum[0] = 0
    spectrum[1:] /= np.sqrt(hz[1:])
    pink = np.fft.irfft(spectrum, n)
    inside = np.fft.irfft(np.where((hz >= 0.5) & (hz <= 1.4), spectrum, 0), n)
    return np.cos(phase) + pink * np.sqrt(0.5 / 4 / np.mean(inside**2)), phase


def test_at_6_db_a_wandering_slow_wave_is_met_within_3_and_26_degrees() -> None:
    """Beside it the Hilbert transform of the same windows, and its last sample."""
    errors, naive = [], []
    for seed in range(8):
        x, phase = _wandering(seed)
        z = EndpointHilbert(1, [0.6], [1.2], _RATE, window_s=4.0).process(x[:, None])[1000:, 0, 0]
        errors.append(np.exp(1j * (np.angle(z) - phase[1000:])))
        windows = np.lib.stride_tricks.sliding_window_view(x, 1000)[1::50]
        windows = windows - windows.mean(1, keepdims=True)
        double = np.zeros(1000)
        double[0] = double[500] = 1
        double[1:500] = 2
        last = np.fft.ifft(np.fft.fft(windows) * double)[:, -1]
        naive.append(np.exp(1j * (np.angle(last) - phase[1000::50])))
    mean = np.concatenate(errors).mean()
    sd = np.degrees(np.sqrt(-2 * np.log(abs(mean))))
    naive_sd = np.degrees(np.sqrt(-2 * np.log(abs(np.concatenate(naive).mean()))))
    print(f"mean {np.degrees(np.angle(mean)):.1f}, SD {sd:.1f}; Hilbert's last sample SD {naive_sd:.0f}")
    assert abs(np.degrees(np.angle(mean))) <= 3
    assert sd <= 26
    assert naive_sd > 2 * sd


@settings(deadline=None, max_examples=30)
@given(cuts=st.lists(st.integers(1, 399), max_size=5), seed=st.integers(0, 1000))
def test_pieces_give_what_the_whole_gives(cuts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, valid = rng.standard_normal((400, 2)), np.ones((400, 2), bool)
    valid[100:110, 0] = False
    valid[rng.integers(0, 400, 5), 1] = False

    def make() -> EndpointHilbert:
        return EndpointHilbert(2, [5.0, 8.0], [7.0, 13.0], 100.0, window_s=0.5)

    whole = make().process(x, valid)
    hilbert = make()
    borders = sorted({0, 400, *cuts})
    parts = [hilbert.process(x[a:b], valid[a:b]) for a, b in pairwise(borders)]
    assert_allclose(np.concatenate(parts), whole, rtol=1e-9, atol=1e-12)
    assert_allclose(hilbert.amplitude, np.abs(whole[-1]), rtol=1e-9)


@pytest.mark.parametrize(
    ("low", "high", "window_s", "why"),
    [
        ([8.0], [125.0], 1.0, "half the rate"),
        ([0.0], [12.0], 1.0, "half the rate"),
        ([12.0], [8.0], 1.0, "half the rate"),
        ([8.0], [12.0, 13.0], 1.0, "shape"),
        ([], [], 1.0, "holds nothing"),
        ([np.nan], [12.0], 1.0, "NaN"),
        ([8.0], [12.0], 0.02, "window_s"),
        ([0.5], [1.0], 1.0, "window_s"),
        ([8.0], [12.0], 0.0, "above 0"),
    ],
)
def test_impossible_bands_are_refused(
    low: list[float], high: list[float], window_s: float, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        EndpointHilbert(1, low, high, _RATE, window_s=window_s)


def test_unusable_signals_are_refused_and_change_nothing() -> None:
    hilbert = EndpointHilbert(2, [8.0], [12.0], _RATE, window_s=0.5)
    hilbert.process(np.random.default_rng(1).standard_normal((200, 2)))
    before = hilbert.amplitude
    for x, why in (
        (np.ones((10, 3)), "shape"),
        (np.ones((0, 2)), "holds nothing"),
        (np.full((10, 2), np.inf), "NaN, infinity"),
        (np.ones((10, 2), complex), "complex"),
    ):
        with pytest.raises(ValueError, match=why):
            hilbert.process(x)
    with pytest.raises(ValueError, match="where valid"):
        hilbert.process([[1.0, np.nan]], [[True, True]])
    assert np.array_equal(hilbert.amplitude, before)
