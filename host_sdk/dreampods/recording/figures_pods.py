"""Figures of the machinery: who was heard how much, how loud, how well clocks were known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from dreampods.recording.drawing import (
    ALARM,
    INK,
    MUTED,
    WIDE,
    draw_gaps,
    draw_trace,
    robust_limits,
    spread,
    time_axis,
    to_svg,
)
from dreampods.recording.measured import headroom_db
from dreampods.recording.reading import Floats, Recorded, Track

# Below this nothing is heard: silence, written as minus infinity or -200 dB, would flatten a plot.
_SILENCE_DB = -60.0
_LABELS_UP_TO = 16


def gains_figure(session: Recorded, colours: Sequence[str]) -> str | None:
    """Each one's own layer and the collective in their mix, and their part in the collective."""
    labels = ("own_gain_db", "collective_gain_db", "send_gain_db")
    states = _states(session, colours, labels)
    if not states:
        return None
    values = np.concatenate([_heard(s.column(label)) for _, s, _ in states for label in labels])
    low, high = robust_limits(values, share=0.0, margin=0.12)
    figure = Figure()
    for axes, (_, state, colour) in _panels(figure, session, states, (low, high)):
        styles = ((colour, 1.8, "-"), (INK, 1.0, "-"), (colour, 1.0, (0, (2, 1.6))))
        for label, (line, width, dash) in zip(labels, styles, strict=True):
            draw_trace(
                axes,
                state.time_s,
                _heard(state.column(label)),
                state.longest_step_s,
                color=line,
                linewidth=width,
                linestyle=dash,
            )
    return to_svg(figure, "gains")


def levels_figure(session: Recorded, colours: Sequence[str]) -> str | None:
    """What was played to each sleeper against that pod's ceiling, and how near it came."""
    states = _states(session, colours, ("level_dbfs", "ceiling_dbfs"))
    if not states:
        return None
    levels = np.concatenate([_heard(state.column("level_dbfs")) for _, state, _ in states])
    ceilings = np.concatenate([_heard(state.column("ceiling_dbfs")) for _, state, _ in states])
    if not np.isfinite(levels).any():
        return None  # it ended before the first sound
    low = float(np.nanquantile(levels, 0.02)) - 6
    high = float(np.nanmax(np.concatenate([levels, ceilings]))) + 5
    figure = Figure()
    for axes, (_, state, colour) in _panels(figure, session, states, (low, high)):
        level, ceiling = state.column("level_dbfs"), state.column("ceiling_dbfs")
        time_s, step = state.time_s, state.longest_step_s
        axes.fill_between(time_s, ceiling, high, color=ALARM, alpha=0.10, linewidth=0, zorder=0.3)
        draw_trace(axes, time_s, ceiling, step, color=ALARM, linewidth=0.9)
        draw_trace(axes, time_s, _heard(level), step, color=colour, linewidth=1.2)
        room = headroom_db(state)
        if room is not None:
            axes.text(
                0.98,
                0.97,
                f"nearest {abs(room):.1f} dB {'below' if room >= 0 else 'ABOVE'}",
                transform=axes.transAxes,
                ha="right",
                va="top",
                fontsize=7,
                color=MUTED if room >= 0 else ALARM,
            )
    return to_svg(figure, "levels")


def clocks_figure(session: Recorded, colours: Sequence[str]) -> str | None:
    """How well each pod's time was known, and how fast its crystal ran, over the session."""
    states = _states(session, colours, ("clock_sigma_us", "clock_ppm"))
    if not states:
        return None
    figure = Figure(figsize=(WIDE, 2.6))
    grid = figure.add_gridspec(1, 2, left=0.055, right=0.925, top=0.9, bottom=0.12, wspace=0.3)
    for column, (label, title) in enumerate(
        (
            ("clock_sigma_us", "uncertainty of pod time, 1 σ, in µs"),
            ("clock_ppm", "crystal against the host, in ppm"),
        )
    ):
        axes = figure.add_subplot(grid[column])
        axes.set_title(title, color=MUTED)
        if column == 0:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.yaxis.set_minor_locator(NullLocator())
        axes.grid(axis="y", color="#eeece6", linewidth=0.7)
        for _, state, colour in states:
            draw_trace(
                axes,
                state.time_s,
                state.column(label),
                state.longest_step_s,
                color=colour,
                linewidth=1.1,
            )
        time_axis(axes, session.seconds)
        _name_ends(axes, states, label)
    return to_svg(figure, "clocks")


def _states(
    session: Recorded, colours: Sequence[str], labels: Sequence[str]
) -> list[tuple[str, Track, str]]:
    """(pod, state, colour) of those that recorded a number in each of `labels`."""
    found = []
    for pod, colour in zip(session.pods, colours, strict=True):
        state = session.track(pod, "state")
        if state is not None and all(np.isfinite(state.column(label)).any() for label in labels):
            found.append((pod, state, colour))
    return found


def _heard(level_db: Floats) -> Floats:
    return np.where(level_db < _SILENCE_DB, np.nan, level_db)


def _panels(
    figure: Figure,
    session: Recorded,
    states: Sequence[tuple[str, Track, str]],
    limits: tuple[float, float],
) -> Iterator[tuple[Axes, tuple[str, Track, str]]]:
    """A small panel for each sleeper, four in a row, all on the same scale."""
    columns = min(4, len(states))
    rows = -(-len(states) // columns)
    height = 0.45 + 1.2 * rows
    figure.set_size_inches(WIDE, height)
    grid = figure.add_gridspec(
        rows,
        columns,
        left=0.045,
        right=0.985,
        top=1 - 0.22 / height,
        bottom=0.3 / height,
        hspace=0.35,
        wspace=0.08,
    )
    for k, entry in enumerate(states):
        pod, state, colour = entry
        axes = figure.add_subplot(grid[k // columns, k % columns])
        axes.grid(axis="y", color="#eeece6", linewidth=0.7)
        axes.set_title(pod, color=colour, fontweight="bold")
        axes.tick_params(axis="y", length=0, labelleft=k % columns == 0)
        axes.set_ylim(*limits)
        time_axis(axes, session.seconds, label=k + columns >= len(states), ticks=4)
        draw_gaps(axes, state.gaps(session.seconds), session.seconds)
        yield axes, entry


def _name_ends(axes: Axes, states: Sequence[tuple[str, Track, str]], label: str) -> None:
    """Names at the lines' right ends, moved apart where they would cover one another."""
    if len(states) > _LABELS_UP_TO:
        return
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = []
    for _, state, _ in states:
        finite = state.column(label)[np.isfinite(state.column(label))]
        ends.append(float(to_axes.transform((0, finite[-1]))[1]))
    places = spread(ends, 0.06)
    lift = max(0.0, -min(places))
    for (pod, _, colour), y in zip(states, places, strict=True):
        axes.text(
            1.015, y + lift, pod, transform=axes.transAxes, va="center", color=colour, fontsize=7.5
        )
