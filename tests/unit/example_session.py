"""Writes a session folder such as a real session leaves, for looking at and for tests.

Eight sleepers lie in it, replayed from minutes of real recordings (`DREAMPODS_DATA`). Phases and
synchrony figures are computed from these recordings; only what a host alone could measure (gains,
levels, clock quality) is made up. By hand: `python tests/unit/example_session.py FOLDER`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import butter, hilbert, resample_poly, sosfiltfilt

from dreampods.recording import SessionFolder, write_report

DATA = Path(os.environ.get("DREAMPODS_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
NAMES = ["alder", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo", "hazel"]
STATE = [
    "breath_phase_rad",
    "breath_confidence",
    "breath_hz",
    "pulse_phase_rad",
    "pulse_hz",
    "pulse_confidence",
    "coupling",
    "own_gain_db",
    "collective_gain_db",
    "send_gain_db",
    "level_dbfs",
    "ceiling_dbfs",
    "clock_sigma_us",
    "clock_ppm",
    "late",
    "underruns",
]
HOST_START_S = 5000.0


@dataclass
class Body:
    """One sleeper's signals: `eeg` (n, 2) µV at 250 Hz, `pulse` and `breath` (n,) V at 50 Hz."""

    name: str
    eeg: np.ndarray
    pulse: np.ndarray
    breath: np.ndarray


def real_bodies(seconds: int, count: int = 8) -> list[Body]:
    """Sleepers from different minutes of the recordings, so that no two are one moment.

    But for one thing: there are six stretches of breath, so the seventh and eighth sleeper breathe
    as the fifth and sixth do. What is truly in step must look so.
    """
    nap = np.load(DATA / "sleep_nap_suj29_100hz.npz")
    rest = np.load(DATA / "bio_rest_ecg_ppg_rsp_100hz.npz")
    task = np.load(DATA / "bio_events_ecg_eda_rsp_100hz.npz")
    group = np.load(DATA / "group_ppg_6people_25hz.npz")
    bodies = []
    for k in range(count):
        first = (240 + 150 * k) * 100
        eeg = nap["eeg"][[1, 7], first : first + seconds * 100].T * float(nap["eeg_scale_uV"])
        source, at = (rest, 70 * k) if k < 4 else (task, 70 * (k % 2))
        breath = source["rsp"][at * 100 : (at + seconds) * 100].astype(float)
        if k < 6:
            since_s = np.cumsum(group[f"p{k + 1}_dt_ms"]) / 1000
            wanted = 300 + np.arange(seconds * 50) / 50
            pulse = np.interp(wanted, since_s, group[f"p{k + 1}_ppg"].astype(float))
        else:
            pulse = resample_poly(rest["ppg"][(k - 5) * 9000 :][: seconds * 100], 1, 2)
        bodies.append(Body(NAMES[k], resample_poly(eeg, 5, 2), _volts(pulse), _volts(breath[::2])))
    return bodies


def plain_bodies(seconds: int, count: int) -> list[Body]:
    """Sines at each sleeper's own rates: for tests that ask for no recordings."""
    rng = np.random.default_rng(1)
    t, fast = np.arange(seconds * 50) / 50, np.arange(seconds * 250) / 250
    return [
        Body(
            NAMES[k],
            20 * np.sin(2 * np.pi * (9 + k / 5) * fast)[:, None]
            + rng.normal(0, 5, (len(fast), 2)),
            _volts(np.sin(2 * np.pi * (1.0 + k / 20) * t)),
            _volts(np.sin(2 * np.pi * (0.22 + k / 150) * t + k)),
        )
        for k in range(count)
    ]


