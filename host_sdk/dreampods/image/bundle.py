"""A signed bundle: one firmware for one kind of board, in a file that cannot be changed unnoticed.

A zip with the manifest, the fleet's Ed25519 signature of it, and the files it names. The zip is stored
and without dates, so that the same firmware and key make the same bytes; reading makes it again from what
was read and compares, and so finds a changed bit even where no signature reaches.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreampods.errors import FlashError
from dreampods.files import replacing
from dreampods.firmware.dreampod.slots import read_manifest

from .build import Image

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

_MANIFEST = "manifest.json"
_SIGNATURE = "manifest.sig"
_MOST_BYTES = 8 << 20  # more than any board of ours can hold
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Bundle:
    """What was signed, and the files it speaks of."""

    manifest: bytes
    files: dict[str, bytes]

    @property
    def about(self) -> dict[str, Any]:
        """The manifest as a table: version, serial, board, arch, files."""
        content: dict[str, Any] = json.loads(self.manifest)
        return content

    @property
    def digest(self) -> str:
        """The same short name as the image's it was made from."""
        return hashlib.sha256(self.manifest).hexdigest()[:16]


def write_bundle(image: Image, signing_key: Ed25519PrivateKey, path: Path) -> None:
    """Sign an image and write it to `path`, whole or not at all.

    Raises:
        FlashError: it cannot be written there.
    """
    content = _zipped(image.manifest, signing_key.sign(image.manifest), image.slot_files)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write_bytes(content)
    except OSError as error:
        raise FlashError(f"{path}: cannot be written ({error.strerror})") from None


def read_bundle(path: Path, verify_key: Ed25519PublicKey) -> Bundle:
    """Read a bundle and check all of it.

    Raises:
        FlashError: it is no bundle, is damaged, or another fleet's.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)  # not all: it may be a disk image, or have no end
    except OSError as error:
        raise FlashError(f"{path}: cannot be read ({error.strerror})") from None
    if not 0 < len(raw) <= _MOST_BYTES:
        raise FlashError(f"{path}: not a bundle; make one with `dreampods bundle`")
    try:
        return _checked(raw, verify_key)
    except FlashError as error:
        raise FlashError(f"{path}: {error}") from None


def _checked(raw: bytes, verify_key: Ed25519PublicKey) -> Bundle:
    from cryptography.exceptions import InvalidSignature

    damaged = "copy it again or make it anew with `dreampods bundle`"
    content = _unzipped(raw)
    manifest, signature = content.pop(_MANIFEST, None), content.pop(_SIGNATURE, None)
    if manifest is None or signature is None:
        raise FlashError(
            "not a bundle, it has no signed manifest; make one with `dreampods bundle`"
        )
    try:
        verify_key.verify(signature, manifest)
    except InvalidSignature:
        raise FlashError(
            "not signed with this fleet's key: it is another fleet's, or was changed since;"
            f" check --fleet, or {damaged}"
        ) from None
    try:
        named = {name: (size, sha) for name, size, sha in read_manifest(manifest)["files"]}
    except ValueError:
        raise FlashError(f"its manifest cannot be read; {damaged}") from None
    for name in sorted(named.keys() ^ content.keys()):
        what = "is missing" if name in named else "does not belong into it"
        raise FlashError(f"{name} {what}; {damaged}")
    for name, data in content.items():
        if (len(data), hashlib.sha256(data).hexdigest()) != named[name]:
            raise FlashError(f"{name} is not what was signed; {damaged}")
    if _zipped(manifest, signature, content) != raw:
        raise FlashError(f"damaged, though no file in it; {damaged}")
    return Bundle(manifest, content)


def _zipped(manifest: bytes, signature: bytes, files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in [
            (_MANIFEST, manifest),
            (_SIGNATURE, signature),
            *sorted(files.items()),
        ]:
            entry = zipfile.ZipInfo(name, _ZIP_EPOCH)
            entry.create_system = 3  # else the bytes would tell on which system it was made
            archive.writestr(entry, data)
    return out.getvalue()


def _unzipped(raw: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > len(raw):
                raise FlashError("damaged: it promises more than it holds")  # or a zip bomb
            return {entry.filename: archive.read(entry) for entry in entries}
    except FlashError:
        raise
    # zipfile raises nearly anything for a file that only looks like a zip
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FlashError(f"not a bundle, or cut off: {reason}") from None
