"""The DRV2605L as seen from I2C: registers, the sequencer, the diagnosis of its motor.

Modelled after the datasheet SLOS854D, section 8.6 (register map). Each effect it plays is kept for those
who test, in haptics.json on the PC: a list of [true time in us, effect, volts at full strength].
"""

import json

import crystal
import pc
import pins

from models.registers import Registers

_STATUS = 0x00
_MODE = 0x01
_SEQUENCE = 0x04
_GO = 0x0C
_RATED_VOLTAGE = 0x16
_VBAT = 0x21
_REGISTERS = 0x23

_RESET = {
    0x01: 0x40, 0x03: 0x01, 0x04: 0x01, 0x05: 0x00, 0x11: 0x05, 0x12: 0x19, 0x13: 0xFF, 0x14: 0x19,
    0x15: 0xFF, 0x16: 0x3F, 0x17: 0x89, 0x18: 0x0D, 0x19: 0x6D, 0x1A: 0x36, 0x1B: 0x93, 0x1C: 0xF5,
    0x1D: 0xA0, 0x1E: 0x20, 0x1F: 0x80, 0x20: 0x33,
}  # fmt: skip

_IDENTITY = 7 << 5
_OTHER_IDENTITY = 3 << 5  # a DRV2605, its elder brother
_STANDBY = 0x40
_MODES = 0x07
_DIAGNOSE = 6
_EFFECT_US = 250_000  # as long as most of its library are
_DIAGNOSIS_US = 150_000
_VBAT_5_VOLTS = 228


class Model(Registers):
    """`fault` may also be "no-motor", "over-current" or "over-temperature"."""

    def __init__(self, spec, tapes):
        Registers.__init__(self, spec)
        self._enable = spec["pins"]["enable"] if "pins" in spec else None
        self._values = bytearray(_REGISTERS)
        for register in _RESET:
            self._values[register] = _RESET[register]
        self._until = 0  # chip time at which what plays is over
        self._diagnosed_bad = False
        self.played = []

    def start(self):
        self._deaf = self._enable is not None and not pins.level(self._enable)
        Registers.start(self)

    def write_byte(self, byte):
        return not self._deaf and Registers.write_byte(self, byte)

    def catch_up(self, now):
        if self._values[_GO] and now >= self._until:
            self._values[_GO] = 0

    def read(self, register):
        if register == _STATUS:
            return self._status()
        if register == _VBAT:
            return _VBAT_5_VOLTS
        return self._values[register] if register < _REGISTERS else 0

    def _status(self):
        if self.fault == "wrong-identity":
            return _OTHER_IDENTITY
        value = _IDENTITY | (0x08 if self._diagnosed_bad else 0)
        if self.fault == "over-current":
            value |= 0x01
        elif self.fault == "over-temperature":
            value |= 0x02
        return value

    def write(self, register, value):
        if register == _GO:
            self._go(value & 1)
        elif register != _STATUS and register < _REGISTERS:
            self._values[register] = value

    def _go(self, on):
        values = self._values
        mode = values[_MODE]
        if not on or mode & _STANDBY:
            values[_GO] = 0
            return
        if values[_GO]:
            return  # it plays already
        if mode & _MODES == _DIAGNOSE:
            values[_GO] = 1
            self._until = self.now() + _DIAGNOSIS_US
            self._diagnosed_bad = self.fault == "no-motor"
        elif mode & _MODES == 0 and values[_SEQUENCE]:
            values[_GO] = 1
            self._until = self.now() + _EFFECT_US
            self._keep(values[_SEQUENCE])

    def _keep(self, effect):
        when = crystal.true_us(crystal.counted())
        self.played.append([when, effect, self._values[_RATED_VOLTAGE] * 20.58e-3])
        with pc.open("haptics.json", "w") as file:
            json.dump(self.played, file)
