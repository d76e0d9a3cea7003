"""The flash chip: NOR in a file. Erasing makes ones, programming only clears bits, and power can go.

It counts what is done to it, and cuts the power in the middle of its work where power-cut.json asks
for it: {"after": N, "torn": true} leaves the Nth program or erase since power-on half done, with
"torn": false it is not even begun. One such file is good for one cut.
"""

import json

import pc

BLOCK_BYTES = 4096
PROGRAM_BYTES = 256

_CUT_FILE = "power-cut.json"
_COUNT_FILE = "flash-writes.json"
_BLANK = b"\xff" * BLOCK_BYTES

# What littlefs asks of a block device
_SYNC = 3
_BLOCK_COUNT = 4
_BLOCK_SIZE = 5
_ERASE = 6


class Flash:
    """A block device as `rp2.Flash`, over flash.bin in the pod's folder."""

    def __init__(self, block_count):
        self._blocks = block_count
        try:
            self._file = pc.open("flash.bin", "r+b")
        except OSError:
            self._file = pc.open("flash.bin", "w+b")
        for block in range(self._file.seek(0, 2) // BLOCK_BYTES, block_count):
            self._put(block * BLOCK_BYTES, _BLANK)
        # A chip erases and programs without the firmware's memory
        self._blank = memoryview(_BLANK)
        self._old = memoryview(bytearray(BLOCK_BYTES))
        self.programs = 0
        self.erases = 0
        self._cut_at, self._torn = self._read_cut()

    def _read_cut(self):
        try:
            with pc.open(_CUT_FILE) as file:
                cut = json.load(file)
        except OSError:
            return -1, False
        return cut["after"], cut.get("torn", False)

    def readblocks(self, block, buf, offset=0):
        self._file.seek(block * BLOCK_BYTES + offset)
        self._file.readinto(buf)

    def writeblocks(self, block, buf, offset=None):
        if offset is None:  # the simple interface: whole blocks, erased by us
            self._erase(block)
            offset = 0
        self.programs += 1
        self._program(block * BLOCK_BYTES + offset, buf, self._last_of(len(buf)))

    def ioctl(self, request, argument):
        if request == _BLOCK_COUNT:
            return self._blocks
        if request == _BLOCK_SIZE:
            return BLOCK_BYTES
        if request == _ERASE:
            self._erase(argument)
        elif request == _SYNC:
            self._tell()
        return 0

    def _erase(self, block):
        self.erases += 1
        length = self._last_of(BLOCK_BYTES)
        self._put(block * BLOCK_BYTES, self._blank[:length])
        self._end_if_cut()

    def _program(self, at, buf, length):
        old = self._old[:length]
        self._file.seek(at)
        self._file.readinto(old)
        if old == self._blank[:length]:
            self._put(at, buf if length == len(buf) else memoryview(buf)[:length])
        else:
            for i in range(length):
                old[i] &= buf[i]
            self._put(at, old)
        self._end_if_cut()

    def _put(self, at, data):
        self._file.seek(at)
        self._file.write(data)

    def _last_of(self, length):
        """How many of `length` bytes are still written; ends at once if that is none."""
        if self.programs + self.erases == self._cut_at:
            if self._torn:
                return length // 2
            self._end()
        return length

    def _end_if_cut(self):
        if self.programs + self.erases == self._cut_at:
            self._end()

    def _end(self):
        pc.remove(_CUT_FILE)
        self._tell()
        pc.die()

    def _tell(self):
        with pc.open(_COUNT_FILE, "w") as file:
            json.dump({"programs": self.programs, "erases": self.erases}, file)
