"""Figures of togetherness: each sleeper with the others, and every pair, always beside chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from dreampods.recording.drawing import (
    APART_TOGETHER,
    COLUMNS,
    GAP,
    GLOW,
    HALF,
    INK,
    LINE,
    MUTED,
    WIDE,
    draw_rows,
    name_rows,
    time_axis,
    to_svg,
)
from dreampods.recording.reading import Recorded
from dreampods.recording.together import Agreement, Pair

MOST_PAIRS = 36
_TEXT_UP_TO = 12
# Agreement at which the colour is full: it is 1 only if all breathe exactly in step.
_FULL_COLOUR = 0.7


def agreement_figure(session: Recorded, agreement: Agreement, colours: Sequence[str]) -> str:
    """Agreement over time, as colour, and each one's mean against the span of chance."""
    rows = len(agreement.pods)
    height = 0.65 + 0.27 * rows
    figure = Figure(figsize=(WIDE, height))
    grid = figure.add_gridspec(
        1,
        2,
        width_ratios=[3.1, 1],
        left=0.085,
        right=0.985,
        top=1 - 0.26 / height,
        bottom=0.3 / height,
        wspace=0.04,
    )
    bands = figure.add_subplot(grid[0])
    columns = np.linspace(0, len(agreement.time_s) - 1, min(COLUMNS, len(agreement.time_s)))
    value = agreement.value[:, np.rint(columns).astype(int)]
    image = APART_TOGETHER((np.nan_to_num(value) / _FULL_COLOUR + 1) / 2)
    image[~np.isfinite(value), 3] = 0
    draw_rows(bands, image, session.seconds)
    name_rows(bands, agreement.pods, colours)
    time_axis(bands, session.seconds)
    bands.set_title("over time: with the others (warm), against them (blue)", color=MUTED)
    means = figure.add_subplot(grid[1], sharey=bands)
    means.set_title("mean, and the span of chance", color=MUTED)
    means.axvline(0, color=LINE, linewidth=0.8, zorder=0)
    for row, colour in enumerate(colours):
        reach = agreement.reach[row]
        means.barh(row + 0.5, 2 * reach, 0.5, -reach, color="#e7e4dc", linewidth=0)
        beyond = abs(agreement.mean[row]) > reach
        means.plot(
            agreement.mean[row],
            row + 0.5,
            "o",
            markersize=5.5,
            color=colour if beyond else "#fffefb",
            markeredgecolor=colour,
            markeredgewidth=1.4,
        )
    furthest = max(0.25, float(np.abs([agreement.reach, agreement.mean]).max()))
    means.set_xlim(-1.15 * furthest, 1.15 * furthest)
    means.tick_params(axis="y", length=0, labelleft=False)
    means.tick_params(axis="x", length=2.5)
    means.spines["left"].set_visible(False)
    return to_svg(figure, "agreement")


def pair_matrix(session: Recorded, pairs: Sequence[Pair], colours: Sequence[str]) -> str:
    """Each pair's mean phase locking value over its mean chance; colour: time above chance."""
    pods = session.pods
    count = len(pods)
    figure = Figure(figsize=(HALF, HALF))
    axes = figure.add_axes((0.15, 0.02, 0.84, 0.84))
    axes.set_xlim(0, count)
    axes.set_ylim(count, 0)
    axes.set_aspect("equal")
    for pair in pairs:
        i, j = sorted((pods.index(pair.a), pods.index(pair.b)))
        share = pair.share_above
        measured = np.isfinite(share)
        face = GLOW(0.85 * share) if measured else GAP
        dark = measured and share > 0.6
        for x, y in ((j, i), (i, j)):
            axes.add_patch(_cell(x, y, face))
        if count > _TEXT_UP_TO or not measured:
            continue
        size = 8.5 if count <= 8 else 6.5
        known = np.isfinite(pair.plv) & np.isfinite(pair.chance)
        plv, chance = float(pair.plv[known].mean()), float(pair.chance[known].mean())
        texts = ((j, i, f"{plv:.2f}", f"chance {chance:.2f}"), (i, j, f"{share:.0%}", "of time"))
        for x, y, big, small in texts:
            colour = "white" if dark else INK
            axes.text(
                x + 0.5,
                y + 0.44,
                big,
                ha="center",
                va="center",
                fontsize=size,
                color=colour,
                fontweight="bold" if plv > chance else "normal",
            )
            axes.text(
                x + 0.5,
                y + 0.72,
                small,
                ha="center",
                va="center",
                fontsize=size * 0.6,
                color="white" if dark else MUTED,
            )
    for k, (name, colour) in enumerate(zip(pods, colours, strict=True)):
        axes.add_patch(_cell(k, k, colour, alpha=0.9))
        size = 7.5 if count <= _TEXT_UP_TO else 5
        axes.text(-0.12, k + 0.5, name, ha="right", va="center", fontsize=size)
        axes.text(k + 0.35, -0.12, name, ha="left", va="bottom", rotation=40, fontsize=size)
    axes.set_axis_off()
    return to_svg(figure, "pairs")


def pairs_over_time(session: Recorded, pairs: Sequence[Pair]) -> str:
    """When each pair was above its own chance band, and by how much."""
    track = session.tracks["pairs"]
    shown = sorted(pairs, key=lambda pair: -np.nan_to_num(pair.share_above, nan=-1))[:MOST_PAIRS]
    figure = Figure(figsize=(HALF, HALF))
    axes = figure.add_axes((0.27, 0.06, 0.71, 0.92))
    columns = min(COLUMNS, max(2, round(session.seconds)))
    grid_s = (np.arange(columns) + 0.5) * session.seconds / columns
    distance = np.abs(track.time_s - grid_s[:, np.newaxis])
    nearest = distance.argmin(axis=1)
    close = distance.min(axis=1) <= max(1.0, session.seconds / columns)
    images = np.zeros((len(shown), columns, 4))
    for row, pair in enumerate(shown):
        excess = np.where(close, (pair.plv - pair.chance)[nearest], np.nan)
        # What is above chance starts with a visible step, however small the excess.
        part = np.where(excess > 0, 0.2 + 2.2 * np.clip(excess, 0, 0.3), 0.0)
        images[row] = GLOW(part)
        images[row][~np.isfinite(excess), 3] = 0
    draw_rows(axes, images, session.seconds)
    size = 7 if len(shown) <= 28 else 5.5
    axes.set_yticks(
        np.arange(len(shown)) + 0.5, labels=[f"{p.a} · {p.b}" for p in shown], fontsize=size
    )
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    time_axis(axes, session.seconds)
    return to_svg(figure, "pairs-time")


def _cell(x: float, y: float, face: Any, alpha: float = 1.0) -> FancyBboxPatch:
    return FancyBboxPatch(
        (x + 0.07, y + 0.07),
        0.86,
        0.86,
        boxstyle="round,pad=0,rounding_size=0.09",
        facecolor=face,
        edgecolor="none",
        alpha=alpha,
    )
