"""Pins and the wires on them, which the processor, the parts and a hand may all pull at.

A wire is low when anybody pulls it low, else high when somebody drives it high, else where its pull
resistor or the part on it leaves it: high, as most idle lines are.
"""

import micropython

_FREE = 2  # nobody drives it

_inner = {}  # by pin number: what the processor drives
_outer = {}  # by pin number: what the part on the wire drives
_pulled = {}  # by pin number: where a pull resistor leaves it
_handlers = {}
watchers = {}  # by pin number: told of each new level, as the part on the wire would see it


def level(number):
    """0 or 1: what the wire is at."""
    inner = _inner.get(number, _FREE)
    outer = _outer.get(number, _FREE)
    if inner == 0 or outer == 0:
        return 0
    if inner == 1 or outer == 1:
        return 1
    return _pulled.get(number, 1)


def drive(number, value):
    """A part drives its end of the wire to 0 or 1; the firmware's interrupt runs on the edge."""
    was = level(number)
    _outer[number] = value
    _changed(number, was)


def release(number):
    """A part lets go of the wire."""
    was = level(number)
    _outer[number] = _FREE
    _changed(number, was)


def _changed(number, was):
    now = level(number)
    if now == was:
        return
    watcher = watchers.get(number)
    if watcher:
        watcher(now)
    entry = _handlers.get(number)
    if entry and entry[1] & (Pin.IRQ_RISING if now else Pin.IRQ_FALLING):
        if entry[2]:
            entry[0](entry[3])
        else:
            micropython.schedule(entry[0], entry[3])


class Pin:
    """A pin by its number. All `Pin` objects of one number are the same wire."""

    IN = 0
    OUT = 1
    OPEN_DRAIN = 2
    ALT = 3
    IRQ_FALLING = 4
    IRQ_RISING = 8
    PULL_UP = 1
    PULL_DOWN = 2

    def __init__(self, number, mode=-1, pull=-1, value=None):
        if isinstance(number, Pin):
            number = number.number
        self.number = number
        self.init(mode, pull, value)

    def init(self, mode=-1, pull=-1, value=None):
        number = self.number
        if pull is None:
            _pulled.pop(number, None)
        elif pull != -1:
            _pulled[number] = 1 if pull == Pin.PULL_UP else 0
        if mode == -1 and value is None:
            return
        was = level(number)
        if mode != -1:
            _modes[number] = mode
        if value is not None:
            _wanted[number] = value
        self._put(number, was)

    def _put(self, number, was):
        mode = _modes.get(number, Pin.IN)
        wanted = _wanted.get(number, 0)
        if mode == Pin.OUT or (mode == Pin.OPEN_DRAIN and not wanted):
            _inner[number] = 1 if wanted else 0
        else:
            _inner[number] = _FREE
        _changed(number, was)

    def __call__(self, value=None):
        number = self.number
        if value is None:
            return level(number)
        was = level(number)
        _wanted[number] = value
        self._put(number, was)
        return None

    value = __call__

    def on(self):
        self(1)

    def off(self):
        self(0)

    high = on
    low = off

    def toggle(self):
        self(0 if level(self.number) else 1)

    def irq(self, handler=None, trigger=IRQ_FALLING | IRQ_RISING, hard=False):
        _handlers[self.number] = (handler, trigger, hard, self) if handler else None


_modes = {}
_wanted = {}  # by pin number: what the processor last wrote
