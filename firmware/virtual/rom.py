"""The steps of a board from power to its prompt: port, clock, flash, boot.py, main.py.

All that comes with the chip is imported here, while the PC's files can still be seen.
"""

import gc
import os
import select
import sys
import time

import console
import crystal
import machine
import pc
import timers
import vfs
import wiring
from flash import PROGRAM_BYTES, Flash

kept = []  # memory that nobody gets


def _mount(flash):
    """As `_boot.py` of the rp2 port: a flash on which no file system is found gets one."""
    try:
        files = vfs.VfsLfs2(flash, progsize=PROGRAM_BYTES)
    except OSError:
        vfs.VfsLfs2.mkfs(flash, progsize=PROGRAM_BYTES)
        files = vfs.VfsLfs2(flash, progsize=PROGRAM_BYTES)
    vfs.mount(files, "/")
    os.chdir("/")


def _run(name, names):
    """Run a file of the flash, if it is there. False: it ended with an error, which has been told."""
    try:
        os.stat(name)
    except OSError:
        return True
    try:
        execfile(name, names)  # noqa: F821
    except SystemExit:
        pc.supply.tell(pc.SOFT_RESET)
        pc.die()
    except KeyboardInterrupt as interrupt:
        sys.print_exception(interrupt)
        return False
    except Exception as error:
        sys.print_exception(error)
        sys.print_exception(error, sys.stderr)
        return False
    return True


def power_on(
    block_count, line_fd, relayed_fd, say_fd, answer_fd, cause, free_for_firmware, run_main, names
):
    """Come up, as far as the prompt; `names` are those that it sees."""
    pc.supply.connect(say_fd, answer_fd)
    pc.supply.tell(pc.POWERED)
    line = console.connect(line_fd, relayed_fd)
    wiring.solder()
    timers.came_up(cause)
    vfs.umount("/")
    sys.path[:] = ["", ".frozen", "/lib"]
    _mount(Flash(block_count))
    for name in ("sys", "gc", "free", "power_on"):
        names.pop(name)
    gc.collect()
    # On a chip all this is in ROM or not in the chip at all: none of it counts as the firmware's memory
    kept.append(bytearray(max(0, gc.mem_free() - free_for_firmware)))
    _run("boot.py", names)
    if run_main:
        line.catch_interrupts()
        _run("main.py", names)
    line.kbd_intr(3)
    crystal.wait_at_the_prompt()
    pc.supply.tell(pc.AT_THE_PROMPT)
