"""The hand that every figure of a report is drawn with: colours, traces, gaps, time axes, SVG.

Two rules make the figures honest at any length. A trace longer than the paper is wide is drawn as
the minimum and maximum of each column, so no spike vanishes between pixels. And a gap is drawn, as
a hatched stretch at least wide enough to see, and never bridged by a line.

Figures are inline SVG with real text: sharp on paper, searchable, set in the page's typeface.
"""

from __future__ import annotations

import colorsys
import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dreampods.recording.reading import Floats

INK, MUTED, LINE, PAPER = "#20253a", "#757b8c", "#dcdbd6", "#fffefb"
GAP, WARM, ALARM = "#e4e1da", "#d98b3a", "#b8402a"
COLUMNS = 900
CYCLES_UP_TO_S = 600.0
_SHORTEST_S = 1e-3  # of a session, to be drawn
_ROUND_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
WIDE, HALF = 10.0, 4.8  # inches: a figure across the page, and one of two side by side

_SLEEPERS = (
    "#3b6fb6",
    "#d1694b",
    "#4a9d7c",
    "#9b5fb5",
    "#c99a2e",
    "#2f97a8",
    "#c2527f",
    "#6f7d3c",
)

_HATCHED: dict[str, Any] = {"facecolor": GAP, "hatch": "////", "linewidth": 0, "zorder": 0.5}

# Round the circle of a breath: lungs full, flowing out, empty, flowing in. Light when full.
TIDE = LinearSegmentedColormap.from_list(
    "tide", ["#fbdca8", "#7fb9b0", "#263a6b", "#a8688f", "#fbdca8"]
)
NIGHT = LinearSegmentedColormap.from_list(
    "night", [PAPER, "#d5dcea", "#7f93c2", "#3a4a8a", "#1a1f4d"]
)
GLOW = LinearSegmentedColormap.from_list("glow", ["#f3efe6", "#f2c98b", "#dd8a45", "#97402f"])
APART_TOGETHER = LinearSegmentedColormap.from_list(
    "apart-together", ["#4a77ad", "#b4c8de", "#f5f2eb", "#efc196", "#cf7a45"]
)

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a pod may be called $x$
    "font.size": 8,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 8,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "text.color": INK,
    "hatch.linewidth": 0.5,
    "hatch.color": "#c3bfb4",
    "path.simplify": True,
}


def sleeper_colours(count: int) -> list[str]:
    """One colour a sleeper, the same in every figure; beyond eight they are evenly spread hues."""
    if count <= len(_SLEEPERS):
        return list(_SLEEPERS[:count])
    spread = (colorsys.hls_to_rgb(k / count, 0.42, 0.45) for k in range(count))
    return [f"#{round(r * 255):02x}{round(g * 255):02x}{round(b * 255):02x}" for r, g, b in spread]


def shows_cycles(seconds: float) -> bool:
    """Whether single breaths can be told apart on paper; longer sessions are shown as rates."""
    return seconds <= CYCLES_UP_TO_S


