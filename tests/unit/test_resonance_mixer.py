"""One mix per pod: everybody but oneself in the collective, and never above the ceiling."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from dreampods.resonance import Mixed, Mixer

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


def _limited(x: NDArray[np.float64], ceiling: float, reach: int, release: float) -> Any:
    """The limiter in plain numpy: smallest need in sight, slow recovery, moving average."""
    peak = np.abs(x).max(1)
    need = np.minimum(1, ceiling / np.maximum(peak, 1e-30))
    padded = np.concatenate([np.ones(reach - 1), need])
    smallest = np.lib.stride_tricks.sliding_window_view(padded, reach).min(1)
    held = np.empty_like(smallest)
    last = 1.0
    for k, target in enumerate(smallest):
        last = target if target < last else last + (target - last) * release
        held[k] = last
    gain = np.convolve(np.concatenate([np.ones(reach - 1), held]), np.ones(reach) / reach, "valid")
    delayed = np.concatenate([np.zeros((reach - 1, 2)), x[: len(x) - reach + 1]])
    return delayed * gain[:, None]


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


def test_nobody_meets_themselves_in_the_collective() -> None:
    rng = np.random.default_rng(1)
    out = _through(
        Mixer(1, _FRAMES), _noise(rng, 1, 640, 2), own_gain=0.0, collective_gain=1.0, send=1.0
    )
    assert np.abs(out).max() < 1e-7


def test_gains_go_in_a_straight_line_from_block_to_block() -> None:
    ones = np.ones((1, _FRAMES, 2), np.float32)
    mixer = Mixer(1, _FRAMES, lookahead_ms=0)
    line = np.arange(1, _FRAMES + 1)[:, None] / _FRAMES
    first = _mix(mixer, ones, own_gain=0.5).pods[0]
    assert_allclose(first, np.repeat(0.5 * line, 2, 1), rtol=1e-5)
    second = _mix(mixer, ones, own_gain=0.1).pods[0]
    assert_allclose(second, np.repeat(0.5 - 0.4 * line, 2, 1), rtol=1e-5)
    assert_allclose(_mix(mixer, ones, own_gain=0.1).pods, 0.1, rtol=1e-5)


def test_what_stays_below_the_ceiling_is_only_delayed() -> None:
    rng = np.random.default_rng(2)
    own = _noise(rng, 2, 20 * _FRAMES, 2, level=0.2).clip(-0.9, 0.9)
    mixer = Mixer(2, _FRAMES)
    out = _through(mixer, own, ceiling=0.9)
    late = mixer.latency_frames
    assert late == 48
    assert np.array_equal(out[:, late:], own[:, :-late])


def test_limits_as_the_definition_says() -> None:
    """Against the whole limiter in numpy, through rests, peaks and recoveries."""
    rng = np.random.default_rng(3)
    own = _noise(rng, 1, 400 * _FRAMES, 2, level=0.1)
    for start, level in ((3000, 1.5), (9000, 0.4), (9100, 5.0), (16000, 0.45)):
        own[0, start : start + 500] *= level / 0.1
    release = 1 - np.exp(-1 / (0.02 * 32000))
    out = _through(Mixer(1, _FRAMES, release_ms=20), own, ceiling=0.5)
    expected = _limited(own[0].astype(float), 0.5, 49, release)
    # A gain that has come back to within 1e-5 of 1 may be taken for 1.
    assert_allclose(out[0], expected, rtol=3e-5, atol=1e-7)


def test_the_gain_glides_down_before_a_peak_and_comes_back_after() -> None:
    t = np.arange(64000)
    own = np.repeat(0.25 * np.ones(64000, np.float32)[None, :, None], 2, 2)
    own[0, 20000] = 4.0
    mixer = Mixer(1, 640)
    gain = _through(mixer, own, 640, ceiling=0.5)[0, :, 0] / 0.25
    at = 20000 + mixer.latency_frames
    gain[at] /= 16
    assert gain[at] == pytest.approx(0.125, rel=1e-5)
    assert (gain[mixer.latency_frames : 20000] == 1).all()
    steepest = np.abs(np.diff(gain[mixer.latency_frames :])).max()
    assert steepest < (1 - 0.125) / mixer.latency_frames
    assert gain[at + 2 * 2560] > 0.85
    assert (gain[t > at + 40000] == 1).all()


def test_a_loud_tone_is_turned_down_and_not_distorted() -> None:
    t = np.arange(64000) / 32000
    tone = np.sin(2 * np.pi * 440 * t).astype(np.float32)
    out = _through(Mixer(1, 640), np.stack([tone, tone], 1)[None], 640, ceiling=0.25)[0, 32000:, 0]
    spectrum = np.abs(np.fft.rfft(out * np.hanning(out.size))) ** 2
    near = np.abs(np.fft.rfftfreq(out.size, 1 / 32000) - 440) < 5
    assert 10 * np.log10(spectrum[~near].sum() / spectrum[near].sum()) < -50
    assert np.abs(out).max() == pytest.approx(0.25, rel=0.01)


@pytest.mark.parametrize("frames", [1, 7, 640])
def test_blocks_of_any_length_give_the_same_sound(frames: int) -> None:
    rng = np.random.default_rng(4)
    own = _noise(rng, 1, 640 * 7, 2, level=0.3)
    reference = _through(Mixer(1, 64), own, 64, ceiling=0.4)
    assert_allclose(_through(Mixer(1, frames), own, frames, ceiling=0.4), reference, rtol=1e-5)


_any_sound = arrays(
    np.float32,
    (2, _FRAMES, 2),
    elements=st.floats(-3.0000000054977558e38, 3.0000000054977558e38, width=32)
    | st.floats(-2, 2, width=32),
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
    for change, why in (
        ({"own": own[:1]}, "own must have the shape"),
        ({"own": np.full_like(own, np.nan)}, "own holds NaN"),
        ({"own": np.full(own.shape, 1e300)}, "too large"),
        ({"collective": own}, "collective must have the shape"),
        ({"own_gain": [1.0]}, "own_gain must have the shape"),
        ({"send": [1.0, -0.1]}, "send must not be below 0"),
        ({"ceiling": [1.0, np.nan]}, "ceiling holds NaN"),
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
        ({"pods": 1, "frames": 1, "rate_hz": 0}, "above 0"),
        ({"pods": 1, "frames": 1, "lookahead_ms": -1}, "negative"),
        ({"pods": 1, "frames": 1, "lookahead_ms": 5000}, "above 1000"),
        ({"pods": 1, "frames": 1, "release_ms": np.inf}, "finite"),
    ):
        with pytest.raises(ValueError, match=why):
            Mixer(**arguments)
