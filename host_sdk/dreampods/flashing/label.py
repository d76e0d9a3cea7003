"""The label on a pod: who it is, for people and for a scanner. 62 x 29 mm, as label printers take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from dreampods.errors import FlashError
from dreampods.files import replacing

if TYPE_CHECKING:
    from matplotlib.text import Text

WIDTH_MM, HEIGHT_MM = 62.0, 29.0
FORMATS = (".svg", ".png", ".pdf")

_DPI = 300  # of label printers
_MM_PER_INCH = 25.4
_QUIET_MODULES = 4  # white around the code, as ISO 18004 wants
_TEXT_X_MM = HEIGHT_MM + 0.5
_VALUE_X_MM = _TEXT_X_MM + 11.5
_RIGHT_MM = WIDTH_MM - 1.5
_NAME_PT, _TEXT_PT = 15.0, 8.0
_LINES = (("serial", "Serial"), ("hardware", "Hardware"), ("uid", "UID"))


def code_text(record: dict[str, str]) -> str:
    """What a scanner reads: JSON with uid, name and serial number."""
    return json.dumps(
        {key: record[key] for key in ("uid", "name", "serial") if record.get(key)},
        separators=(",", ":"),
    )


def write_label(record: dict[str, str], out: Path) -> None:
    """Draw the label of a pod.

    Args:
        record: uid, name, serial, hardware; what is missing is left out.
        out: an .svg, .png or .pdf.

    Raises:
        FlashError: another ending, a library missing, or not writable.
    """
    if out.suffix.lower() not in FORMATS:
        raise FlashError(f"{out}: a label is one of {', '.join(FORMATS)}")
    try:
        import matplotlib
        import segno
        from matplotlib.collections import PatchCollection
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle
    except ImportError as error:
        raise FlashError(
            f"labels need {error.name}: pip install 'dreampods[flash,report]'"
        ) from None
    matrix = segno.make_qr(code_text(record), error="m").matrix
    modules = len(matrix) + 2 * _QUIET_MODULES
    # Each module a whole number of the printer's dots, or its edges blur
    dots = int(HEIGHT_MM / _MM_PER_INCH * _DPI) // modules
    side = dots * _MM_PER_INCH / _DPI
    margin = (HEIGHT_MM - len(matrix) * side) / 2
    squares = [
        Rectangle((margin + column * side, HEIGHT_MM - margin - (row + 1) * side), side, side)
        for row, line in enumerate(matrix)
        for column, dark in enumerate(line)
        if dark
    ]
    with matplotlib.rc_context({"svg.fonttype": "none", "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(WIDTH_MM / _MM_PER_INCH, HEIGHT_MM / _MM_PER_INCH), dpi=_DPI)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, WIDTH_MM), ylim=(0, HEIGHT_MM))
        axes.axis("off")
        axes.add_collection(
            PatchCollection(squares, facecolor="black", edgecolor="none", antialiased=False)
        )
        name = record.get("name") or "pod"
        _fit(axes.text(_TEXT_X_MM, 23.5, name, fontsize=_NAME_PT, weight="bold", va="center"))
        axes.text(_TEXT_X_MM, 18.5, "dreampod", fontsize=_TEXT_PT, color="0.35", va="center")
        shown = [(title, record[key]) for key, title in _LINES if record.get(key)]
        for row, (title, text) in enumerate(shown):
            y = 13.0 - 4.3 * row
            axes.text(_TEXT_X_MM, y, title, fontsize=_TEXT_PT * 0.75, color="0.35", va="center")
            _fit(axes.text(_VALUE_X_MM, y, text, fontsize=_TEXT_PT, va="center"))
        try:
            with replacing(out) as file:
                figure.savefig(file, dpi=_DPI)
        except OSError as error:
            raise FlashError(f"{out}: cannot be written ({error.strerror})") from None


def _fit(text: Text) -> None:
    """Make the letters smaller until they end on the label."""
    dots_per_mm = _DPI / _MM_PER_INCH
    room = _RIGHT_MM - text.get_position()[0]
    width = text.get_window_extent().width / dots_per_mm
    text.set_fontsize(float(text.get_fontsize()) * min(1.0, room / width))
