"""The wiring drawing of a board, on one A4 sheet, from the board's data alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle
from matplotlib.patheffects import Normal, Stroke

from dreampods.errors import BoardError
from dreampods.files import replacing

from .board import Board
from .layout import (
    BOARD_MM,
    BOX_MM,
    MIDDLE_MM,
    SHEET_MM,
    TEXT_ROW_MM,
    Box,
    Layout,
    Line,
    lay_out,
)
from .wiring import Wire, notes, wires

SUFFIXES = (".svg", ".png", ".pdf")
_INCH_MM = 25.4
_DOTS_PER_INCH = 200
_INK, _MUTED, _PAPER, _EDGE = "#20253a", "#6b7180", "#ffffff", "#c9ccd6"
_BOARD, _BOARD_EDGE, _PAD = "#e9f1ea", "#7d9c86", "#c9a227"

# Wire colours as they look on white paper
_SHADES = {
    "black": "#1c1c1c",
    "red": "#d22d2d",
    "orange": "#ee8420",
    "blue": "#2463c4",
    "yellow": "#d9b400",
    "green": "#2f9a48",
    "violet": "#8445b5",
    "grey": "#8a9099",
    "brown": "#8a5a2b",
    "pink": "#e065a6",
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
}


def save_drawing(board: Board, file: Path) -> None:
    """Draw `board` into `file`: .svg, .png or .pdf. Raises BoardError if that cannot be written."""
    with rc_context({**_STYLE, "svg.hashsalt": board.name}):
        figure = draw(board)
        try:
            with replacing(file) as new:
                figure.savefig(
                    new,
                    dpi=_DOTS_PER_INCH,
                    metadata={} if file.suffix == ".png" else {_DATE[file.suffix]: None},
                )
        except OSError as error:
            raise BoardError(f"{file} cannot be written: {error.strerror}") from None


_DATE = {".svg": "Date", ".pdf": "CreationDate"}


def draw(board: Board) -> Figure:
    """The drawing. Each wire is a line whose id (`get_gid()`) is `part signal`."""
    layout = lay_out(board)
    figure = Figure(figsize=(SHEET_MM[0] / _INCH_MM, SHEET_MM[1] / _INCH_MM), facecolor=_PAPER)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, SHEET_MM[0])
    axes.set_ylim(SHEET_MM[1], 0)
    axes.axis("off")
    _frame(axes, layout)
    _board(axes, layout)
    for line in sorted(layout.lines, key=_order):
        _line(axes, line)
    for box in layout.boxes:
        _part(axes, box)
    return figure


def _frame(axes: Axes, layout: Layout) -> None:
    board = layout.board
    axes.text(8, 11, board.title, size=15, weight="bold", color=_INK, va="center")
    axes.text(
        8,
        17.5,
        f"{board.name} · {board.chip.title} · {board.link.upper()} · seen from above",
        size=7.5,
        color=_MUTED,
        va="center",
    )
    for row, note in enumerate(notes(board)):
        axes.text(8, 200 + 2.9 * row, note, size=5.8, color=_MUTED, va="center")
    axes.text(
        SHEET_MM[0] - 8, 11, "dreampod wiring", size=9, color=_MUTED, ha="right", va="center"
    )


def _board(axes: Axes, layout: Layout) -> None:
    board = layout.board
    header = board.pin_map
    tops = [layout.pin_at(pin)[1] for pin in header.pins]
    top, bottom = min(tops) - 5, max(tops) + 5
    left = MIDDLE_MM - BOARD_MM / 2
    axes.add_patch(
        FancyBboxPatch(
            (left, top),
            BOARD_MM,
            bottom - top,
            boxstyle="round,pad=0,rounding_size=2",
            facecolor=_BOARD,
            edgecolor=_BOARD_EDGE,
            linewidth=1,
            zorder=1,
        )
    )
    usb_y = top - 2 if header.usb_on_top else bottom - 4
    axes.add_patch(
        Rectangle(
            (MIDDLE_MM - 5, usb_y),
            10,
            6,
            facecolor="#d5d8df",
            edgecolor=_MUTED,
            linewidth=0.7,
            zorder=2,
        )
    )
    axes.text(MIDDLE_MM, usb_y + 3, "USB", size=6, color=_INK, ha="center", va="center", zorder=3)
    axes.text(
        MIDDLE_MM,
        (top + bottom) / 2,
        board.title,
        size=8,
        color=_BOARD_EDGE,
        rotation=90,
        ha="center",
        va="center",
        zorder=2,
    )
    used: dict[str, list[Wire]] = {}
    for wire in wires(board):
        used.setdefault(wire.pin.number, []).append(wire)
    for pin in header.pins:
        x, y = layout.pin_at(pin)
        mine = used.get(pin.number)
        inwards = 1 if pin.side == "left" else -1
        axes.add_patch(
            Circle(
                (x, y),
                1.25,
                facecolor=_SHADES[mine[0].colour] if mine else "#ffffff",
                edgecolor=_PAD,
                linewidth=0.9,
                zorder=6,
            )
        )
        axes.text(
            x + 2.1 * inwards,
            y,
            f"{pin.number}  {pin.name}" if inwards > 0 else f"{pin.name}  {pin.number}",
            size=5.6,
            weight="bold" if mine else "normal",
            color=_INK if mine else _MUTED,
            ha="left" if inwards > 0 else "right",
            va="center",
            zorder=6,
        )
        if mine:
            label = mine[0].net if len(mine) > 1 else f"{mine[0].part} {mine[0].signal}"
            axes.text(
                x - 2.6 * inwards,
                y - 1.25,
                label,
                size=5,
                color=_INK,
                ha="right" if inwards > 0 else "left",
                va="center",
                zorder=6,
                path_effects=[Stroke(linewidth=1.5, foreground=_PAPER), Normal()],
            )


def _order(line: Line) -> int:
    """Rails lie lowest, then their links to the board, then the parts' own wires."""
    return 2 if line.wire else 1 if line.dot else 0


