"""Voltages: Texas Instruments ADS1115, 16 bits, up to four inputs in turn, on I2C.

Breath (a belt), skin conductance, or whatever else a sensor tells as a voltage. Sections named below
are those of the datasheet SBAS444D. Conversions are single ones, asked for by the pod's clock: input
after input, one slot each. The loop never waits for one; it looks again in its next turns. A slot
that could not be had in time is used up, so that a sample's number still says when it was taken.
"""

from dreampod.clock import ticks_add, ticks_diff, ticks_us
from dreampod.drivers.part import Part

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


_CONVERSION = const(0x00)
_SETUP = const(0x01)
_LOW_THRESHOLD = const(0x02)
_HIGH_THRESHOLD = const(0x03)

_START = const(0x8000)  # SETUP, section 8.1.3; reads as 1 when no conversion is running
_AGAINST_GROUND = const(0x4000)
_INPUT_SHIFT = const(12)
_RANGE_4096_MV = const(0x0200)
_SINGLE = const(0x0100)
_NO_COMPARATOR = const(0x0003)
_DONE = const(0x80)  # in the high byte of SETUP
_SETUP_BITS = const(0x7FFF)
_SPEEDS = ((128, 0x0080), (250, 0x00A0), (475, 0x00C0), (860, 0x00E0))  # samples per second
_SLOWEST_PERCENT = const(112)  # the oscillator may be 10 % slow, section 6.5, and wakes in 25 us

# Reset values of registers that nobody writes. There is no identity register; but the ADS1015, its
# sister of 12 bits in the same package, cannot keep the last four bits of the second one.
_LOW_AT_RESET = const(0x8000)
_HIGH_AT_RESET = const(0x7FFF)

VOLTS_PER_COUNT = 4.096 / (1 << 15)


class Driver(Part):
    """One stream for each input, in the unit that the board's data says for it."""

    chip = "ADS1115"

    def __init__(self, spec, buses):
        Part.__init__(self, spec, buses)
        inputs = spec["inputs"]
        rate_hz = spec["rate_hz"]
        self.streams = [
            {
                "name": entry["stream"],
                "unit": entry["unit"],
                "rate_hz": rate_hz,
                "channels": [entry["stream"]],
                "format": "i16be",
                "scale": VOLTS_PER_COUNT * entry["scale"],
                "offset": entry["offset"],
                "block": spec["block"],
            }
            for entry in inputs
        ]
        slots = rate_hz * len(inputs)
        self._slot_us = 1_000_000 // slots
        # A quarter of a slot for the conversion leaves the loop time to come round
        speed, bits = _SPEEDS[-1]
        for fast_enough, code in _SPEEDS:
            if fast_enough >= 4 * slots:
                speed, bits = fast_enough, code
                break
        self._conversion_us = 1_000_000 // speed
        self._look_us = self._conversion_us * _SLOWEST_PERCENT // 100
        if 2 * self._look_us > self._slot_us:
            raise ValueError(
                "ADS1115: %d inputs at %d Hz are too many; at most 380 conversions a second"
                % (len(inputs), rate_hz)
            )
        always = _AGAINST_GROUND | _RANGE_4096_MV | _SINGLE | bits | _NO_COMPARATOR
        self._setups = [always | entry["input"] << _INPUT_SHIFT for entry in inputs]
        self._two = bytearray(2)
        self._input = 0  # whose slot it is
        self._converting = False

    def start(self):
        bus, address = self.bus, self.address
        low, high = self._read(_LOW_THRESHOLD), self._read(_HIGH_THRESHOLD)
        if low != _LOW_AT_RESET or high != _HIGH_AT_RESET:
            raise OSError(
                "reads thresholds 0x%04x 0x%04x instead of 0x8000 0x7fff at address 0x%02x: check "
                "that it is an ADS1115, and %s" % (low, high, address, bus.wires)
            )
        bus.write_word(address, _SETUP, self._setups[0])
        if self._read(_SETUP) & _SETUP_BITS != self._setups[0]:
            raise OSError("does not keep what is written to it: check its supply, %s" % bus.wires)
        self._converting = False
        # Go on with the input whose turn it is, so that all streams have lost the same
        self._slot = ticks_us()  # when it may be asked
        self._asked = self._slot  # when it was

    def _read(self, register):
        self.bus.read(self.address, register, self._two)
        return self._two[0] << 8 | self._two[1]

    def sample(self, now):
        if self._converting:
            if ticks_diff(now, self._asked) < self._look_us:
                return
            if not self._fetch():
                return
        late = ticks_diff(now, self._slot)
        if late < 0:
            return
        if late >= self.period_us:
            missed = late // self.period_us
            for stream in self.outlets:
                stream.skip(missed)
            self._slot = ticks_add(self._slot, missed * self.period_us)
        self.bus.write_word(self.address, _SETUP, _START | self._setups[self._input])
        self._asked = ticks_us()
        self._converting = True

    def _fetch(self):
        """Push the conversion that was asked for, if it is done."""
        two = self._two
        self.bus.read(self.address, _SETUP, two)
        if not two[0] & _DONE:
            return False
        self.bus.read(self.address, _CONVERSION, two)
        self._converting = False
        self.sampled = ticks_add(self._asked, self._conversion_us // 2)
        self.outlets[self._input].push_at(two, 0, self.sampled)
        self._input += 1
        if self._input == len(self._setups):
            self._input = 0
        self._slot = ticks_add(self._slot, self._slot_us)
        return True

    def test(self):
        Part.test(self)
        return "converts %d inputs" % len(self._setups)
