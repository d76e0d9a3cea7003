"""Prints the table of `firmware/README.md`: what a pod's work costs, and what is left of each board.

    python tests/bench/pod_cost.py

Nothing here was timed on a chip. MicroPython's unix port tells how many loop iterations (bytecode) and how
many samples of an oscillator (machine code) each piece is worth; an emulated RP2040 tells what those
two take there.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dreampods.virtual.supervisor import find_micropython

TESTS = Path(__file__).resolve().parents[1]
SCRIPTS = TESTS / "firmware_on_micropython"
FIRMWARE = TESTS.parent / "firmware"

# An emulated RP2040 at 125 MHz with MicroPython 1.28, cache misses not modelled: at least so long
LOOP_US = 3.1
VOICE_US = 0.73
CRC_US = 0.25
RP2040_HZ = 125e6
CHIPS = {"RP2040": 125e6, "RP2350": 150e6, "ESP32-S3": 240e6}

# What a pod of a room does: mono PCM16, five sensors, the closed loop; and what a cue adds while it sounds
LOAD = (
    "20 ms of sound: a stream, mono",
    "a chunk of 30 ms, PCM16, mono",
    "a clock probe answered",
    "an acknowledgement",
    "an EEG sample, 4 channels, interrupt",
    "a block of 10 EEG samples sent",
    "an EEG sample in the closed loop",
    "a second of pulse",
    "a second of adc",
    "a second of motion",
    "a second's statistics",
)
WITH_CUE = ("20 ms of sound: a stream and pink noise, mono", *LOAD[1:])
TURN = "a turn with nothing to do"


@dataclass(frozen=True)
class Piece:
    """A piece of work, in yardsticks."""

    name: str
    a_second: float
    loops: float
    voices: float
    crc_bytes: int
    bus_us: float

    def percent(self, chip_hz: float) -> float:
        """Of a chip, in a second with its share of this piece. A bus is as slow on any chip."""
        work_us = self.loops * LOOP_US + self.voices * VOICE_US + self.crc_bytes * CRC_US
        return self.a_second * (work_us * RP2040_HZ / chip_hz + self.bus_us) / 1e4


def measure() -> tuple[dict[str, float], list[Piece]]:
    """The yardsticks in nanoseconds on this computer, and the pieces."""
    done = subprocess.run(
        [*find_micropython(), "-X", "heapsize=2m", str(SCRIPTS / "cost.py")],
        env=os.environ | {"MICROPYPATH": f"{FIRMWARE}:{SCRIPTS}:.frozen"},
        capture_output=True,
        text=True,
        check=True,
    )
    yard, *rows = (json.loads(line) for line in done.stdout.splitlines())
    return yard, [_piece(row, yard) for row in rows]


def _piece(row: dict[str, Any], yard: dict[str, float]) -> Piece:
    return Piece(
        row["name"],
        row["a_second"],
        row["bytecode_ns"] / yard["loop_ns"],
        row["machine_ns"] / yard["voice_ns"],
        row["crc_bytes"],
        row["bus_us"],
    )


def table(pieces: list[Piece]) -> list[str]:
    """Markdown."""
    head = [
        "| piece | times/s | loops | voice samples | CRC bytes | bus µs | RP2040 % |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    return head + [
        f"| {piece.name} | {piece.a_second:.3g} | {piece.loops:.0f} | {piece.voices:.0f}"
        f" | {piece.crc_bytes} | {piece.bus_us:.0f} | {piece.percent(RP2040_HZ):.1f} |"
        for piece in pieces
    ]


def budget(pieces: list[Piece]) -> list[str]:
    """Markdown: the sum of the usual load on each chip, and how often the loop can turn beside it."""
    by_name = {piece.name: piece for piece in pieces}
    lines = [
        "| chip | clock | load | with a cue | left, with a cue | turns a second in that |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, hz in CHIPS.items():
        load, most = (sum(by_name[piece].percent(hz) for piece in of) for of in (LOAD, WITH_CUE))
        turns = (100 - most) / by_name[TURN].percent(hz) * by_name[TURN].a_second
        lines.append(
            f"| {name} | {hz / 1e6:.0f} MHz | {load:.0f} % | {most:.0f} % | {100 - most:.0f} %"
            f" | {min(turns, by_name[TURN].a_second):.0f} |"
        )
    return lines


def main() -> None:
    """Print."""
    yard, pieces = measure()
    print(
        f"loop {yard['loop_ns']:.1f} ns, voice {yard['voice_ns']:.2f} ns a sample,"
        f" CRC-32 {yard['crc_ns']:.2f} ns a byte on this computer\n"
    )
    print("\n".join([*table(pieces), "", *budget(pieces)]))


if __name__ == "__main__":
    main()
