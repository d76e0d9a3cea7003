"""The watchdog while no pod runs: at the prompt, somebody must feed it.

On all our chips a watchdog, once started, cannot be stopped. It goes on after a soft reset, and the
RP2040 cannot even be asked whether it runs. So after every reset, soft or hard, it is taken to be
running: `boot.py` starts it (which is harmless if it runs) and has a timer feed it, and a person, mpremote
or the flash tool may take their time at the prompt. Before a pod starts, `main.py` ends this feeding: from
there on the pod feeds from its loop, and a firmware that hangs is reset. The timer's callback is a soft
one, so that an interrupt gone wild at the prompt still ends in a reset.
"""

import sys

import machine

TIMEOUT_MS = 8000  # the RP2040's longest is 8388

# The ESP32 has numbered timers, of which no driver of ours takes the last; the RP2 has unnumbered ones only
_timer = machine.Timer(3 if sys.platform == "esp32" else -1)


def feed_at_the_prompt():
    """Feed once a second, until `stop_feeding` or the next soft reset."""
    watchdog = machine.WDT(timeout=TIMEOUT_MS)
    _timer.init(freq=1, mode=machine.Timer.PERIODIC, callback=lambda _: watchdog.feed())


def stop_feeding():
    """Somebody else feeds from now on, or the board is reset."""
    _timer.deinit()
