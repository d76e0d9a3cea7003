"""A board's whole file system as one file, for boards that are flashed in their boot ROM."""

from __future__ import annotations

from pathlib import Path

from dreampods.boards import load_board
from dreampods.errors import FlashError
from dreampods.files import replacing
from dreampods.image import architecture, build_image, littlefs
from dreampods.image.littlefs import BLOCK_BYTES

from .uf2 import FAMILIES, family_of, pack_blocks, read_uf2, write_uf2


def write_filesystem(board: str, out: Path, micropython: Path | None) -> str:
    """Write the file system of `board` to `out`; what was written, for people.

    Args:
        out: its ending says in which form: .uf2 for an RP2's boot ROM, .bin for esptool or picotool.
        micropython: a UF2 of MicroPython, to stand in the same file.

    Raises:
        BoardError, FlashError: it cannot be made or written.
    """
    data = load_board(board)
    base, size, chip = data.flash.base, data.flash.bytes, data.chip.name
    if out.suffix not in (".uf2", ".bin"):
        raise FlashError(f"{out}: call it .uf2 (for BOOTSEL) or .bin (for esptool and picotool)")
    if not size:
        raise FlashError(f"{board}: its data does not say where its file system is")
    image = build_image(board, architecture(board))
    content = littlefs(image.files, size // BLOCK_BYTES)
    if out.suffix == ".uf2":
        if chip not in FAMILIES:
            raise FlashError(f"{out}: only an RP2 takes UF2 files, {board} has none; write a .bin")
        content = write_uf2(content, base, FAMILIES[chip])
        if micropython:
            content = _with_micropython(micropython, content, base, chip)
    elif micropython:
        raise FlashError("--micropython goes with a .uf2 file only; a .bin holds one thing")
    try:
        with replacing(out) as file:
            file.write_bytes(content)
    except OSError as error:
        raise FlashError(f"{out}: cannot be written ({error.strerror})") from None
    return (
        f"{out}: {len(image.files)} files, image {image.digest}, at {base:#x} of {board}"
        " (what was on its file system will be gone, who it is included)"
    )


def _with_micropython(file: Path, filesystem: bytes, base: int, chip: str) -> bytes:
    """One UF2 file of both."""
    try:
        blocks = read_uf2(file.read_bytes(), str(file))
    except OSError as error:
        raise FlashError(f"{file}: cannot be read ({error.strerror})") from None
    if family_of(blocks, str(file)) != chip:
        raise FlashError(f"{file}: is not for the {chip}")
    program = [block for block in blocks if block.family == FAMILIES[chip]]
    if any(block.address + len(block.data) > base for block in program):
        raise FlashError(
            f"{file}: reaches into the file system at {base:#x}; is it another board's?"
        )
    return pack_blocks(program + read_uf2(filesystem, "the file system"))
