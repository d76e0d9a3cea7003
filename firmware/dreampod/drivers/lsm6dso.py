"""Movement: STMicroelectronics LSM6DSO, acceleration in three directions, on I2C.

Sections named below are those of the datasheet DS12140 (revision 2) and of the application note AN5192.
The chip samples by its own oscillator into a FIFO of 512 words, each with a tag that says what it is
and counts the samples, two bits of them. When nobody comes for ten seconds the oldest are lost: how
many, the clock tells to about one, and the tag's two bits tell exactly.

The gyroscope stays off. A sleeper's movements and breath are seen in the acceleration, and it would
double the traffic on the bus and take three times the current of everything else in this chip.
"""

import time

from dreampod.clock import ticks_add, ticks_diff, ticks_us
from dreampod.drivers.part import Part

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


_FIFO_BATCH = const(0x09)
_FIFO_MODE = const(0x0A)
_IDENTITY = const(0x0F)
_ACCELERATION = const(0x10)
_CONTROL = const(0x12)
_FIFO_STATUS = const(0x3A)
_OSCILLATOR = const(0x63)  # how far this very chip is off, in 0.15 percent, section 9.61
_FIFO_DATA = const(0x78)  # the address goes round from 0x7E to here, AN5192 section 9.6

_LSM6DSO = const(0x6C)
_RESET = const(0x01)  # CONTROL, section 9.14
_WHOLE_AND_NEXT = const(0x44)  # CONTROL: no half-new values, register address counts up
_RESET_TRIES = const(5)
_RESET_WAIT_US = const(100)
_RATES = {26: 0x2, 52: 0x3, 104: 0x4, 208: 0x5}  # of the chip and of the FIFO alike
_DIVIDERS = {26: 256, 52: 128, 104: 64, 208: 32}  # of the oscillator, AN5192 section 6.4
_OSCILLATOR_HZ = const(6667)
_FIFO_OFF = const(0x00)
_FIFO_CONTINUOUS = const(0x06)
_OVERRUN = const(0x48)  # in the second status byte: now, or since it was last read
_COUNT_HIGH = const(0x03)
_TAG_ACCELERATION = const(0x02)

_WORD_BYTES = const(7)
_BURST_WORDS = const(6)
_MOST_WORDS = const(24)  # in one turn
_POLL_SAMPLES = const(4)

G_PER_COUNT = 0.000061  # at +-2 g, table 2


class Driver(Part):
    """Three channels: x, y, z."""

    chip = "LSM6DSO"

    def __init__(self, spec, buses):
        Part.__init__(self, spec, buses)
        rate_hz = spec["rate_hz"]
        if rate_hz not in _RATES:
            raise ValueError("LSM6DSO: %d Hz is not one of %s" % (rate_hz, sorted(_RATES)))
        self.streams = [
            {
                "name": spec["name"],
                "unit": "g",
                "rate_hz": rate_hz,
                "channels": ["x", "y", "z"],
                "format": "i16",
                "scale": G_PER_COUNT,
                "offset": 0.0,
                "block": spec["block"],
            }
        ]
        self.poll_us = _POLL_SAMPLES * 1_000_000 // rate_hz
        self._one = bytearray(1)
        self._status = bytearray(2)
        self._burst = bytearray(_BURST_WORDS * _WORD_BYTES)
        view = memoryview(self._burst)
        self._views = [view[: i * _WORD_BYTES] for i in range(_BURST_WORDS + 1)]
        self._tag = -1  # of the newest sample; -1: none yet

    def start(self):
        bus, address = self.bus, self.address
        bus.read(address, _IDENTITY, self._one)
        if self._one[0] != _LSM6DSO:
            raise OSError(
                "reads identity 0x%02x instead of 0x6c at address 0x%02x: check that it is an "
                "LSM6DSO, and %s" % (self._one[0], address, bus.wires)
            )
        bus.write(address, _CONTROL, _RESET)
        for _ in range(_RESET_TRIES):
            time.sleep_us(_RESET_WAIT_US)
            bus.read(address, _CONTROL, self._one)
            if not self._one[0] & _RESET:
                break
        bus.read(address, _OSCILLATOR, self._one)
        off = (self._one[0] ^ 0x80) - 0x80
        oscillator_hz = _OSCILLATOR_HZ * (1 + 0.0015 * off)
        self.period_us = int(1_000_000 * _DIVIDERS[self.spec["rate_hz"]] / oscillator_hz)
        rate = _RATES[self.spec["rate_hz"]]
        bus.write(address, _CONTROL, _WHOLE_AND_NEXT)
        bus.write(address, _FIFO_MODE, _FIFO_OFF)  # empties it
        bus.write(address, _FIFO_BATCH, rate)
        bus.write(address, _FIFO_MODE, _FIFO_CONTINUOUS)
        bus.write(address, _ACCELERATION, rate << 4)
        bus.read(address, _ACCELERATION, self._one)
        if self._one[0] != rate << 4:
            raise OSError("does not keep what is written to it: check its supply, %s" % bus.wires)
        self._tag = -1

    def sample(self, now):
        bus, status = self.bus, self._status
        bus.read(self.address, _FIFO_STATUS, status)
        now = ticks_us()
        count = status[0] | (status[1] & _COUNT_HIGH) << 8
        if not count:
            return
        overrun = status[1] & _OVERRUN
        came = ticks_diff(now, self.sampled) // self.period_us if overrun else count
        newest = self.newest_of(came, now)
        words = min(count, _MOST_WORDS)
        while words:
            some = min(words, _BURST_WORDS)
            words -= some
            bus.read(self.address, _FIFO_DATA, self._views[some])
            for i in range(some):
                count -= 1
                self._take(i * _WORD_BYTES, ticks_add(newest, -count * self.period_us), overrun)
                overrun = 0

    def _take(self, at, taken, overrun):
        """Push the word at `at` of the burst, a sample taken at `taken`."""
        head = self._burst[at]
        if head >> 3 != _TAG_ACCELERATION:
            raise OSError("delivers data that was not asked for: check its supply")
        tag = head >> 1 & 3
        stream = self.outlets[0]
        if self._tag >= 0:
            lost = (tag - self._tag - 1) & 3
            if overrun:
                # By the clock, and then the nearest number that the tag allows
                elapsed = ticks_diff(taken, self.sampled) + self.period_us // 2
                by_clock = elapsed // self.period_us - 1
                lost = max(lost, by_clock + ((lost - by_clock + 1) & 3) - 1)
            if lost:
                stream.skip(lost)
        self._tag = tag
        stream.push_at(self._burst, at + 1, taken)
        self.sampled = taken

    def test(self):
        Part.test(self)
        return "x %.2f g, y %.2f g, z %.2f g" % (self._g(1), self._g(3), self._g(5))

    def _g(self, at):
        counts = ((self._burst[at + 1] ^ 0x80) << 8 | self._burst[at]) - 0x8000
        return counts * G_PER_COUNT

    def end(self):
        self.bus.write(self.address, _ACCELERATION, 0)
