"""The figure that a report opens with: everyone's breath at a glance, and the order among them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dreampods.recording.drawing import (
    COLUMNS,
    INK,
    MUTED,
    NIGHT,
    TIDE,
    WARM,
    WIDE,
    blend,
    draw_gaps,
    draw_rows,
    draw_trace,
    name_rows,
    shows_cycles,
    spread,
    time_axis,
    to_svg,
)
from dreampods.recording.figures_sleepers import breaths_per_minute
from dreampods.recording.reading import Recorded
from dreampods.recording.together import Order


def breath_at_a_glance(session: Recorded, colours: Sequence[str], order: Order | None) -> str:
    """Every sleeper's breath as a band of colour, events, and the order parameter below."""
    rows = len(session.pods)
    below = 1.25 if order else 0.0
    height = 0.75 + 0.3 * rows + below
    figure = Figure(figsize=(WIDE, height))
    grid = figure.add_gridspec(
        2 if order else 1,
        1,
        height_ratios=[0.3 * rows, below] if order else [1],
        left=0.085,
        right=0.885,
        top=1 - 0.3 / height,
        bottom=0.32 / height,
        hspace=0.12 if rows > 3 else 0.3,
    )
    bands = figure.add_subplot(grid[0])
    draw_rows(bands, _breath_bands(session), session.seconds)
    name_rows(bands, session.pods, colours)
    for row, pod in enumerate(session.pods):
        rate = breaths_per_minute(session.track(pod, "state"))
        if rate is not None:
            _beside(bands, row + 0.5, f"{rate:.0f} breaths/min")
    time_axis(bands, session.seconds, label=order is None)
    bands.spines["bottom"].set_visible(order is None)
    if order:
        bands.tick_params(axis="x", length=0)
        axes = figure.add_subplot(grid[1], sharex=bands)
        _draw_order(axes, order, session.seconds)
        _draw_events(axes, session, numbered=False)
    _draw_events(bands, session, numbered=True)
    return to_svg(figure, "glance")


def phase_wheel() -> str:
    """The key to the colours of a breath: one cycle, from full lungs to full lungs."""
    figure = Figure(figsize=(2.6, 0.62))
    axes = figure.add_axes((0.01, 0.5, 0.98, 0.48))
    axes.imshow(TIDE(np.linspace(0, 1, 256))[np.newaxis], aspect="auto", extent=(0, 1, 0, 1))
    axes.set_axis_off()
    swell = np.linspace(0, 1, 200)
    axes.plot(swell, 0.5 + 0.32 * np.cos(2 * np.pi * swell), color="white", linewidth=1.2)
    for x, text, side in ((0, "full", "left"), (0.5, "empty", "center"), (1, "full", "right")):
        axes.text(x, -0.2, text, ha=side, va="top", color=MUTED, fontsize=7.5)
    return to_svg(figure, "wheel")


def _breath_bands(session: Recorded) -> NDArray[np.float64]:
    grid_s = (np.arange(COLUMNS) + 0.5) * session.seconds / COLUMNS
    images = np.zeros((len(session.pods), COLUMNS, 4))
    for row, pod in enumerate(session.pods):
        track = session.track(pod, "state")
        if track is None:
            continue
        if shows_cycles(session.seconds):
            turn = track.at(grid_s, "breath_phase_rad") / (2 * np.pi) % 1.0
            colours = TIDE(np.nan_to_num(turn))
        else:
            turn = track.at(grid_s, "breath_hz") * 60
            colours = NIGHT(np.clip((np.nan_to_num(turn) - 6) / 18, 0, 1))
        weight = track.at(grid_s, "breath_confidence")
        images[row] = blend(colours, np.where(np.isfinite(turn), weight, np.nan))
    return images


def _draw_order(axes: Axes, order: Order, seconds: float) -> None:
    time_s, step = order.track.time_s, order.track.longest_step_s
    axes.fill_between(time_s, 0, order.band, color="#ece9e1", linewidth=0, zorder=0.3)
    draw_trace(axes, time_s, order.chance, step, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    above = np.where(order.value > order.band, order.value, order.band)
    axes.fill_between(time_s, order.band, above, color=WARM, alpha=0.55, linewidth=0)
    draw_trace(axes, time_s, order.value, step, color=INK, linewidth=1.3)
    draw_gaps(axes, order.track.gaps(seconds), seconds)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("order R")
    time_axis(axes, seconds)
    band, chance = float(np.nanmedian(order.band)), float(np.nanmedian(order.chance))
    # Two lines of text each, which need a quarter of the scale between them.
    high, low = spread([band, chance], 0.27)
    _beside(axes, high, "95 % by chance\nstay below")
    _beside(axes, low, "chance, on\naverage")


def _beside(axes: Axes, y: float, text: str) -> None:
    """A remark in the margin to the right of the axes."""
    axes.annotate(
        text,
        (1, y),
        (7, 0),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        va="center",
        color=MUTED,
        fontsize=7,
    )


def _draw_events(axes: Axes, session: Recorded, numbered: bool) -> None:
    shown = [
        (number, float(event["session_s"]))
        for number, event in enumerate(session.events, 1)
        if 0 <= float(event["session_s"]) <= session.seconds
    ]
    for _, at_s in shown:
        axes.axvline(at_s, color=INK, linewidth=0.6, linestyle=(0, (1, 2)), zorder=3)
    # With more, the numbers would not fit; the lines alone still show where.
    if not numbered or len(shown) > 30:
        return
    places = spread([at_s for _, at_s in shown], session.seconds * 0.017)
    for (number, _), place in zip(shown, places, strict=True):
        axes.annotate(
            str(number),
            (place, 1),
            (0, 6),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=6.5,
            color="white",
            bbox={"boxstyle": "circle,pad=0.25", "facecolor": INK, "edgecolor": "none"},
        )
