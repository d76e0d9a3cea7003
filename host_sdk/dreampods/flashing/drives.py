"""RP2 boards in their boot ROM: a USB drive that takes one UF2 file and is a board again.

Which drive is which board: the drive hangs on the same USB socket as the port will. So no drive is
written to that is not known to be the one that was meant.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from dreampods.errors import FlashError

from .uf2 import family_of, read_uf2

_INFO = "INFO_UF2.TXT"
_BOARD_IDS = {"RPI-RP2": "rp2040", "RP2350": "rp2350"}  # as the boot ROMs write into that file
_CHUNK_BYTES = 64 * 1024
_USB_PATH = re.compile(r"/usb\d+/(?:[\d.-]+/)*([\d.-]+)/[\d.-]+:\d+\.\d+/")
_GONE_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Drive:
    """A mounted drive of a boot ROM."""

    folder: Path
    device: str
    chip: str  # rp2040, rp2350
    location: str  # the USB socket; empty if it cannot be told


def find_drives(
    mounts: Path = Path("/proc/self/mounts"), blocks: Path = Path("/sys/class/block")
) -> list[Drive]:
    """The mounted drives of boards in BOOTSEL."""
    drives = []
    try:
        lines = mounts.read_text().splitlines()
    except OSError:  # no Linux
        return []
    for line in lines:
        device, folder, kind = line.split()[:3]
        if kind not in ("vfat", "msdos", "fuseblk"):
            continue
        place = Path(folder.replace(r"\040", " "))
        try:
            info = (place / _INFO).read_text(errors="replace")
        except OSError:
            continue
        found = re.search(r"^Board-ID:\s*(\S+)", info, re.MULTILINE)
        chip = _BOARD_IDS.get(found.group(1), "") if found else ""
        if chip:
            usb = _USB_PATH.search(str((blocks / Path(device).name).resolve()) + "/")
            drives.append(Drive(place, device, chip, usb.group(1) if usb else ""))
    return drives


def choose_drive(drives: list[Drive], named: str | None) -> Drive:
    """The drive that is meant: the named one (folder, device or USB socket), or the only one.

    Raises:
        FlashError: none, or several and none named.
    """
    if named:
        for drive in drives:
            if named.rstrip("/") in (str(drive.folder), drive.device, drive.location):
                return drive
        raise FlashError(
            f"{named}: no board in BOOTSEL there; hold BOOTSEL while you plug it in, and mount its drive"
        )
    if not drives:
        raise FlashError(
            "no board in BOOTSEL; hold BOOTSEL while you plug it in, and mount its drive"
        )
    if len(drives) > 1:
        names = ", ".join(f"{drive.folder} ({drive.location or drive.device})" for drive in drives)
        raise FlashError(f"several boards in BOOTSEL, name one: {names}")
    return drives[0]


def copy_uf2(file: Path, drive: Drive) -> None:
    """Give the UF2 file to the board; it starts what was in it.

    Raises:
        FlashError: not a UF2 file for this chip, or the drive does not take it.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise FlashError(f"{file}: cannot be read ({error.strerror})") from None
    chip = family_of(read_uf2(content, str(file)), str(file))
    if chip != drive.chip:
        raise FlashError(
            f"{file}: is for the {chip}, the board at {drive.folder} is an {drive.chip}"
        )
    try:
        with (drive.folder / file.name).open("wb", buffering=0) as target:
            for at in range(0, len(content), _CHUNK_BYTES):
                target.write(content[at : at + _CHUNK_BYTES])
            # The board may go with the last block, before the system is done with the drive
            with contextlib.suppress(OSError):
                os.fsync(target.fileno())
    except OSError as error:
        if error.errno not in (errno.EIO, errno.ENODEV, errno.ENXIO) or not _gone(drive):
            raise FlashError(
                f"{drive.folder}: does not take {file.name} ({error.strerror}); plug the board in"
                " anew, holding BOOTSEL"
            ) from None


def _gone(drive: Drive) -> bool:
    until = time.monotonic() + _GONE_WITHIN_S
    while time.monotonic() < until:
        if not (drive.folder / _INFO).exists():
            return True
        time.sleep(0.2)
    return False
