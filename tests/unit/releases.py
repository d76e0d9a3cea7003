"""Releases of the firmware to update from and to, and the pod that gets them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from dreampods.image import Bundle, provision_files

UID = "d700000000000001"
KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))

_SOME = (
    "board.json",
    "dreampod/__init__.mpy",
    "dreampod/_fast.mpy",
    "dreampod/clock.mpy",
    "dreampod/link.mpy",
    "dreampod/pod.mpy",
    "dreampod/slots.mpy",
    "dreampod/update.mpy",
    "dreampod/wire.mpy",
    "dreampod/drivers/__init__.mpy",
    "dreampod/drivers/ads1299.mpy",
    "dreampod/drivers/part.mpy",
)


def some_of(files: dict[str, bytes]) -> dict[str, bytes]:
    """A firmware too small to run, but with everything an update meets: folders, small and large files."""
    return {name: files[name] for name in _SOME}


def as_release(
    files: dict[str, bytes], serial: int, board: str = "virtual", arch: str = "x64"
) -> Bundle:
    """Like a later release: some files as before, some changed, one that no other has."""
    changed = {
        name: content if number % 3 == 0 else content + bytes((serial,))
        for number, (name, content) in enumerate(sorted(files.items()))
    }
    changed[f"dreampod/only_in_{serial}.mpy"] = bytes((serial,)) * 700
    manifest = {
        "version": f"0.{serial}.0",
        "serial": serial,
        "board": board,
        "arch": arch,
        "files": [
            [name, len(content), hashlib.sha256(content).hexdigest()]
            for name, content in sorted(changed.items())
        ],
    }
    return Bundle(json.dumps(manifest).encode(), changed)


def write_slot(root: Path, slot: str, release: Bundle) -> None:
    """Put a release into a slot, as flashing does."""
    for name, content in {**release.files, "manifest.json": release.manifest}.items():
        path = root / slot / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def provision() -> dict[str, bytes]:
    """What makes it this pod."""
    record = {"uid": UID, "name": "pod-1", "serial": "A1", "hardware": "r1", "calibration": {}}
    return provision_files(record, KEY, {"certificate.der": bytes(600)})