def _line(axes: Axes, line: Line) -> None:
    xs, ys = zip(*line.points, strict=True)
    (drawn,) = axes.plot(
        xs,
        ys,
        color=_SHADES[line.colour],
        linewidth=1.35,
        solid_joinstyle="round",
        solid_capstyle="round",
        zorder=3 + 0.1 * _order(line),
        path_effects=[Stroke(linewidth=3.2, foreground=_PAPER), Normal()],
    )
    if line.wire:
        drawn.set_gid(f"{line.wire.part} {line.wire.signal}")
    if line.dot:
        axes.add_patch(Circle(line.dot, 0.75, color=_SHADES[line.colour], zorder=5))


def _part(axes: Axes, box: Box) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (box.left, box.top),
            BOX_MM,
            box.height,
            boxstyle="round,pad=0,rounding_size=1.2",
            facecolor="#f7f8fb",
            edgecolor=_EDGE,
            linewidth=0.9,
            zorder=5,
        )
    )
    on_left = box.side == "left"
    text_x = box.left + 2 if on_left else box.left + 27
    axes.text(
        text_x,
        box.top + 3,
        box.part.name,
        size=7.2,
        weight="bold",
        color=_INK,
        va="center",
        zorder=6,
    )
    axes.text(
        text_x, box.top + 5.9, box.part.driver.title, size=5.4, color=_INK, va="center", zorder=6
    )
    for row, text in enumerate(box.text):
        axes.text(
            text_x,
            box.top + 8.4 + TEXT_ROW_MM * row,
            text,
            size=4.7,
            color=_MUTED,
            va="center",
            zorder=6,
        )
    inwards = -1 if on_left else 1
    for wire, y in box.rows:
        axes.add_patch(
            Circle((box.edge, y), 0.8, facecolor=_SHADES[wire.colour], linewidth=0, zorder=7)
        )
        axes.text(
            box.edge + 1.8 * inwards,
            y,
            wire.signal,
            size=6,
            weight="bold",
            color=_INK,
            ha="right" if on_left else "left",
            va="center",
            zorder=7,
        )
        axes.text(
            box.edge + 10 * inwards,
            y,
            f"{wire.pin.name} · {wire.pin.number}",
            size=5,
            color=_MUTED,
            ha="right" if on_left else "left",
            va="center",
            zorder=7,
        )
