"""Power-on of a real board: this file lies at the root of its flash, beside board.json."""

import sys

import micropython
from dreampod.pod import run

# A byte 3 is data here. To get back to the prompt, connect while this file is renamed or missing.
micropython.kbd_intr(-1)
run(sys.stdin.buffer, sys.stdout.buffer)
