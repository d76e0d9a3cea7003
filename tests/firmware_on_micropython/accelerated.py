"""A whole pod on a clock that jumps while it waits, and a host for it; see `hour.py`.

All is as in a virtual pod (`firmware/virtual`): its flash image, boot.py, main.py, every driver, bus and
model. Only true time does not pass by itself: it jumps to the next thing that happens whenever the pod
waits, so that all it computes takes no time at all. At the port stands a host that knows the pod's clock
from its probes alone, sends sound as far ahead as the pod has room, and counts what is missing. What it
needs is allocated before the firmware's share of the heap is set apart, and it makes no garbage.
"""

import binascii
import gc
import json
import struct
import sys

import utime

_SECOND_US = 1_000_000
_WARM_UP_US = 60 * _SECOND_US
_PROBE_EVERY_US = 150_000
_AHEAD_US = 300_000
_CUE_EVERY_US = 2_000_000
_LOOK_EVERY_US = 5_000
_HELD_BYTES = 32768  # frames on their way to the pod
_TICKS = 1 << 30
_PIECE_BYTES = 256


class TrueTime:
    """In place of `utime`: stands still but for those who wait."""

    gmtime = utime.gmtime
    localtime = utime.localtime
    mktime = utime.mktime
    time = utime.time
    time_ns = utime.time_ns

    def __init__(self):
        self.us = 0

    def ticks_us(self):
        return self.us

    def sleep_us(self, us):
        self.us += us


time = sys.modules["utime"] = TrueTime()
sys.path.pop(0)  # other scripts here have the names of modules of the virtual board

from dreampod import _fast, wire  # noqa: E402

for _name in [name for name in sys.modules if name.startswith("dreampod")]:
    del sys.modules[_name]  # the pod loads its own, from its flash

import console  # noqa: E402
import crystal  # noqa: E402
import pc  # noqa: E402
import played  # noqa: E402
import rom  # noqa: E402
from models import ads1115  # noqa: E402


def spend(us):
    """What the processor waits for a bus."""
    if not crystal.busy():
        time.us += us
        crystal.service()


