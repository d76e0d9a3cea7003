"""Files that are there whole or not at all: a full disk or a Ctrl-C spoils none that was there before."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

_MODE = 0o644  # a temporary file is its owner's alone


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file, to be written in the block; if all goes well it then takes the place of `path`.

    Raises:
        OSError: it cannot be written there. Nothing is left of it, and `path` is as it was.
    """
    fd, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(fd)
    new = Path(name)
    try:
        yield new
        new.chmod(_MODE)
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
