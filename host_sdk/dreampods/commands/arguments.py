"""What several commands take as arguments."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


INTERRUPTED = 130  # exit code after Ctrl-C


def endings() -> list[signal.Signals]:
    """The signals that end a command as Ctrl-C does; not one that is ignored, as SIGHUP is under nohup."""
    return [
        ending
        for ending in (signal.SIGTERM, signal.SIGHUP)  # also a terminal that is closed
        if signal.getsignal(ending) != signal.SIG_IGN
    ]


def path(text: str) -> Path:
    """A path that names something."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name; is a variable unset?")
    return Path(text)
