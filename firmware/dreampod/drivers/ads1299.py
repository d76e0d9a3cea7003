"""EEG: Texas Instruments ADS1299, four to eight channels of 24 bits on SPI with a data-ready line.

Sections named below are those of the datasheet SBAS499C. The chip has no memory for samples: each
falling edge of DRDY must be answered with a read before the next one, hence the hard interrupt. What
came too late is seen by its pace and its number used up.

On the board: CLKSEL high (the chip's own clock, section 9.3.2.1), PWDN and RESET high, START low, because
conversions are started by command (section 9.5.3.5), DAISY_IN to ground. Nothing else may be on this
SPI bus, since the interrupt reads it in the midst of everything. 4 MHz is the most: the chip takes 4 of
its own clocks (2 us) to understand a byte of a command (section 9.5.3.1).

After power-on the chip needs 2^18 clocks, 128 ms (section 11.1), which have passed when MicroPython is
up; if they have not, the identity is wrong and the part is tried again a second later.
"""

import time

from machine import Pin

from dreampod.clock import ticks_diff, ticks_us
from dreampod.drivers.pace import Pace
from dreampod.drivers.part import Part

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


_WAKEUP_US = const(50)
_RESET_US = const(40)  # 18 clocks of 2.048 MHz, section 9.4.1.4
_REFERENCE_MS = const(150)  # until the internal reference has settled, section 7.5

_SDATAC = const(0x11)
_RDATAC = const(0x10)
_RESET = const(0x06)
_START = const(0x08)
_STANDBY = const(0x04)
_RREG = const(0x20)
_WREG = const(0x40)

_ID = const(0x00)
_CONFIG1 = const(0x01)
_CONFIG2 = const(0x02)
_CONFIG3 = const(0x03)
_LOFF = const(0x04)
_CH1SET = const(0x05)
_LOFF_SENSP = const(0x0F)
_CONFIG4 = const(0x17)

_ID_MASK = const(0x1C)
_ID_ADS1299 = const(0x1C)  # DEV_ID 11b, and bit 4 always set; NU_CH below it; section 9.6.1.1
_CHANNELS_OF_ID = (4, 6, 8)
_RATES = {250: 0x96, 500: 0x95, 1000: 0x94}  # CONFIG1, section 9.6.1.2
_REFERENCE_ON = const(0xE0)  # section 9.6.1.4
_GAIN_24_NORMAL = const(0x60)  # CHnSET: power on, gain 24, electrode input; section 9.6.1.6
_CHANNEL_OFF = const(0x81)  # powered down, input shorted
_LEAD_OFF_6_NA = const(0x00)  # direct current of 6 nA, threshold 95 %; section 9.6.1.5
_COMPARATORS_ON = const(0x02)  # of lead-off; section 9.6.1.17

_STATUS_BYTES = const(3)
_STATUS_MASK = const(0xF0)
_STATUS_HEAD = const(0xC0)  # a frame begins 1100b, section 9.4.4.2

_SILENT_PERIODS = const(20)
_BAD_IN_A_ROW = const(10)
_WINDOW_US = const(4_000_000)  # over which the rate is measured
_WINDOW_LEAST_US = const(500_000)
_RATE_TOLERANCE = 0.03  # the chip's clock is good to 2.5 % over all temperatures, section 7.5

MICROVOLTS_PER_COUNT = 4.5e6 / 24 / (1 << 23)  # reference 4.5 V over the gain, section 9.5.1


