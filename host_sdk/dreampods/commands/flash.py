"""`dreampods list`, `flash`, `erase`, `provision`, `label`, `image`: boards on USB, what is put on them."""

from __future__ import annotations

import argparse
import datetime
import getpass
import json
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreampods.errors import DreampodsError, FlashError

from .arguments import INTERRUPTED, Commands, path
from .fleet import add_fleet_option, load_fleet

if TYPE_CHECKING:
    from dreampods.flashing import Port, Seen

_MOST_AT_ONCE = 64
_PORT_HELP = (
    "a port (/dev/ttyACM0), or where it is plugged in (1-1.4), as `dreampods list` shows them"
)
_LONGEST_SSID = 32
_LEAST_PASSWORD, _MOST_PASSWORD = 8, 63  # of WPA2
_COLUMNS = ("port", "USB path", "uid", "board", "firmware", "slot", "state")
_WIDTH_WITHOUT_TERMINAL = 160


def add_to(commands: Commands) -> None:
    """Add the commands for boards."""
    listing = commands.add_parser("list", help="show the boards that are plugged in")
    listing.add_argument("ports", nargs="*", metavar="PORT", help="only these")
    listing.add_argument("--json", action="store_true", help="for programs")
    listing.set_defaults(command=_list)
    _add_flash(commands)
    _add_erase(commands)
    _add_provision(commands)

    label = commands.add_parser("label", help="draw the label to be printed for a pod")
    label.add_argument("pod", metavar="PORT|UID", help="a port, or the uid of a pod of the fleet")
    label.add_argument(
        "--out", type=path, required=True, metavar="FILE", help="an .svg, .png or .pdf"
    )
    add_fleet_option(label)
    label.set_defaults(command=_label)

    image = commands.add_parser(
        "image", help="write a board's file system as a file, for BOOTSEL or esptool"
    )
    image.add_argument("board", metavar="BOARD", help="`dreampods boards` lists the names")
    image.add_argument("--out", type=path, required=True, metavar="FILE", help="a .uf2 or .bin")
    image.add_argument(
        "--micropython",
        type=path,
        metavar="FILE.uf2",
        help="MicroPython, to stand in the same .uf2",
    )
    image.set_defaults(command=_image)


def _add_flash(commands: Commands) -> None:
    flash = commands.add_parser(
        "flash",
        help="put the firmware on boards",
        description="Put the firmware on boards that are blank or ours already. Only what differs is"
        " written, and read back. What is broken off is gone on with by the same command. Boards with"
        " somebody else's files are left alone.",
    )
    flash.add_argument("ports", nargs="*", metavar="PORT", help=_PORT_HELP)
    flash.add_argument("--all", action="store_true", help="all boards that are blank or ours")
    flash.add_argument(
        "-j", type=_at_once, default=8, metavar="N", help="so many at a time (default: 8)"
    )
    flash.add_argument(
        "--board", default="", metavar="NAME", help="what board it is, if not as it says"
    )
    flash.add_argument("--dry-run", action="store_true", help="only say what would be done")
    flash.add_argument("--json", type=path, metavar="FILE", help="a report for programs")
    flash.add_argument(
        "--log", type=path, metavar="FILE", help="each step, with its time; appended"
    )
    flash.add_argument(
        "--micropython",
        type=path,
        metavar="FILE",
        help="first put MicroPython on it: a .uf2 on an RP2 in BOOTSEL (PORT is then its drive, if there"
        " are several), a .bin on an ESP32-S3",
    )
    flash.set_defaults(command=_flash)


def _add_erase(commands: Commands) -> None:
    erase = commands.add_parser(
        "erase", help="remove our firmware from a board; MicroPython and who it is stay"
    )
    erase.add_argument("port", metavar="PORT", help=_PORT_HELP)
    erase.add_argument(
        "--provision",
        action="store_true",
        help="also remove who it is, its keys and its calibration",
    )
    erase.add_argument("--yes", action="store_true", help="do not ask")
    erase.set_defaults(command=_erase)


def _add_provision(commands: Commands) -> None:
    provision = commands.add_parser(
        "provision",
        help="tell a board who it is, once",
        description="Write name, serial number, calibration, keys and certificate to a board. It is done"
        " once; flashing and updates do not touch it.",
    )
    provision.add_argument("port", metavar="PORT", help=_PORT_HELP)
    provision.add_argument("--name", required=True, metavar="N", help="as in pod-3")
    provision.add_argument("--serial", required=True, metavar="S", help="its serial number")
    provision.add_argument(
        "--hardware", required=True, metavar="REV", help="its hardware revision"
    )
    provision.add_argument(
        "--full-scale-dba",
        type=float,
        metavar="X",
        help="level of full scale at the ear, measured",
    )
    provision.add_argument("--calibrated", metavar="DATE", help="when: 2026-03-31")
    provision.add_argument(
        "--rig", default=platform.node(), help="where (default: this computer's name)"
    )
    provision.add_argument(
        "--wifi",
        metavar="SSID",
        help="its network; the password is asked for, or is a line of the input",
    )
    provision.add_argument(
        "--again",
        action="store_true",
        help="even if it is somebody already; what is not given is kept",
    )
    add_fleet_option(provision)
    provision.set_defaults(command=_provision)


