"""`machine` on a PC: the same classes as on a board, with parts behind them that answer on registers.

Which parts are wired where is read from the pod's own board.json, as the firmware does; what their
sensors feel comes from the recordings in the pod's tape folder.
"""

import json
import os
import sys

import crystal
import micropython
from tape import Tape
from umachine import idle, mem8, mem16, mem32

PWRON_RESET = 1
WDT_RESET = 3

_RESET_FILE = "reset_cause"
TAPES = "tape/"


def _note_reset(cause):
    with open(_RESET_FILE, "w") as file:
        file.write(str(cause))


def _read_reset():
    try:
        with open(_RESET_FILE) as file:
            cause = int(file.read())
        os.remove(_RESET_FILE)
        return cause
    except OSError:
        return PWRON_RESET


_reset_cause = _read_reset()

with open("crystal.json") as _file:
    _uid = bytes(int(_pair, 16) for _pair in json.load(_file)["uid"].split(":"))


def unique_id():
    return _uid


def reset_cause():
    return _reset_cause


def reset():
    """As on rp2, a reset is made with the watchdog and looks like one."""
    _note_reset(WDT_RESET)
    raise SystemExit


class Pin:
    """A pin by its number. All `Pin` objects of one number are the same wire."""

    IN = 0
    OUT = 1
    IRQ_FALLING = 4
    IRQ_RISING = 8
    PULL_UP = 1
    PULL_DOWN = 2

    _levels = {}
    _handlers = {}

    def __init__(self, number, mode=IN, pull=None, value=None):
        self.number = number
        if value is not None:
            Pin._levels[number] = value

    def __call__(self, value=None):
        if value is None:
            return Pin._levels.get(self.number, 1)
        Pin._levels[self.number] = value
        return None

    value = __call__

    def irq(self, handler=None, trigger=IRQ_FALLING | IRQ_RISING, hard=False):
        Pin._handlers[self.number] = (handler, trigger, hard)


def _edge(number, trigger):
    """A part pulls a line: run what the firmware hung on it."""
    handler, wanted, hard = Pin._handlers.get(number, (None, 0, False))
    if handler and wanted & trigger:
        if hard:
            handler(number)
        else:
            micropython.schedule(handler, number)


class Timer:
    """A periodic timer, with soft or hard callback."""

    wake = crystal.NEVER

    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, id=-1):
        pass

    def init(self, freq, mode=PERIODIC, callback=None, hard=False):
        self._period = 1_000_000 // freq
        self._callback = callback
        self._hard = hard
        self.due = crystal.counted() + self._period
        crystal.attach(self)

    def fire(self):
        self.due += self._period
        if self._hard:
            self._callback(self)
        else:
            micropython.schedule(self._callback, self)


class WDT:
    """Looked at whenever interrupts run; a loop that neither waits nor looks at the clock escapes it."""

    _CHECK_US = 100_000
    wake = crystal.NEVER

    def __init__(self, id=0, timeout=5000):
        self._timeout_us = timeout * 1000
        self.feed()
        self.due = crystal.counted() + self._CHECK_US
        crystal.attach(self)

    def feed(self):
        self._fed = crystal.counted()

    def fire(self):
        self.due += self._CHECK_US
        if crystal.counted() - self._fed > self._timeout_us:
            reset()


class ADC:
    """The voltage of the sensor on this pin: a 16-bit recording at its own rate, held between samples."""

    def __init__(self, pin):
        for stream in _board()["streams"]:
            if stream["driver"] == "analog" and stream["pins"]["adc"] == pin.number:
                self._tape = Tape(TAPES + stream["name"] + ".u16", 2, _wound(stream["rate_hz"]))
                return
        raise ValueError("nothing is wired to ADC pin %d" % pin.number)

    def read_u16(self):
        self._tape.next()
        held, at = self._tape.held, self._tape.at
        return held[at] | held[at + 1] << 8


class SPI:
    """A bus with one part on it, which listens while its chip-select line is low."""

    def __init__(
        self, id, baudrate=1_000_000, polarity=0, phase=0, sck=None, mosi=None, miso=None
    ):
        from ads1299_model import ADS1299Model

        for stream in _board()["streams"]:
            if stream["driver"] == "ads1299" and stream["spi"] == id:
                drdy = stream["pins"]["drdy"]
                self._cs = Pin(stream["pins"]["cs"])
                tape = _read_json(TAPES + "tape.json")["signals"]["eeg"]
                self._part = ADS1299Model(
                    Tape(TAPES + "eeg.i32", 4 * tape["channels"], _wound(stream["rate_hz"])),
                    tape["channels"],
                    lambda line=drdy: _edge(line, Pin.IRQ_FALLING),
                )
                crystal.attach(self._part)
                return
        raise ValueError("nothing is wired to SPI %s" % id)

    def write(self, buf):
        if not self._cs():
            self._part.clock_in(buf)

    def readinto(self, buf, write=0):
        if not self._cs():
            self._part.clock_out(buf)

    def write_readinto(self, out, into):
        if not self._cs():
            self._part.clock_in(out)
            self._part.clock_out(into)


