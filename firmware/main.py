"""Power-on of a board: chooses the slot, runs the pod in it, and decides what to do when that fails.

This file, `boot.py`, `watchdog.py` and the `slots` beside it are never changed by an update over the link:
what chooses a firmware must not be part of what it chooses. `slots` is also in every slot, for the pod.
"""

import gc
import sys

import machine
import micropython
import watchdog

COLLECT_EVERY_BYTES = 2048
_CTRL_C = 3

def choose():
    """Put the slot to be started on the path; its name, empty for a developer's copy, None without any."""
    import slots

    flash = slots.Slots()
    slot = flash.choose()
    if slot:
        sys.path.insert(0, "/" + slot)  # first, so that nothing else called `dreampod` is found
    elif flash.faults():
        print("no firmware to start: " + "; ".join(flash.faults()) + ": flash the pod again")
        return None
    # Without slots it is a developer's copy: a folder `dreampod` at the root
    del sys.modules["slots"]  # the pod needs the room
    return slot


def give_up(slot, why):
    """The firmware in `slot` has failed: with another try, or the other slot, a reset may help."""
    import slots

    if slot and slots.Slots(now=slot).give_up(why):
        machine.reset()


def start():
    """Run until the pod leaves to the prompt or fails for good."""
    # A host may be calling already, and a byte 3 in what it says is no Ctrl-C
    micropython.kbd_intr(-1)
    # Garbage is collected often while the firmware is loaded: what stays then lies close together, and the
    # sound finds room in what is left. The pod ends this when it is complete.
    gc.threshold(COLLECT_EVERY_BYTES)
    slot = None
    try:
        slot = choose()
        if slot is None:
            return
        watchdog.stop_feeding()
        from dreampod.run import run

        run()
    except Exception as error:
        sys.print_exception(error)
        give_up(slot, "%s: %s" % (type(error).__name__, error))
    finally:
        micropython.kbd_intr(_CTRL_C)
        watchdog.feed_at_the_prompt()


start()