def keep_in_pieces(count):
    """In place of one `bytearray` that nobody gets: it fills the holes that this script has left.

    The heap here is larger than a virtual pod's, and its firmware is not to live in the splinters of it.
    """
    pieces = [None] * (count // _PIECE_BYTES)
    wanted = gc.mem_free() - (count - 8 * len(pieces))
    at = 0
    while gc.mem_free() - _PIECE_BYTES >= wanted:
        pieces[at] = bytearray(_PIECE_BYTES)
        at += 1
    return pieces


def convert(self, count):
    """The ADS1115 model's conversion in whole numbers: what a model leaves behind is not the firmware's."""
    channel = self._setup >> 12 & 3
    factors = whole_factors.get(channel)
    recording, scale, offset = self._inputs[channel]
    if factors is None:
        lsb = ads1115._RANGES_V[self._setup >> 9 & 7] / 32768
        factors = whole_factors[channel] = int(scale / lsb * 65536), int(offset / lsb * 65536)
    value = recording.at(count) if recording else 0
    return max(-32768, min(32767, value * factors[0] + factors[1] >> 16)) & 0xFFFF


whole_factors = {}
ads1115.Model._convert = convert
rom.bytearray = keep_in_pieces
crystal.spend = spend
played.Played._open = lambda _self: None  # an hour of sound is of no use to anybody


class Supply:
    """In place of the process that powers the board."""

    def connect(self, _say, _answer):
        pass

    def tell(self, what):
        if what == pc.WATCHDOG:
            print("the watchdog bit")


def die():
    raise SystemExit(1)


pc.supply = rom.pc.supply = Supply()
pc.die = die


class Host:
    """Speaks the protocol, and keeps count of what the pod says."""

    def __init__(self, minutes):
        self._end_us = minutes * 60 * _SECOND_US
        self._begun = False  # the pod has said who it is, and was asked for sound and samples
        self._data = bytearray(_HELD_BYTES)
        self._at = 0
        self._filled = 0
        self._whole = {}  # by length: views of the pod's frames
        self.due = 0
        self._probed = 0
        self._cued = 0
        self._cues = 0
        self._seq = 0
        self._acknowledged = 0
        self._room = 0
        self._epoch = 0
        self._pod_ticks = -1  # at the last probe's answer,
        self._pod_at = 0  # which was received then
        self._play = 0
        self._next = [-1] * 8  # by stream: the number of the next sample
        self._samples = [0] * 8
        self._missing = 0
        self._corrupt = 0
        self._replies = 0
        self._events = bytearray(16)
        self._stats = bytearray(256)
        self._seconds = 0
        self._loudest = 0
        self._wraps = 0
        self._measured = False
        self._free_first = 0
        self._in_use = 0
        self._garbage = 0  # bytes left behind since the first minute
        self._collections = 0  # that nobody asked for

    # --- to the pod --------------------------------------------------------------------------

    def look(self, wait_us):
        """Until the pod has something to read, or has waited so long. True if it has."""
        until = time.us + wait_us
        while self._at == self._filled:
            if self.due > until:
                time.us = until
                return False
            time.us = max(time.us, self.due)
            self._at = self._filled = 0
            self.due = time.us + _LOOK_EVERY_US
            self._act()
        return True

    def take(self, buf):
        count = min(len(buf), self._filled - self._at)
        _fast.copy(buf, 0, self._data, self._at, count)
        self._at += count
        return count

    def _act(self):
        if self._pod_ticks < 0:
            self._meet()
        elif not self._begun:
            if self._epoch:
                self._begin()
        else:
            self._stream()
            if time.us >= self._cued:
                self._cued = time.us + _CUE_EVERY_US
                self._send_cue()
            self._measure()
        if time.us - self._probed >= _PROBE_EVERY_US and self._epoch:
            self._probed = time.us
            self._u32(0, self._replies)
            self._send(wire.PROBE, 4)

    def _meet(self):
        if not self._epoch:
            self.due = time.us + _SECOND_US
            self._u32(0, 1)
            self._send(wire.HELLO, 4)

    def _begin(self):
        self._begun = True
        self._data[self._filled + wire.HEADER_BYTES] = 0xFF  # all there are
        self._send(wire.SENSE, 1)
        self._send(wire.OPEN, 0)
        cue = struct.pack(wire.CUE_FORMAT, wire.CUE_PINK, 0, 9, 0, 50, 5, 2000, 0)
        follow = struct.pack(wire.FOLLOW_FORMAT, 1, 0, 850, 0, 100, 3000, 0, 0) + cue
        _fast.copy(self._data, self._filled + wire.HEADER_BYTES, follow, 0, len(follow))
        self._send(wire.FOLLOW, len(follow))
        self._play = (self._pod_now() + _AHEAD_US) % _TICKS

    def _pod_now(self):
        """What the pod's clock reads, as far as the last probe tells."""
        return (self._pod_ticks + time.us - self._pod_at) % _TICKS

    def _stream(self):
        chunk_us = board["sound"]["chunk_frames"] * 1000 // (board["sound"]["rate_hz"] // 1000)
        length = board["sound"]["chunk_frames"] * board["sound"]["channels"] * 2
        while self._room > 1 and (self._play - self._pod_now()) % _TICKS < _AHEAD_US:
            self._u32(0, self._play)
            at = self._filled + wire.HEADER_BYTES + wire.CHUNK_HEAD_BYTES
            _fast.copy(self._data, at, tune, 0, length)
            self._send(wire.CHUNK, wire.CHUNK_HEAD_BYTES + length)
            self._play = (self._play + chunk_us) % _TICKS
            self._room -= 1

    def _send_cue(self):
        """In turns a tone and pink noise, a quarter of a second from now."""
        at = self._filled + wire.HEADER_BYTES
        self._cues += 1
        play = (self._pod_now() + 250_000) % _TICKS
        cue = tone_cue if self._cues & 1 else pink_cue
        _fast.copy(self._data, at, cue, 0, wire.CUE_BYTES)
        self._u32(4, play)
        self._send(wire.CUE, wire.CUE_BYTES)

    def _u32(self, offset, value):
        at = self._filled + wire.HEADER_BYTES + offset
        for i in range(4):
            self._data[at + i] = value >> 8 * i & 0xFF

    def _send(self, kind, length):
        """A frame whose payload stands behind the header's place."""
        seq = 0
        if wire.is_sequenced(kind):
            seq = self._seq
            self._seq = (seq + 1) & 0xFFFF
        # `put_header` writes at the start of a buffer
        header, data, at = self._header, self._data, self._filled
        wire.put_header(header, kind, seq, length, self._epoch)
        _fast.copy(data, at, header, 0, wire.HEADER_BYTES)
        length += wire.HEADER_BYTES
        _fast.copy(self._frame, 0, data, at, length)
        _fast.put_crc(self._frame, length)
        _fast.copy(data, at, self._frame, 0, length + wire.CRC_BYTES)
        self._filled += length + wire.CRC_BYTES

    _header = bytearray(8)
    _frame = bytearray(1040)

    # --- from the pod ------------------------------------------------------------------------

    def hear(self, buf, length):
        whole = self._whole.get(length)
        if whole is None:
            whole = self._whole[length] = memoryview(buf)[:length]
        if not wire.header_ok(buf) or binascii.crc32(whole) != wire.CRC_RESIDUE:
            self._corrupt += 1
            return
        kind = buf[1]
        if kind == wire.ACK:
            self._epoch = buf[8]
            self._acknowledged = buf[12] | buf[13] << 8
            # What is on its way takes room as well
            self._room = (buf[14] | buf[15] << 8) - (self._seq - self._acknowledged & 0xFFFF)
            if self._pod_ticks < 0:
                self.due = time.us
        elif kind == wire.PROBE_REPLY:
            self._replies += 1
            self._pod_at = time.us
            ticks = (buf[16] | buf[17] << 8 | buf[18] << 16 | buf[19] << 24) % _TICKS
            if ticks < self._pod_ticks:
                self._wraps += 1
            self._pod_ticks = ticks
        elif kind == wire.BLOCK:
            self._count_samples(buf)
        elif kind == wire.EVENT:
            self._events[buf[8] & 15] = min(255, self._events[buf[8] & 15] + 1)
        elif kind == wire.STATS:
            _fast.copy(self._stats, 0, buf, wire.HEADER_BYTES, wire.STATS_BYTES)
            self._seconds += 1
            self._loudest = max(self._loudest, self._stat("peak"))

    def _count_samples(self, buf):
        stream = buf[8]
        count = buf[10] | buf[11] << 8
        first = buf[12] | buf[13] << 8 | buf[14] << 16 | buf[15] << 24
        if self._next[stream] >= 0:
            self._missing += first - self._next[stream]
        self._next[stream] = first + count
        self._samples[stream] += count

    def _stat(self, name):
        at = 4 * wire.STATS_FIELDS.index(name)
        stats = self._stats
        return stats[at] | stats[at + 1] << 8 | stats[at + 2] << 16 | stats[at + 3] << 24

    # --- what it is about --------------------------------------------------------------------

    def _measure(self):
        """Always called from the same place, so that what is in use differs by what was left behind."""
        in_use = gc.mem_alloc()
        if not self._measured and time.us >= _WARM_UP_US:
            self._measured = True
            gc.collect()
            self._free_first = gc.mem_free()
            self._in_use = gc.mem_alloc()
        elif self._measured:
            if in_use > self._in_use:
                self._garbage += in_use - self._in_use
            elif in_use < self._in_use:
                self._collections += 1
            self._in_use = in_use
            if time.us >= self._end_us:
                gc.collect()
                self._tell(gc.mem_free())
                raise SystemExit(0)

    def _tell(self, free_last):
        told = {name: self._stat(name) for name in wire.STATS_FIELDS if name != "boot_id"}
        told.update(
            minutes=time.us // 60_000_000,
            wraps=self._wraps,
            free_first=self._free_first,
            free_last=free_last,
            garbage=self._garbage,
            collections=self._collections,
            samples=self._samples[:4],
            missing=self._missing,
            corrupt=self._corrupt,
            replies=self._replies,
            seconds=self._seconds,
            loudest=self._loudest,
            cues_sent=self._cues,
            events=list(self._events),
        )
        print(json.dumps(told))


class Line:
    """The port, as `console.Line`, with the host at its other end."""

    def __init__(self, host):
        self._host = host

    def catch_interrupts(self):
        pass

    def kbd_intr(self, _char):
        pass

    def readable(self, timeout_ms):
        return self._host.look(timeout_ms * 1000)

    def take(self, buf):
        return self._host.take(buf)

    def put(self, buf, length):
        self._host.hear(buf, length)
        return length


with pc.open("wiring.json") as _file:
    board = json.load(_file)
tone_cue = struct.pack(wire.CUE_FORMAT, wire.CUE_TONE, 0, 1, 0, 100, 10, 3000, 440)
pink_cue = struct.pack(wire.CUE_FORMAT, wire.CUE_PINK, 0, 2, 0, 100, 10, 3000, 0)
tune = bytearray(2 * 2 * board["sound"]["chunk_frames"])
for _i in range(len(tune) // 2):
    struct.pack_into("<h", tune, 2 * _i, 60 * (_i // 2 % 40 - 20))


def run(minutes, blocks, free_for_firmware):
    """Power on, and be the pod's host for so many minutes."""
    line = Line(Host(minutes))

    def connect(_line, _relayed):
        modules = sys.modules
        modules["micropython"] = console._Module(console.micropython, kbd_intr=line.kbd_intr)
        modules["sys"] = console._Module(
            sys,
            stdin=console._Text(console.Input(line)),
            stdout=console._Text(console.Output(line)),
        )
        return line

    rom.console.connect = connect
    names = {"sys": sys, "gc": gc, "free": 0, "power_on": rom.power_on}
    rom.power_on(blocks, 0, 0, 0, 0, 1, free_for_firmware, True, names)
