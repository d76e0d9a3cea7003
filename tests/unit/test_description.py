"""A pod that cannot be used is refused in one line that says why."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest

from dreampods.fleet.description import what_is_wrong

BOARD = json.loads(
    (Path(__file__).parents[2] / "firmware" / "boards" / "virtual.json").read_text()
)
GOOD: dict[str, Any] = {
    "protocol": 1,
    "name": "pod-1",
    "boot_id": 7,
    "streams": BOARD["streams"],
    "sound": BOARD["sound"],
    "limits": BOARD["limits"],
}


def test_the_shipped_boards_are_good() -> None:
    for path in (Path(__file__).parents[2] / "firmware" / "boards").glob("*.json"):
        board = json.loads(path.read_text())
        assert (
            what_is_wrong(GOOD | {key: board[key] for key in ("streams", "sound", "limits")})
            is None
        )


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        (("protocol",), 99, "protocol 99"),
        (("name",), "", "called"),
        (("name",), "collective", "called"),
        (("boot_id",), 0, "boot_id"),
        (("streams",), 3, "not iterable"),
        (("streams", 0, "rate_hz"), 0, "rate"),
        (("streams", 0, "format"), "f32", "format"),
        (("streams", 0, "channels"), [], "channels"),
        (("streams", 0, "scale"), math.nan, "scale"),
        (("sound", "rate_hz"), 44100, "44100"),
        (("sound", "channels"), 0, "channels"),
        (("sound", "chunk_frames"), 0, "chunks"),
        (("sound", "chunk_frames"), 99999, "chunks"),
        (("limits", "full_scale_dba"), math.nan, "full_scale_dba"),
        (("limits", "hard_dba"), -400, "hard_dba"),
    ],
)
def test_what_cannot_work_is_refused(at: tuple[Any, ...], value: object, said: str) -> None:
    content = copy.deepcopy(GOOD)
    place: Any = content
    for key in at[:-1]:
        place = place[key]
    place[at[-1]] = value
    wrong = what_is_wrong(content)
    assert wrong is not None
    assert said in wrong
    assert "\n" not in wrong


@pytest.mark.parametrize("missing", sorted(GOOD))
def test_a_missing_part_is_refused(missing: str) -> None:
    assert what_is_wrong({key: value for key, value in GOOD.items() if key != missing})
