"""The LSM6DSO as seen from the bus: registers, FIFO of 512 tagged words, a sleeper on their back.

Modelled after the datasheet DS12140 (revision 2), section 9, and the application note AN5192, section 9,
for the FIFO: in continuous mode the newest replace the oldest. The chest rises and falls with the
recorded breath by some thousandths of the earth's pull.
"""

from models.registers import Recording, Registers

_DEPTH = 512
_OSCILLATOR_HZ = 6667
_DIVIDERS = {0x1: 512, 0x2: 256, 0x3: 128, 0x4: 64, 0x5: 32}
_G_COUNTS = 16393  # at +-2 g
_TILT_COUNTS = 320
_BREATH_COUNTS = 160  # from the lowest to the highest of the recording
_FINE_PPM = 1500
_OVERRUN, _FULL, _OVERRUN_LATCHED = 0x40, 0x20, 0x08
_TAG_ACCELERATION = 2


class Model(Registers):
    def __init__(self, spec, tapes):
        Registers.__init__(self, spec)
        self._breath = Recording(tapes, "breath")
        self._fifo = bytearray(_DEPTH * 7)
        self._reset()

    def _reset(self):
        self._registers = bytearray(128)
        self._registers[0x0F] = 0x6C
        self._registers[0x12] = 0x04  # IF_INC
        # What the maker measured of the oscillator, in steps of 0.15 percent
        self._registers[0x63] = round(self.oscillator_ppb / 1000 / _FINE_PPM) & 0xFF
        self._empty()
        self._tag = 0
        self._due_ns = 0

    def _empty(self):
        self._first = 0
        self._held = 0
        self._overrun = 0

    def _period_ns(self):
        rate = self._registers[0x09] & 0x0F
        if self._registers[0x0A] & 7 != 6 or self._registers[0x10] >> 4 != rate:
            return 0
        return _DIVIDERS.get(rate, 0) * 1_000_000_000 // _OSCILLATOR_HZ

    def catch_up(self, now):
        period = self._period_ns()
        if not period:
            return
        now *= 1000
        if self.fault == "silent":
            self._due_ns = now + period
        depth = 1 if self.fault == "overflow" else _DEPTH
        lost = (now - self._due_ns) // period + 1 - depth
        if lost > 0:  # nobody will see these
            self._due_ns += lost * period
            self._tag = self._tag + lost & 3
            self._overrun |= _OVERRUN | _OVERRUN_LATCHED
        while self._due_ns <= now:
            while self._held >= depth:
                self._first = (self._first + 1) % _DEPTH
                self._held -= 1
                self._overrun |= _OVERRUN | _OVERRUN_LATCHED
            self._store(self.counted(self._due_ns // 1000))
            self._due_ns += period

    def _store(self, count):
        fifo = self._fifo
        at = (self._first + self._held) % _DEPTH * 7
        head = _TAG_ACCELERATION << 3 | self._tag << 1
        parity = head ^ head >> 4
        parity ^= parity >> 2
        fifo[at] = head | (parity ^ parity >> 1) & 1
        chest = (self._breath.at(count) - 32768) * _BREATH_COUNTS // 65536
        self._put(at + 1, _TILT_COUNTS)
        self._put(at + 3, chest)
        self._put(at + 5, _G_COUNTS)
        self._tag = self._tag + 1 & 3
        self._held += 1

    def _put(self, at, value):
        self._fifo[at] = value & 0xFF
        self._fifo[at + 1] = value >> 8 & 0xFF

    def read(self, register):
        if register == 0x3A:
            return self._held & 0xFF
        if register == 0x3B:
            status = self._overrun | self._held >> 8
            if self._held == _DEPTH:
                status |= _FULL
            self._overrun = 0
            return status
        if 0x78 <= register <= 0x7E:
            value = self._fifo[self._first * 7 + register - 0x78] if self._held else 0
            if register == 0x7E and self._held:
                self._first = (self._first + 1) % _DEPTH
                self._held -= 1
            return value
        if register == 0x0F and self.fault == "wrong-identity":
            return 0x69  # an LSM6DS3
        return self._registers[register & 0x7F]

    def write(self, register, value):
        if register == 0x12 and value & 1:
            self._reset()
            return
        if register in (0x0F, 0x3A, 0x3B, 0x63) or register > 0x77:
            return
        self._registers[register] = value
        if register == 0x0A and not value & 7:
            self._empty()
        if register in (0x09, 0x0A, 0x10):
            self._due_ns = self.now() * 1000 + self._period_ns()

    def following(self, register):
        if register == 0x7E:
            return 0x78
        return register + 1 & 0x7F if self._registers[0x12] & 0x04 else register
