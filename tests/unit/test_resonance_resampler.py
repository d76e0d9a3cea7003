"""A pod's sound at the rate of its own crystal: the same sound, and nothing that was not there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.signal import resample_poly

from dreampods.resonance import Resampler, read_chunks

_IN = 32000


def _tone(hz: float, frames: int = 20000, level: float = 0.9) -> NDArray[np.float32]:
    wave = level * np.sin(2 * np.pi * hz / _IN * np.arange(frames))
    return np.repeat(wave[:, None], 2, 1).astype(np.float32)


def _db(signal: NDArray[np.float64], reference: float) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(signal**2)) / reference + 1e-12))


def _noise(seed: int, frames: int) -> NDArray[np.float32]:
    return (0.2 * np.random.default_rng(seed).standard_normal((frames, 2))).astype(np.float32)


@pytest.mark.parametrize("ppm", [-300.0, -20.0, 0.0, 37.5, 300.0])
@pytest.mark.parametrize("rate", [32000, 16000, 22050, 44100, 48000])
def test_a_tone_stays_pure_on_any_crystal(rate: int, ppm: float) -> None:
    """Against the sine at the very positions asked for: more than 80 dB, at 16 bits."""
    resampler = Resampler(_IN, rate, history_frames=20000)
    resampler.write(_tone(1000))
    step = _IN / rate * (1 + ppm * 1e-6)
    frames = int(19000 / step)
    pcm = resampler.read(123.456, step, frames)
    at = 123.456 + step * np.arange(frames)
    expected = 0.9 * np.sin(2 * np.pi * 1000 / _IN * at)
    assert _db(pcm[:, 0] / 32767 - expected, 0.9 / np.sqrt(2)) < -80
    assert np.abs(pcm[:, 0].astype(int) - pcm[:, 1]).max() <= 2  # each side has its own dither


def test_a_high_tone_stays_pure_between_the_tabulated_positions() -> None:
    resampler = Resampler(_IN, _IN, history_frames=20000)
    resampler.write(_tone(10000))
    at = 100.1 + (1 + 17e-6) * np.arange(19000)
    expected = 0.9 * np.sin(2 * np.pi * 10000 / _IN * at)
    pcm = resampler.read(100.1, 1 + 17e-6, 19000)
    assert _db(pcm[:, 0] / 32767 - expected, 0.9 / np.sqrt(2)) < -75


@pytest.mark.parametrize("rate", [16000, 22050])
def test_what_a_pod_cannot_play_is_removed_and_not_folded_down(rate: int) -> None:
    for hz in np.linspace(0.6 * rate, 15900, 9):
        resampler = Resampler(_IN, rate, history_frames=20000)
        resampler.write(_tone(hz))
        pcm = resampler.read(1000, _IN / rate, int(18000 * rate / _IN))
        assert _db(pcm[:, 0] / 32767, 0.9 / np.sqrt(2)) < -60, f"{hz:.0f} Hz"


@pytest.mark.parametrize("rate", [16000, 32000])
def test_what_a_pod_can_play_is_left_as_it_is(rate: int) -> None:
    for hz in (60, 300, 2000, 5000, 0.39 * rate):
        resampler = Resampler(_IN, rate, history_frames=20000)
        resampler.write(_tone(hz))
        pcm = resampler.read(1000.5, _IN / rate, int(18000 * rate / _IN))
        assert abs(_db(pcm[:, 0] / 32767, 0.9 / np.sqrt(2))) < 0.05, f"{hz:.0f} Hz"


def test_music_is_what_scipy_makes_of_it() -> None:
    """Noise below 5 kHz, whose half-rate version scipy's polyphase filter knows too."""
    shape = np.fft.rfft(_noise(0, 16384), axis=0)
    shape[int(5000 / _IN * 16384) :] = 0
    x = np.fft.irfft(shape, axis=0).astype(np.float32)
    resampler = Resampler(_IN, 16000)
    resampler.write(x)
    got = resampler.read(1000, 2, 7000) / 32767
    expected = resample_poly(x.astype(float), 1, 2, axis=0, window=("kaiser", 14.0))[500:7500]
    assert _db(got - expected, float(expected.std())) < -60


def test_a_constant_stays_constant_wherever_it_is_read() -> None:
    resampler = Resampler(_IN, 16000, channels=1)
    resampler.write(np.full((4000, 2), 0.5))
    pcm = resampler.read(100, 1.987654321, 1900)
    assert (np.abs(pcm - 0.5 * 32767) <= 2).all()
    assert abs(pcm.mean() - 0.5 * 32767) < 0.1


def test_beyond_full_scale_it_saturates() -> None:
    resampler = Resampler(_IN, _IN)
    resampler.write(np.stack([np.full(400, 3.0), np.full(400, -3.0)], 1))
    pcm = resampler.read(100, 1, 200)
    assert (pcm == [32767, -32767]).all()


