"""`dreampods bundle`, `update`, `rollback`: firmware for running pods, signed, tried, and taken back."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING

from dreampods.errors import DreampodsError, FlashError

from .arguments import INTERRUPTED, Commands, path
from .fleet import add_fleet_option, load_fleet

if TYPE_CHECKING:
    from dreampods.image.rollout import Outcome


def add_to(commands: Commands) -> None:
    """Add `bundle`, `update` and `rollback`."""
    bundle = commands.add_parser(
        "bundle",
        help="make a signed update for a kind of board",
        description="Compile the firmware for BOARD and sign it with the fleet's key.",
    )
    bundle.add_argument("board", metavar="BOARD", help="`dreampods boards` lists the names")
    bundle.add_argument(
        "--out", type=path, required=True, metavar="FILE", help="where to write it"
    )
    add_fleet_option(bundle)
    bundle.set_defaults(command=_bundle)

    update = commands.add_parser(
        "update",
        help="bring a bundle to running pods",
        description="Bring a signed bundle to running pods, all at once. A pod keeps its firmware until"
        " the other is there and whole, tries it, and goes back by itself if it does not run well.",
    )
    update.add_argument("bundle", type=path, metavar="BUNDLE", help="what `dreampods bundle` made")
    _add_ports(update)
    add_fleet_option(update)
    update.set_defaults(command=_update)

    rollback = commands.add_parser(
        "rollback", help="have pods go back to the firmware they had before the last update"
    )
    _add_ports(rollback)
    add_fleet_option(rollback)
    rollback.set_defaults(command=_rollback)


def _add_ports(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "ports",
        nargs="+",
        metavar="PORT",
        help="as `dreampods list` shows them, or tcp://NAME.local",
    )
    parser.add_argument("--json", type=path, metavar="FILE", help="a report for programs")


def _bundle(options: argparse.Namespace) -> None:
    from dreampods.image import architecture, build_image, write_bundle

    fleet = load_fleet(options)
    image = build_image(options.board, architecture(options.board))
    write_bundle(image, fleet.signing_key, options.out)
    about = json.loads(image.manifest)
    print(f"{options.out}: {about['version']}, release {about['serial']}, for {options.board}")


def _update(options: argparse.Namespace) -> None:
    fleet = load_fleet(options)
    from dreampods.image import read_bundle
    from dreampods.image.rollout import update_all

    bundle = read_bundle(options.bundle, fleet.signing_key.public_key())
    keys = {record.uid: record.key for record in fleet.pods()}
    ports = _distinct(options.ports)
    with _View(ports) as view:
        outcomes = _hold(update_all(ports, bundle, keys, view.tell, options.fleet))
    _end(outcomes, options.json)


def _rollback(options: argparse.Namespace) -> None:
    from dreampods.image.rollout import roll_back_all

    ports = _distinct(options.ports)
    with _View(ports) as view:
        outcomes = _hold(roll_back_all(ports, view.tell, options.fleet))
    _end(outcomes, options.json)


def _distinct(ports: list[str]) -> list[str]:
    """Each port once, in their order, whichever of its paths it is called by."""
    once: dict[str, str] = {}
    for port in ports:
        once.setdefault(port if "://" in port else str(Path(port).resolve()), port)
    return list(once.values())


def _hold(work: Coroutine[None, None, list[Outcome]]) -> list[Outcome]:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        print(
            "stopped; each pod has a whole firmware, and the same command goes on from here",
            file=sys.stderr,
        )
        raise SystemExit(INTERRUPTED) from None


def _end(outcomes: list[Outcome], report: Path | None) -> None:
    """Say what came of each pod. Exit code 1 if any failed."""
    for outcome in outcomes:
        if outcome.error:
            print(outcome.error, file=sys.stderr)
        else:
            print(
                f"{outcome.port}  {outcome.name}  {outcome.result}: release {outcome.release}"
                f" in slot {outcome.slot}, {outcome.seconds:.1f} s"
            )
    if report:
        try:
            report.parent.mkdir(parents=True, exist_ok=True)
            pods = [outcome.as_json() for outcome in outcomes]
            report.write_text(json.dumps({"pods": pods}, indent=2) + "\n")
        except OSError as error:
            raise FlashError(f"{report}: cannot be written ({error.strerror})") from None
    if any(outcome.error for outcome in outcomes):
        raise SystemExit(1)


class _View:
    """A bar for each pod while there is a terminal."""

    def __init__(self, ports: list[str]) -> None:
        try:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
        except ImportError:
            raise DreampodsError("progress needs rich: pip install 'dreampods[console]'") from None
        console = Console()
        self._progress = Progress(
            TextColumn("{task.fields[port]}", markup=False),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks = {
            port: self._progress.add_task("opening", total=None, port=port) for port in ports
        }

    def __enter__(self) -> _View:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, port: str, what: str, sent: int, total: int) -> None:
        """What a pod is at."""
        if total:
            self._progress.update(self._tasks[port], completed=sent, total=total)
        self._progress.update(self._tasks[port], description=what)
