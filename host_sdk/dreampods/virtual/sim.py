"""`dreampods sim`: virtual pods for any program that can open a serial port, or a TLS connection."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

from dreampods.errors import LinkError

from .board import BOARD
from .processes import MOST_PODS
from .registry import Registration
from .supervisor import Supervisor

_TURN_S = 0.1


def simulate(
    count: int,
    folder: Path | None,
    recordings: Path | None,
    *,
    board: str = BOARD,
    blank: bool = False,
    renumber: bool = False,
) -> None:
    """Start `count` virtual pods, print one line for each, and keep them powered until interrupted.

    With `blank` they are boards with MicroPython and an empty flash, with `renumber` their ports get
    new names at each hard reset. Other programs find them by `registry.running`.

    Raises:
        LinkError, RecordingError: what is missing for it.
    """
    if not 1 <= count <= MOST_PODS:
        raise LinkError(f"{count} virtual pods: give a number from 1 to {MOST_PODS}")
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dreampods-")))
        supervisor = Supervisor(
            count, folder.resolve(), recordings, board=board, blank=blank, renumber=renumber
        )
        stack.callback(supervisor.close)
        registration = Registration()
        stack.callback(registration.end)
        registration.tell(supervisor.entries())
        for pod in supervisor.describe():
            print(f"{pod['name']}\t{pod['port']}\t{pod['folder']}", flush=True)
        if supervisor.network is not None:
            print(f"their keys: --fleet {supervisor.network.fleet}", file=sys.stderr, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                supervisor.watch(_TURN_S)
                registration.tell(supervisor.entries())