class Driver(Part):
    """Pushes every conversion from the interrupt. `lost` counts samples that nobody fetched in time."""

    chip = "ADS1299"

    def __init__(self, spec, buses):
        super().__init__(spec, buses)
        pins = spec["pins"]
        self._rate_hz = spec["rate_hz"]
        self.streams = [
            {
                "name": spec["name"],
                "unit": "uV",
                "rate_hz": self._rate_hz,
                "channels": spec["channels"],
                "format": "i24be",
                "scale": MICROVOLTS_PER_COUNT,
                "offset": 0.0,
                "block": spec["block"],
            }
        ]
        self._wires = "%s, CS (pin %d)" % (self.bus.wires, pins["cs"])
        self._frame = bytearray(_STATUS_BYTES + 3 * len(spec["channels"]))
        self._one = bytearray(1)
        self._three = bytearray(3)
        self._pace = Pace(self._rate_hz)
        self._silent_us = _SILENT_PERIODS * 1_000_000 // self._rate_hz
        self._open = False
        self.lost = 0
        self.bad = 0  # frames whose status was not one
        self._bad_in_a_row = 0
        self._bad_told = 0
        self._settling = 0
        self._count = 0  # samples in this window
        self._window = ticks_us()
        self._last_count = 0
        self._last_us = 0

    def begin(self, streams):
        self._stream = streams[0]
        super().begin(streams)

    def start(self):
        spec = self.spec
        if self._rate_hz not in _RATES:
            raise OSError("%d Hz is not one of %s" % (self._rate_hz, sorted(_RATES)))
        self._open_pins()
        self._command(_RESET)
        time.sleep_us(_RESET_US)
        self._command(_SDATAC)
        fitted = self._identify()
        wanted = len(spec["channels"])
        if fitted < wanted:
            raise OSError("has %d channels, the board's data name %d" % (fitted, wanted))
        self._write(_CONFIG1, _RATES[self._rate_hz])
        self._write(_CONFIG2, 0xC0)
        self._write(_CONFIG3, _REFERENCE_ON)
        self._write(_LOFF, _LEAD_OFF_6_NA)
        for channel in range(fitted):
            self._write(_CH1SET + channel, _GAIN_24_NORMAL if channel < wanted else _CHANNEL_OFF)
        self._write(_LOFF_SENSP, (1 << wanted) - 1)
        self._write(_CONFIG4, _COMPARATORS_ON)
        self._settling = self._rate_hz * _REFERENCE_MS // 1000
        self._bad_in_a_row = 0
        self._count = 0
        self._last_us = 0
        self._window = ticks_us()
        self._pace.restart(self.sampled if self._begun else None)
        self._command(_START)
        self._command(_RDATAC)
        try:
            self._drdy.irq(self._on_ready, Pin.IRQ_FALLING, hard=True)
        except (TypeError, ValueError):
            # The ESP32 has soft interrupts only: some milliseconds late at times, so that samples
            # get lost, which is counted
            self._drdy.irq(self._on_ready, Pin.IRQ_FALLING)

    def _open_pins(self):
        pins = self.spec["pins"]
        self._spi = self.bus.spi
        self._cs = Pin(pins["cs"], Pin.OUT, value=1)
        self._drdy = Pin(pins["drdy"], Pin.IN, Pin.PULL_UP)
        self._drdy.irq(None)  # what is said to the chip must not be cut in two by a read
        self._open = True

    def _identify(self):
        """The number of channels the chip has."""
        identity = self._read(_ID)
        kind = identity & 3
        if identity & _ID_MASK != _ID_ADS1299 or kind >= len(_CHANNELS_OF_ID):
            raise OSError(
                "no ADS1299 there, ID reads 0x%02x: check its supply, %s" % (identity, self._wires)
            )
        return _CHANNELS_OF_ID[kind]

    def _on_ready(self, _pin):
        """The interrupt. It may be a hard one: nothing here allocates."""
        if self._drdy():
            return  # a soft one that came so late that the one before it has read this sample
        now = ticks_us()
        frame = self._frame
        self._cs(0)
        self._spi.readinto(frame)
        self._cs(1)
        stream = self._stream
        missed = self._pace.missed(now)
        if missed:
            self.lost += missed
            stream.skip(missed)
        if frame[0] & _STATUS_MASK != _STATUS_HEAD:
            self.bad += 1
            self._bad_in_a_row += 1
            stream.skip(1)
        else:
            self._bad_in_a_row = 0
            if self._settling:
                self._settling -= 1
                stream.skip(1)
            else:
                stream.push_at(frame, _STATUS_BYTES, now)
        self._count += missed + 1
        self.sampled = now

    def sample(self, now):
        """The watchdog: the chip must keep its pace, and what it says must look like its frames."""
        if ticks_diff(now, self.sampled) > self._silent_us:
            self._drdy.irq(None)  # whoever comes back by himself would come uncounted
            raise OSError(
                "no data-ready pulses for %d ms: check DRDY (pin %d), its supply and START (low)"
                % (self._silent_us // 1000, self.spec["pins"]["drdy"])
            )
        if self._bad_in_a_row >= _BAD_IN_A_ROW:
            self._drdy.irq(None)
            raise OSError(
                "frames begin with 0x%02x instead of 0xc0: check DOUT, which is MISO, on %s"
                % (self._frame[0], self._wires)
            )
        self.errors += self.bad - self._bad_told
        self._bad_told = self.bad
        elapsed_us = ticks_diff(now, self._window)
        if not self._count:
            self._window = now
        elif elapsed_us >= _WINDOW_US:
            self._last_count, self._last_us = self._count, elapsed_us
            self._count = 0
            self._window = now

    def leads_off(self):
        """Names of the channels whose electrode does not touch, by the chip's 6 nA."""
        bits = self._frame[0] << 4 & 0xF0 | self._frame[1] >> 4
        channels = self.spec["channels"]
        return [channels[i] for i in range(len(channels)) if bits >> i & 1]

    def test(self):
        if self.fault:
            raise OSError(self.fault)
        count, elapsed_us = self._last_count, self._last_us
        if not elapsed_us:
            count, elapsed_us = self._count, ticks_diff(ticks_us(), self._window)
        text = "%d lost, %d bad frames" % (self.lost, self.bad)
        if elapsed_us >= _WINDOW_LEAST_US:
            rate_hz = count * 1e6 / elapsed_us
            if abs(rate_hz / self._rate_hz - 1) > _RATE_TOLERANCE:
                raise OSError(
                    "%s (%s): %.1f samples a second instead of %d: check CLKSEL (high) and DRDY (pin %d)"
                    % (self.name, self.chip, rate_hz, self._rate_hz, self.spec["pins"]["drdy"])
                )
            text = "%.1f Hz, %s" % (rate_hz, text)
        off = self.leads_off()
        return text + (", not touching: " + " ".join(off) if off else "")

    def end(self):
        if self._open:
            self._drdy.irq(None)
            self._command(_SDATAC)
            self._command(_STANDBY)

    def _command(self, code):
        self._one[0] = code
        self._cs(0)
        self._spi.write(self._one)
        self._cs(1)
        time.sleep_us(_WAKEUP_US)

    def _read(self, register):
        buf = self._three
        buf[0], buf[1], buf[2] = _RREG | register, 0, 0
        self._cs(0)
        self._spi.write_readinto(buf, buf)
        self._cs(1)
        return buf[2]

    def _write(self, register, value):
        buf = self._three
        buf[0], buf[1], buf[2] = _WREG | register, 0, value
        self._cs(0)
        self._spi.write(buf)
        self._cs(1)
        kept = self._read(register)
        if kept != value:
            raise OSError(
                "register 0x%02x reads 0x%02x after 0x%02x was written: check SCK and MOSI, %s"
                % (register, kept, value, self._wires)
            )
