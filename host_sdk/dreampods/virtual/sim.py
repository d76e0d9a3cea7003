"""`dreampods sim`: virtual pods for any program that can open a serial port."""

from __future__ import annotations

import contextlib
import signal
import tempfile
import time
from pathlib import Path

from dreampods.errors import LinkError

from .processes import MOST_PODS
from .supervisor import Supervisor

_LOOK_EVERY_S = 0.1


def simulate(count: int, folder: Path | None, recordings: Path | None) -> None:
    """Start `count` virtual pods, print one line for each, and keep them powered until interrupted.

    Raises:
        LinkError, RecordingError: what is missing for it.
    """
    if not 1 <= count <= MOST_PODS:
        raise LinkError(f"{count} virtual pods: give a number from 1 to {MOST_PODS}")
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dreampods-")))
        supervisor = Supervisor(count, folder.resolve(), recordings)
        stack.callback(supervisor.close)
        for unit in supervisor.units:
            print(f"{unit.name}\t{unit.port}\t{unit.folder}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(_LOOK_EVERY_S)
                supervisor.watch()
