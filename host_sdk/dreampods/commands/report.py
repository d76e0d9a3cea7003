"""`dreampods report`: the report of a session, written anew."""

from __future__ import annotations

import argparse

from dreampods.recording import write_report

from .arguments import Commands, path


def add_to(commands: Commands) -> None:
    """Add `report`."""
    report = commands.add_parser(
        "report",
        help="write the report of a session's folder anew, also of one that was cut short",
    )
    report.add_argument("folder", type=path, metavar="DIR", help="what --out of the session was")
    report.set_defaults(command=_report)


def _report(options: argparse.Namespace) -> None:
    print(write_report(options.folder))
