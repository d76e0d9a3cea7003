"""Files as a littlefs file system: what the flash of a board holds, byte for byte."""

from __future__ import annotations

from pathlib import PurePosixPath

from dreampods.errors import FlashError

BLOCK_BYTES = 4096  # one erase sector of every flash we know
_PROGRAM_BYTES = 256

# MicroPython on the ESP32 reads with a cache of 128 bytes, and a file kept inside its directory entry
# must fit into that. Other writers' larger ones are read cut off, without an error.
_INLINE_BYTES = 128


def littlefs(files: dict[str, bytes], block_count: int) -> bytes:
    """A file system of `block_count` blocks of 4096 bytes, mounted by MicroPython's `VfsLfs2`.

    Args:
        files: content by path; folders are made as the paths need them.

    Raises:
        FlashError: littlefs-python is not installed, or the files do not fit.
    """
    try:
        from littlefs import LittleFS, LittleFSError
    except ImportError:
        raise FlashError(
            "building a file system needs littlefs-python: pip install 'dreampods[flash]'"
        ) from None
    try:
        system = LittleFS(
            block_size=BLOCK_BYTES,
            block_count=block_count,
            read_size=_PROGRAM_BYTES,
            prog_size=_PROGRAM_BYTES,
            cache_size=4 * _PROGRAM_BYTES,
            inline_max=_INLINE_BYTES,
        )
        for path, content in files.items():
            for folder in reversed(PurePosixPath(path).parents[:-1]):
                system.makedirs(folder.as_posix(), exist_ok=True)
            with system.open(path, "wb") as file:
                file.write(content)
    except LittleFSError as error:
        size = sum(map(len, files.values()))
        raise FlashError(
            f"{len(files)} files of {size} bytes do not fit into a flash of"
            f" {block_count * BLOCK_BYTES} bytes ({error})"
        ) from None
    return bytes(system.context.buffer)
