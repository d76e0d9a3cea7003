"""What several commands take as arguments."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


INTERRUPTED = 130  # exit code after Ctrl-C


def path(text: str) -> Path:
    """A path that names something."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name; is a variable unset?")
    return Path(text)
