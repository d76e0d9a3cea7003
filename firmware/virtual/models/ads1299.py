"""The ADS1299-4 as seen from its pins: commands, registers, data-ready, conversions.

Modelled after the datasheet SBAS499C: section 9.5.3 (SPI commands), 9.6 (register map), 9.4.4
(data format: 24 status bits, then one 24-bit two's complement value per channel, most significant
byte first). It converts at the pace of its own oscillator, which is not the pod's crystal.
"""

import crystal
import pins

_CHANNELS = 4
_REGISTERS = 0x18
_RESET = {0x00: 0x3C, 0x01: 0x96, 0x02: 0xC0, 0x03: 0x60, 0x14: 0x0F}
_CH1SET = 0x05
_CHANNEL_RESET = 0x61
_OTHER_IDENTITY = 0x92  # an ADS1298
_PERIODS_NS = {0x96: 4_000_000, 0x95: 2_000_000, 0x94: 1_000_000}
_SETTLING_PERIODS = 4  # of its filter after START, section 9.4.2.2
_MISSED_EACH = 5  # with the fault "overflow"


class Model:
    """Driven by `clock_in` and `clock_out` while selected; pulls its DRDY pin low when data is ready.

    `fault` may be "wrong-identity", "silent" (no DRDY), "overflow" (each fifth DRDY is missed) or "dout"
    (its data line is held high).
    """

    wake = crystal.NEVER

    def __init__(self, spec, tapes):
        self.fault = None
        self._drdy = spec["pins"]["drdy"]
        self._tape = tapes.open("eeg", 4)
        self._columns = min(_CHANNELS, tapes.card("eeg")["channels"]) if self._tape else 0
        self._oscillator_ppb = (crystal.PPB * 7919) % 400_000 - 200_000  # +-200 ppm, fixed per pod
        self._frame = bytearray(3 + 3 * _CHANNELS)
        self._frame[0] = 0xC0  # status begins 1100b
        self._due_ns = 0
        self._conversions = 0
        self._reset()
        crystal.attach(self)

    def _reset(self):
        self._registers = bytearray(_REGISTERS)
        for register in _RESET:
            self._registers[register] = _RESET[register]
        for channel in range(_CHANNELS):
            self._registers[_CH1SET + channel] = _CHANNEL_RESET
        self._continuous = True  # the power-up mode
        self._reply = b""
        self.due = crystal.NEVER

    def clock_in(self, data):
        command = data[0]
        if command == 0x06:
            self._reset()
        elif command == 0x11:
            self._continuous = False
        elif command == 0x10:
            self._continuous = True
        elif command == 0x08:
            self._due_ns = crystal.counted() * 1000
            for _ in range(_SETTLING_PERIODS):
                self._schedule()
        elif command == 0x04 or command == 0x0A:
            self.due = crystal.NEVER  # standby, or conversions stopped
        elif self._continuous:
            pass  # register access is ignored in continuous mode, section 9.5.3.6
        elif command & 0xE0 == 0x20:
            self._reply = bytes((0, 0, self._register(command & 0x1F)))
        elif command & 0xE0 == 0x40 and 0 < command & 0x1F < _REGISTERS:
            self._registers[command & 0x1F] = data[2]

    def _register(self, number):
        if number == 0 and self.fault == "wrong-identity":
            return _OTHER_IDENTITY
        return self._registers[number] if number < _REGISTERS else 0

    def clock_out(self, into):
        source = self._frame if self._continuous else self._reply
        if self.fault == "dout":
            source = b"\xff" * len(into)
        for i in range(len(into)):
            into[i] = source[i] if i < len(source) else 0
        if self._continuous:
            pins.drive(self._drdy, 1)  # goes high at the first clock, section 9.5.1

    def _schedule(self):
        period = _PERIODS_NS.get(self._registers[1], 4_000_000)
        self._due_ns += period + period * self._oscillator_ppb // 1_000_000_000
        self.due = self._due_ns // 1000

    def fire(self):
        self._schedule()
        if self._columns:
            self._tape.next()
            held, at = self._tape.held, self._tape.at
            frame = self._frame
            for column in range(self._columns):
                place = 3 + 3 * column
                frame[place] = held[at + 2]
                frame[place + 1] = held[at + 1]
                frame[place + 2] = held[at]
                at += 4
        self._conversions += 1
        if self.fault == "silent":
            return
        if self.fault == "overflow" and self._conversions % _MISSED_EACH == 0:
            return
        pins.drive(self._drdy, 1)  # rises just before new data, whether it was read or not
        pins.drive(self._drdy, 0)
