"""`select` as on a board: while the firmware waits for the port, interrupts and callbacks run.

Anything else that can be waited for, sockets for instance, is waited for by the same means.
"""

import crystal
import uselect
import utime
from uselect import POLLERR, POLLHUP, POLLIN, POLLOUT

_MP_STREAM_POLL = 3  # py/stream.h


class poll:
    """Watches the serial port, or streams of the PC's own, but not both at a time."""

    def __init__(self):
        self._poll = uselect.poll()
        self._line = None
        self._ready = ()
        self._made = None  # a stream that Python made

    def register(self, stream, events=POLLIN | POLLOUT):
        port = getattr(stream, "buffer", stream)
        self._line = getattr(port, "line", None)
        if self._line is None:
            self._poll.register(stream, events)
            if hasattr(stream, "ioctl"):
                self._made = stream
        else:
            self._ready = ((stream, events & POLLIN),)

    def modify(self, stream, events):
        if self._line is None:
            self._poll.modify(stream, events)

    def unregister(self, stream):
        if self._line is None:
            self._poll.unregister(stream)
        self._line = None

    def _look(self, wait_ms):
        if self._line is not None:
            return self._ready if self._line.readable(wait_ms) else ()
        if self._made is not None and self._made.ioctl(_MP_STREAM_POLL, POLLIN):
            # The PC's own poll sleeps a millisecond before it asks a stream that Python made
            return ((self._made, POLLIN),)
        return self._poll.poll(wait_ms)

    def ipoll(self, timeout_ms=-1, _flags=0):
        crystal.service()
        until = crystal.NEVER if timeout_ms < 0 else crystal.counted() + timeout_ms * 1000
        while True:
            now = crystal.counted()
            wait_us = min(until, crystal.wake()) - now
            ready = self._look(max(0, wait_us // 1000))
            if ready:
                return ready
            # An interrupt wakes a chip to the microsecond; poll knows milliseconds only
            rest_us = wait_us - (crystal.counted() - now)
            if rest_us > 0:
                utime.sleep_us(min(rest_us, 1000))
            crystal.service()
            if crystal.counted() >= until:
                return ()

    def poll(self, timeout_ms=-1):
        return list(self.ipoll(timeout_ms))
