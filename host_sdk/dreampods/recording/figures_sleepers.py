"""A card for each sleeper: what the sensors of their pod recorded.

In a short session pulse and breath are drawn beat by beat. In a long one that would be a solid
block, so there the card shows their rates; the EEG's extremes and its spectrum show at any length.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dreampods.recording.drawing import (
    HALF,
    INK,
    MUTED,
    NIGHT,
    draw_gaps,
    draw_trace,
    robust_limits,
    shows_cycles,
    time_axis,
    to_svg,
)
from dreampods.recording.reading import Floats, Recorded, Track

# Phases and rates of less confidence are not shown as such.
SURE = 0.3
_SPECTRUM_S = 2.0
_SPECTRUM_TO_HZ = 20.0


def sleeper_card(session: Recorded, pod: str, colour: str) -> str | None:
    """One sleeper's EEG with its spectrum over time, pulse and breath; None without any."""
    tracks = {kind: session.track(pod, kind) for kind in ("eeg", "pulse", "breath")}
    shown = [(kind, track) for kind, track in tracks.items() if track is not None]
    if not shown:
        return None
    panels = [
        (kind, track, drawing)
        for kind, track in shown
        for drawing in (("trace", "spectrum") if kind == "eeg" else ("trace",))
    ]
    height = 0.45 + 0.76 * len(panels)
    figure = Figure(figsize=(HALF, height))
    grid = figure.add_gridspec(
        len(panels),
        1,
        left=0.01,
        right=0.99,
        top=1 - 0.2 / height,
        bottom=0.27 / height,
        hspace=0.42,
    )
    for row, (kind, track, drawing) in enumerate(panels):
        axes = figure.add_subplot(grid[row])
        axes.spines["left"].set_visible(False)
        axes.set_yticks([])
        time_axis(axes, session.seconds, label=row == len(panels) - 1)
        draw_gaps(axes, track.gaps(session.seconds), session.seconds)
        if drawing == "spectrum":
            _draw_spectrum(axes, track, session.seconds)
            continue
        state = session.track(pod, "state")
        if kind == "eeg" or shows_cycles(session.seconds):
            _draw_signal(axes, kind, track, colour)
            if kind == "breath":
                _draw_inhalations(axes, state)
        elif state is not None:
            _draw_rate(axes, kind, state, colour)
    return to_svg(figure, f"sleeper-{pod}")


def breaths_per_minute(state: Track | None) -> float | None:
    """The median rate of breath while it was known with some confidence."""
    return _per_minute(state, "breath")


def beats_per_minute(state: Track | None) -> float | None:
    """The median pulse while it was known with some confidence."""
    return _per_minute(state, "pulse")


def _per_minute(state: Track | None, kind: str) -> float | None:
    if state is None:
        return None
    rate_hz = state.column(f"{kind}_hz")[state.column(f"{kind}_confidence") > SURE]
    rate_hz = rate_hz[np.isfinite(rate_hz)]
    return float(np.median(rate_hz)) * 60 if len(rate_hz) else None


def _draw_signal(axes: Axes, kind: str, track: Track, colour: str) -> None:
    first = track.values[:, 0]
    # A line as thin as a pen at rest; the denser the signal, the thinner.
    width = 0.45 if kind == "eeg" else 0.9
    draw_trace(
        axes, track.time_s, first, track.longest_step_s, color=colour, linewidth=width, zorder=2
    )
    low, high = robust_limits(first)
    axes.set_ylim(low, high)
    unit = "µV" if track.units[0] == "uV" else track.units[0]
    channel = f" {track.labels[0]}" if kind == "eeg" else ""
    _caption(
        axes, f"{kind.upper() if kind == 'eeg' else kind}{channel}", f"↕ {high - low:.3g} {unit}"
    )


def _draw_rate(axes: Axes, kind: str, state: Track, colour: str) -> None:
    rate = np.where(
        state.column(f"{kind}_confidence") > SURE, state.column(f"{kind}_hz") * 60, np.nan
    )
    draw_trace(axes, state.time_s, rate, state.longest_step_s, color=colour, linewidth=0.7)
    low, high = robust_limits(rate)
    axes.set_ylim(low, high)
    _caption(axes, f"{kind} rate", f"{max(low, 0):.0f} to {high:.0f} /min")