def to_svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element that fills its container. `name` keeps its ids its own."""
    import matplotlib as mpl

    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    element = out.getvalue()
    element = element[element.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.S)
    return re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', "", element, count=1).strip()


def time_axis(axes: Axes, seconds: float, *, label: bool = True, ticks: int = 7) -> None:
    """Session time as m:ss, or h:mm for a night, at no more than about `ticks` round times."""
    seconds = max(seconds, _SHORTEST_S)
    step = next((s for s in _ROUND_S if seconds / s < ticks), _ROUND_S[-1])
    at = np.arange(0, seconds * 1.0001, step)
    unit = 60 if seconds > 2 * 3600 else 1
    texts = [f"{int(s / unit) // 60}:{int(s / unit) % 60:02d}" for s in at]
    axes.set_xlim(0, seconds)
    axes.set_xticks(at, labels=texts)
    axes.tick_params(axis="x", length=2.5, labelbottom=label)
    if not label:
        return
    # The outermost stay within the axes: panels stand close together.
    axes.get_xticklabels()[0].set_horizontalalignment("left")
    if seconds - at[-1] < step / 4:
        axes.get_xticklabels()[-1].set_horizontalalignment("right")


def draw_gaps(axes: Axes, gaps: Sequence[tuple[float, float]], seconds: float) -> None:
    """Hatch the stretches without data over the full height of `axes`."""
    least = seconds / 250
    spans: list[tuple[float, float]] = []
    for start, end in sorted(gaps):
        middle, width = (start + end) / 2, max(end - start, least)
        left = max(0.0, middle - width / 2)
        if spans and left - (spans[-1][0] + spans[-1][1]) < least:
            spans[-1] = (spans[-1][0], left + width - spans[-1][0])
        else:
            spans.append((left, width))
    axes.broken_barh(
        spans,
        (0, 1),
        transform=axes.get_xaxis_transform(),
        **_HATCHED,
    )


def draw_trace(
    axes: Axes, time_s: Floats, values: Floats, longest_step_s: float, **style: Any
) -> None:
    """A line that keeps its extremes at any length and breaks at gaps."""
    x, y = broken_line(time_s, values, longest_step_s)
    axes.plot(x, y, solid_joinstyle="round", **style)


def broken_line(
    time_s: Floats, values: Floats, longest_step_s: float, columns: int = COLUMNS
) -> tuple[Floats, Floats]:
    """The points of such a line: NaN at gaps, and at most two points for each of `columns`."""
    breaks = np.flatnonzero(np.diff(time_s) > longest_step_s) + 1
    if len(time_s) > 4 * columns:
        span = (time_s[-1] - time_s[0]) / columns
        column = ((time_s - time_s[0]) / span).astype(np.int64)
        starts = np.union1d(np.flatnonzero(np.diff(column, prepend=-1)), breaks)
        low, high = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
        middle = (time_s[starts] + np.append(time_s[starts[1:] - 1], time_s[-1])) / 2
        breaks = 2 * np.searchsorted(starts, breaks)
        time_s, values = np.repeat(middle, 2), np.column_stack([low, high]).ravel()
    return np.insert(time_s, breaks, np.nan), np.insert(values, breaks, np.nan)


def robust_limits(
    values: Floats, share: float = 0.005, margin: float = 0.15
) -> tuple[float, float]:
    """Limits that one artefact cannot stretch: all but `share` of the values at either end."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return -1.0, 1.0
    low, high = np.quantile(finite, [share, 1 - share])
    pad = max((high - low) * margin, 1e-9)
    return float(low - pad), float(high + pad)


def blend(rgba: NDArray[np.float64], weight: Floats) -> NDArray[np.float64]:
    """Colours (…, 4) faded into the paper by `weight` (…) in 0..1; NaN is left transparent."""
    known = np.isfinite(weight)
    part = np.clip(np.where(known, weight, 0), 0, 1)[..., np.newaxis]
    mixed = rgba.copy()
    mixed[..., :3] = part * rgba[..., :3] + (1 - part) * np.array(to_rgb(PAPER))
    mixed[..., 3] = known
    return mixed


def draw_rows(axes: Axes, images: NDArray[np.float64], seconds: float) -> None:
    """One band of colour (rows, columns, 4) a row, the first on top, hatched where transparent."""
    seconds = max(seconds, _SHORTEST_S)
    for row, image in enumerate(images):
        axes.broken_barh([(0, seconds)], (row + 0.06, 0.88), **_HATCHED)
        axes.imshow(
            image[np.newaxis],
            extent=(0, seconds, row + 0.94, row + 0.06),
            aspect="auto",
            interpolation="nearest",
            zorder=1,
        )
    axes.set_ylim(len(images), 0)
    axes.set_xlim(0, max(seconds, 1e-3))


def name_rows(axes: Axes, names: Sequence[str], colours: Sequence[str]) -> None:
    """Sleepers' names beside the rows of `draw_rows`, each with the sleeper's colour."""
    axes.set_yticks(np.arange(len(names)) + 0.5, labels=list(names))
    axes.tick_params(axis="y", length=0, pad=12, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    for row, colour in enumerate(colours):
        axes.plot(
            -0.008,
            row + 0.5,
            "o",
            color=colour,
            markersize=4,
            transform=axes.get_yaxis_transform(),
            clip_on=False,
        )


def spread(positions: Sequence[float], least: float) -> list[float]:
    """Label positions moved apart, in their order, until neighbours are `least` apart."""
    order = np.argsort(positions, kind="stable")
    placed = np.asarray(positions, dtype=np.float64)[order]
    for _ in range(200):
        short = least - np.diff(placed)
        if not (short > 1e-6).any():
            break
        push = np.clip(short, 0, None) / 2
        placed[:-1] -= push
        placed[1:] += push
    out = np.empty_like(placed)
    out[order] = placed
    return [float(position) for position in out]