class I2C:
    """A bus on which nothing is fitted: no address answers."""

    _EIO = 5

    def __init__(self, id, scl=None, sda=None, freq=400_000, timeout=50_000):
        pass

    def scan(self):
        return []

    def readfrom_mem_into(self, address, register, buf, addrsize=8):
        raise OSError(self._EIO)

    def writeto_mem(self, address, register, buf, addrsize=8):
        raise OSError(self._EIO)


class I2S:
    """I2S transmitter after the rp2 port: a ring, and two DMA halves of 128 bytes that play in turn.

    When a half has played, its interrupt takes the next 128 bytes from the ring (silence if there
    are not that many: the time line slips and nobody is told), then moves up to 512 bytes of the
    pending write into the ring, and calls back once the write is all in.

    What played goes to i2s-N.pcm, one file per boot: frame k of it began to play at true time
    start_us + k * frame_us, both in i2s-N.json.
    """

    RX = 0
    TX = 1
    MONO = 0
    STEREO = 1

    _HALF_BYTES = 128
    _COPY_BYTES = 512
    _FILE_HALVES = 10

    def __init__(self, id, sck, ws, sd, mode, bits, format, rate, ibuf):
        if ws.number != sck.number + 1:
            raise ValueError("I2S: ws must be the pin after sck")
        frame_bytes = 4 if format == I2S.STEREO else 2
        self._ring = bytearray(ibuf)
        self._size = ibuf
        self._head = 0
        self._held = 0
        self._source = None
        self._source_at = 0
        self._source_bytes = 0
        self.wake = crystal.NEVER
        self._callback = None
        self._period_us = self._HALF_BYTES // frame_bytes * 1_000_000 // rate
        self._played = bytearray(self._FILE_HALVES * self._HALF_BYTES)
        self._ring_view = memoryview(self._ring)
        self._played_at = 2 * self._HALF_BYTES  # two halves of silence play first
        self._began = crystal.counted()
        self.due = self._began + self._period_us
        self._open_file(rate, frame_bytes)
        crystal.attach(self)

    def _open_file(self, rate, frame_bytes):
        number = 1
        while "i2s-%d.json" % number in os.listdir():
            number += 1
        period_ns = 1e9 / rate / (1 + crystal.PPB / 1e9)
        with open("i2s-%d.json" % number, "w") as file:
            json.dump(
                {
                    "rate_hz": rate,
                    "channels": frame_bytes // 2,
                    "start_us": crystal.true_us(self._began),
                    "frame_us": period_ns / 1000,
                },
                file,
            )
        self._file = open("i2s-%d.pcm" % number, "wb")

    def irq(self, handler):
        self._callback = handler

    def write(self, buf):
        self._source = buf
        self._source_at = 0
        self._source_bytes = len(buf)
        self._expect()
        return len(buf)

    def _expect(self):
        """When the pending write will be all in: a full ring makes room for one half per interrupt."""
        halves = (self._source_bytes - self._source_at + self._HALF_BYTES - 1) // self._HALF_BYTES
        self.wake = self.due + (halves - 1) * self._period_us

    def fire(self):
        self.due += self._period_us
        at = self._played_at
        if self._held >= self._HALF_BYTES:
            _copy(self._played, at, self._ring, self._head, self._HALF_BYTES)
            self._head = (self._head + self._HALF_BYTES) % self._size
            self._held -= self._HALF_BYTES
        else:
            _clear(self._played, at, self._HALF_BYTES)
        at += self._HALF_BYTES
        if at == len(self._played):
            self._keep()
            at = 0
        self._played_at = at
        if self._source is not None:
            self._move()

    def _keep(self):
        if self._file is not None:
            try:
                self._file.write(self._played)
            except OSError as error:  # the PC's disk is full; a board would not notice
                sys.stderr.write("what plays is not kept any more: %s\n" % error)
                self._file = None

    def _move(self):
        count = min(
            self._COPY_BYTES, self._size - self._held, self._source_bytes - self._source_at
        )
        tail = (self._head + self._held) % self._size
        first = min(count, self._size - tail)
        _copy(self._ring, tail, self._source, self._source_at, first)
        _copy(self._ring, 0, self._source, self._source_at + first, count - first)
        self._held += count
        self._source_at += count
        if self._source_at == self._source_bytes:
            self._source = None
            self.wake = crystal.NEVER
            micropython.schedule(self._callback, self)


try:
    from dreampod._fast import clear as _clear
    from dreampod._fast import copy as _copy
except (ImportError, SyntaxError):
    from dreampod._plain import clear as _clear
    from dreampod._plain import copy as _copy


def _read_json(path):
    with open(path) as file:
        return json.load(file)


def _board():
    return _read_json("board.json")


def _wound(rate_hz):
    return crystal.since_epoch_us() * rate_hz // 1_000_000
