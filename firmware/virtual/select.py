"""`select` as on a board: while the firmware waits for the port, interrupts and callbacks run."""

import crystal
import uselect
import utime
from uselect import POLLERR, POLLHUP, POLLIN, POLLOUT


class poll:
    """Watches one `console.Console`."""

    def __init__(self):
        self._poll = uselect.poll()
        self._ready = ()

    def register(self, console, events=POLLIN | POLLOUT):
        self._poll.register(console.stream, events)
        self._ready = ((console, events),)

    def ipoll(self, timeout_ms=-1, _flags=0):
        crystal.service()
        until = crystal.counted() + timeout_ms * 1000
        while True:
            now = crystal.counted()
            wait_us = min(until, crystal.wake()) - now
            for _ in self._poll.ipoll(max(0, wait_us // 1000)):
                return self._ready
            # An interrupt wakes a chip to the microsecond; poll knows milliseconds only
            rest_us = wait_us - (crystal.counted() - now)
            if rest_us > 0:
                utime.sleep_us(min(rest_us, 1000))
            crystal.service()
            if crystal.counted() >= until:
                return ()

    def poll(self, timeout_ms=-1):
        return list(self.ipoll(timeout_ms))
