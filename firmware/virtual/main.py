"""Power-on of a virtual pod: the firmware, unmodified, on the port that stdin and stdout are."""

import sys

import micropython
from console import Console
from dreampod.pod import run

micropython.kbd_intr(-1)
try:
    run(Console(sys.stdin.buffer), Console(sys.stdout.buffer))
except Exception as error:
    # What MicroPython prints by itself goes to the port, where nobody expects it
    sys.print_exception(error, sys.stderr)
    sys.exit(1)
