"""SPI as from the wires: each part listens while its chip-select line is low."""

import crystal
import pins
from faults import Socket

_wired = {}  # by pins: the sockets on that bus


class _Socket(Socket):
    def __init__(self, part, model):
        super().__init__(part, model)
        self._cs = part["pins"]["cs"]

    def listens(self):
        return not pins.level(self._cs) and self.fault != "absent"


def solder(_name, spec, parts):
    """Wire a bus with its parts to the pins it names."""
    sockets = tuple(_Socket(part, model) for part, model in parts)
    _wired[spec["sck"], spec["mosi"], spec["miso"]] = sockets


class SPI:
    """A controller. Nobody listening, it reads zeros, which is where MISO floats to."""

    MSB = 0
    LSB = 1

    def __init__(
        self,
        id,
        baudrate=1_000_000,
        polarity=0,
        phase=0,
        bits=8,
        firstbit=MSB,
        sck=None,
        mosi=None,
        miso=None,
    ):
        if sck is None or mosi is None or miso is None:
            raise ValueError("SPI: name sck, mosi and miso")
        self._parts = _wired.get((sck.number, mosi.number, miso.number), ())
        self._baudrate = baudrate

    def deinit(self):
        pass

    def _clock(self, count):
        crystal.spend(8 * count * 1_000_000 // self._baudrate)

    def write(self, buf):
        for part in self._parts:
            if part.listens():
                part.model.clock_in(buf)
        self._clock(len(buf))

    def readinto(self, buf, write=0):
        self._read(buf)
        self._clock(len(buf))

    def _read(self, buf):
        for part in self._parts:
            if part.listens():
                part.model.clock_out(buf)
                return
        for i in range(len(buf)):
            buf[i] = 0

    def write_readinto(self, out, into):
        for part in self._parts:
            if part.listens():
                part.model.clock_in(out)
        self._read(into)
        self._clock(len(out))