def write_session(
    out: Path, bodies: list[Body], seconds: int, finish: bool = True, **more: Any
) -> SessionFolder:
    """Write `bodies` as a session of `seconds`, with a gap, a drop-out and drifting clocks."""
    rng = np.random.default_rng(7)
    folder = SessionFolder(out)
    xdf = folder.xdf
    folder.event("start", 0.0, host_s=HOST_START_S, scene="tide")
    frames = np.arange(seconds * 10)
    t = frames / 10
    unit = np.array([_phase(body.breath, 0.1, 0.6)[::5] for body in bodies])  # 10 Hz, radians
    order = np.abs(np.exp(1j * unit).mean(axis=0))
    chance = np.sqrt(np.pi / (4 * len(bodies)))
    told = []
    surge = 1 / (1 + np.exp(-(t - 0.55 * seconds) / 1.5)) / (1 + np.exp((t - 0.8 * seconds) / 2))
    fade = np.minimum(1, np.minimum(t / 4, (seconds - t) / 5)) + 1e-3
    for k, body in enumerate(bodies):
        ppm, ahead_s = rng.normal(0, 18), rng.uniform(3, 400)
        # A device time d and the host time h: h = HOST_START_S + (d - ahead_s) * (1 + ppm / 1e6)
        for kind, type_, unit_name, rate, values in (
            ("eeg", "EEG", "uV", 250, body.eeg),
            ("pulse", "PPG", "V", 50, body.pulse[:, None]),
            ("breath", "Respiration", "V", 50, body.breath[:, None]),
        ):
            labels = ["Fz", "Pz"] if kind == "eeg" else [kind]
            stream = xdf.add_stream(
                f"{body.name}/{kind}", type_, labels, [unit_name] * len(labels), rate, "float32"
            )
            step = rate // 5
            for at in range(0, len(values), step):
                if _lost(k, at / rate, seconds):
                    continue
                xdf.samples(stream, ahead_s + at / rate, values[at : at + step])
            for second in range(0, seconds, 2):
                device_s = ahead_s + second
                host_s = HOST_START_S + second * (1 + ppm / 1e6)
                xdf.clock_offset(stream, device_s, host_s - device_s)
        pulse_phase = _phase(body.pulse, 0.7, 2.5)[::5]
        others = np.angle(np.exp(1j * unit).sum(axis=0))
        level = -26 + 20 * np.log10(fade) + 4 * surge + rng.normal(0, 0.5, len(t)) + k % 3
        state = np.column_stack(
            [
                np.angle(np.exp(1j * unit[k])),
                np.clip(0.85 + 0.1 * np.sin(t / 7 + k) + rng.normal(0, 0.03, len(t)), 0, 1),
                np.clip(np.gradient(np.unwrap(unit[k])) * 10 / (2 * np.pi), 0.05, 0.8),
                np.angle(np.exp(1j * pulse_phase)),
                np.clip(np.gradient(np.unwrap(pulse_phase)) * 10 / (2 * np.pi), 0.6, 2.5),
                np.full(len(t), 0.9),
                0.5 + 0.5 * np.cos(unit[k] - others),
                -6 + 3 * surge,
                -9 - 9 * surge,
                -14 + 3 * np.sin(t / 11 + k),
                level,
                np.full(len(t), -12.0),
                12 + 60 * np.exp(-t / 6) + np.repeat(rng.gamma(2, 2, seconds), 10),
                ppm + 4 * np.exp(-t / 8) * np.repeat(rng.normal(0, 1, seconds), 10),
                np.where(t > 0.7 * seconds, float(k == 2), 0.0) * 3,
                np.zeros(len(t)),
            ]
        )
        stream = xdf.add_stream(
            f"{body.name}/state", "State", STATE, [""] * len(STATE), 10, "float32"
        )
        for at in range(0, len(t), 10):
            if not _lost(k, at / 10, seconds):
                xdf.samples(stream, HOST_START_S + at / 10, state[at : at + 10])
        told.append(_told(k, body, ppm, ahead_s, level, seconds))
    group = xdf.add_stream(
        "group", "Synchrony", ["order_parameter", "order_chance"], ["", ""], 10, "float32"
    )
    xdf.samples(group, HOST_START_S, np.column_stack([order, np.full(len(t), chance)]))
    if len(bodies) > 1:
        _write_pairs(folder, bodies, unit, seconds)
    markers = xdf.add_stream("events", "Markers", ["kind"], [""], 0, "string")
    for kind, at_s, fields in (
        ("scene", 0.0, {"name": "tide"}),
        ("surge", 0.55 * seconds, {"pods": NAMES[1:3]}),
        ("layers-open", 0.57 * seconds, {"own_gain_db": -3}),
        ("pod-lost", 0.75 * seconds, {"pod": bodies[-1].name, "reason": "no frame for 1 s"}),
        ("waking", 0.9 * seconds, {}),
    ):
        folder.event(kind, at_s, **fields)
        xdf.samples(markers, HOST_START_S + at_s, [kind])
    sound = folder.audio("collective", 32000)
    sound.write(rng.normal(0, 0.03, (32000, 2)).astype(np.float32))
    summary = {
        "seconds": float(seconds),
        "scene": "tide",
        "started": "2026-11-23T22:04:11+01:00",
        "recordings": [
            "EEG: a nap of one adult, Mei et al. 2018, doi 10.1016/j.dib.2018.04.073",
            "Breath: two people at rest and at a task, NeuroKit example data",
            "Pulse: six people of one audience, BEATmonitor; one person at rest, NeuroKit",
        ],
        "group": {"order_parameter": {"mean": float(order.mean()), "chance": float(chance)}},
        "pods": told,
        "warnings": ["hazel: no frame for 1 s, its layer faded to its own bed"],
        **more,
    }
    if finish:
        folder.finish(summary)
    return folder


