"""What is burnt into a virtual board. It mounts the flash, runs boot.py and main.py, ends at the prompt.

Run by MicroPython's unix port with -i, so that its own prompt follows, in the pod's folder on the PC:

    power_on.py ROM BLOCKS LINE RELAYED SAY ANSWER CAUSE [raw]

ROM is how many bytes of the heap are for the virtual board itself, BLOCKS the size of the flash; then
come descriptors of the port and of the power supply, and what `machine.reset_cause` is to tell. After a
soft reset from the raw prompt main.py is not run.
"""

import gc
import sys

import micropython

micropython.kbd_intr(-1)  # a Ctrl-C is for what runs from the flash, and for the prompt

free = gc.mem_free() - int(sys.argv[1])

from rom import power_on  # noqa: E402

power_on(*(int(word) for word in sys.argv[2:8]), free, run_main=len(sys.argv) < 9, names=globals())
