"""Slow waves in real sleep, targeted live: ours and four others beside it, as a table and a picture.

    python tests/bench/slow_wave_figure.py --out slow_waves.png

What is true, what counts as a wave and as targeted is told in tests/unit/slow_wave_truth.py. All
methods get the same signal and rules: one cue for the crest each time the foretold phase passes it,
if by the method's own account the wave is `--least-uv` from trough to crest, and no second cue
within half a second. The others' cues are placed where the phase of the newest sample passed, to a
fraction of a sample: that is in the past, by up to a sample, and needs no transducer to be driven.

ours            SlowWaves: the moment is known before it comes
ours, 50 ms     the same, every cue known at least 50 ms ahead
resonator       complex one-pole at 0.9 Hz, 0.6 Hz wide (ResonatorBank)
ecHT            endpoint-corrected Hilbert transform, 0.5-2 Hz, last 4 s, calibrated (EndpointHilbert)
Hilbert         Fourier transform of the last 4 s, 0.5-2 Hz of it, analytic signal, last sample
PLL             phase-locked loop at 1 Hz with the constants published for the Portiloop, at 250 Hz behind
                a causal band-pass, whose lag at 1 Hz is made good; its amplitude is the resonator's
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfilt, sosfreqz

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from slow_wave_truth import (
    HIGH_HZ,
    LEAST_UV,
    LOW_HZ,
    Recording,
    Score,
    circular,
    held_out,
    recordings,
    score,
)

from dreampods.resonance import EndpointHilbert, ResonatorBank, SlowWaves

REFRACTORY_S = 0.5
WINDOW_S = 4.0
PLL_HZ, PLL_RATE_HZ, PLL_KP, PLL_KI, PLL_K0 = 1.0, 250.0, 0.05, 5e-8, 0.03

Cues = NDArray[np.float64]
Method = Callable[[Recording, float], Cues]


def _crest_cues(phasor: NDArray[np.complex128], rate_hz: float, least_uv: float) -> Cues:
    """Where the phase passes 0, if the trough of the last second and this crest are far enough apart."""
    angle = np.angle(phasor)
    passes = np.flatnonzero((angle[:-1] < 0) & (angle[1:] >= 0) & (np.diff(angle) < np.pi))
    found: list[float] = []
    for n in passes:
        trough = -phasor.real[max(0, n + 2 - int(rate_hz)) : n + 2].min()
        at = n - angle[n] / (angle[n + 1] - angle[n])
        late = not found or at - found[-1] >= REFRACTORY_S * rate_hz
        if late and abs(phasor[n + 1]) + trough >= least_uv:
            found.append(at)
    return np.array(found)


def ours(recording: Recording, least_uv: float, lead_s: float = 0.0) -> Cues:
    waves = SlowWaves(
        1, recording.rate_hz, lead_s=lead_s, least_uv=least_uv, refractory_s=REFRACTORY_S
    )
    return waves.process(recording.x[:, None], recording.valid[:, None]).frame


def ours_ahead(recording: Recording, least_uv: float) -> Cues:
    return ours(recording, least_uv, 0.05)


def _resonated(recording: Recording) -> NDArray[np.complex128]:
    bank = ResonatorBank(1, [0.9], [0.6], recording.rate_hz)
    return bank.process(recording.x[:, None], recording.valid[:, None])[:, 0, 0]


def resonator(recording: Recording, least_uv: float) -> Cues:
    return _crest_cues(_resonated(recording), recording.rate_hz, least_uv)


def echt(recording: Recording, least_uv: float) -> Cues:
    transform = EndpointHilbert(1, [LOW_HZ], [HIGH_HZ], recording.rate_hz, window_s=WINDOW_S)
    phasor = transform.process(recording.x[:, None], recording.valid[:, None])[:, 0, 0]
    return _crest_cues(phasor, recording.rate_hz, least_uv)


def plain_hilbert(recording: Recording, least_uv: float) -> Cues:
    """As one filter: the last sample of an inverse transform is a sum over the window."""
    n = round(WINDOW_S * recording.rate_hz)
    hz = np.fft.fftfreq(n, 1 / recording.rate_hz)
    kernel = np.fft.ifft(np.where((hz >= LOW_HZ) & (hz <= HIGH_HZ), 2.0, 0.0))
    phasor = fftconvolve(recording.x - recording.x.mean(), kernel)[: len(recording.x)]
    return _crest_cues(phasor, recording.rate_hz, least_uv)


def pll(recording: Recording, least_uv: float) -> Cues:
    count = len(recording.x)
    sos = butter(2, [LOW_HZ, HIGH_HZ], "bandpass", fs=recording.rate_hz, output="sos")
    _, response = sosfreqz(sos, [PLL_HZ], fs=recording.rate_hz)
    ticks = np.arange(0, count, recording.rate_hz / PLL_RATE_HZ)
    x = np.interp(ticks, np.arange(count), sosfilt(sos, recording.x - recording.x.mean()))
    phase, integral, angle = 0.0, 0.0, np.empty(len(x))
    for n, value in enumerate(x):
        detected = -value * np.sin(phase)  # its mean is 0 where the loop's cosine lies on the wave
        integral += detected
        phase += 2 * np.pi * PLL_HZ / PLL_RATE_HZ + PLL_K0 * (
            PLL_KP * detected + PLL_KI * integral
        )
        angle[n] = phase
    size = np.interp(ticks, np.arange(count), np.abs(_resonated(recording)))
    cues = _crest_cues(size * np.exp(1j * (angle - np.angle(response[0]))), PLL_RATE_HZ, least_uv)
    return cues * recording.rate_hz / PLL_RATE_HZ


METHODS: dict[str, Method] = {
    "ours": ours,
    "ours, 50 ms": ours_ahead,
    "resonator": resonator,
    "ecHT": echt,
    "Hilbert": plain_hilbert,
    "PLL": pll,
}


def table(scores: dict[str, dict[str, Score]]) -> str:
    lines = [
        "| method | recording | cues | mean ° | SD ° | waves | targeted | false / min |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for method, of in scores.items():
        for name, s in of.items():
            false = "" if np.isnan(s.false_per_min) else f"{s.false_per_min:.2f}"
            found = (
                ("", "", "")
                if not s.waves
                else (f"{s.mean_deg:.1f}", f"{s.sd_deg:.1f}", f"{s.targeted:.0%}")
            )
            cells = (method, name, str(s.cues), *found[:2], str(s.waves), found[2], false)
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(scores: dict[str, dict[str, Score]], out: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        3, len(scores), figsize=(2.7 * len(scores), 9.4), subplot_kw={"projection": "polar"}
    )
    edges = np.radians(np.arange(-180, 181, 15))
    for column, (method, of) in enumerate(scores.items()):
        groups = {
            "nap, N2 and N3": [s for name, s in of.items() if name.startswith("nap")],
            "deep sleep, 8 channels": [s for name, s in of.items() if name.startswith("deep")],
            "later, held out, 6 channels": [
                s for name, s in of.items() if name.startswith("later")
            ],
        }
        for row, (group, some) in enumerate(groups.items()):
            errors = np.radians(np.concatenate([s.errors_deg for s in some]))
            counts, _ = np.histogram(errors, edges)
            axis = axes[row, column]
            axis.set_theta_zero_location("N")
            axis.set_theta_direction(-1)
            axis.bar(
                edges[:-1],
                counts / max(counts.sum(), 1),
                np.radians(15),
                align="edge",
                color="#2a6f97" if method.startswith("ours") else "#b08968",
                edgecolor="white",
            )
            mean, sd = circular(errors)
            targeted = np.average([s.targeted for s in some], weights=[s.waves for s in some])
            axis.set_title(
                f"{method}\n{mean:.0f}° ± {sd:.0f}°, {targeted:.0%} targeted", fontsize=10
            )
            axis.set_yticks([])
            axis.set_xticks(
                np.radians([0, 90, 180, 270]), ["crest", "90°", "trough", "−90°"], fontsize=7
            )
            if column == 0:
                axis.text(-0.25, 0.5, group, rotation=90, va="center", transform=axis.transAxes)
    figure.suptitle("Phase of the slow wave at cues for its crest (zero-phase truth, 0.5–2 Hz)")
    figure.tight_layout()
    figure.savefig(out, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description="Slow waves in real sleep, targeted live.")
    parser.add_argument("--out", type=Path, required=True, help="the picture to write (PNG)")
    parser.add_argument("--least-uv", type=float, default=LEAST_UV, help="trough to crest, µV")
    arguments = parser.parse_args()
    real = recordings() + held_out()
    scores = {
        method: {one.name: score(place(one, arguments.least_uv), one) for one in real}
        for method, place in METHODS.items()
    }
    print(table(scores))
    draw(scores, arguments.out)


if __name__ == "__main__":
    main()
