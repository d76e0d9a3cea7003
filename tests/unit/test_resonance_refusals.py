"""What an attacker, or a mistake, may hand to the kernel: refused in one sentence, before C sees it."""

from __future__ import annotations

import copy
import doctest
import pickle
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import dreampods.resonance as R

_ONE, _EARS = np.ones((1, 8, 2)), np.ones((1, 2))
_BUS, _TWO = np.zeros((1, 8, 2), np.float32), np.ones((40, 2), complex)
_SUMS = R.pair_sums(np.exp(1j * np.arange(12.0).reshape(4, 3) ** 2), measures="plv")


def _mix(**more: object) -> R.Mixed:
    gains = [np.ones(1)] * 4
    return R.Mixer(1, 64).process(np.ones((1, 64, 2)), np.ones((64, 2)), *gains, **more)  # type: ignore[arg-type]


class _Liar(bytes):
    def __len__(self) -> int:
        return 10**9


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: R.add_layer(_ONE, _EARS, _EARS, None), "bus must be an array"),
        (lambda: R.PairSums(frozenset(R.MEASURES), np.zeros((1, 1, 99, 99))).accorr, "numbers must have"),
        (lambda: R.PairSums(_SUMS.measures, np.zeros((4, 1, 200, 1))).plv, "numbers must have"),
        (lambda: R.PairSums(_SUMS.measures, _SUMS.numbers[:-1]).plv, "numbers must have"),
        (lambda: R.PairSums(_SUMS.measures, 3).plv, "numbers must have"),
        (lambda: R.Mixer(1, 64, rate_hz=1e22), "rate_hz must lie between"),
        (lambda: R.Meter(1, rate_hz=1e12), "rate_hz must lie between"),
        (lambda: R.Meter(2**70), "sounds must be at most"),
        (lambda: R.Loudness(1, 2**40), "not a whole number of blocks"),
        (lambda: R.Pairs(2**21, 1, 5), "more than the kernel takes"),
        (lambda: R.decode_ima(np.zeros(9, np.uint16), 1), "chunk must be bytes"),
        (lambda: R.decode_ima(bytes(9), 2.5), "channels must be a whole number"),  # type: ignore[arg-type]
        (lambda: R.phasors([1e17]), "phase must not be above 1e"),
        (lambda: R.phasors([10**400]), "phase must hold numbers"),
        (lambda: R.phasors(np.array(["2020-01-01"], "M8[D]")), "phase must hold numbers"),
        (lambda: R.order_parameter(["0", "1"]), "phase must hold numbers"),
        (lambda: R.order_parameter(np.ma.array([0, 1.0], mask=[0, 1])), "all of them there"),
        (lambda: R.NoiseBank(1, low_hz=15999), "below 0.45 of rate_hz"),
        (lambda: R.NoiseBank(1, high_hz=0.01), "high_hz must be 0 or at least 5"),
        (lambda: R.ResonatorBank(1, [1.0], [0.3], 50).process([[1e200]]), "x must not be above 1e"),
        (lambda: R.ResonatorBank(1, [1e-100], [0.3], 50), "freq_hz must lie between 5e-06 and 25"),
        (lambda: R.ResonatorBank(1, [1.0], [0.3], 50).process([[1.0]], [["no"]]), "valid must hold"),
        (lambda: R.ResonatorBank(1, [1.0], [0.3], 50).process([[1.0]], [[np.nan]]), "valid holds NaN"),
        (lambda: R.Reverb(1, 1.0).process(np.full((1, 9, 2), 1e38)), "dry must not be above 1e"),
        (lambda: R.Reverb(1, 1.0, level=1e38), "level must lie between 0 and 16"),
        (lambda: R.add_layer(_ONE, _EARS, _EARS, _BUS, straight=1e39), "straight must lie between"),
        (lambda: R.ModeBank(1, [1.0], [5e-324]), "decay_s must not be below"),
        (lambda: R.GrainCloud(1, 1.0).load(0, [1e38]), "recording must not be above"),
        (lambda: R.GrainCloud(1, 1.0, seed="1"), "seed must be a whole number"),  # type: ignore[arg-type]
        (lambda: R.GrainCloud(2, 1.0).forget(2), "voice must be at most 1"),
        (lambda: R.Kuramoto([1e20], 0.1), "natural_hz must not be above"),
        (lambda: R.Kuramoto([1.0], 0.1, 1e20), "lag_rad must not be above"),
        (lambda: R.Kuramoto([1.0], 0.1).step(1e300), "dt_s must lie between"),
        (lambda: R.EndpointHilbert(1, [1.0], [2.0], 1000, window_s=20.0), "window_s must hold 8 to 16384"),
        (lambda: R.SlowWaves(1, 100.0, 1e20), "target_rad must lie between"),
        (lambda: R.plv(_TWO, np.full((40, 2), 1e80)), "weight must not"),
        (lambda: R.Exposure(-1.0), "pa2s must not be negative"),
        (lambda: R.Exposure(float("nan"), 1.0), "pa2s must be a finite"),
        (lambda: R.order_p_value(_TWO, window=4, min_shift=1, draws=2**31), "draws must be at most"),
        (lambda: R.plv_surrogates(_TWO, window=4, min_shift=1, quantile=None), "quantile must be a n"),  # type: ignore[arg-type]
        (lambda: R.shift_p_values(np.ptp, _TWO, seed="1"), "seed must be a whole"),  # type: ignore[arg-type]
        (lambda: R.Beats.joined([1]), "parts must be Beats"),  # type: ignore[list-item]
        (lambda: _mix(feeds=[1]), "feeds must be resamplers"),
    ],
)
def test_it_is_refused(call, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()


def test_bytes_are_as_many_as_there_are() -> None:
    assert R.decode_ima(_Liar(bytes(8)), 1).shape == (9, 1)


def test_scale_and_byte_order_change_nothing() -> None:
    np.testing.assert_array_equal(
        R.PairSums(_SUMS.measures, _SUMS.numbers.astype(">f8")).plv, _SUMS.plv
    )
    x = np.array([[1, 2, 3.0], [2, 1, 5], [4, 4, 1], [7, 3, 2]])
    for scale in (1e-100, 1e25):
        np.testing.assert_allclose(R.leave_one_out(scale * x), R.leave_one_out(x), rtol=1e-12)


def test_a_statistic_may_sort_what_it_is_given() -> None:
    x = np.arange(12.0).reshape(4, 3)[::-1].copy()
    before = x.copy()
    R.shift_p_values(lambda v: (v.sort(0), v[0].sum())[1], x, draws=3)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
@pytest.mark.parametrize(
    "thing", [R.ResonatorBank(1, [1.0], [0.3], 50), R.Pairs(2, 1, 5), R.FrameDecoder(1), R.Mixer(1, 64)]
)
def test_what_lives_in_c_is_not_copied(thing: object, copied: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match=rf"a {type(thing).__name__} cannot be copied or pickled"):
        copied(thing)


def test_made_again_in_vain_it_stays_what_it_was() -> None:
    bank = R.ResonatorBank(1, [1.0], [0.3], 50)
    with pytest.raises(ValueError, match="bandwidth_hz"):
        bank.__init__(9, [1.0, 2.0], [0.3, 99.0], 50)  # type: ignore[misc]
    assert bank.process(np.ones((5, 1))).shape == (5, 1, 1)
    pairs = R.Pairs(2, 1, 5)
    with pytest.raises(ValueError, match="more than the kernel takes"):
        pairs.__init__(2**21, 1, 5)  # type: ignore[misc]
    assert pairs.plv.shape == (1, 2, 2)


def test_threads_take_turns() -> None:
    """Many threads in one object: as many frames in, and out, as one thread would have."""
    pairs, decoder = R.Pairs(24, 2, 400), R.FrameDecoder(1)
    u = np.exp(1j * np.random.default_rng(0).uniform(-3, 3, (50, 24, 2)))
    frames = R.encode_frames(R.new_frames(1, np.arange(20), 64), bytes(20 * 64)).tobytes()
    found: list[int] = []

    def work() -> None:
        for _ in range(40):
            pairs.push(u)
            assert np.isfinite(pairs.plv).all()
            found.append(len(decoder.decode([(0, frames)])))

    with ThreadPoolExecutor(4) as pool:
        for one in [pool.submit(work) for _ in range(4)]:
            one.result()
    assert (pairs.n_eff == 400).all()
    assert sum(found) == 4 * 40 * 20
    assert not decoder.corrupt.any()


def test_results_can_be_compared_with_themselves() -> None:
    beats = R.BeatDetector(1, 50, "pulse").process(np.zeros((10, 1)))
    assert beats == beats
    assert beats != R.Beats.joined([beats])


def test_what_has_no_weight_may_be_anything() -> None:
    """As a breath's phase before anything is known of it, or a heart rate in a gap: NaN, of weight 0."""
    rng = np.random.default_rng(4)
    phase, weight = rng.uniform(-3, 3, (60, 3)), rng.random((60, 3))
    weight[:20, 1] = 0
    u, x = np.exp(1j * phase), rng.standard_normal((60, 3))
    for gone in (np.nan, np.inf, 1e300):
        gappy_phase, gappy_u, gappy_x = (np.where(weight > 0, one, gone) for one in (phase, u, x))
        assert R.order_parameter(gappy_phase[0], weight[0]) == R.order_parameter(phase[0], weight[0])
        for measured in (
            lambda phase, u, x: R.cluster_phase(phase, weight).person,
            lambda phase, u, x: R.plv(u, weight),
            lambda phase, u, x: _pushed(R.Pairs(3, 1, 50), u, weight).plv,
            lambda phase, u, x: _pushed(R.BandPower(3, 1, 50, memory_s=1), u, weight).power,
            lambda phase, u, x: R.plv_p_values(u, weight, window=10, min_shift=5),
            lambda phase, u, x: R.leave_one_out(x, weight),
            lambda phase, u, x: R.windowed_cross_correlation(
                x[:, 0], x[:, 1], window=20, max_lag=3, weight_y=weight[:, 1]
            ).r,
        ):
            np.testing.assert_allclose(
                measured(gappy_phase, gappy_u, gappy_x), measured(phase, u, x), rtol=1e-12
            )
    with pytest.raises(ValueError, match="phase where it has weight holds NaN"):
        R.order_parameter([np.nan, 1.0], [0.1, 0.0])


def _pushed(bank, u, weight):
    bank.push(u[:, :, np.newaxis], weight[:, :, np.newaxis])
    return bank


def test_the_example_of_the_package_is_true() -> None:
    assert doctest.testmod(R).failed == 0
    assert doctest.testmod(R).attempted > 5


def test_what_is_refused_moves_nobody() -> None:
    one, twin = (R.Mixer(2, 64, order=1) for _ in range(2))
    for mixer in (one, twin):
        mixer.place([0.0, 1.0])
    with pytest.raises(ValueError, match="azimuth must not be above"):
        one.place([0.5, 2e15])
    sound, gains = np.ones((2, 64, 2)), [np.ones(2)] * 4
    for _ in range(2):
        np.testing.assert_array_equal(
            one.process(sound, sound[0], *gains).pods, twin.process(sound, sound[0], *gains).pods
        )


def test_a_layer_cannot_be_its_own_bus() -> None:
    sound = np.ones((1, 8, 2), np.float32)
    for bus, send_bus in ((sound, None), (_BUS, _BUS), (_BUS, sound)):
        with pytest.raises(ValueError, match="must not share memory"):
            R.add_layer(sound, _EARS, _EARS, bus, send=1.0, send_bus=send_bus)


def test_an_outlier_is_heard_only_in_the_windows_that_hold_it() -> None:
    x, y = np.random.default_rng(3).standard_normal((2, 400))
    plain = R.windowed_cross_correlation(x, y, window=20, max_lag=5).r
    x[50] = 1e12
    found = R.windowed_cross_correlation(x, y, window=20, max_lag=5)
    later = found.starts > 50
    np.testing.assert_allclose(found.r[later], plain[later], rtol=1e-9)


def test_a_signal_handler_may_look_at_what_it_interrupts() -> None:
    bank = R.ResonatorBank(1, [1.0], [0.3], 50)
    seen: list[float] = []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(bank.phase[0, 0]))
    signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)
    try:
        while len(seen) < 50:
            bank.process(np.ones((500, 1)))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("seed", range(60, 70))
def test_no_crest_is_a_beat_twice(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=3000)
    for rate in (25, 50):
        x = np.sin(2 * np.pi * 1.1 * np.arange(3000) / rate) + 0.3 * noise
        assert (np.diff(R.BeatDetector(1, rate, "pulse").process(x[:, None]).time_s) > 0).all()
