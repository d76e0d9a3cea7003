"""Skin temperature: Texas Instruments TMP117, one value a second, 0.1 degree exact, on I2C.

Sections named below are those of the datasheet SNOSD82C. Each conversion averages eight, so that a
value is worth more than its last bit; the chip warms the skin by less than it can measure.
"""

from dreampod.clock import ticks_add, ticks_diff, ticks_us
from dreampod.drivers.part import Part

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


_TEMPERATURE = const(0x00)
_SETUP = const(0x01)
_IDENTITY = const(0x0F)

_DEVICE = const(0x117)
_DEVICE_MASK = const(0xFFF)  # above it stands the revision, section 7.6.1.11
_READY = const(0x20)  # in the high byte of SETUP; reading it clears it, section 7.6.1.3
_CONTINUOUS_1_S_8 = const(0x0220)  # a cycle of one second, eight conversions averaged, table 7-7
_WRITABLE = const(0x0FFC)

_PERIOD_US = const(1_000_000)
_POLL_US = const(100_000)
# The eight conversions take 124 ms and end when the flag rises, which is seen half a poll later
_AGE_US = const(112_000)

DEGREES_PER_COUNT = 0.0078125


class Driver(Part):
    """One channel, in degrees Celsius."""

    chip = "TMP117"
    poll_us = _POLL_US

    def __init__(self, spec, buses):
        Part.__init__(self, spec, buses)
        if spec["rate_hz"] != 1:
            raise ValueError("TMP117: %d Hz is not 1" % spec["rate_hz"])
        self.streams = [
            {
                "name": spec["name"],
                "unit": "degC",
                "rate_hz": 1,
                "channels": [spec["name"]],
                "format": "i16be",
                "scale": DEGREES_PER_COUNT,
                "offset": 0.0,
                "block": spec["block"],
            }
        ]
        self._two = bytearray(2)
        self._waiting = False  # a value is there, and the flag that said so is cleared

    def start(self):
        bus, address = self.bus, self.address
        bus.read(address, _IDENTITY, self._two)
        identity = self._two[0] << 8 | self._two[1]
        if identity & _DEVICE_MASK != _DEVICE:
            raise OSError(
                "reads identity 0x%04x instead of 0x0117 at address 0x%02x: check that it is a "
                "TMP117, and %s" % (identity, address, bus.wires)
            )
        bus.write_word(address, _SETUP, _CONTINUOUS_1_S_8)
        bus.read(address, _SETUP, self._two)
        if (self._two[0] << 8 | self._two[1]) & _WRITABLE != _CONTINUOUS_1_S_8:
            raise OSError("does not keep what is written to it: check its supply, %s" % bus.wires)
        self._waiting = False
        self._polled = ticks_us()

    def sample(self, now):
        two = self._two
        regular = ticks_diff(now, self._polled) < 2 * _POLL_US
        self._polled = now
        if not self._waiting:
            self.bus.read(self.address, _SETUP, two)
            if not two[0] & _READY:
                return
            self._waiting = True  # should the next transfer fail, the value is still there
        self.bus.read(self.address, _TEMPERATURE, two)
        self._waiting = False
        now = ticks_us()
        taken = ticks_add(now, -_AGE_US)
        since = ticks_diff(taken, self.sampled)
        if regular:
            count = (since + _PERIOD_US // 2) // _PERIOD_US
        else:  # it may have waited for long
            count = since // _PERIOD_US
            taken = ticks_add(self.sampled, count * _PERIOD_US)
        if count > 1:  # conversions that nobody came for
            self.outlets[0].skip(count - 1)
        self.outlets[0].push_at(two, 0, taken)
        self.sampled = taken

    def test(self):
        Part.test(self)
        bus, two = self.bus, self._two
        bus.read(self.address, _TEMPERATURE, two)
        counts = ((two[0] ^ 0x80) << 8 | two[1]) - 0x8000
        return "%.2f degC" % (counts * DEGREES_PER_COUNT)
