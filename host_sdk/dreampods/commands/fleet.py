"""`dreampods fleet`: whose pods they are: make the fleet's keys, list its pods, renew what expires."""

from __future__ import annotations

import argparse
import datetime
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dreampods.errors import DreampodsError

from .arguments import Commands, path

if TYPE_CHECKING:
    from dreampods.registry import FleetFolder

_VARIABLE = "DREAMPODS_FLEET"
_WARN = datetime.timedelta(days=60)


def add_fleet_option(parser: argparse.ArgumentParser) -> None:
    """Add --fleet DIR to a command that needs the fleet's keys; see `load_fleet`."""
    parser.add_argument(
        "--fleet",
        type=path,
        default=Path(os.environ.get(_VARIABLE) or "fleet"),
        metavar="DIR",
        help=f"the fleet's folder (default: ${_VARIABLE}, or ./fleet)",
    )


def load_fleet(options: argparse.Namespace) -> FleetFolder:
    """The fleet that --fleet names.

    Raises:
        FleetError: there is none, or it is spoilt.
    """
    return _registry().load(options.fleet)


def add_to(commands: Commands) -> None:
    """Add `fleet`."""
    fleet = commands.add_parser(
        "fleet",
        help="make the fleet's keys, list its pods",
        description="The fleet's folder holds the keys that make a pod yours. Keep it to yourself,"
        " and keep a backup: without it no pod can be updated or commanded over the network.",
    )
    actions = fleet.add_subparsers(required=True, metavar="ACTION")

    init = actions.add_parser("init", help="make a fleet; nothing is overwritten")
    init.add_argument("folder", type=path, metavar="DIR", help="where; it must not exist yet")
    init.add_argument("--name", metavar="N", help="what it is called (default: as the folder)")
    init.set_defaults(command=_init)

    listing = actions.add_parser("list", help="the fleet's pods")
    add_fleet_option(listing)
    listing.add_argument("--json", action="store_true", help="for programs")
    listing.set_defaults(command=_list)

    renew = actions.add_parser(
        "renew", help="give the host a new certificate, for two years; pods need not be told"
    )
    add_fleet_option(renew)
    renew.set_defaults(command=_renew)


def _registry() -> type[FleetFolder]:
    try:
        from dreampods.registry import FleetFolder
    except ImportError:
        raise DreampodsError(
            "a fleet's keys need cryptography: pip install 'dreampods[flash]'"
        ) from None
    return FleetFolder


def _init(options: argparse.Namespace) -> None:
    name = options.name if options.name is not None else options.folder.resolve().name
    fleet = _registry().create(options.folder, name)
    print(f"fleet {fleet.name!r} made in {fleet.path}; keep a backup of it, and keep it secret")


def _renew(options: argparse.Namespace) -> None:
    fleet = _registry().load(options.fleet, host=False)
    fleet.renew()
    print(f"the host's certificate is good until {fleet.expires:%Y-%m-%d}")


def _list(options: argparse.Namespace) -> None:
    fleet = load_fleet(options)
    pods = fleet.pods()
    if options.json:
        content = {
            "fleet": fleet.name,
            "host_expires": fleet.expires.date().isoformat(),
            "pods": [
                {
                    "uid": pod.uid,
                    "name": pod.name,
                    "serial": pod.serial,
                    "hardware": pod.hardware,
                    "expires": pod.expires.date().isoformat(),
                }
                for pod in pods
            ],
        }
        print(json.dumps(content, indent=2))
        return
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        raise DreampodsError("tables need rich: pip install 'dreampods[console]'") from None
    table = Table(title=Text(f"fleet {fleet.name}"), title_justify="left")
    for column in ("name", "serial number", "hardware", "uid", "certificate until"):
        table.add_column(column, overflow="fold")
    for pod in pods:
        row = (pod.name, pod.serial, pod.hardware, pod.uid, f"{pod.expires:%Y-%m-%d}")
        table.add_row(*map(Text, row))
    if pods:
        Console().print(table)
    else:
        print(f"fleet {fleet.name!r} has no pods yet: dreampods provision")
    if fleet.expires - datetime.datetime.now(datetime.UTC) < _WARN:
        print(f"the host's certificate ends on {fleet.expires:%Y-%m-%d}: dreampods fleet renew")
