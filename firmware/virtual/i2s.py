"""I2S after the rp2 port: a ring, and two DMA halves of 128 bytes that play, or record, in turn.

Played: when a half has been, its interrupt takes the next 128 bytes from the ring (silence if there
are not that many: the time line slips and nobody is told), then moves up to 512 bytes of the
pending write into the ring, and calls back once the write is all in.

Recorded: on the wire there are always two slots of 32 bits, so a half is 16 frames. Its interrupt
puts them into the ring (and drops them when the ring is full), then moves what the pending read
still wants, in its own format, and calls back once that is filled.
"""

import crystal
from faults import Socket
from played import Played

try:
    from loops import clear as _clear
    from loops import copy as _copy
except SyntaxError:
    from loops_plain import clear as _clear
    from loops_plain import copy as _copy

_HALF_BYTES = 128
_COPY_BYTES = 512
_WIRE_FRAME_BYTES = 8
_FILE_HALVES = 10


_microphones = {}  # by pins sck and sd


def solder(part, model):
    """Wire a microphone to the pins it names."""
    _microphones[part["pins"]["sck"], part["pins"]["sd"]] = Socket(part, model)


class I2S:
    """Each direction is a class of its own behind this one, as one is on boards."""

    RX = 0
    TX = 1
    MONO = 0
    STEREO = 1

    def __init__(self, id, sck, ws, sd, mode, bits, format, rate, ibuf):
        if ws.number != sck.number + 1:
            raise ValueError("invalid ws (must be sck+1)")
        if mode == I2S.TX:
            self._half = _Player(self, bits, format, rate, ibuf)
        else:
            self._half = _Recorder(self, sck.number, sd.number, bits, format, rate, ibuf)
        crystal.attach(self._half)

    def irq(self, handler):
        self._half.callback = handler

    def write(self, buf):
        return self._half.give(buf)

    def readinto(self, buf):
        return self._half.give(buf)

    def deinit(self):
        self._half.end()
        crystal.detach(self._half)


class _Direction:
    """The application's buffer in hand, and the callback when it is done with."""

    wake = crystal.NEVER

    def __init__(self, i2s, ibuf, period_us):
        self._i2s = i2s
        self._ring = bytearray(ibuf)
        self._size = ibuf
        self._head = 0
        self._held = 0
        self._buf = None
        self._buf_at = 0
        self._buf_bytes = 0
        self._owed = False  # a callback for which there was no room in the queue
        self._period_us = period_us
        self.callback = None
        self.due = crystal.counted() + period_us

    def give(self, buf):
        """Without a callback the call lasts until the buffer is done with."""
        self._buf = buf
        self._buf_at = 0
        self._buf_bytes = len(buf)
        self._expect()
        if self.callback is None:
            while self._buf is not None:
                crystal.spend(self._period_us)
        return len(buf)

    def _done(self):
        self._buf = None
        self.wake = crystal.NEVER
        self._owed = self.callback is not None

    def _call(self):
        if self._owed and crystal.soon(self.callback, self._i2s):
            self._owed = False

    def end(self):
        self._buf = None


class _Player(_Direction):
    """TX"""

    def __init__(self, i2s, bits, format, rate, ibuf):
        frame_bytes = (2 if format == I2S.STEREO else 1) * bits // 8
        super().__init__(i2s, ibuf, _HALF_BYTES // frame_bytes * 1_000_000 // rate)
        self._played = bytearray(_FILE_HALVES * _HALF_BYTES)
        self._played_at = 2 * _HALF_BYTES  # two halves of silence play first
        self._file = Played(rate, frame_bytes, crystal.counted(), self._played, _HALF_BYTES)

    def _expect(self):
        """When the pending write will be all in: a full ring makes room for one half per interrupt."""
        halves = (self._buf_bytes - self._buf_at + _HALF_BYTES - 1) // _HALF_BYTES
        self.wake = self.due + (halves - 1) * self._period_us

    def fire(self):
        self.due += self._period_us
        at = self._played_at
        if self._held >= _HALF_BYTES:
            _copy(self._played, at, self._ring, self._head, _HALF_BYTES)
            self._head = (self._head + _HALF_BYTES) % self._size
            self._held -= _HALF_BYTES
        else:
            _clear(self._played, at, _HALF_BYTES)
        at += _HALF_BYTES
        self._file.advance()
        if at == len(self._played):
            self._file.keep()
            at = 0
        self._played_at = at
        if self._buf is not None:
            self._move()
        self._call()

    def _move(self):
        count = min(_COPY_BYTES, self._size - self._held, self._buf_bytes - self._buf_at)
        tail = (self._head + self._held) % self._size
        first = min(count, self._size - tail)
        _copy(self._ring, tail, self._buf, self._buf_at, first)
        _copy(self._ring, 0, self._buf, self._buf_at + first, count - first)
        self._held += count
        self._buf_at += count
        if self._buf_at == self._buf_bytes:
            self._done()

    def end(self):
        super().end()
        self._file.close(self._played_at)


class _Recorder(_Direction):
    """RX: 32 bit slots left and right on the wire; the application gets mono as the left one."""

    def __init__(self, i2s, sck, sd, bits, format, rate, ibuf):
        self._wire_frames = _HALF_BYTES // _WIRE_FRAME_BYTES
        super().__init__(i2s, ibuf, self._wire_frames * 1_000_000 // rate)
        self._half = bytearray(_HALF_BYTES)
        self._channels = 2 if format == I2S.STEREO else 1
        self._sample_bytes = bits // 8
        self._socket = _microphones.get((sck, sd))

    def _expect(self):
        frames = (self._buf_bytes - self._buf_at) // (self._channels * self._sample_bytes)
        halves = (frames + self._wire_frames - 1) // self._wire_frames
        self.wake = self.due + (halves - 1) * self._period_us

    def fire(self):
        self.due += self._period_us
        socket = self._socket
        if socket is None or socket.fault == "absent":
            _clear(self._half, 0, _HALF_BYTES)  # nobody drives SD, its resistor pulls it down
        else:
            socket.model.samples(self._half, self._wire_frames)
        if self._size - self._held >= _HALF_BYTES:
            tail = (self._head + self._held) % self._size
            first = min(_HALF_BYTES, self._size - tail)
            _copy(self._ring, tail, self._half, 0, first)
            _copy(self._ring, 0, self._half, first, _HALF_BYTES - first)
            self._held += _HALF_BYTES
        if self._buf is not None:
            self._move()
        self._call()

    def _move(self):
        ring, buf, width = self._ring, self._buf, self._sample_bytes
        at = self._buf_at
        while self._held >= _WIRE_FRAME_BYTES and at < self._buf_bytes:
            for channel in range(self._channels):
                most_significant = (self._head + 4 * channel + 4 - width) % self._size
                for k in range(width):
                    buf[at] = ring[(most_significant + k) % self._size]
                    at += 1
            self._head = (self._head + _WIRE_FRAME_BYTES) % self._size
            self._held -= _WIRE_FRAME_BYTES
        self._buf_at = at
        if at >= self._buf_bytes:
            self._done()
