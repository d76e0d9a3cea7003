"""Pulse: Analog Devices MAX30102, red and infrared light through a finger or the forehead, on I2C.

Sections and pages named below are those of the datasheet 19-7740 (revision 1). The chip samples by its
own oscillator into a FIFO of 32, which is emptied about every fourth sample; when nobody comes, the
newest replace the oldest. The place where it writes next tells how many samples came since, but for
whole rounds of 32, and those the clock tells: so no number is ever wrong, however long nobody came.
"""

import time

from dreampod.clock import ticks_add, ticks_diff, ticks_us
from dreampod.drivers.part import Part

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


_STATUS_1 = const(0x00)
_FIFO_WRITE = const(0x04)
_OVERFLOWS = const(0x05)
_FIFO_READ = const(0x06)
_FIFO_DATA = const(0x07)
_FIFO_SETUP = const(0x08)
_MODE = const(0x09)
_SPO2_SETUP = const(0x0A)
_RED_CURRENT = const(0x0C)
_INFRARED_CURRENT = const(0x0D)
_SLOTS_1_2 = const(0x11)
_REVISION = const(0xFE)
_PART = const(0xFF)

_PART_ID = const(0x15)
_POWER_READY = const(0x01)  # STATUS_1: the supply came back, and the set-up is gone
_RESET = const(0x40)
_SHUTDOWN = const(0x80)
_RESET_TRIES = const(5)
_RESET_WAIT_US = const(500)
_NO_AVERAGE_ROLL_OVER = const(0x10)  # FIFO_SETUP, page 17
_MULTI_LED = const(0x07)
_INFRARED_THEN_RED = const(0x12)  # slot 1 is LED2, slot 2 is LED1, page 21
_RANGE_4096_NA = const(0x20)  # SPO2_SETUP
_PULSE_411_US = const(0x03)  # 18 bits
_RATES = {50: 0x00, 100: 0x04, 200: 0x08, 400: 0x0C}  # SPO2_SETUP

# 7.2 mA, of 51 mA that it can: with pulses of 411 us at 100 Hz the skin is lit with less than 1 mW on
# average, and neither it nor the chip grows warm over a night
_CURRENT = const(0x24)

_FIFO_SAMPLES = const(32)
_MOST_COUNTED = const(31)  # the overflow counter stops there, page 15
_SAMPLE_BYTES = const(6)
_BURST_SAMPLES = const(8)
_POLL_SAMPLES = const(4)

NANOAMPERES_PER_COUNT = 4096 / (1 << 18)  # 15.6 pA, page 18


