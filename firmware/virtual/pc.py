"""The pod's folder on the PC, and the power supply there: what lies beside the board, not on it.

The PC's files are not mounted anywhere: who lists or erases all that a board has must not see them.
"""

import os
import sys

import uselect
import vfs

_TAKE_THE_LINE = b"D"
_GIVE_IT_BACK = b"R"
AT_THE_PROMPT = b"P"
SOFT_RESET = b"S"
WATCHDOG = b"W"
BOOTLOADER = b"B"
POWERED = b"H"


class _Supply:
    """The board's wires to the process that powers it, by the descriptors it was started with."""

    def connect(self, say, answer):
        self._say = open_file(say, "wb")
        self._answer = open_file(answer, "rb")

    def tell(self, what):
        self._say.write(what)

    def take_line(self):
        """From now on the firmware itself reads the port."""
        self.tell(_TAKE_THE_LINE)
        self._answer.read(1)

    def give_line(self):
        """From now on the supply reads it for us, and makes an interrupt of a Ctrl-C."""
        self.tell(_GIVE_IT_BACK)


supply = _Supply()
_files = vfs.VfsPosix("/")
_folder = os.getcwd() + "/"  # of the PC, as long as nothing else is mounted
open_file = open


def open(name, mode="r"):
    """A file of the pod's folder on the PC."""
    return _files.open(_folder + name, mode)


def remove(name):
    _files.remove(_folder + name)


def rename(old, new):
    _files.rename(_folder + old, _folder + new)


def names():
    """What is in the folder."""
    return [entry[0] for entry in _files.ilistdir(_folder)]


def die():
    """End as a chip does that loses its power: at once, whatever else was about to be done."""
    os.system("kill -9 $PPID")
    while True:  # until the signal has come
        uselect.poll().poll(1000)


class Watched:
    """A small file that somebody on the PC may write, read again and again without allocating.

    It is held open, so it has to be written in place, not replaced by another of the same name.
    """

    _MOST_BYTES = 600

    def __init__(self, name):
        try:
            self._file = open(name, "r+b")
        except OSError:
            self._file = open(name, "w+b")
        self._now = bytearray(self._MOST_BYTES)
        self._last = bytearray(self._MOST_BYTES)
        self.length = 0

    def changed(self):
        """True if it holds something else than at the last call."""
        self._file.seek(0)
        length = self._file.readinto(self._now)
        if length == self.length and self._now == self._last:
            return False
        self._now, self._last = self._last, self._now
        self.length = length
        return True

    def bytes(self):
        return bytes(self._last[: self.length])


def complain(text):
    """For those who look into stderr.log: the virtual board itself is not well."""
    sys.stderr.write(text + "\n")
