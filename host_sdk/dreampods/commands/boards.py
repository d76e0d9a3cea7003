"""`dreampods boards`: the boards a pod can be built on, how each is wired, and a check of own ones."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from dreampods.boards import Board, board_names, load_board
from dreampods.boards.wiring import hints, markdown, notes, wires
from dreampods.errors import BoardError, DreampodsError
from dreampods.files import replacing

from .arguments import Commands, path

if TYPE_CHECKING:
    from rich.console import Console

_NEVER_NARROWER = 100  # columns: a table that is cut off in a pipe helps nobody

_EPILOG = """\
An own board is a TOML file; it says what differs from a shipped one:

    like = "RPI_PICO"
    title = "My Pico"

    [part.light.pins]
    data = 28

Every conflict is told with its file, line and key.
"""


def add_to(commands: Commands) -> None:
    """Add `boards`."""
    boards = commands.add_parser(
        "boards",
        help="list the boards, print and draw their wiring, check an own board",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
    )
    boards.add_argument(
        "board", nargs="?", metavar="BOARD", help="a board's name, or the path of a board file"
    )
    boards.add_argument(
        "--out", type=path, metavar="FILE", help="write the wiring: .svg, .png, .pdf or .md"
    )
    boards.add_argument(
        "--json", action="store_true", help="print what the pod gets as its board.json"
    )
    boards.set_defaults(command=_boards)


def _boards(options: argparse.Namespace) -> None:
    if options.board is None:
        if options.out or options.json:
            raise BoardError("say which board; `dreampods boards` lists them")
        _list()
        return
    board = load_board(options.board)
    if options.out:
        _write(board, options.out)
        print(options.out)
    if options.json:
        print(json.dumps(board.compiled(), indent=2))
    elif not options.out:
        _show(board)


def _write(board: Board, file: Path) -> None:
    if file.suffix == ".md":
        try:
            with replacing(file) as new:
                new.write_text(markdown(board), encoding="utf-8")
        except OSError as error:
            raise BoardError(f"{file} cannot be written: {error.strerror}") from None
        return
    try:
        from dreampods.boards.drawing import SUFFIXES, save_drawing
    except ImportError:
        raise DreampodsError(
            "a drawing needs matplotlib: pip install 'dreampods[report]'; .md does without"
        ) from None
    if file.suffix not in SUFFIXES:
        raise BoardError(f"{file}: give a name that ends in {', '.join(SUFFIXES)} or .md")
    save_drawing(board, file)


def _list() -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("board", "what it is", "chip", "link", "parts"):
        table.add_column(heading, header_style="bold")
    for name in board_names():
        board = load_board(name)
        parts = ", ".join(part.name for part in board.all_parts)
        table.add_row(name, board.title, board.chip.title, board.link, parts)
    _console().print(table)


def _show(board: Board) -> None:
    from rich.markup import escape
    from rich.table import Table

    console = _console()
    console.print(f"[bold]{escape(board.title)}[/]  {board.chip.title}, {board.link}\n")
    table = Table(box=None, pad_edge=False)
    for heading in ("part", "its pin", "wire", "board pin", "volts"):
        table.add_column(heading, header_style="bold", no_wrap=True)
    last = None
    for wire in wires(board):
        if last not in (None, wire.part):
            table.add_row()
        name = wire.part if last != wire.part else ""
        table.add_row(name, wire.signal, wire.colour, wire.target, f"{wire.volts:g}")
        last = wire.part
    console.print(table)
    console.print()
    for part in board.all_parts:
        if not part.onboard:
            console.print(f"[bold]{part.name}[/]: {escape(' '.join(hints(board, part)))}")
    console.print()
    for note in notes(board):
        console.print(escape(note))


def _console() -> Console:
    try:
        from rich.console import Console
    except ImportError:
        raise DreampodsError("tables need rich: pip install 'dreampods[console]'") from None
    console = Console(highlight=False)
    return (
        console
        if console.width >= _NEVER_NARROWER
        else Console(highlight=False, width=_NEVER_NARROWER)
    )