def _at_once(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_AT_ONCE:
        raise argparse.ArgumentTypeError(f"{text!r}: give 1 to {_MOST_AT_ONCE}")
    return int(text)


def _list(options: argparse.Namespace) -> None:
    from dreampods.flashing.finding import distinct, find_ports, named_port
    from dreampods.flashing.jobs import look_at_all

    ports = distinct(map(named_port, options.ports)) if options.ports else find_ports()
    rows = [_row(seen) for seen in look_at_all(ports)]
    _show(options, rows + ([] if options.ports else _beside()))
    if options.ports and any(row["state"] == "absent" for row in rows):
        raise SystemExit(1)  # the table has said which


def _beside() -> list[dict[str, Any]]:
    """What is plugged in and no pod, or not yet."""
    from dreampods.flashing.drives import find_drives
    from dreampods.flashing.finding import other_ports

    drives = [
        {
            "port": str(drive.folder),
            "USB path": drive.location,
            "board": drive.chip,
            "state": "bootloader",
            "note": f"`dreampods flash --micropython FILE.uf2 {drive.folder}`",
        }
        for drive in find_drives()
    ]
    others = [
        {
            "port": port.path,
            "USB path": port.location,
            "state": "other",
            "note": "not known to run MicroPython; not asked. Name it if it is a pod",
        }
        for port in other_ports()
    ]
    return drives + others


def _show(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    if not rows:
        print("nothing is plugged in; `dreampods sim 8 --blank` makes virtual boards")
        return
    try:
        from rich.console import Console
        from rich.table import Column, Table
    except ImportError:
        raise DreampodsError("tables need rich: pip install 'dreampods[console]'") from None
    # What does not fit is folded, not cut off
    columns = (Column(heading, overflow="fold") for heading in _COLUMNS)
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        state = f"{row['state']}: {row['note']}" if row.get("note") else row["state"]
        table.add_row(*(str(row.get(column, "")) for column in _COLUMNS[:-1]), state)
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH_WITHOUT_TERMINAL)
    console.print(table, markup=False)


def _row(seen: Seen) -> dict[str, Any]:
    note = seen.note.removeprefix(seen.port.path + ": ")
    return {
        "port": seen.port.path,
        "USB path": seen.port.location,
        "uid": seen.uid,
        "name": seen.name,
        "board": seen.board,
        "firmware": seen.firmware,
        "slot": seen.slot,
        "image": seen.image,
        "state": seen.state,
        "note": note,
    }


def _flash(options: argparse.Namespace) -> None:
    from dreampods.flashing.flash import Job
    from dreampods.flashing.jobs import Log, flash_all, write_report
    from dreampods.flashing.view import View

    with Log(options.log) as log:
        boards = _boards_to_flash(options)
        job = Job(board=options.board, dry_run=options.dry_run)
        if options.board:
            job.images.of(options.board)  # a wrong name is told before any board is touched
        try:
            with View([port for port, _ in boards]) as view:
                outcomes = flash_all(
                    boards, job, options.j, log, view.say, view.progress, view.done
                )
        except KeyboardInterrupt:
            print("stopped; the same command goes on from here", file=sys.stderr)
            raise SystemExit(INTERRUPTED) from None
    if options.json:
        write_report(options.json, outcomes)
    failed = [outcome for outcome in outcomes if not outcome.ok]
    if failed:
        names = ", ".join(outcome.port for outcome in failed)
        raise FlashError(f"{len(failed)} of {len(outcomes)} boards not flashed: {names}")
    trouble = log.error or view.error
    if trouble:
        raise trouble


def _boards_to_flash(options: argparse.Namespace) -> list[tuple[Port, Seen | None]]:
    from dreampods.flashing.finding import distinct, find_ports, named_port
    from dreampods.flashing.jobs import look_at_all
    from dreampods.flashing.looking import FLASHABLE

    if options.micropython:
        if options.all:
            raise FlashError("--micropython goes with one board, not with --all")
        return [(_put_micropython(options), None)]
    if options.all == bool(options.ports):
        raise FlashError("say which boards: PORT…, or --all; `dreampods list` shows them")
    if options.ports:
        return [(port, None) for port in distinct(map(named_port, options.ports))]
    boards: list[tuple[Port, Seen | None]] = []
    for seen in look_at_all(find_ports()):
        if seen.state in FLASHABLE:
            boards.append((seen.port, seen))
        else:
            note = seen.note.removeprefix(seen.port.path + ": ")
            print(f"{seen.port.path}  left alone: {seen.state}: {note}")
    if not boards:
        raise FlashError("no board that is blank or ours; `dreampods list` shows what is there")
    return boards


def _put_micropython(options: argparse.Namespace) -> Port:
    """MicroPython onto one board without it, and the port it then has."""
    from dreampods.flashing import drives, esp, finding

    file: Path = options.micropython
    if options.dry_run:
        raise FlashError("--micropython cannot be tried without doing it; leave out --dry-run")
    if len(options.ports) > 1:
        raise FlashError("--micropython goes with one board at a time")
    named = options.ports[0] if options.ports else None
    if file.suffix == ".bin":
        if named is None:
            raise FlashError("say which port the ESP32-S3 is on: `dreampods list` shows them")
        port = finding.named_port(named)
        print(f"{port.path}  MicroPython, by esptool; about a minute", flush=True)
        esp.write_micropython(port.path, file)
        location, where = port.location, port.path
    else:
        drive = drives.choose_drive(drives.find_drives(), named)
        print(f"{drive.folder}  MicroPython", flush=True)
        drives.copy_uf2(file, drive)
        location, where = drive.location, str(drive.folder)
    if not location:
        raise FlashError(f"{where}: MicroPython is on it; go on with `dreampods flash PORT`")
    found = finding.find_at(location, within_s=30)
    if found is None:
        raise FlashError(
            f"{where}: took {file.name}, but MicroPython did not come up on USB socket {location};"
            " unplug the board, plug it in, and see `dreampods list`"
        )
    return found


def _erase(options: argparse.Namespace) -> None:
    from dreampods.flashing import named_port
    from dreampods.flashing.erase import erase

    port = named_port(options.port)
    if not options.yes:
        if not sys.stdin.isatty():
            raise FlashError("erasing needs somebody to ask, or --yes")
        what = "the firmware" + (" and who it is" if options.provision else "")
        try:
            answer = input(f"{port.path}: remove {what}? [y/N] ")
        except EOFError:
            print()
            answer = ""
        if answer.strip().lower() not in ("y", "yes"):
            raise FlashError("nothing was removed")
    count = erase(port, provisioning=options.provision)
    print(f"{port.path}  {count} files removed")


def _provision(options: argparse.Namespace) -> None:
    from dreampods.flashing import named_port
    from dreampods.flashing.provision import Calibration, Identity, provision

    if (options.full_scale_dba is None) != (options.calibrated is None):
        raise FlashError("a calibration is both: --full-scale-dba X --calibrated DATE")
    calibration = None
    if options.full_scale_dba is not None:
        calibration = Calibration(options.full_scale_dba, options.calibrated, options.rig)
    fleet = load_fleet(options)
    wifi = None if options.wifi is None else _wifi(options.wifi)
    identity = Identity(options.name, options.serial, options.hardware, calibration, wifi)
    port = named_port(options.port)
    record = provision(port, identity, fleet, again=options.again)
    print(
        f"{port.path}  is {record.name}, serial {record.serial}, uid {record.uid}; certificate until"
        f" {record.expires.astimezone(datetime.UTC):%Y-%m-%d}"
    )


def _wifi(ssid: str) -> tuple[str, str]:
    """The network's name and its password, which is asked for."""
    if not ssid.isprintable() or not 1 <= len(ssid.encode()) <= _LONGEST_SSID:
        raise FlashError(
            f"--wifi {ssid!r}: a network's name has 1 to {_LONGEST_SSID} bytes of letters and digits"
        )
    try:
        if sys.stdin.isatty():
            password = getpass.getpass(f"password of the network {ssid}: ")
        else:  # a script hands it in
            password = sys.stdin.readline().rstrip("\r\n")
    except EOFError:
        password = ""
    if not password:
        raise FlashError("the network's password is asked for; nobody answered")
    if not _LEAST_PASSWORD <= len(password) <= _MOST_PASSWORD:
        raise FlashError(
            f"a WPA2 password has {_LEAST_PASSWORD} to {_MOST_PASSWORD} characters, not {len(password)}"
        )
    if not password.isascii() or not password.isprintable():
        raise FlashError("a WPA2 password has letters, digits and signs of ASCII only")
    return ssid, password


def _label(options: argparse.Namespace) -> None:
    from dreampods.flashing.label import write_label
    from dreampods.flashing.provision import identity_of

    records = {}
    if options.fleet.is_dir():
        records = {
            pod.uid: {
                "uid": pod.uid,
                "name": pod.name,
                "serial": pod.serial,
                "hardware": pod.hardware,
            }
            for pod in load_fleet(options).pods()
        }
    record = records.get(options.pod.lower())
    if record is None and options.pod.isalnum():  # no path of a port, nor a place of one
        raise FlashError(
            f"{options.pod}: {options.fleet} has no pod of this uid; `dreampods fleet list` shows those it"
            " has, or name the port that the pod is plugged into"
        )
    record = record or identity_of(options.pod, records)
    write_label(record, options.out)
    print(f"{options.out}  {record.get('name', '')}")


def _image(options: argparse.Namespace) -> None:
    from dreampods.flashing.filesystem import write_filesystem

    print(write_filesystem(options.board, options.out, options.micropython))
