"""The USB serial port as firmware knows it from boards: `sys.stdin.buffer` and `sys.stdout.buffer`.

Boards block in `readinto` until every byte asked for has come, and give up a write after 500 ms in
which the host took nothing, truncating it. A Ctrl-C interrupts what runs, until the firmware says
`micropython.kbd_intr(-1)`; then byte 3 is data.

So there are two ways to the port. At first the power supply stands in between: it hands on what
comes and goes, and makes a signal of a Ctrl-C. After `kbd_intr(-1)` the firmware has the line for
itself, without any detour.
"""

import sys

import crystal
import micropython
import uselect
from pc import die, supply

_GIVE_UP_US = 500_000
_LOOK_EVERY_MS = 2


class Line:
    """Both ways to the port: `direct` says which one is in use."""

    direct = False

    def connect(self, line, relayed):
        """By descriptors: the port itself, and what the supply hands on; neither of them blocks."""
        self._line = open(line, "r+b")
        self._relayed = open(relayed, "rb")
        self._early = b""  # came through the supply, not yet read when the line was taken
        self._polls = []
        for stream, events in (
            (self._relayed, uselect.POLLIN),
            (self._line, uselect.POLLIN),
            (self._line, uselect.POLLOUT),
        ):
            poll = uselect.poll()
            poll.register(stream, events)
            self._polls.append(poll)

    def catch_interrupts(self):
        """From here on a Ctrl-C interrupts what runs."""
        _kbd_intr(3)

    def kbd_intr(self, char):
        """`micropython.kbd_intr`: -1 makes byte 3 a byte as any other."""
        if char == -1 and not self.direct:
            supply.take_line()
            self.direct = True
            self._early = self._relayed.read() or b""
        elif char != -1 and self.direct:
            self.direct = False
            supply.give_line()
        _kbd_intr(char)

    def readable(self, timeout_ms):
        """Wait for the host to send something; false if it does not in time."""
        if self._early:
            return True
        for _, events in self._polls[1 if self.direct else 0].ipoll(timeout_ms):
            if events & uselect.POLLHUP:
                die()  # the supply itself is gone
            return True
        return False

    def take(self, buf):
        """What is there, up to the length of `buf`: how many bytes that was."""
        early = self._early
        if early:
            count = min(len(early), len(buf))
            buf[:count] = early[:count]
            self._early = early[count:]
            return count
        return (self._line if self.direct else self._relayed).readinto(buf) or 0

    def put(self, buf, length):
        """What the port takes at once of the first `length` bytes."""
        if self.direct:
            return self._line.write(buf, length) or 0
        return _stdout.write(buf, length)

    def drain(self):
        """Wait a moment for the host to take something."""
        for _ in self._polls[2].ipoll(_LOOK_EVERY_MS):
            return


class Input:
    """`sys.stdin.buffer`"""

    def __init__(self, line):
        self.line = line

    def readinto(self, buf):
        line = self.line
        total = len(buf)
        got = line.take(buf) if line.readable(0) else 0
        while got < total:
            if line.readable(_LOOK_EVERY_MS):
                got += line.take(memoryview(buf)[got:])
            crystal.service()
        return total

    def read(self, count):
        buf = bytearray(count)
        self.readinto(buf)
        return bytes(buf)

    def readline(self):
        text = b""
        while not text.endswith(b"\n"):
            text += self.read(1)
        return text


class Output:
    """`sys.stdout.buffer`"""

    def __init__(self, line):
        self._line = line

    def write(self, buf, length=-1):
        if length < 0:
            length = len(buf)
        line = self._line
        done = line.put(buf, length)
        since = crystal.counted()
        while done < length:
            if crystal.counted() - since > _GIVE_UP_US:
                break
            line.drain()
            count = line.put(memoryview(buf)[done:length], length - done)
            if count:
                since = crystal.counted()
            done += count
            crystal.service()
        return done


class _Text:
    """`sys.stdin` and `sys.stdout`: the same as text."""

    def __init__(self, buffer):
        self.buffer = buffer

    def read(self, count):
        return self.buffer.read(count).decode()

    def readline(self):
        return self.buffer.readline().decode()

    def readinto(self, buf):
        return self.buffer.readinto(buf)

    def write(self, text):
        return self.buffer.write(text if isinstance(text, (bytes, bytearray)) else text.encode())


class _Module:
    """A built-in module with some of its names replaced."""

    def __init__(self, module, **replaced):
        for name in dir(module):
            setattr(self, name, replaced.get(name, getattr(module, name)))


_kbd_intr = micropython.kbd_intr
_stdout = sys.stdout.buffer


def connect(line_fd, relayed_fd):
    """Make this port the one that `sys` and `micropython` know, for all who import them from now on."""
    line = Line()
    line.connect(line_fd, relayed_fd)
    modules = sys.modules
    modules["micropython"] = _Module(micropython, kbd_intr=line.kbd_intr)
    modules["sys"] = _Module(sys, stdin=_Text(Input(line)), stdout=_Text(Output(line)))
    return line
