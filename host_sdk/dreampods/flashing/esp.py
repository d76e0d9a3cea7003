"""MicroPython onto an ESP32-S3, by Espressif's own esptool.

As a process of its own: inside ours it would keep the port open. It has not been tried on a chip.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dreampods.errors import FlashError

CHIP = "esp32s3"
_OFFSET = "0x0"  # of MicroPython's .bin for the S3, which begins with the bootloader
_WITHIN_S = 300


def command(port: str, file: Path) -> list[str]:
    """What is run to write `file`; esptool checks what it has written by itself."""
    return [
        *(sys.executable, "-m", "esptool", "--chip", CHIP, "--port", port),
        *("--before", "default-reset", "--after", "hard-reset"),
        *("write-flash", "--erase-all", _OFFSET, str(file)),
    ]


def write_micropython(port: str, file: Path) -> None:
    """Erase the chip on `port` and write MicroPython's .bin.

    Raises:
        FlashError: no such file, esptool is not installed, or what it said.
    """
    if not file.is_file():
        raise FlashError(f"{file}: no such file; micropython.org has it, for the ESP32_GENERIC_S3")
    try:
        done = subprocess.run(
            command(port, file), capture_output=True, text=True, timeout=_WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise FlashError(
            f"{port}: esptool was not done within {_WITHIN_S} s; hold BOOT, press RESET, and try again"
        ) from None
    if done.returncode:
        raise FlashError(f"{port}: {_reason(done.stdout + done.stderr)}")


def _reason(said: str) -> str:
    """The one line of esptool's that matters."""
    if "No module named esptool" in said:
        return "an ESP32-S3 needs esptool: pip install 'dreampods[flash]'"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    fatal = [line for line in lines if "error" in line.lower()]
    line = (fatal or lines or ["esptool gave no reason"])[0]
    hint = (
        "; hold BOOT, press RESET, release BOOT, and try again"
        if "connect" in line.lower()
        else ""
    )
    return f"esptool: {line.rstrip('.')}{hint}"
