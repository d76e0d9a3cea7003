"""The TMP117 as seen from the bus, on a sleeper's skin.

Modelled after the datasheet SNOSD82C, section 7.6: the temperature reads -256 degrees until the first
conversion is done; the data-ready flag falls when the temperature or the set-up is read.
"""

from models.registers import Words

_SKIN_COUNTS = round(34.2 / 0.0078125)
_NOT_YET = 0x8000
_CYCLE_US = 1_000_000
_READY = 0x2000


class Model(Words):
    def __init__(self, spec, tapes):
        Words.__init__(self, spec)
        self._setup = 0x0220
        self._limits = {2: 0x6000, 3: 0x8000}
        self._temperature = _NOT_YET
        self._ready = False
        self._due = self.now() + _CYCLE_US

    def catch_up(self, now):
        if self.fault == "silent":
            self._due = now + _CYCLE_US
        if now >= self._due:
            self._due += ((now - self._due) // _CYCLE_US + 1) * _CYCLE_US
            self._temperature = _SKIN_COUNTS
            self._ready = True

    def read(self, register):
        if register == 0:
            self._ready = False
            return self._temperature
        if register == 1:
            value = self._setup | (_READY if self._ready else 0)
            self._ready = False
            return value
        if register == 15:
            return 0x0116 if self.fault == "wrong-identity" else 0x0117
        return self._limits.get(register, 0)

    def write(self, register, value):
        if register == 1:
            self._setup = value & 0x0FFC
            self._due = self.now() + _CYCLE_US  # a new cycle begins
        elif register in self._limits:
            self._limits[register] = value
