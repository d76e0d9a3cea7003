"""The files of `provision/` on a pod, as `firmware/dreampod/provisioning.py` reads them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from dreampods.errors import FlashError
from dreampods.firmware.dreampod.provisioning import KEY_BYTES

FOLDER = "provision"


def provision_files(
    record: Mapping[str, Any], key: bytes, others: Mapping[str, bytes] | None = None
) -> dict[str, bytes]:
    """Content by path, in the order to write them: the sums of all come last.

    Args:
        record: uid, name, serial, hardware, calibration and what else `pod.json` shall hold.
        key: the pod's own, 32 bytes.
        others: certificates and the like, by the name they have in the folder.
    """
    if len(key) != KEY_BYTES:
        raise FlashError(
            f"the pod's key has {len(key)} bytes, not {KEY_BYTES}: enrol the pod again"
        )
    files = {"pod.json": json.dumps(dict(record)).encode(), "key": key, **(others or {})}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    files["sums.json"] = json.dumps(sums).encode()
    return {f"{FOLDER}/{name}": content for name, content in files.items()}
