"""`dreampods selftest`: every part, bus, memory and wire of pods, a table for people, JSON for rigs."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dreampods.errors import DreampodsError

from .arguments import Commands, path
from .fleet import add_fleet_option

if TYPE_CHECKING:
    from rich.progress import TaskID

    from dreampods.testing import Outcome

_COLOURS = {"ok": "green", "failed": "red", "not fitted": "dim"}
_WIDTH_WITHOUT_TERMINAL = 200
_STDOUT = Path("-")


def add_to(commands: Commands) -> None:
    """Add `selftest`."""
    selftest = commands.add_parser(
        "selftest",
        help="test every part of pods",
        description="Test every part, every bus, memory, flash, clock and link of pods, all at once, and"
        " have each hear its own speaker. Nothing may play on them meanwhile. Exit code 0: all passed.",
    )
    selftest.add_argument(
        "ports",
        nargs="*",
        metavar="PORT",
        help="as `dreampods list` shows them, or tcp://NAME.local",
    )
    selftest.add_argument("--pods", metavar="PODS", help="virtual:3, or ports with commas between")
    selftest.add_argument(
        "--json", type=path, metavar="FILE", help="a report for programs; - for stdout"
    )
    add_fleet_option(selftest)
    selftest.set_defaults(command=_selftest)


def _selftest(options: argparse.Namespace) -> None:
    from dreampods.testing import selftest_all

    ports = list(options.ports)
    if options.pods:
        virtual = options.pods.startswith("virtual")
        ports += [options.pods] if virtual else filter(None, options.pods.split(","))
    if not ports:
        raise DreampodsError(
            "say which pods: PORT…, or --pods virtual:3; `dreampods list` shows the ports"
        )
    with _View(sys.stderr.isatty()) as view:
        outcomes = asyncio.run(selftest_all(list(dict.fromkeys(ports)), view.tell, options.fleet))
    if options.json:
        _write(options.json, outcomes)
    if options.json != _STDOUT:
        _show(outcomes)
    if not all(outcome.passed for outcome in outcomes):
        raise SystemExit(1)


def _write(file: Path, outcomes: list[Outcome]) -> None:
    report = {
        "passed": all(outcome.passed for outcome in outcomes),
        "pods": [outcome.as_json() for outcome in outcomes],
    }
    text = json.dumps(report, indent=2) + "\n"
    if file == _STDOUT:
        sys.stdout.write(text)
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    except OSError as error:
        raise DreampodsError(f"{file}: cannot be written ({error.strerror})") from None


def _show(outcomes: list[Outcome]) -> None:
    """A row for each item of each pod, and a line for all."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    columns = (Column(heading, overflow="fold") for heading in ("pod", "item", "result", "found"))
    table = Table(*columns, box=None, pad_edge=False)
    for outcome in outcomes:
        who = outcome.name or outcome.port
        for item in outcome.items:
            result = Text(item.status, style=_COLOURS[item.status])
            table.add_row(Text(who), Text(item.name), result, Text(item.text))
        if outcome.error:
            table.add_row(
                Text(who), Text("test"), Text("failed", style="red"), Text(outcome.error)
            )
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH_WITHOUT_TERMINAL)
    console.print(table)
    passed = sum(outcome.passed for outcome in outcomes)
    failed = [outcome.name or outcome.port for outcome in outcomes if not outcome.passed]
    line = f"{passed} of {len(outcomes)} pods passed"
    print(line + (f"; failed: {', '.join(failed)}" if failed else ""))


class _View:
    """What each pod is at, while there is a terminal."""

    def __init__(self, shown: bool) -> None:
        try:
            from rich.console import Console
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        except ImportError:
            raise DreampodsError("progress needs rich: pip install 'dreampods[console]'") from None
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[port]}", markup=False),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not shown,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _View:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, port: str, what: str) -> None:
        """What a pod is at."""
        if port not in self._tasks:
            self._tasks[port] = self._progress.add_task(what, total=None, port=port)
        self._progress.update(self._tasks[port], description=what)
