"""A pod that cannot be used is refused in one line that says why."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest

from dreampods.boards import board_names, load_board
from dreampods.firmware.dreampod import wire
from dreampods.fleet.description import what_is_wrong

BOARD = load_board("virtual").compiled()
GOOD: dict[str, Any] = {
    "protocol": wire.PROTOCOL,
    "name": "pod-1",
    "boot_id": 7,
    "parts": [{"name": "eeg", "driver": "ads1299", "fault": None}],
    "faults": [],
    "streams": [
        {
            "name": "eeg",
            "unit": "uV",
            "rate_hz": 250,
            "channels": ["eeg-1"],
            "format": "i24be",
            "scale": 0.02,
            "offset": 0.0,
        }
    ],
    "sound": BOARD["sound"] | {"codec": wire.CODEC_PCM16},
    "limits": BOARD["limits"],
}


def test_the_shipped_boards_are_good() -> None:
    for name in board_names():
        board = load_board(name).compiled()
        sound = board["sound"] | {"codec": wire.CODEC_PCM16}
        assert what_is_wrong(GOOD | {"sound": sound, "limits": board["limits"]}) is None


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