def _caption(axes: Axes, left: str, right: str) -> None:
    """What a panel shows, and how high it is, on the line above it."""
    for x, text, side, colour in ((0.0, left, "left", INK), (1.0, right, "right", MUTED)):
        axes.annotate(
            text,
            (x, 1),
            (0, 3),
            xycoords="axes fraction",
            textcoords="offset points",
            ha=side,
            fontsize=7,
            color=colour,
        )


def _draw_inhalations(axes: Axes, state: Track | None) -> None:
    """A mark where the session took the lungs to be full, to judge its phases by eye."""
    if state is None:
        return
    at_s = upward_crossings(state)
    axes.plot(
        at_s,
        np.full(len(at_s), 0.04),
        "^",
        transform=axes.get_xaxis_transform(),
        color=INK,
        markersize=2.6,
        markeredgewidth=0,
        zorder=3,
    )


def upward_crossings(state: Track) -> Floats:
    """Times at which the breath's phase passed 0, full inhalation, with some confidence."""
    phase = np.angle(np.exp(1j * state.column("breath_phase_rad")))
    before, after = phase[:-1], phase[1:]
    near = np.diff(state.time_s) <= state.longest_step_s
    sure = state.column("breath_confidence")[1:] > SURE
    passed = (before < 0) & (after >= 0) & (after - before < np.pi) & near & sure
    part = -before[passed] / (after[passed] - before[passed])
    return np.asarray(state.time_s[:-1][passed] + part * np.diff(state.time_s)[passed])


def _draw_spectrum(axes: Axes, track: Track, seconds: float) -> None:
    time_s, freq_hz, power_db = spectrum_over_time(track, seconds)
    known = power_db[np.isfinite(power_db)]
    _caption(axes, "its power over time", f"↕ {_SPECTRUM_TO_HZ:.0f} Hz")
    axes.set_ylim(0, _SPECTRUM_TO_HZ)
    if not len(known):
        return
    low, high = np.quantile(known, [0.1, 0.995])
    image = NIGHT(np.clip((np.nan_to_num(power_db) - low) / max(high - low, 1e-9), 0, 1))
    image[~np.isfinite(power_db), 3] = 0
    half = (time_s[1] - time_s[0]) / 2 if len(time_s) > 1 else 0.5
    axes.imshow(
        image,
        origin="lower",
        aspect="auto",
        extent=(time_s[0] - half, time_s[-1] + half, 0, float(freq_hz[-1])),
        interpolation="bilinear",
        zorder=1,
    )
    axes.set_xlim(0, max(seconds, 1e-3))


def spectrum_over_time(track: Track, seconds: float) -> tuple[Floats, Floats, Floats]:
    """Power of the first channel in dB, (frequencies, times), by Hann windows of 2 s.

    A window with a gap in it is NaN: its spectrum would be that of the gap.
    """
    window = round(_SPECTRUM_S * track.rate_hz)
    hop = max(1, round(max(0.25, seconds / 300) * track.rate_hz))
    starts = np.arange(0, len(track.time_s) - window + 1, hop)
    freq_hz: Floats = np.asarray(np.fft.rfftfreq(window, 1 / track.rate_hz), dtype=np.float64)
    shown = freq_hz <= _SPECTRUM_TO_HZ
    if not len(starts):
        return np.zeros(1), freq_hz[shown], np.full((int(shown.sum()), 1), np.nan)
    power = np.empty((int(shown.sum()), len(starts)))
    hann: Floats = np.hanning(window)
    first = track.values[:, 0]
    for column, start in enumerate(starts):
        piece = first[start : start + window]
        spectrum = np.fft.rfft((piece - piece.mean()) * hann)[shown]
        power[:, column] = 10 * np.log10(np.abs(spectrum) ** 2 + 1e-12)
    ends = starts + window - 1
    lasted = track.time_s[ends] - track.time_s[starts]
    power[:, lasted > (window - 1) / track.rate_hz + track.longest_step_s] = np.nan
    centres = (track.time_s[starts] + track.time_s[ends]) / 2
    # Onto even columns, so that a gap keeps its place and its width in the picture.
    even: Floats = np.arange(centres[0], centres[-1] + 1e-9, hop / track.rate_hz)
    nearest = np.abs(even[:, np.newaxis] - centres).argmin(axis=1)
    near = np.abs(centres[nearest] - even) <= hop / track.rate_hz
    return even, freq_hz[shown], np.where(near, power[:, nearest], np.nan)
