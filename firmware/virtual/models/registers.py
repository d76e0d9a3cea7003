"""What the I2C parts have in common: a register pointer, and the bytes that go through it.

The bus calls `start` when a transfer to the part begins (again at a repeated start), then `write_byte`
or `read_byte` for each byte behind the address, then `stop`. A model says what its registers are by
`read(register)` and `write(register, value)`.
"""

import crystal


class Registers:
    """Registers of 8 bits, whose address counts up by itself except where `following` says otherwise."""

    def __init__(self, spec):
        self.address = spec["address"]
        self.fault = None  # "wrong-identity", "overflow", "silent"
        # Each chip runs at its own pace, up to a thousandth beside the pod's
        self.oscillator_ppb = crystal.PPB * 7919 * self.address % 2_000_000 - 1_000_000
        self._register = 0
        self._addressed = False

    def now(self):
        """The chip's own microseconds."""
        counted = crystal.counted()
        return counted + counted * self.oscillator_ppb // 1_000_000_000

    def counted(self, own):
        """The crystal's count at a time of the chip's own."""
        return own - own * self.oscillator_ppb // (1_000_000_000 + self.oscillator_ppb)

    def start(self):
        self._addressed = False
        self.catch_up(self.now())

    def write_byte(self, byte):
        if self._addressed:
            self.write(self._register, byte)
            self._register = self.following(self._register)
        else:
            self._register = byte
            self._addressed = True
        return True

    def read_byte(self):
        value = self.read(self._register)
        self._register = self.following(self._register)
        return value

    def stop(self):
        pass

    def catch_up(self, now):
        """Do what the chip did by itself until `now`, a time of its own."""

    def following(self, register):
        """The register that is read or written after this one."""
        return register + 1 & 0xFF


class Words(Registers):
    """Registers of 16 bits, high byte first; the pointer stays where it is."""

    def __init__(self, spec):
        Registers.__init__(self, spec)
        self._high = True
        self._word = 0

    def start(self):
        Registers.start(self)
        self._high = True

    def write_byte(self, byte):
        if not self._addressed:
            return Registers.write_byte(self, byte)
        if self._high:
            self._word = byte << 8
        else:
            self.write(self._register, self._word | byte)
        self._high = not self._high
        return True

    def read_byte(self):
        high = self._high
        self._high = not high
        if high:
            self._word = self.read(self._register)
            return self._word >> 8
        return self._word & 0xFF


class Recording:
    """What a sensor feels at any time: a recording, interpolated between its samples."""

    _FAR_FRAMES = 500  # wind rather than play so many

    def __init__(self, tapes, name):
        self._tapes = tapes
        self._name = name
        self._open()

    def _open(self):
        self._tape = self._tapes.open(self._name)
        if self._tape is None:
            return
        self._frame = crystal.since_epoch_us() * self._tape.rate_hz // 1_000_000
        self._from = self._next()
        self._to = self._next()

    def _next(self):
        self._tape.next()
        held, at = self._tape.held, self._tape.at
        return held[at] | held[at + 1] << 8

    def at(self, count):
        """Its value, 0 to 65535, when the crystal counted `count`; the middle where nothing is recorded."""
        if self._tape is None:
            return 32768
        place = (crystal.true_us(count) - crystal.EPOCH_US) * self._tape.rate_hz
        if place // 1_000_000 > self._frame + self._FAR_FRAMES:
            self._open()
        while place // 1_000_000 > self._frame:
            self._from, self._to = self._to, self._next()
            self._frame += 1
        part = max(0, place - self._frame * 1_000_000)
        return self._from + (self._to - self._from) * part // 1_000_000