def _lost(k: int, at_s: float, seconds: int) -> bool:
    """The third sleeper's link drops for two seconds; the eighth's pod dies at three quarters."""
    return (k == 2 and 0.4 * seconds <= at_s < 0.4 * seconds + 2) or (
        k == 7 and at_s >= 0.75 * seconds
    )


def _told(
    k: int, body: Body, ppm: float, ahead_s: float, level: np.ndarray, seconds: int
) -> dict[str, Any]:
    lost = {2: 2.0, 7: 0.25 * seconds}.get(k, 0.0)
    return {
        "name": body.name,
        "implementation": "micropython 1.28.0 unix (virtual)",
        "boot_id": f"{0x51C0FFEE + 977 * k:08x}",
        "participant": f"sleeper {k + 1}",
        "streams": [
            {
                "name": name,
                "unit": unit,
                "rate_hz": rate,
                "samples": int(rate * (seconds - lost)),
                "lost": int(rate * lost),
            }
            for name, unit, rate in (("eeg", "uV", 250), ("pulse", "V", 50), ("breath", "V", 50))
        ],
        "clock": {
            "offset_us": -ahead_s * 1e6,
            "ppm": ppm,
            "sigma_us": 14.0 + k,
            "best_rtt_us": 180.0 + 11 * k,
        },
        "sound": {
            "chunks": 50 * seconds,
            "late": 3 if k == 2 else 0,
            "underruns": 0,
            "peak_dbfs": float(level.max()) + 4,
        },
    }


def _write_pairs(
    folder: SessionFolder, bodies: list[Body], phase: np.ndarray, seconds: int
) -> None:
    """PLV of breath over the last 20 s, and its 95 % chance from shifts over the whole session."""
    unit = np.exp(1j * phase)
    window = min(200, 5 * seconds)
    columns, labels = [], []
    for a in range(len(bodies)):
        for b in range(a + 1, len(bodies)):
            shifts = [np.roll(unit[b], s) for s in range(window, len(unit[b]) - window + 1, 5)]
            random = np.abs(np.array([_sliding(unit[a] * s.conj(), window) for s in shifts]))
            plv = np.abs(_sliding(unit[a] * unit[b].conj(), window))
            columns += [plv[::10], np.quantile(random, 0.95, axis=0)[::10]]
            labels += [f"{bodies[a].name}~{bodies[b].name}:{kind}" for kind in ("plv", "chance")]
    stream = folder.xdf.add_stream("pairs", "Synchrony", labels, [""] * len(labels), 1, "float32")
    folder.xdf.samples(stream, HOST_START_S + window / 10, np.column_stack(columns))


def _sliding(x: np.ndarray, window: int) -> np.ndarray:
    total = np.concatenate([[0], np.cumsum(x)])
    return (total[window:] - total[:-window]) / window


def _phase(values: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    band = sosfiltfilt(butter(2, [low_hz, high_hz], "bandpass", fs=50, output="sos"), values)
    return np.unwrap(np.angle(hilbert(band)))


def _volts(values: np.ndarray) -> np.ndarray:
    low, high = np.percentile(values, [1, 99])
    return np.clip(0.4 + 2.5 * (values - low) / (high - low), 0, 3.3)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    write_session(target, real_bodies(60), 60)
    print(write_report(target))
