"""`dreampods sim`: virtual pods for any program that can open a serial port."""

from __future__ import annotations

import argparse

from dreampods.virtual import BOARD, MOST_PODS, VIRTUAL_BOARDS
from dreampods.virtual.sim import simulate

from .arguments import Commands, path


def add_to(commands: Commands) -> None:
    """Add `sim`."""
    sim = commands.add_parser(
        "sim",
        help="start virtual pods",
        description="Start N virtual pods and print their ports, for any program to open. Ctrl-C ends them.",
    )
    sim.add_argument("count", type=int, metavar="N", help=f"how many, 1 to {MOST_PODS}")
    sim.add_argument(
        "--out", type=path, metavar="DIR", help="where they keep their files (default: temporary)"
    )
    sim.add_argument("--recordings", type=path, metavar="DIR", help="what their sleepers play")
    sim.add_argument(
        "--board",
        default=BOARD,
        choices=VIRTUAL_BOARDS,
        help=f"what they are: {BOARD} (default), one with every part there is, or one on the network",
    )
    sim.add_argument(
        "--blank",
        action="store_true",
        help="boards with MicroPython and nothing else, to be flashed",
    )
    sim.add_argument(
        "--renumber",
        action="store_true",
        help="give a board's port a new name at each hard reset, as USB may",
    )
    sim.set_defaults(command=_sim)


def _sim(options: argparse.Namespace) -> None:
    simulate(
        options.count,
        options.out,
        options.recordings,
        board=options.board,
        blank=options.blank,
        renumber=options.renumber,
    )
