"""The room's loudness: TDK INMP441, a microphone on I2S, 24 bits at the top of 32, left channel.

Nothing said in the room leaves the pod: what is sent is one loudness for each 100 ms. Only the self-test
takes the samples themselves, to hear the pod's own speaker.

Its datasheet (DS-INMP441-00, table 1): a tone of 94 dB SPL gives -26 dBFS, where 0 dBFS is a sine that
fills the scale; so a full scale is 120 dB SPL. Its own noise is 33 dBA. It says nothing sensible for
2^18 clocks, 256 ms, after its clock began.

On RP2 the receiver's ring holds 32-bit stereo whatever is asked for, 8 bytes for each sample. When the
pod does not come to fetch, the ring overflows and nobody is told; the time between two buffers tells.
"""

from array import array

from machine import I2S, Pin

from dreampod.clock import ticks_add, ticks_diff, ticks_us
from dreampod.drivers.part import Part


def _inner_loops():
    try:
        from dreampod import _fast as loops
    except (ImportError, SyntaxError):  # no native code for this processor
        from dreampod import _plain as loops
    return loops


fast = _inner_loops()

RATE_HZ = 16000
_FRAMES = 320  # a buffer of 20 ms
_BUFFER_US = 20_000
_SAMPLE_BYTES = 4
_RING_FRAMES = 1024
_RING_BYTES_A_FRAME = 8
_RING_US = 64_000
_LEVEL_BUFFERS = 5  # a value for each 100 ms
_LEVEL_US = 100_000
_SETTLING_LEVELS = 4
_LEAK_BUFFERS = 50

_SILENT_US = 500_000
_DEAD_CENTI_DB = 1500  # far below its own noise
_DEAD_LEVELS = 10

_FULL_SCALE_CENTI_DB = 12000
_FULL_SCALE_BITS = 37  # a full sine's mean square, in units of the upper 20 bits
_CENTI_DB_PER_BIT = 3010  # in 1/10: 10 * log10(2)

_PEAK, _HIGH, _MIDDLE, _LOW = 0, 1, 2, 3


def log2_1024(value):
    """1024 * log2 of a positive int, by squaring; no float is made."""
    whole = 0
    while value >= 1 << 15:
        value >>= 1
        whole += 1
    while value < 1 << 14:
        value <<= 1
        whole -= 1
    result = whole + 14
    for _ in range(10):
        value = value * value >> 14
        result <<= 1
        if value >= 1 << 15:
            value >>= 1
            result |= 1
    return result


