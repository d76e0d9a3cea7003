"""Heartbeats and breaths of real recordings: the kernel beside neurokit2.

neurokit2 knows the whole recording, forwards and backwards; the kernel sees it once, as it comes.
The times are for everything that turns samples into beats or breaths, cleaning included. n is
channels; every channel is the same recording, begun elsewhere.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from dreampods.resonance import BeatDetector, Beats, BreathFollower

nk = pytest.importorskip("neurokit2")

DATA = Path(
    os.environ.get("DREAMPODS_DATA", Path(__file__).resolve().parents[2] / "../shared/data")
)
RATE, SECONDS = 100, 300
NAMES = {
    "ecg": "heartbeats of an ECG, n channels x 300 s at 100 Hz",
    "ppg": "heartbeats of a pulse wave, n channels x 300 s at 100 Hz",
    "rsp": "breaths of a belt, n channels x 300 s at 100 Hz",
}


def _recorded(signal: str, channels: int) -> np.ndarray:
    file = DATA / "bio_rest_ecg_ppg_rsp_100hz.npz"
    if not file.is_file():
        pytest.skip(f"no recordings in {DATA}; set DREAMPODS_DATA")
    with np.load(file) as archive:
        one = archive[signal].astype(float)
    return np.ascontiguousarray(np.stack([np.roll(one, 997 * k) for k in range(channels)], 1))


def _ours(signal: str, x: np.ndarray) -> list[np.ndarray]:
    if signal == "rsp":
        found = BreathFollower(x.shape[1], RATE).process(x).breaths
    else:
        detector = BeatDetector(x.shape[1], RATE, "ecg" if signal == "ecg" else "pulse")
        found = Beats.joined([detector.process(x), detector.finish()])
    return [found.time_s[found.channel == k] for k in range(x.shape[1])]


def _neurokit(signal: str, x: np.ndarray) -> list[np.ndarray]:
    times = []
    for one in x.T:
        if signal == "ecg":
            _, info = nk.ecg_peaks(nk.ecg_clean(one, sampling_rate=RATE), sampling_rate=RATE)
            peaks = info["ECG_R_Peaks"]
        elif signal == "ppg":
            _, info = nk.ppg_peaks(nk.ppg_clean(one, sampling_rate=RATE), sampling_rate=RATE)
            peaks = info["PPG_Peaks"]
        else:
            _, info = nk.rsp_peaks(nk.rsp_clean(one, sampling_rate=RATE), sampling_rate=RATE)
            peaks = info["RSP_Peaks"]
        times.append(np.asarray(peaks, float) / RATE)
    return times


def _f1(found: np.ndarray, true: np.ndarray, within_s: float) -> float:
    near = [np.abs(true - one).min() <= within_s for one in found]
    return 2 * sum(near) / (len(found) + len(true))


@pytest.mark.parametrize("channels", [1, 8])
@pytest.mark.parametrize(
    ("signal", "within_s", "least"), [("ecg", 0.15, 0.985), ("ppg", 0.1, 0.99), ("rsp", 0.5, 0.95)]
)
def test_rhythm_ours(race, signal, within_s, least, channels):
    x = _recorded(signal, channels)
    if channels == 1:
        agreement = _f1(_ours(signal, x)[0], _neurokit(signal, x)[0], within_s)
        print(f"{signal}: F1 between both {agreement:.4f}, within {1000 * within_s:.0f} ms")
        assert agreement > least
    race(NAMES[signal], "ours", lambda: _ours(signal, x), n=channels)


@pytest.mark.parametrize("channels", [1, 8])
@pytest.mark.parametrize("signal", ["ecg", "ppg", "rsp"])
def test_rhythm_neurokit(race, signal, channels):
    x = _recorded(signal, channels)
    race(NAMES[signal], "neurokit2", lambda: _neurokit(signal, x), n=channels)