def test_mono_is_the_mean_of_both_sides() -> None:
    x = _noise(1, 3000)
    mono, stereo = Resampler(_IN, 16000, channels=1), Resampler(_IN, 16000)
    mono.write(x)
    stereo.write(x)
    got, both = mono.read(10.25, 2.0001, 1200), stereo.read(10.25, 2.0001, 1200)
    assert got.shape == (1200, 1)
    assert got.dtype == np.int16
    assert_allclose(got[:, 0], both.mean(1), atol=2.5)  # three dithers, three roundings


@settings(deadline=None, max_examples=30)
@given(
    pieces=st.lists(st.integers(1, 900), min_size=1, max_size=12),
    history=st.integers(50, 600),
    channels=st.sampled_from([1, 2]),
)
def test_written_in_pieces_and_forgetting_it_reads_the_same(
    pieces: list[int], history: int, channels: int
) -> None:
    x = _noise(2, sum(pieces))
    whole = Resampler(_IN, _IN, channels, history_frames=20000)  # type: ignore[arg-type]
    whole.write(x)
    forgetful = Resampler(_IN, _IN, channels, history_frames=history)  # type: ignore[arg-type]
    done = 0
    for piece in pieces:
        forgetful.write(x[done : done + piece])
        done += piece
        assert forgetful.written == done
        first, last = forgetful.first_readable, forgetful.readable_until
        assert first == 0 or first <= done - history
        if last < first:
            continue
        frames = last - first + 1
        assert np.array_equal(forgetful.read(first, 1, frames), whole.read(first, 1, frames))
        for start in (first - 0.01, last + 0.01, first - 1e9, last + 1e9, 1e15):
            with pytest.raises(ValueError, match=f"{first} to {last} can be read"):
                forgetful.read(start, 1, 1)
        with pytest.raises(ValueError, match="can be read"):
            forgetful.read(first, 1, frames + 1)


def test_chunk_by_chunk_it_reads_the_same() -> None:
    resampler = Resampler(_IN, 16000)
    resampler.write(_noise(3, 9000))
    step, start = 2 * (1 + 23e-6), 77.7
    whole = resampler.read(start, step, 4000)
    chunks = [resampler.read(start + k * step, step, 250) for k in range(0, 4000, 250)]
    differences = np.concatenate(chunks).astype(int) - whole
    # A position may differ in the last bit of a double, and then a rounding in one of many thousands.
    assert np.abs(differences).max() <= 1
    assert np.count_nonzero(differences) < 4


def test_before_the_first_frame_lies_silence() -> None:
    resampler = Resampler(_IN, _IN, channels=1)
    assert resampler.readable_until < resampler.first_readable == 0
    impulse = np.zeros((200, 2))
    impulse[0] = 0.5
    resampler.write(impulse)
    pcm = resampler.read(0, 1, 100)[:, 0]
    assert pcm[0] == pytest.approx(0.5 * 32767 * 0.98, rel=0.01)
    assert np.abs(pcm[20:]).max() == 0


def test_positions_stay_exact_after_hours() -> None:
    """An hour in: the phase of a tone is still that of its absolute position."""
    resampler = Resampler(_IN, 16000, channels=1, history_frames=4000)
    block = _tone(1000, 32000)  # a whole number of periods
    for _ in range(3600):
        resampler.write(block)
    start, step = 3600 * 32000 - 3000.25, 2 * (1 - 11e-6)
    pcm = resampler.read(start, step, 1400)[:, 0]
    at = start + step * np.arange(1400)
    expected = 0.9 * np.sin(2 * np.pi * 1000 / _IN * at)
    assert _db(pcm / 32767 - expected, 0.9 / np.sqrt(2)) < -80


@pytest.mark.parametrize(("rate", "step"), [(32000, 1.0), (16000, 2.0)])
@pytest.mark.parametrize("ppm", [0, 1, -40, 480, -2000])
def test_runs_of_frames_read_what_single_frames_read(rate: int, step: float, ppm: float) -> None:
    """A read of one frame takes its own way to its two rows; runs must come to the same."""
    resampler = Resampler(_IN, rate, history_frames=3000, seed=3)
    resampler.write(_noise(5, 3000))
    stride = step * (1 + ppm * 1e-6)
    start = 40.25
    frames = int(2800 / step)
    whole = resampler.read(start, stride, frames)
    for k in range(0, frames, 7):
        single = resampler.read(start + k * stride, stride, 1)
        assert np.abs(single[0].astype(int) - whole[k]).max() <= 1


