"""The ADS1299-4 as seen from its pins: commands, registers, data-ready, conversions.

Modelled after the datasheet SBAS499C: section 9.5.3 (SPI commands), 9.6 (register map), 9.4.4
(data format: 24 status bits, then one 24-bit two's complement value per channel, most significant
byte first). It converts at the pace of its own oscillator, which is not the pod's crystal.
"""

import crystal

_CHANNELS = 4
_RESET_REGISTERS = bytes((0x3C, 0x96, 0xC0, 0x60, 0x00) + (0x61,) * 4)
_PERIODS_NS = {0x96: 4_000_000, 0x95: 2_000_000, 0x94: 1_000_000}


class ADS1299Model:
    """Driven by `clock_in` and `clock_out` while selected; `ready()` is its DRDY line falling."""

    wake = crystal.NEVER

    def __init__(self, tape, columns, ready):
        self._tape = tape
        self._columns = columns
        self._ready = ready
        self._oscillator_ppb = (crystal.PPB * 7919) % 400_000 - 200_000  # +-200 ppm, fixed per pod
        self._frame = bytearray(3 + 3 * _CHANNELS)
        self._frame[0] = 0xC0  # status begins 1100b
        self._due_ns = 0
        self.due = crystal.NEVER
        self._reset()

    def _reset(self):
        self._registers = bytearray(_RESET_REGISTERS)
        self._continuous = True  # the power-up mode
        self._converting = False
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
            self._converting = True
            self._due_ns = crystal.counted() * 1000
            self._schedule()
        elif self._continuous:
            pass  # register access is ignored in continuous mode, section 9.5.3.6
        elif command & 0xE0 == 0x20:
            self._reply = bytes((0, 0, self._register(command & 0x1F)))
        elif command & 0xE0 == 0x40 and command & 0x1F < len(self._registers):
            self._registers[command & 0x1F] = data[2]

    def _register(self, number):
        return self._registers[number] if number < len(self._registers) else 0

    def clock_out(self, into):
        source = self._frame if self._continuous else self._reply
        for i in range(len(into)):
            into[i] = source[i] if i < len(source) else 0

    def _schedule(self):
        period = _PERIODS_NS.get(self._registers[1], 4_000_000)
        self._due_ns += period + period * self._oscillator_ppb // 1_000_000_000
        self.due = self._due_ns // 1000

    def fire(self):
        self._schedule()
        self._tape.next()
        held, at = self._tape.held, self._tape.at
        frame = self._frame
        for column in range(min(self._columns, _CHANNELS)):
            place = 3 + 3 * column
            frame[place] = held[at + 2]
            frame[place + 1] = held[at + 1]
            frame[place + 2] = held[at]
            at += 4
        self._ready()