class Driver(Part):
    """Two channels of 18 bits: infrared, which carries the pulse best, and red."""

    chip = "MAX30102"

    def __init__(self, spec, buses):
        Part.__init__(self, spec, buses)
        rate_hz = spec["rate_hz"]
        if rate_hz not in _RATES:
            raise ValueError("MAX30102: %d Hz is not one of %s" % (rate_hz, sorted(_RATES)))
        self.streams = [
            {
                "name": spec["name"],
                "unit": "nA",
                "rate_hz": rate_hz,
                "channels": ["infrared", "red"],
                "format": "u24be",
                "scale": NANOAMPERES_PER_COUNT,
                "offset": 0.0,
                "block": spec["block"],
            }
        ]
        self.poll_us = _POLL_SAMPLES * 1_000_000 // rate_hz
        self._one = bytearray(1)
        self._pointers = bytearray(3)
        self._burst = bytearray(_BURST_SAMPLES * _SAMPLE_BYTES)
        view = memoryview(self._burst)
        self._views = [view[: i * _SAMPLE_BYTES] for i in range(_BURST_SAMPLES + 1)]
        self._place = 0  # where in the FIFO the next sample to fetch must lie
        self._revision = 0

    def start(self):
        bus, address = self.bus, self.address
        bus.read(address, _PART, self._one)
        if self._one[0] != _PART_ID:
            raise OSError(
                "reads part 0x%02x instead of 0x15 at address 0x%02x: check that it is a MAX30102, "
                "and %s" % (self._one[0], address, bus.wires)
            )
        bus.read(address, _REVISION, self._one)
        self._revision = self._one[0]
        bus.write(address, _MODE, _RESET)
        for _ in range(_RESET_TRIES):
            time.sleep_us(_RESET_WAIT_US)
            bus.read(address, _MODE, self._one)
            if not self._one[0] & _RESET:
                break
        bus.read(address, _STATUS_1, self._one)  # clears what it says
        bus.write(address, _FIFO_SETUP, _NO_AVERAGE_ROLL_OVER)
        setup = _RANGE_4096_NA | _RATES[self.spec["rate_hz"]] | _PULSE_411_US
        bus.write(address, _SPO2_SETUP, setup)
        bus.write(address, _RED_CURRENT, _CURRENT)
        bus.write(address, _INFRARED_CURRENT, _CURRENT)
        bus.write(address, _SLOTS_1_2, _INFRARED_THEN_RED)
        for register in (_FIFO_WRITE, _OVERFLOWS, _FIFO_READ):
            bus.write(address, register, 0)
        self._place = 0
        bus.write(address, _MODE, _MULTI_LED)
        bus.read(address, _SPO2_SETUP, self._one)
        if self._one[0] != setup:
            raise OSError("does not keep what is written to it: check its supply, %s" % bus.wires)

    def sample(self, now):
        bus, address = self.bus, self.address
        bus.read(address, _STATUS_1, self._one)
        if self._one[0] & _POWER_READY:
            raise OSError("lost its supply for a moment: check its supply wire and ground")
        bus.read(address, _FIFO_WRITE, self._pointers)
        now = ticks_us()
        write, overflows, read = self._pointers[0], self._pointers[1], self._pointers[2]
        came = (write - self._place) & 31
        if not came and not overflows:
            return
        came += self._rounds(came, now)
        kept = came
        if overflows or came > _FIFO_SAMPLES:
            # The counter of overflows ends at 31, which says nothing. The two oldest are left out: the
            # chip may write there meanwhile, and with equal pointers it would call the FIFO empty
            held = came - overflows if overflows < _MOST_COUNTED else came
            kept = max(1, min(_FIFO_SAMPLES, held) - 2)
        self._place = (write - kept) & 31
        if read != self._place:
            # An overflow, or a transfer that failed after it had fetched some: these are read again
            bus.write(address, _FIFO_READ, self._place)
        newest = self.newest_of(came, now)
        self.sampled = ticks_add(newest, -kept * self.period_us)
        if came > kept:
            self.outlets[0].skip(came - kept)
        self._fetch(kept)

    def _rounds(self, came, now):
        """Samples in the whole rounds through the FIFO that its pointer cannot tell."""
        elapsed = ticks_diff(now, self.sampled) // self.period_us
        return max(0, (elapsed - came + _FIFO_SAMPLES // 2) // _FIFO_SAMPLES) * _FIFO_SAMPLES

    def _fetch(self, count):
        """Push so many samples, each a period after the one before."""
        stream = self.outlets[0]
        burst = self._burst
        while count:
            some = min(count, _BURST_SAMPLES)
            self.bus.read(self.address, _FIFO_DATA, self._views[some])
            count -= some
            self._place = (self._place + some) & 31
            for i in range(some):
                at = i * _SAMPLE_BYTES
                burst[at] &= 3  # the bits above the 18 are not defined, table 1
                burst[at + 3] &= 3
                self.sampled = ticks_add(self.sampled, self.period_us)
                stream.push_at(burst, at, self.sampled)

    def test(self):
        Part.test(self)
        return "revision %d, infrared %.0f nA, red %.0f nA" % (
            self._revision,
            self._nanoamperes(0),
            self._nanoamperes(3),
        )

    def _nanoamperes(self, at):
        burst = self._burst
        return (burst[at] << 16 | burst[at + 1] << 8 | burst[at + 2]) * NANOAMPERES_PER_COUNT

    def end(self):
        self.bus.write(self.address, _MODE, _SHUTDOWN)
