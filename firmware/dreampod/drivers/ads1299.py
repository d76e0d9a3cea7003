"""EEG: Texas Instruments ADS1299-4, four channels of 24 bits on SPI with a data-ready line.

Sections named below are those of the datasheet SBAS499C. The chip has no FIFO: each falling edge
of DRDY must be answered with a read before the next one, hence the hard interrupt.
"""

import time

from machine import Pin

_WAKEUP_US = 50
_RESET_CLOCKS_US = 40  # 18 clocks of 2.048 MHz, section 9.4.1.4
_SDATAC = 0x11
_RDATAC = 0x10
_RESET = 0x06
_START = 0x08
_RREG = 0x20
_WREG = 0x40

_ID = 0x00
_CONFIG1 = 0x01
_CONFIG2 = 0x02
_CONFIG3 = 0x03
_CH1SET = 0x05

_ID_MASK = 0x1F
_ID_ADS1299_4 = 0x1C  # DEV_ID 11b and NU_CH 00b, with bit 4 always set; section 9.6.1.1
_RATES = {250: 0x96, 500: 0x95, 1000: 0x94}  # CONFIG1, section 9.6.1.2
_GAIN_24_NORMAL = 0x60  # CHnSET: power on, gain 24, electrode input
_STATUS_BYTES = 3

CHANNELS = 4
MICROVOLTS_PER_COUNT = 4.5e6 / 24 / (1 << 23)  # reference 4.5 V over the gain, section 9.5.1


class ADS1299:
    """Starts the chip and pushes every conversion into `stream`."""

    def __init__(self, spi, cs, drdy, rate_hz):
        self._spi = spi
        self._cs = cs
        self._drdy = drdy
        self._frame = bytearray(_STATUS_BYTES + 3 * CHANNELS)
        self._one = bytearray(1)
        self._three = bytearray(3)
        cs(1)
        self._command(_RESET)
        time.sleep_us(_RESET_CLOCKS_US)
        self._command(_SDATAC)
        identity = self._read(_ID)
        if identity & _ID_MASK != _ID_ADS1299_4:
            raise OSError(
                "no ADS1299-4 on the SPI bus (ID reads 0x%02x): check its supply, CS, SCLK, DIN and DOUT"
                % identity
            )
        if rate_hz not in _RATES:
            raise ValueError("ADS1299: %d Hz is not one of %s" % (rate_hz, sorted(_RATES)))
        self._write(_CONFIG1, _RATES[rate_hz])
        self._write(_CONFIG2, 0xC0)
        self._write(_CONFIG3, 0xE0)  # internal reference on, section 9.6.1.4
        for channel in range(CHANNELS):
            self._write(_CH1SET + channel, _GAIN_24_NORMAL)

    def begin(self, stream):
        """Convert continuously; `stream.push` gets the counts, big-endian, from the interrupt."""
        self._push = stream.push
        self._command(_START)
        self._command(_RDATAC)
        self._drdy.irq(self._on_ready, Pin.IRQ_FALLING, hard=True)

    def _on_ready(self, _pin):
        self._cs(0)
        self._spi.readinto(self._frame)
        self._cs(1)
        self._push(self._frame, _STATUS_BYTES)

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
        if self._read(register) != value:
            raise OSError(
                "ADS1299 register 0x%02x does not keep what was written: check SCLK and DIN"
                % register
            )
