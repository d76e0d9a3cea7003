"""The power goes at any write of an update: the pod starts, old or new, and is still the same pod."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from releases import KEY, UID, as_release, provision, some_of

from dreampods.errors import LinkError
from dreampods.image import Bundle, UpdateSession, architecture, build_image
from dreampods.virtual.supervisor import find_micropython

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "firmware_on_micropython" / "power_cuts.py"
SOAK = "DREAMPODS_SOAK" in os.environ  # all files of the firmware, minutes instead of seconds


def payloads(bundle: Bundle) -> bytes:
    """All that the host sends to a pod that holds nothing of it, each behind its length."""
    session = UpdateSession(bundle, KEY)
    sent = session.next(1000)
    session.take({"update": "begin", "have": []})
    sent += session.next(100_000)
    return b"".join(len(payload).to_bytes(2, "little") + payload for payload in sent)


def test_a_power_cut_at_every_write_of_an_update_leaves_a_pod_that_starts(tmp_path: Path) -> None:
    try:
        command = find_micropython()
    except LinkError as error:
        pytest.skip(str(error))
    image = build_image("virtual", architecture("virtual"))
    files = image.slot_files if SOAK else some_of(image.slot_files)
    first, second, third, fourth = (as_release(files, serial) for serial in (1, 2, 3, 4))

    def keep(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        return name

    on_flash = {f"b/{name}": content for name, content in first.files.items()}
    on_flash |= {"b/manifest.json": first.manifest}
    on_flash |= {f"a/{name}": content for name, content in second.files.items()}
    on_flash |= {"a/manifest.json": second.manifest, **image.root_files}
    own = {path.partition("/")[2]: content for path, content in provision().items()}
    given = {
        "blocks": 212 if SOAK else 96,
        "files": [
            [path, keep(f"file-{number}", content)]
            for number, (path, content) in enumerate(on_flash.items())
        ],
        "provision": [keep(name, content) for name, content in own.items()],
        "third": keep("third", payloads(third)),
        "fourth": keep("fourth", payloads(fourth)),
    }
    keep("given.json", json.dumps(given).encode())
    assert json.loads(own["pod.json"])["uid"] == UID
    done = subprocess.run(
        [*command, "-X", "heapsize=8m", str(SCRIPT), str(tmp_path)],
        env=os.environ | {"MICROPYPATH": f"{ROOT / 'firmware'}:.frozen"},
        capture_output=True,
        text=True,
        timeout=3600 if SOAK else 280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("writes "), done.stdout
    words = done.stdout.split()
    counted = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    print(counted)
    assert counted["writes"] > 50
    assert counted["old"] + counted["new"] == 2 * counted["writes"]
    assert counted["old"] > counted["new"] > 0
