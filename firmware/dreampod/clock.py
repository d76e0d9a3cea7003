"""The pod's clock: MicroPython's 30-bit microsecond ticks, told to the host as 32 bits.

`ticks_us` wraps every 17.9 minutes on a board. Inside the pod all times are such ticks, compared
only through `ticks_diff`; nothing here is scheduled nine minutes ahead. Towards the host two more
bits are counted, so that the wire's clock wraps every 71.6 minutes. A 32-bit value does not fit
a small int on a 32-bit chip and would allocate, hence it is never put together: its low 30 bits
and its two high bits go into the buffer separately.
"""

try:
    from time import ticks_add, ticks_diff, ticks_us
except ImportError:  # CPython: the same rules, for tests in simulated time
    _PERIOD = 1 << 30

    def ticks_add(ticks, delta):
        return (ticks + delta) % _PERIOD

    def ticks_diff(end, start):
        return (end - start + _PERIOD // 2) % _PERIOD - _PERIOD // 2

    def ticks_us():
        raise RuntimeError("simulated time has no ticks of its own")


class Clock:
    """Counts the wraps of the ticks. `now` must be called at least every 8 minutes."""

    def __init__(self, ticks, high=0):
        self.last = ticks
        self.high = high & 3  # bits 30 and 31 of the wire's clock

    def now(self, ticks):
        """Take note of the time; returns it."""
        if ticks_diff(ticks, self.last) >= 0:
            if ticks < self.last:
                self.high = (self.high + 1) & 3
            self.last = ticks
        return ticks

    def put(self, buf, offset, ticks):
        """Write `ticks`, a time within 8 minutes of the last `now`, as pod_us u32."""
        high = self.high
        # A stamp from just before a wrap, or a time just after the next one
        if ticks_diff(ticks, self.last) < 0:
            if ticks > self.last:
                high -= 1
        elif ticks < self.last:
            high += 1
        buf[offset] = ticks & 0xFF
        buf[offset + 1] = ticks >> 8 & 0xFF
        buf[offset + 2] = ticks >> 16 & 0xFF
        buf[offset + 3] = ticks >> 24 | (high & 3) << 6


def put_ticks(buf, offset, ticks):
    """What `get_ticks` reads again."""
    buf[offset] = ticks & 0xFF
    buf[offset + 1] = ticks >> 8 & 0xFF
    buf[offset + 2] = ticks >> 16 & 0xFF
    buf[offset + 3] = ticks >> 24


def get_ticks(buf, offset):
    """The low 30 bits of a pod_us u32: what `ticks_us` will read at that time."""
    return (
        buf[offset] | buf[offset + 1] << 8 | buf[offset + 2] << 16 | (buf[offset + 3] & 0x3F) << 24
    )