def centi_db(sums, count):
    """dB SPL in hundredths, from the sum of squares that `rms32` made over `count` samples."""
    high, middle = sums[_HIGH], sums[_MIDDLE]
    if high >= 1 << 11:
        value, shift = high, 20
    elif high:
        value, shift = high << 9 | middle, 11
    else:
        value, shift = middle << 11 | sums[_LOW], 0
    if not value:
        return 0
    bits_1024 = log2_1024(value) + (shift - _FULL_SCALE_BITS) * 1024 - log2_1024(count)
    return max(0, _FULL_SCALE_CENTI_DB + bits_1024 * _CENTI_DB_PER_BIT // 10240)


class Driver(Part):
    """`level` and `peak` of the last 100 ms, in 0.01 dB SPL; `capture` for the self-test."""

    chip = "INMP441"

    def __init__(self, spec, buses):
        super().__init__(spec, buses)
        self.streams = [
            {
                "name": "room-level",
                "unit": "dB",
                "rate_hz": 10,
                "channels": ["room"],
                "format": "u16",
                "scale": 0.01,
                "offset": 0.0,
                "block": spec.get("block", 5),
            }
        ]
        pins = spec["pins"]
        self._wires = "SCK (pin %d), WS (pin %d), SD (pin %d)" % (
            pins["sck"],
            pins["ws"],
            pins["sd"],
        )
        self._buffer = bytearray(_FRAMES * _SAMPLE_BYTES)
        self._sums = array("i", [0] * 4)
        self._value = bytearray(2)
        self._open = False
        self._buffers = 0  # of this level
        self._settling = 0
        self._dead = 0  # levels in a row that no microphone gives
        self._known = False
        self._cursor = ticks_us()  # at which the newest buffer's last sample came
        self._leak = 0
        self._lost_us = 0
        self.level = 0
        self.peak = 0
        self.lost = 0  # times the ring ran over
        self._take = self._buffer  # what to fill
        self._taking = False
        self._taken = 0  # bytes
        self._take_from = self._cursor
        self.captured_at = self._cursor  # ticks of the first sample captured

    def begin(self, streams):
        self._stream = streams[0]
        super().begin(streams)

    def start(self):
        spec = self.spec
        pins = spec["pins"]
        self.end()
        i2s = I2S(
            spec["i2s"],
            sck=Pin(pins["sck"]),
            ws=Pin(pins["ws"]),
            sd=Pin(pins["sd"]),
            mode=I2S.RX,
            bits=32,
            format=I2S.MONO,
            rate=RATE_HZ,
            ibuf=_RING_FRAMES * _RING_BYTES_A_FRAME,
        )
        self._i2s = i2s
        self._open = True
        self._clear()
        self._settling = _SETTLING_LEVELS
        self._dead = 0
        self._known = False
        i2s.irq(self._on_filled)
        i2s.readinto(self._buffer)

    # --- the callback ------------------------------------------------------------------------

    def _on_filled(self, i2s):
        if not self._open or i2s is not self._i2s:
            return  # one that was closed had called already
        now = ticks_us()
        self._keep_time(now)
        fast.rms32(self._buffer, _FRAMES, self._sums)
        if self._taking:
            self._capture()
        self._buffers += 1
        if self._buffers == _LEVEL_BUFFERS:
            self._tell(now)
        i2s.readinto(self._buffer)

    def _keep_time(self, now):
        """A callback can be late but never early, so the earliest one tells when the samples came."""
        if not self._known:
            self._known = True
            self._cursor = now
            return
        cursor = ticks_add(self._cursor, _BUFFER_US)
        late_us = ticks_diff(now, cursor)
        if late_us > _RING_US:  # more than the ring holds: some of it is gone
            self.lost += 1
            self._lost_us += late_us
            while self._lost_us >= _LEVEL_US:
                self._lost_us -= _LEVEL_US
                self._stream.skip(1)
        if late_us < 0 or late_us > _RING_US:
            cursor = now
        else:
            # Forget slowly, or one stamp that was wrong once would count forever
            self._leak += 1
            if self._leak == _LEAK_BUFFERS:
                self._leak = 0
                cursor = ticks_add(cursor, 1)
        self._cursor = cursor

    def _tell(self, now):
        self.level = level = centi_db(self._sums, _FRAMES * _LEVEL_BUFFERS)
        self.peak = self._sums[_PEAK]
        self._clear()
        self.sampled = now
        if self._settling:
            self._settling -= 1
            self._stream.skip(1)
            return
        self._dead = self._dead + 1 if level < _DEAD_CENTI_DB else 0
        self._value[0] = level & 0xFF
        self._value[1] = level >> 8
        self._stream.push_at(self._value, 0, ticks_add(self._cursor, -_LEVEL_US))

    def _clear(self):
        self._buffers = 0
        for i in range(len(self._sums)):
            self._sums[i] = 0

    # --- for the self-test -------------------------------------------------------------------

    def capture(self, buf, ticks):
        """Fill `buf` with samples (i32, little-endian) from the pod time `ticks` on; see `captured`."""
        self._taking = False
        self._taken = 0
        self._take_from = ticks
        self._take = buf
        self._taking = True  # last: the callback may run between any two lines

    def captured(self):
        """True when the buffer is full; its first sample was taken at `captured_at`."""
        return not self._taking

    def _capture(self):
        take = self._take
        begin = 0
        if not self._taken:
            first = ticks_add(self._cursor, -_BUFFER_US)
            ahead_us = ticks_diff(self._take_from, first)
            begin = max(0, ahead_us * (RATE_HZ // 1000) // 1000)
            if begin >= _FRAMES:
                return
            self.captured_at = ticks_add(first, begin * 1000 // (RATE_HZ // 1000))
        count = min(len(take) - self._taken, (_FRAMES - begin) * _SAMPLE_BYTES)
        fast.copy(take, self._taken, self._buffer, begin * _SAMPLE_BYTES, count)
        self._taken += count
        if self._taken >= len(take):
            self._taking = False
            self._take = self._buffer

    # --- the loop ----------------------------------------------------------------------------

    def sample(self, now):
        """The watchdog."""
        if ticks_diff(now, self.sampled) > _SILENT_US:
            raise OSError("I2S %d delivers nothing: check %s" % (self.spec["i2s"], self._wires))
        if self._dead >= _DEAD_LEVELS:
            raise OSError(
                "silent beyond what a microphone can be: check its supply, L/R (to ground), %s"
                % self._wires
            )

    def test(self):
        if self.fault:
            raise OSError(self.fault)
        return "room %.1f dB SPL, %d times run over" % (self.level / 100, self.lost)

    def end(self):
        if self._open:
            self._open = False
            self._i2s.deinit()
