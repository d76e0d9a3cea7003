"""One mix per pod: everybody but oneself in the collective, and never above the ceiling."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from dreampods.resonance import Meter, Mixed, Mixer, Resampler, read_chunks

Sound = NDArray[np.float32]
_FRAMES = 64
_OPEN = 1e6  # a ceiling that nothing here reaches


def _noise(rng: np.random.Generator, *shape: int, level: float = 0.1) -> Sound:
    return (level * rng.standard_normal(shape)).astype(np.float32)


def _mix(
    mixer: Mixer,
    own: Sound,
    collective: Sound | None = None,
    own_gain: Any = 1.0,
    collective_gain: Any = 0.0,
    send: Any = 0.0,
    ceiling: Any = _OPEN,
) -> Mixed:
    pods, frames = own.shape[:2]
    common = np.zeros((frames, 2), np.float32) if collective is None else collective
    per_pod = [np.broadcast_to(v, pods) for v in (own_gain, collective_gain, send, ceiling)]
    return mixer.process(own, common, *per_pod)


def _through(mixer: Mixer, own: Sound, frames: int = _FRAMES, **how: Any) -> Sound:
    """The pods' mixes of a long sound (N, frames, 2), the gains being reached beforehand."""
    _mix(mixer, np.zeros((len(own), frames, 2), np.float32), **how)
    blocks = np.split(own, own.shape[1] // frames, axis=1)
    return np.concatenate([_mix(mixer, block, **how).pods for block in blocks], axis=1)


def _true_peaks(x: NDArray[np.float64]) -> Any:
    """The largest magnitude between frame k and k + 1, at 8 positions, by a sinc of 16 taps; + 0.17 dB."""
    taps = np.arange(-7, 9)
    padded = np.pad(x, ((7, 8), (0, 0)))
    near = np.lib.stride_tricks.sliding_window_view(padded, 16, axis=0)
    top = np.abs(x)
    for at in np.arange(1, 8) / 8:
        away = taps - at
        row = np.sinc(1.04 * away) * np.i0(4 * np.sqrt(1 - (away / 8) ** 2))
        top = np.maximum(top, np.abs(near @ (row / row.sum())))
    return top.max(1) / np.cos(np.pi / 16)


def _limited(x: NDArray[np.float64], ceiling: float, ahead: int, release: float) -> Any:
    """The limiter in plain numpy: smallest need in sight, slow recovery, moving average, by fours."""
    need = np.minimum(1, ceiling / np.maximum(_true_peaks(x), 1e-30)).reshape(-1, 4).min(1)
    sight = ahead + 5
    padded = np.concatenate([np.ones(sight - 1), need])
    smallest = np.lib.stride_tricks.sliding_window_view(padded, sight).min(1)
    held = np.empty_like(smallest)
    last = 1.0
    for k, target in enumerate(smallest):
        last = min(target, last + (target - last) * release)
        held[k] = last
    mean = np.convolve(np.concatenate([np.ones(ahead - 1), held]), np.ones(ahead) / ahead, "valid")
    at = np.arange(4 * len(mean))
    gain = np.interp(at, np.arange(len(mean) + 1) * 4 - 1, np.concatenate([[1.0], mean]))
    delay = 4 * (ahead + 2)
    delayed = np.concatenate([np.zeros((delay, 2)), x])[: len(x)]
    # The last 8 gaps of a block are known only with the next.
    return np.concatenate([np.zeros((8, 2)), delayed * gain[:, None]])[: len(x)]


def test_each_pod_hears_itself_and_all_others() -> None:
    rng = np.random.default_rng(0)
    own, common = _noise(rng, 5, 10 * _FRAMES, 2), _noise(rng, 10 * _FRAMES, 2)
    own_gain, heard, send = rng.random((3, 5)).astype(np.float32)
    mixer = Mixer(5, _FRAMES)
    silent = np.zeros((5, _FRAMES, 2), np.float32)
    _mix(mixer, silent, None, own_gain, heard, send)
    pods, bus = [], []
    for k in range(0, 10 * _FRAMES, _FRAMES):
        part = slice(k, k + _FRAMES)
        mixed = _mix(mixer, own[:, part], common[part], own_gain, heard, send)
        pods.append(mixed.pods)
        bus.append(mixed.collective)
        assert_allclose(mixed.peak, np.abs(mixed.pods).max((1, 2)), rtol=0)
        assert_allclose(mixed.mean_square, np.mean(mixed.pods**2, (1, 2)), rtol=1e-5)

    sent = send[:, None, None].astype(float) * own
    late = mixer.latency_frames
    expected_bus = common + sent.sum(0)
    assert_allclose(np.concatenate(bus)[late:], expected_bus[:-late], rtol=1e-5, atol=1e-7)
    for i in range(5):
        others = common + sum(sent[j] for j in range(5) if j != i)
        expected = own_gain[i] * own[i].astype(float) + heard[i] * others
        got = np.concatenate(pods, 1)[i, late:]
        assert_allclose(got, expected[:-late], rtol=1e-5, atol=1e-7)


def test_what_goes_to_the_feeds_is_what_would_have_come_back() -> None:
    rng = np.random.default_rng(8)
    own, common = _noise(rng, 3, _FRAMES, 2), _noise(rng, _FRAMES, 2)
    one, other = Mixer(3, _FRAMES), Mixer(3, _FRAMES)
    feeds = [Resampler(32000, 32000, history_frames=1000, seed=k) for k in range(3)]
    twins = [Resampler(32000, 32000, history_frames=1000, seed=k) for k in range(3)]
    gains = [np.full(3, gain) for gain in (1.0, 0.5, 0.5, 0.9)]
    for _ in range(10):
        expected = one.process(own, common, *gains)
        got = other.process(own, common, *gains, feeds=[feeds[0], None, feeds[2]])
        assert got.pods.shape == (0, _FRAMES, 2)
        assert np.array_equal(got.mean_square, expected.mean_square)
        assert np.array_equal(got.weighted_square, expected.weighted_square)
        for twin, mix in zip(twins, expected.pods, strict=True):
            twin.write(mix)
    assert feeds[1].written == 0
    chunks = read_chunks([feeds[0], feeds[2]], [100.3, 7.0], [1 - 1e-5, 1 + 2e-5], 400)
    assert np.abs(chunks).max() > 1000
    assert np.array_equal(chunks[0], twins[0].read(100.3, 1 - 1e-5, 400))
    assert np.array_equal(chunks[1], twins[2].read(7.0, 1 + 2e-5, 400))


def test_levels_are_those_of_the_sounds() -> None:
    rng = np.random.default_rng(9)
    pods = 11  # more than fill the lanes of one meter
    own, common = _noise(rng, pods, 640, 2), _noise(rng, 640, 2, level=0.02)
    mixer, meter = Mixer(pods, 640), Meter(pods)
    for _ in range(4):
        mixed = _mix(mixer, own, common, own_gain=np.arange(pods) / 10, collective_gain=0.5)
        energy = meter.energy(mixed.pods)
        assert_allclose(mixed.weighted_square, energy / 1280, rtol=1e-5, atol=1e-12)
    own_square = np.mean(own.astype(float) ** 2, (1, 2)) * (np.arange(pods) / 10) ** 2
    assert_allclose(mixed.own_square, own_square, rtol=1e-5)
    assert_allclose(mixed.rest_square, np.mean((0.5 * common.astype(float)) ** 2), rtol=1e-5)


def test_nobody_meets_themselves_in_the_collective() -> None:
    rng = np.random.default_rng(1)
    out = _through(
        Mixer(1, _FRAMES), _noise(rng, 1, 640, 2), own_gain=0.0, collective_gain=1.0, send=1.0
    )
    assert np.abs(out).max() < 1e-7


def test_gains_go_in_a_straight_line_from_block_to_block() -> None:
    ones = np.ones((1, _FRAMES, 2), np.float32)
    mixer = Mixer(1, _FRAMES, lookahead_ms=0)
    late = mixer.latency_frames
    gains = (0.5, 0.1, 0.1, 0.1)
    out = np.concatenate([_mix(mixer, ones, own_gain=gain).pods[0] for gain in gains])
    line = np.interp(np.arange(4 * _FRAMES) + 1, np.arange(5) * _FRAMES, [0, *gains])
    assert_allclose(out[late:], np.stack([line, line], 1)[:-late], rtol=1e-5)


def test_what_stays_below_the_ceiling_is_only_delayed() -> None:
    rng = np.random.default_rng(2)
    own = _noise(rng, 2, 20 * _FRAMES, 2, level=0.1)
    loudest = _true_peaks(own[0].astype(float)).max(), _true_peaks(own[1].astype(float)).max()
    mixer = Mixer(2, _FRAMES)
    out = _through(mixer, own, ceiling=max(loudest) * 1.00001)
    late = mixer.latency_frames
    assert late == 64
    assert np.array_equal(out[:, late:], own[:, :-late])


def test_limits_as_the_definition_says() -> None:
    """Against the whole limiter in numpy, through rests, peaks and recoveries."""
    rng = np.random.default_rng(3)
    own = _noise(rng, 1, 400 * _FRAMES, 2, level=0.1)
    for start, level in ((3000, 1.5), (9000, 0.4), (9100, 5.0), (16000, 0.45)):
        own[0, start : start + 500] *= level / 0.1
    release = 1 - np.exp(-4 / (0.02 * 32000))
    out = _through(Mixer(1, _FRAMES, release_ms=20), own, ceiling=0.5)
    expected = _limited(own[0].astype(float), 0.5, 12, release)
    assert (np.abs(expected) < 0.99 * np.abs(own[0])).sum() > 1000
    # A gain that has come back to within 1e-5 of 1 may be taken for 1.
    assert_allclose(out[0], expected, rtol=3e-5, atol=1e-7)


def test_the_gain_glides_down_before_a_peak_and_comes_back_after() -> None:
    t = np.arange(64000)
    own = np.repeat(0.25 * np.ones(64000, np.float32)[None, :, None], 2, 2)
    own[0, 20000] = 4.0
    mixer = Mixer(1, 640)
    gain = _through(mixer, own, 640, ceiling=0.5)[0, :, 0] / 0.25
    late = mixer.latency_frames
    at = 20000 + late
    gain[at] /= 16
    lowest = 0.5 / _true_peaks(own[0, 19000:21000].astype(float)).max()
    assert gain[at] == pytest.approx(lowest, rel=1e-4)
    assert (gain[late : 20000 - 32] == 1).all()
    steepest = np.abs(np.diff(gain[late:])).max()
    assert steepest < 1.001 * (1 - lowest) / 48
    assert gain[at + 2 * 2560] > 0.85
    assert (gain[t > at + 40000] == 1).all()


def test_a_loud_tone_is_turned_down_and_not_distorted() -> None:
    t = np.arange(64000) / 32000
    tone = np.sin(2 * np.pi * 440 * t).astype(np.float32)
    out = _through(Mixer(1, 640), np.stack([tone, tone], 1)[None], 640, ceiling=0.25)[0, 32000:, 0]
    spectrum = np.abs(np.fft.rfft(out * np.hanning(out.size))) ** 2
    near = np.abs(np.fft.rfftfreq(out.size, 1 / 32000) - 440) < 5
    assert 10 * np.log10(spectrum[~near].sum() / spectrum[near].sum()) < -50
    assert np.abs(out).max() == pytest.approx(0.25 * np.cos(np.pi / 16), rel=0.002)


@pytest.mark.parametrize("frames", [16, 112, 640])
def test_blocks_of_any_length_give_the_same_sound(frames: int) -> None:
    rng = np.random.default_rng(4)
    own = _noise(rng, 1, 640 * 7, 2, level=0.3)
    reference = _through(Mixer(1, 64), own, 64, ceiling=0.4)
    assert_allclose(_through(Mixer(1, frames), own, frames, ceiling=0.4), reference, rtol=1e-5)


_any_sound = arrays(
    np.float32,
    (2, _FRAMES, 2),
    elements=st.floats(-1e6, 1e6, width=32) | st.floats(-2, 2, width=32),
    fill=st.floats(-2, 2, width=32),
)


@settings(deadline=None, max_examples=60)
@given(
    blocks=st.lists(
        st.tuples(
            _any_sound,
            st.floats(0, 64, width=32),
            st.floats(0, 64, width=32),
            st.floats(0, 2, width=32),
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_nothing_is_ever_above_its_ceiling(
    blocks: list[tuple[Sound, float, float, float]],
) -> None:
    """Not by rounding, not after the ceiling has fallen, not by numbers that overflow."""
    mixer = Mixer(2, _FRAMES)
    for own, gain, send, ceiling in blocks:
        limits = np.array([ceiling, ceiling / 3], np.float32)
        mixed = _mix(mixer, own, own[0], gain, gain, send, limits)
        assert (np.abs(mixed.pods) <= limits[:, None, None]).all()
        assert (mixed.peak <= limits).all()
        assert (np.abs(mixed.collective) <= 1).all()


def test_a_closed_ceiling_is_silence_at_once() -> None:
    rng = np.random.default_rng(5)
    mixer = Mixer(1, _FRAMES)
    for _ in range(3):
        _mix(mixer, _noise(rng, 1, _FRAMES, 2), ceiling=1.0)
    assert not _mix(mixer, _noise(rng, 1, _FRAMES, 2), ceiling=0.0).pods.any()


def test_long_limiting_leaves_no_trace() -> None:
    """After minutes at the limiter, quiet sound is again only delayed, to the bit."""
    rng = np.random.default_rng(6)
    mixer = Mixer(1, 640)
    loud = _noise(rng, 1, 640, 2, level=1.0)
    for _ in range(10000):
        _mix(mixer, loud, ceiling=0.1)
    quiet = _noise(rng, 1, 640 * 100, 2, level=0.01)
    out = _through(mixer, quiet, 640, ceiling=0.1)
    late = mixer.latency_frames
    assert np.array_equal(out[:, 640 * 90 + late :], quiet[:, 640 * 90 : -late])


def test_unusable_input_is_refused_and_changes_nothing() -> None:
    rng = np.random.default_rng(7)
    own = _noise(rng, 2, _FRAMES, 2)
    mixer, twin = Mixer(2, _FRAMES), Mixer(2, _FRAMES)
    feed = Resampler(32000, 32000)
    for change, why in (
        ({"own": own[:1]}, "own must have the shape"),
        ({"own": np.full_like(own, np.nan)}, "own holds NaN"),
        ({"own": np.full(own.shape, 1e300)}, "too large"),
        ({"collective": own}, "collective must have the shape"),
        ({"own_gain": [1.0]}, "own_gain must have the shape"),
        ({"send": [1.0, -0.1]}, "send must not be below 0"),
        ({"ceiling": [1.0, np.nan]}, "ceiling holds NaN"),
        ({"own_floor_db": [-6.0]}, "own_floor_db must have the shape"),
        ({"own_floor_db": [-6.0, -np.inf]}, "own_floor_db holds NaN, inf"),
        ({"feeds": [None]}, "feeds must be 2"),
        ({"feeds": [feed, feed]}, "feed of two pods"),
    ):
        good: dict[str, Any] = {
            "own": own,
            "collective": own[0],
            "own_gain": [1.0, 1.0],
            "collective_gain": [1.0, 1.0],
            "send": [1.0, 1.0],
            "ceiling": [1.0, 1.0],
        }
        with pytest.raises(ValueError, match=why):
            mixer.process(**(good | change))
    assert np.array_equal(mixer.process(**good).pods, twin.process(**good).pods)
    for arguments, why in (
        ({"pods": 0, "frames": 1}, "at least 1"),
        ({"pods": 1, "frames": 0}, "at least 1"),
        ({"pods": 1, "frames": 100}, "multiple of 16"),
        ({"pods": 1, "frames": 16, "rate_hz": 0}, "between 8000"),
        ({"pods": 1, "frames": 16, "rate_hz": 4000}, "between 8000"),
        ({"pods": 1, "frames": 16, "lookahead_ms": -1}, "between 0 and 1000"),
        ({"pods": 1, "frames": 16, "lookahead_ms": 5000}, "between 0 and 1000"),
        ({"pods": 1, "frames": 16, "release_ms": np.inf}, "finite"),
        ({"pods": 1, "frames": 16, "order": 2}, "order must be 0 or 1"),
    ):
        with pytest.raises(ValueError, match=why):
            Mixer(**arguments)
