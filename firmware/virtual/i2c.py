"""I2C as from the wires: parts that acknowledge or do not, lines that hang, transfers that take time.

A part on the bus is driven byte by byte: `start()`, `write_byte(byte) -> acknowledged`,
`read_byte()`, `stop()`. What faults.json asks of any part or bus is done here:

    absent      the part does not answer to its address
    nak         it refuses the last byte that it is sent, in every fifth transfer
    stuck-sda   a part holds SDA low in the middle of a byte, until SCL has been clocked nine times by hand
    stuck-scl   SCL stays low for as long as the fault is there
"""

import crystal
import pins
from faults import Socket
from faults import board as faults
from pins import Pin

_EIO = 5
_ETIMEDOUT = 110
_CLOCKS_TO_FREE = 9
_REFUSES_EVERY = 5
_NINE = 9  # bits on the wire for each byte


class _Socket(Socket):
    transfers = 0

    def refuses(self):
        """True in each transfer in which the part is to break off."""
        self.transfers += 1
        return self.fault == "nak" and self.transfers % _REFUSES_EVERY == 0


class _Wires:
    """The two lines and all that hangs on them, whoever is their controller at the moment."""

    def __init__(self, scl, sda):
        self.scl = scl
        self.sda = sda
        self.sockets = {}
        self._fault = None
        self._clocks = 0
        pins.watchers[scl] = self._on_scl

    def hear(self, fault):
        if fault == self._fault:
            return
        self._fault = fault
        self._clocks = 0
        pins.release(self.sda)
        pins.release(self.scl)
        if fault == "stuck-sda":
            pins.drive(self.sda, 0)
        elif fault == "stuck-scl":
            pins.drive(self.scl, 0)

    def _on_scl(self, level):
        """Clocked by hand: a part that is stuck in a byte shifts out the rest of it."""
        if level and self._fault == "stuck-sda":
            self._clocks += 1
            if self._clocks == _CLOCKS_TO_FREE:
                pins.release(self.sda)


_wired = {}  # by pins


def solder(name, spec, parts):
    """Wire a bus with its parts to the pins it names."""
    wires = _wired[spec["scl"], spec["sda"]] = _Wires(spec["scl"], spec["sda"])
    for part, model in parts:
        wires.sockets[part["address"]] = _Socket(part, model)
    faults.watch_bus(name, wires)


class I2C:
    """A controller. Both lines must be high to begin with, or it waits in vain until its timeout."""

    def __init__(self, id, scl=None, sda=None, freq=400_000, timeout=50_000):
        if scl is None or sda is None:
            raise ValueError("I2C: name scl and sda")
        self._open(scl, sda, freq, timeout)

    def _open(self, scl, sda, freq, timeout):
        # The pins belong to the controller, which lets go of both
        scl.init(Pin.OPEN_DRAIN, value=1)
        sda.init(Pin.OPEN_DRAIN, value=1)
        key = scl.number, sda.number
        if key not in _wired:
            _wired[key] = _Wires(*key)  # nothing there, but the pins can be pulled at
        self._lines = _wired[key]
        self._byte_us = _NINE * 1_000_000 // freq
        self._timeout_us = timeout

    def deinit(self):
        pass

    # --- one transfer ------------------------------------------------------------------------

    def _start(self, address):
        """The part at `address`, addressed."""
        lines = self._lines
        if not pins.level(lines.scl) or not pins.level(lines.sda):
            crystal.spend(self._timeout_us)
            raise OSError(_ETIMEDOUT)
        crystal.spend(self._byte_us)
        socket = lines.sockets.get(address)
        if socket is None or socket.fault == "absent":
            raise OSError(_EIO)
        socket.model.start()
        return socket

    def _send(self, socket, buf, refused):
        model = socket.model
        last = len(buf) - 1
        for i in range(last + 1):
            if not model.write_byte(buf[i]) or (refused and i == last):
                crystal.spend(self._byte_us * (i + 1))
                model.stop()
                raise OSError(_EIO)
        crystal.spend(self._byte_us * (last + 1))

    def _receive(self, socket, buf):
        model = socket.model
        count = len(buf)
        for i in range(count):
            buf[i] = model.read_byte()
        crystal.spend(self._byte_us * count)

    def _select(self, address, register, addrsize):
        """Address the part and name its register."""
        socket = self._start(address)
        shift = addrsize - 8
        refused = socket.refuses()
        while shift >= 0:
            if not socket.model.write_byte(register >> shift & 0xFF) or (refused and not shift):
                socket.model.stop()
                raise OSError(_EIO)
            shift -= 8
        crystal.spend(self._byte_us * (addrsize >> 3))
        return socket

    # --- what `machine.I2C` has ----------------------------------------------------------------

    def scan(self):
        found = []
        for address in range(0x08, 0x78):
            try:
                self._start(address).model.stop()
                found.append(address)
            except OSError as error:
                if error.errno != _EIO:
                    raise
        return found

    def writeto(self, address, buf, stop=True):
        socket = self._start(address)
        self._send(socket, buf, socket.refuses())
        if stop:
            socket.model.stop()
        return len(buf)

    def readfrom_into(self, address, buf, stop=True):
        socket = self._start(address)
        self._receive(socket, buf)
        if stop:
            socket.model.stop()

    def readfrom(self, address, count, stop=True):
        buf = bytearray(count)
        self.readfrom_into(address, buf, stop)
        return bytes(buf)

    def writeto_mem(self, address, register, buf, addrsize=8):
        socket = self._start(address)
        refused = socket.refuses()
        shift = addrsize - 8
        while shift >= 0:
            if not socket.model.write_byte(register >> shift & 0xFF):
                socket.model.stop()
                raise OSError(_EIO)
            shift -= 8
        crystal.spend(self._byte_us * (addrsize >> 3))
        self._send(socket, buf, refused)
        socket.model.stop()

    def readfrom_mem_into(self, address, register, buf, addrsize=8):
        socket = self._select(address, register, addrsize)
        socket.model.start()  # repeated start: the same part, to be read now
        crystal.spend(self._byte_us)
        self._receive(socket, buf)
        socket.model.stop()

    def readfrom_mem(self, address, register, count, addrsize=8):
        buf = bytearray(count)
        self.readfrom_mem_into(address, register, buf, addrsize)
        return bytes(buf)


class SoftI2C(I2C):
    """The same on any two pins."""

    def __init__(self, scl, sda, freq=400_000, timeout=50_000):
        self._open(scl, sda, freq, timeout)
