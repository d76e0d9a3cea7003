"""The MAX30102 as seen from the bus: registers, FIFO of 32 samples, light through a sleeper's finger.

Modelled after the datasheet 19-7740 (revision 1): pages 10 to 22 for the registers, page 15 for the
FIFO's pointers and its overflow counter. Where the sleeper's pulse was recorded it is played: with
each heartbeat more blood takes about one percent of the light away.
"""

from models.registers import Recording, Registers

_DEPTH = 32
_PERIODS_US = (20000, 10000, 5000, 2500, 1250, 1000, 625, 312)
_RED, _INFRARED = 1, 2  # codes of a slot: LED1, LED2
_COUNTS = {_RED: 90000, _INFRARED: 100000}  # with the usual current
_PULSE = {_RED: 500, _INFRARED: 1000}  # of these, peak to peak: about what 97 % oxygen gives
_CURRENT_REGISTER = {_RED: 0x0C, _INFRARED: 0x0D}
_USUAL_CURRENT = 0x24
_DARK_COUNTS = 180
_FULL = (1 << 18) - 1


class Model(Registers):
    def __init__(self, spec, tapes):
        Registers.__init__(self, spec)
        self._pulse = Recording(tapes, "pulse")
        self._fifo = bytearray(_DEPTH * 6)
        self._power_on()

    def _power_on(self):
        self._registers = bytearray(256)
        self._registers[0x00] = 0x01  # PWR_RDY
        self._registers[0xFE] = 0x03
        self._registers[0xFF] = 0x15
        self._held = 0
        self._byte = 0  # of the sample that is being read
        self._slots = ()
        self._due = 0

    def catch_up(self, now):
        if not self._slots:
            return
        period = _PERIODS_US[self._registers[0x0A] >> 2 & 7]
        if self.fault == "silent":
            self._due = now + period
        depth = 2 if self.fault == "overflow" else _DEPTH
        rolls_over = self._registers[0x08] & 0x10
        due = (now - self._due) // period + 1
        if rolls_over and due > 2 * _DEPTH:  # whole rounds that nobody will see
            self._due += (due // _DEPTH - 1) * _DEPTH * period
            self._registers[0x05] = 31
        while self._due <= now:
            if self._held >= depth and not rolls_over:
                more = (now - self._due) // period + 1
                self._registers[0x05] = min(31, self._registers[0x05] + more)
                self._due += more * period
                break
            while self._held >= depth:  # the oldest goes
                self._held -= 1
                self._registers[0x06] = self._registers[0x06] + 1 & 31
                self._registers[0x05] = min(31, self._registers[0x05] + 1)
            self._store(self.counted(self._due))
            self._due += period

    def _store(self, count):
        write = self._registers[0x04]
        at = write * 6
        blood = self._pulse.at(count) - 32768
        for slot in self._slots:
            light = _COUNTS[slot] - blood * _PULSE[slot] // 65536
            current = self._registers[_CURRENT_REGISTER[slot]]
            value = min(_FULL, _DARK_COUNTS + light * current // _USUAL_CURRENT)
            self._fifo[at] = value >> 16 | 0xA4  # the six bits above are anything
            self._fifo[at + 1] = value >> 8 & 0xFF
            self._fifo[at + 2] = value & 0xFF
            at += 3
        self._registers[0x04] = write + 1 & 31
        self._held += 1

    def read(self, register):
        if register == 0x07:
            return self._pop()
        value = self._registers[register]
        if register == 0x00:
            self._registers[0x00] = 0
        if register == 0xFF and self.fault == "wrong-identity":
            return 0x11  # a MAX30100
        return value

    def _pop(self):
        read = self._registers[0x06]
        value = self._fifo[read * 6 + self._byte]
        self._byte += 1
        if self._byte >= 3 * len(self._slots):
            self._byte = 0
            if self._held:
                self._held -= 1
                self._registers[0x06] = read + 1 & 31
                self._registers[0x05] = 0
        return value

    def write(self, register, value):
        if register == 0x09 and value & 0x40:
            self._power_on()
            return
        if register in (0x04, 0x05, 0x06):
            value &= 31
        elif register in (0x00, 0x01, 0x07, 0xFE, 0xFF):
            return
        self._registers[register] = value
        if register in (0x04, 0x06):
            self._held = self._registers[0x04] - self._registers[0x06] & 31
            self._byte = 0
        elif register in (0x09, 0x11):
            self._begin()

    def _begin(self):
        mode = self._registers[0x09]
        slots = self._registers[0x11] & 7, self._registers[0x11] >> 4 & 7
        if mode & 0x80:
            self._slots = ()
        elif mode & 7 == 7:
            self._slots = tuple(slot for slot in slots if slot in _COUNTS)
        else:
            self._slots = {2: (_RED,), 3: (_RED, _INFRARED)}.get(mode & 7, ())
        self._due = self.now() + _PERIODS_US[self._registers[0x0A] >> 2 & 7]

    def following(self, register):
        return register if register == 0x07 else register + 1 & 0xFF
