"""The wires that parts share: I2C and SPI, with a way out when a part holds the wires down.

A part that lost count of its clocks in mid-byte holds SDA low, and then nobody on the bus can speak.
The cure is nine clocks by hand with SDA released: at one of them the part reaches an acknowledge bit
that nobody gives, and lets go (I2C specification UM10204, section 3.1.16). A part that holds SCL has to
let go itself or lose its power. Either way the loop must not wait: a transfer ends after a few milliseconds.

The RP2's I2C controller does not bear clock stretching well (EIO; micropython issue 8167). A board
whose parts stretch the clock says "kind": "soft_i2c" and gets one made of pins.
"""

import time
from errno import ETIMEDOUT

import machine
from machine import Pin

LONGEST_BYTES = 48  # what one transfer may carry, so that no transfer is long
_HEAD_BYTES = 3  # address, register, address again
_BITS_PER_BYTE = 9
_SLACK_US = 300

_CLOCKS = 9
_HALF_CLOCK_US = 5  # 100 kHz, which the slowest part can follow
_RELEASE_US = 20  # for pull-ups on long wires


class I2CBus:
    """Registers of parts on one I2C bus. `errors` counts the transfers that failed."""

    def __init__(self, spec):
        self._spec = spec
        self.sda = "SDA (pin %d)" % spec["sda"]
        self.scl = "SCL (pin %d)" % spec["scl"]
        self.wires = self.sda + ", " + self.scl
        self.errors = 0
        self._one = bytearray(1)
        self._two = bytearray(2)
        bits = (LONGEST_BYTES + _HEAD_BYTES) * _BITS_PER_BYTE
        self._timeout_us = bits * 1_300_000 // spec["freq_hz"] + _SLACK_US
        self._open()

    def _open(self):
        spec = self._spec
        scl, sda = Pin(spec["scl"]), Pin(spec["sda"])
        self._watched = None
        if spec["kind"] == "i2c":
            self._i2c = machine.I2C(
                spec["id"], scl=scl, sda=sda, freq=spec["freq_hz"], timeout=self._timeout_us
            )
        else:
            self._i2c = machine.SoftI2C(
                scl=scl, sda=sda, freq=spec["freq_hz"], timeout=self._timeout_us
            )
            self._watched = sda  # it would read zeros from a wire that is held low

    def read(self, address, register, buf):
        """Fill `buf` from `register` on. A transfer that was refused is tried once more."""
        self._look()
        try:
            self._i2c.readfrom_mem_into(address, register, buf)
        except OSError as error:
            self._refused(error)
            self._i2c.readfrom_mem_into(address, register, buf)

    def write(self, address, register, value):
        """Set a register of 8 bits."""
        self._one[0] = value
        self._write(address, register, self._one)

    def write_word(self, address, register, value):
        """Set a register of 16 bits, high byte first."""
        self._two[0] = value >> 8
        self._two[1] = value & 0xFF
        self._write(address, register, self._two)

    def _write(self, address, register, buf):
        self._look()
        try:
            self._i2c.writeto_mem(address, register, buf)
        except OSError as error:
            self._refused(error)
            self._i2c.writeto_mem(address, register, buf)

    def _look(self):
        if self._watched is not None and not self._watched():
            self.errors += 1
            raise OSError(ETIMEDOUT)

    def _refused(self, error):
        """Count an error; pass it on if trying again would only wait once more."""
        self.errors += 1
        if error.args[0] == ETIMEDOUT:
            raise error

    def scan(self):
        """The addresses that answer."""
        return self._i2c.scan()

    def recover(self):
        """Nine clocks and a STOP by hand, then the controller anew. Returns the wire still held, or None."""
        spec = self._spec
        sda = Pin(spec["sda"], Pin.OPEN_DRAIN, value=1)
        scl = Pin(spec["scl"], Pin.OPEN_DRAIN, value=1)
        time.sleep_us(_RELEASE_US)
        for _ in range(_CLOCKS):
            scl(0)
            time.sleep_us(_HALF_CLOCK_US)
            scl(1)
            time.sleep_us(_HALF_CLOCK_US)
        scl(0)
        sda(0)
        time.sleep_us(_HALF_CLOCK_US)
        scl(1)
        time.sleep_us(_HALF_CLOCK_US)
        sda(1)  # rises while SCL is high: a STOP
        time.sleep_us(_RELEASE_US)
        held = self.scl if not scl() else self.sda if not sda() else None
        self._open()
        return held

    def diagnose(self, address, error):
        """After a part failed: recover, and say in one line what is wrong and what to check."""
        held = self.recover()
        if held:
            return (
                "%s is held low: check for a short, for its pull-up resistor, and unplug the parts "
                "on %s one by one" % (held, self.wires)
            )
        if isinstance(error.args[0], str):
            return error.args[0]  # the driver knows better
        try:
            self._i2c.readfrom_mem_into(address, 0, self._one)
        except OSError:
            what = "does not answer at address 0x%02x: check its supply, %s"
            return what % (address, self.wires)
        return (
            "breaks off transfers at address 0x%02x: check for a loose wire or weak pull-up "
            "resistors on %s" % (address, self.wires)
        )


class SPIBus:
    """An SPI bus. `spi` is MicroPython's own; each part has its chip select."""

    def __init__(self, spec):
        self.errors = 0  # nothing is acknowledged on SPI: parts find their errors themselves
        self.wires = "SCK (pin %d), MOSI (pin %d), MISO (pin %d)" % (
            spec["sck"],
            spec["mosi"],
            spec["miso"],
        )
        self.spi = machine.SPI(
            spec["id"],
            baudrate=spec["freq_hz"],
            polarity=0,
            phase=1,
            sck=Pin(spec["sck"]),
            mosi=Pin(spec["mosi"]),
            miso=Pin(spec["miso"]),
        )

    def diagnose(self, _address, error):
        """What is wrong; no part can hold this bus, since each listens while it is selected only."""
        return str(error)


_KINDS = {"i2c": I2CBus, "soft_i2c": I2CBus, "spi": SPIBus}


def open_buses(specs):
    """The board's buses by their names."""
    return {name: _KINDS[spec["kind"]](spec) for name, spec in specs.items()}
