"""A whole pod over a long time on the real MicroPython, with the heap of a small chip: nothing grows.

Two minutes of the pod's time here, accelerated. `DREAMPODS_SOAK=1` (`make soak`) makes it an hour.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dreampods.boards import load_board
from dreampods.errors import LinkError
from dreampods.firmware.dreampod import wire
from dreampods.image import architecture, build_image, littlefs
from dreampods.image.littlefs import BLOCK_BYTES
from dreampods.recordings import load_sleepers, write_tape
from dreampods.virtual.supervisor import HEAP, find_micropython

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
SCRIPT = ROOT / "tests" / "firmware_on_micropython" / "hour.py"
BOARD = "virtual"
SOAK = bool(os.environ.get("DREAMPODS_SOAK"))
MINUTES = 60 if SOAK else 2
ROM_KIB = 128  # of a virtual pod, see its supervisor
HEAP_KIB = int(HEAP.removesuffix("k"))
LARGER_KIB = HEAP_KIB + 320  # with room for the virtual board and the script
FREE = f"import gc; print(gc.mem_free() - {ROM_KIB} * 1024)"  # as `firmware/virtual/power_on.py`
TICKS_START = (1 << 30) - 20_000_000  # so that two minutes see a wrap too
STREAMS = ("eeg", "pulse", "adc", "adc")  # the parts they come from


def lay_out(folder: Path, name: str = BOARD) -> int:
    """A virtual pod's folder as its supervisor makes it. Returns the blocks of its flash."""
    board = load_board(name)
    blocks = board.flash.bytes // BLOCK_BYTES
    files = build_image(name, architecture(BOARD)).files
    record = {"uid": "d700000000000001", "name": "pod-1"}
    provision = {"provision/pod.json": json.dumps(record).encode()}
    (folder / "flash.bin").write_bytes(littlefs({**files, **provision}, blocks))
    write_tape(load_sleepers(1, None)[0], folder / "tape")
    (folder / "wiring.json").write_text(json.dumps(board.compiled()))
    for told in ("faults.json", "buttons.json"):
        (folder / told).write_text("{}")
    settings = {
        "ppb": 37_713,
        "ticks_start": TICKS_START,
        "epoch_us": 0,
        "uid": "d7:00:00:00:00:00:00:01",
    }
    (folder / "crystal.json").write_text(json.dumps(settings))
    return blocks


pytestmark = pytest.mark.timeout(5000 if SOAK else 300)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the host in the script saw."""
    try:
        command = find_micropython()
    except LinkError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("pod")
    blocks = lay_out(folder)
    free = subprocess.run(
        [*command, "-X", f"heapsize={HEAP_KIB + ROM_KIB}k", "-c", FREE],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    larger = [*command, "-X", f"heapsize={LARGER_KIB}k", str(SCRIPT)]
    done = subprocess.run(
        [*larger, str(MINUTES), str(blocks), free],
        env=os.environ | {"MICROPYPATH": f"{FIRMWARE}/virtual:{FIRMWARE}:.frozen"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280 if not SOAK else 5000,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    print(lines[-1])
    seen: dict[str, Any] = json.loads(lines[-1])
    return seen


def test_the_heap_is_as_free_at_the_end_as_after_the_first_minute(told: dict[str, Any]) -> None:
    assert told["minutes"] == MINUTES
    assert told["free_last"] >= told["free_first"] > 0
    assert (told["garbage"], told["collections"]) == (0, 0)


def test_no_sample_is_lost_on_the_way_to_the_host(told: dict[str, Any]) -> None:
    seconds = told["minutes"] * 60
    rates = {part["name"]: part.get("rate_hz") for part in load_board(BOARD).compiled()["parts"]}
    for got, name in zip(told["samples"], STREAMS, strict=True):
        rate_hz = rates[name]
        # But for the first, while the host says hello. The chips' own clocks are no better than 0.1 %
        assert got > (seconds - 3) * rate_hz * 0.999, name
    for lost in ("missing", "sample_overflows", "corrupt", "bus_errors", "faults", "tx_dropped"):
        assert told[lost] == 0, lost


def test_the_sound_never_breaks_off(told: dict[str, Any]) -> None:
    sound = load_board(BOARD).compiled()["sound"]
    chunks = told["seconds"] * sound["rate_hz"] / sound["chunk_frames"]
    assert told["chunks"] > chunks * 0.99
    assert told["loudest"] > 100
    for wrong in ("late", "underruns", "i2s_slips", "rx_corrupt", "rx_skipped", "rx_out_of_order"):
        assert told[wrong] == 0, wrong


def test_every_cue_and_every_probe_is_answered_across_the_wrap(told: dict[str, Any]) -> None:
    assert told["wraps"] == 1 + (MINUTES * 60_000_000 - 20_000_000) // (1 << 30)
    assert told["replies"] > told["seconds"] * 6
    assert told["cues_sent"] + told["loop_cues"] - told["cues"] in (0, 1)
    assert told["cues_late"] == 0
    others = [count for kind, count in enumerate(told["events"]) if kind != wire.EVENT_CUE]
    assert not any(others)
