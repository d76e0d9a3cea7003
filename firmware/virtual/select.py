"""`select` as on a board: while the firmware waits for the port, interrupts and callbacks run."""

import crystal
import uselect
from uselect import POLLERR, POLLHUP, POLLIN, POLLOUT  # noqa: F401

_SLICE_MS = 10  # well inside the depth of the I2S ring


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
            left_ms = (until - crystal.counted() + 999) // 1000
            for _ in self._poll.ipoll(max(0, min(left_ms, _SLICE_MS))):
                return self._ready
            crystal.service()
            if left_ms <= 0:
                return ()

    def poll(self, timeout_ms=-1):
        return list(self.ipoll(timeout_ms))
