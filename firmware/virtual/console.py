"""The USB serial port as the firmware knows it from boards, on the two ends of a pty.

Boards block in `readinto` until every byte asked for has come, and give up a write after 500 ms in
which the host took nothing, truncating it. The pty's descriptor is non-blocking; both are made here.
"""

import crystal
import uselect

_GIVE_UP_US = 500_000


class Console:
    """One direction of the port: `stream` is the unix port's own file."""

    def __init__(self, stream):
        self.stream = stream
        self._poll = uselect.poll()
        self._poll.register(stream, uselect.POLLIN)
        self._drain = uselect.poll()
        self._drain.register(stream, uselect.POLLOUT)

    def readinto(self, buf):
        got = self.stream.readinto(buf) or 0
        total = len(buf)
        while got < total:
            for _ in self._poll.ipoll(2):
                got += self.stream.readinto(memoryview(buf)[got:]) or 0
            crystal.service()
        return total

    def write(self, buf, length):
        done = self.stream.write(buf, length) or 0
        since = crystal.counted()
        while done < length:
            if crystal.counted() - since > _GIVE_UP_US:
                break
            for _ in self._drain.ipoll(2):
                count = self.stream.write(memoryview(buf)[done:length]) or 0
                if count:
                    since = crystal.counted()
                done += count
            crystal.service()
        return done
