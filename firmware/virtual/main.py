"""Power-on of a virtual pod: the firmware, unmodified, on the port that stdin and stdout are."""

import sys

import micropython
from console import Console

from dreampod.pod import run

micropython.kbd_intr(-1)
console = Console(sys.stdin.buffer)
console_out = Console(sys.stdout.buffer)
run(console, console_out)