def _exact(x: NDArray[np.float32], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sinc of the header itself, in double, where the table only comes near."""
    whole = np.floor(at).astype(int)
    away = np.arange(-15, 17) - (at - whole)[:, None]
    row = np.sinc(0.98 * away) * np.i0(7.857 * np.sqrt(np.maximum(0, 1 - (away / 16) ** 2)))
    row /= row.sum(1, keepdims=True)
    return np.einsum("kt,kt->k", row, x[whole[:, None] + np.arange(-15, 17), 0].astype(float))


def test_noise_over_the_whole_band_is_what_the_filter_itself_would_read() -> None:
    x = _noise(6, 6000)
    resampler = Resampler(_IN, _IN, history_frames=6000)
    resampler.write(x)
    step = 1 + 33e-6
    got = resampler.read(100.7, step, 5000)[:, 0] / 32767
    expected = _exact(x, 100.7 + step * np.arange(5000))
    assert (
        _db(got - expected, float(expected.std())) < -78
    )  # dither and rounding: -96 dB of full scale


def test_dither_is_a_steady_hiss_of_half_a_step() -> None:
    """A constant between two steps comes out as itself on average, with the noise TPDF dither has."""
    for value in (0.0, 0.25, 0.5, 0.8):
        level = (1000 + value) / 32767
        resampler = Resampler(_IN, _IN, history_frames=60000, seed=11)
        resampler.write(np.full((60000, 2), level))
        pcm = resampler.read(100, 1, 50000).astype(float)
        assert pcm.mean(0) == pytest.approx(1000 + value, abs=0.02)
        assert pcm.std(0) == pytest.approx(0.5, abs=0.01)  # a step's 1/12 and the dither's 1/6
        error = pcm - pcm.mean(0)
        assert abs(np.mean(error[:, 0] * error[:, 1])) < 0.01
        assert abs(np.mean(error[1:, 0] * error[:-1, 0])) < 0.01


def test_dither_follows_from_the_seed_and_the_place_alone() -> None:
    x = _noise(7, 3000)
    first, again, other = (Resampler(_IN, _IN, seed=seed) for seed in (5, 5, 6))
    for one in (first, again, other):
        one.write(x)
    pcm = first.read(50, 1, 2000)
    assert np.array_equal(pcm, first.read(50, 1, 2000))
    assert np.array_equal(pcm[700:900], again.read(750, 1, 200))
    assert not np.array_equal(pcm, other.read(50, 1, 2000))
    assert np.abs(pcm.astype(int) - other.read(50, 1, 2000)).max() <= 2


def test_silence_stays_silence() -> None:
    resampler = Resampler(_IN, 16000, seed=9)
    resampler.write(np.zeros((4000, 2)))
    assert not resampler.read(100, 2 + 1e-5, 1900).any()


def test_chunks_of_many_pods_are_those_of_each() -> None:
    rng = np.random.default_rng(8)
    pods = [Resampler(_IN, 16000, seed=k) for k in range(5)]
    for k, pod in enumerate(pods):
        pod.write(_noise(20 + k, 3000))
    start, step = rng.uniform(40, 90, 5), 2 + rng.normal(0, 4e-5, 5)
    chunks = read_chunks(pods, start, step, 480)
    assert chunks.shape == (5, 480, 2)
    for pod, first, stride, chunk in zip(pods, start, step, chunks, strict=True):
        assert np.array_equal(chunk, pod.read(first, stride, 480))
    with pytest.raises(ValueError, match="resampler 3 cannot read"):
        read_chunks(pods, [50, 50, 50, 2900, 50], step, 480)
    with pytest.raises(ValueError, match="holds nothing"):
        read_chunks([], [], [], 480)
    with pytest.raises(ValueError, match="same number of channels"):
        read_chunks([pods[0], Resampler(_IN, 16000, channels=1)], [50, 50], [2, 2], 480)
    with pytest.raises(ValueError, match="above 0"):
        read_chunks(pods, start, -step, 480)
    with pytest.raises(ValueError, match="must not be above"):
        read_chunks(pods, start, 2 * step, 480)


def test_unusable_input_is_refused() -> None:
    resampler = Resampler(_IN, 16000)
    for x, why in (
        (np.zeros(10), "shape"),
        (np.zeros((10, 1)), "shape"),
        (np.zeros((0, 2)), "holds nothing"),
        (np.full((5, 2), np.nan), "NaN"),
    ):
        with pytest.raises(ValueError, match=why):
            resampler.write(x)
    assert resampler.written == 0
    resampler.write(_noise(4, 1000))
    for start, step, frames, why in (
        (100, 0, 10, "above 0"),
        (100, 2.3, 10, "must not be above 2.2"),
        (np.nan, 2, 10, "finite"),
        (100, 2, 0, "at least 1"),
    ):
        with pytest.raises(ValueError, match=why):
            resampler.read(start, step, frames)
    for arguments, why in (
        ((0, 1), "above 0"),
        ((32000, 1000), "sixteenth"),
        ((32000, 16000, 3), "channels"),
        ((32000, 16000, 2, 0), "at least 1"),
        ((32000, 16000, 2, 1, -1), "seed"),
    ):
        with pytest.raises(ValueError, match=why):
            Resampler(*arguments)
