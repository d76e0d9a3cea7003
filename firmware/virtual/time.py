"""`time` as on a 32-bit board: ticks of 30 bits from the virtual crystal, started near their wrap.

The unix port's own ticks have 62 bits, which would hide every mistake made around the wrap.
"""

import crystal
import utime
from utime import gmtime, localtime, mktime, time, time_ns

_MASK = (1 << 30) - 1
_HALF = 1 << 29
_SLICE_MS = 2


def ticks_us():
    crystal.service()
    return (crystal.START + crystal.counted()) & _MASK


def ticks_ms():
    crystal.service()
    return (crystal.START + crystal.counted()) // 1000 & _MASK


def ticks_add(ticks, delta):
    return (ticks + delta) & _MASK


def ticks_diff(end, start):
    return ((end - start + _HALF) & _MASK) - _HALF


def sleep_us(us):
    until = crystal.counted() + us
    while True:
        crystal.service()
        left = until - crystal.counted()
        if left <= 0:
            return
        utime.sleep_us(min(left, _SLICE_MS * 1000))


def sleep_ms(ms):
    sleep_us(ms * 1000)


def sleep(seconds):
    sleep_us(int(seconds * 1_000_000))
