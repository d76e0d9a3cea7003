"""Timers and the watchdog, counting the crystal's ticks."""

import crystal
import pc

_WATCHDOG_LONGEST_MS = 8388  # the RP2040's


class Timer:
    """Periodic or once, with soft or hard callback."""

    wake = crystal.NEVER
    due = crystal.NEVER

    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, id=-1, **settings):
        if settings:
            self.init(**settings)

    def init(self, mode=PERIODIC, freq=-1, period=-1, callback=None, hard=False):
        self.deinit()
        self._period = period * 1000 if period > 0 else int(1_000_000 / freq)
        self._callback = callback
        self._hard = hard
        self._once = mode == Timer.ONE_SHOT
        self.due = crystal.counted() + self._period
        crystal.attach(self)

    def deinit(self):
        crystal.detach(self)

    def fire(self):
        if self._once:
            self.deinit()
        self.due += self._period
        if self._hard:
            self._callback(self)
        else:
            crystal.soon(self._callback, self)


class WDT:
    """Looked at whenever interrupts run; a loop that neither waits nor looks at the clock escapes it.

    While MicroPython's own prompt waits for the host, nobody looks, and a timer that feeds would
    have fed: that time does not count.
    """

    _CHECK_US = 100_000
    wake = crystal.NEVER

    def __init__(self, id=0, timeout=5000):
        if not 0 < timeout <= _WATCHDOG_LONGEST_MS:
            raise ValueError("timeout exceeds %d" % _WATCHDOG_LONGEST_MS)
        for other in WDT._running:
            crystal.detach(other)
        WDT._running = (self,)
        self._timeout_us = timeout * 1000
        self.feed()
        self._away = crystal.away
        self.due = crystal.counted() + self._CHECK_US
        crystal.attach(self)

    _running = ()

    def feed(self):
        self._fed = crystal.counted()

    def fire(self):
        self.due += self._CHECK_US
        if self._away != crystal.away:
            self._away = crystal.away
            self._forgiven = crystal.now()
        if crystal.counted() - max(self._fed, self._forgiven) > self._timeout_us:
            reset()

    _forgiven = 0


PWRON_RESET = 1
WDT_RESET = 3

_cause = PWRON_RESET


def came_up(cause):
    """Why the board came up, as the power supply knows."""
    global _cause
    _cause = cause


def reset_cause():
    return _cause


def reset():
    """As on rp2, a reset is made with the watchdog and looks like one."""
    pc.supply.tell(pc.WATCHDOG)
    pc.die()


def bootloader(_timeout=0):
    """From here on only a power cycle brings the board back."""
    pc.supply.tell(pc.BOOTLOADER)
    pc.die()
