"""Which virtual boards are running on this computer, so that other programs find their ports.

A process that keeps boards writes one JSON file; it is removed in the end, and one whose process is
gone is not believed.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Entry:
    """A board with power; `location` is to a virtual board what the USB path is to a real one."""

    name: str
    port: str
    uid: str
    folder: str
    location: str


def _folder() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return Path(runtime) / "dreampods"
    return Path(tempfile.gettempdir()) / f"dreampods-{os.getuid()}"


class Registration:
    """The boards of this process, as others see them."""

    def __init__(self) -> None:
        self._file = _folder() / f"virtual-{os.getpid()}.json"
        self._entries: list[Entry] = []

    def tell(self, entries: Sequence[Entry]) -> None:
        """These are the boards now. OSError where the folder cannot be written."""
        if list(entries) == self._entries:
            return
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps([asdict(entry) for entry in entries]))
        new.replace(self._file)
        self._entries = list(entries)

    def end(self) -> None:
        """There are none any more."""
        self._file.unlink(missing_ok=True)


def running() -> list[Entry]:
    """All virtual boards that have power, of every process of this user."""
    found = []
    for file in sorted(_folder().glob("virtual-*.json")):
        with contextlib.suppress(OSError, ValueError, TypeError):  # not ours, or spoilt
            if _alive(int(file.stem.partition("-")[2])):
                found += [Entry(**entry) for entry in json.loads(file.read_text())]
            else:
                file.unlink(missing_ok=True)
    return found


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
