"""The steady state leaves nothing behind that would have to be collected, over many turns.

Collection is off, and the heap in use must not grow by a byte. Larger functions' frames live on the
heap while they run and are freed at once, which is no garbage (`micropython.mem_total` would count
them). A PC's small integers have 63 bits, a pod's 31: what this does not see is a number between.
"""

import gc
import struct
import sys

from dreampod import _fast, clock, wire
from dreampod import link as link_module
from dreampod import sensing as sensing_module
from dreampod import sound as sound_module
from dreampod.clock import Clock, get_ticks
from dreampod.sensing import Stream
from dreampod.sound import Sound

from bench import I2S, SPEC, Port, frame, renumber

TURNS = 3000
BOOT_ID = 0x12345679
EPOCH = BOOT_ID & 0xFF

now_us = (1 << 30) - 10_000_000


def ticks_us():
    return now_us & ((1 << 30) - 1)


def ticks_add(ticks, delta):
    return (ticks + delta) & ((1 << 30) - 1)


def ticks_diff(end, start):
    return ((end - start + (1 << 29)) & ((1 << 30) - 1)) - (1 << 29)


for module in (clock, link_module, sensing_module, sound_module):
    for function in (ticks_us, ticks_add, ticks_diff):
        setattr(module, function.__name__, function)


def measure(name, turn, turns=TURNS):
    """Print the bytes that many calls of `turn` leave in use, after some to warm up."""
    for i in range(200):
        turn(i)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for i in range(turns):
        turn(i)
    print(name, gc.mem_alloc() - before)
    gc.enable()


class Pod:
    """What the link hands frames to, as `dreampod.pod.Pod` does."""

    def __init__(self, sound):
        self.sound = sound

    def handle(self, kind, buf, length):
        if kind == wire.CHUNK:
            frames = (length - wire.CHUNK_HEAD_BYTES) // 4
            return self.sound.put(get_ticks(buf, wire.HEADER_BYTES), buf, 12, frames)
        if kind == wire.OPEN:
            self.sound.open()
        elif kind == wire.STOP:
            self.sound.stop()
        return True


class select:
    POLLIN = 1
    poll = None


port = Port()
select.poll = lambda: port
link_module.select = select
i2s = I2S()
sound = Sound(i2s, SPEC, {"peak": 18426}, _fast)
pod_clock = Clock(ticks_us())
link = link_module.Link(port, port, pod_clock, _fast, BOOT_ID)
link.attach(Pod(sound), sound)
sound.begin()

chunk = frame(wire.CHUNK, struct.pack("<I", 0) + bytes(range(240)) * 4, 0, EPOCH)
probe = frame(wire.PROBE, struct.pack("<I", 7), 0, 0)
seq = 0
play_us = 0


def play(_turn):
    """20 ms of a stream: what the host sends for it, the main loop's turns, and the callback."""
    global now_us, seq, play_us
    pod_clock.now(ticks_us())
    while play_us - now_us < 200_000:
        renumber(chunk, seq, play_us & 0xFFFFFFFF)
        port.give(chunk)
        seq = (seq + 1) & 0xFFFF
        play_us += 15_000
    port.give(probe)
    link.step(now_us)
    link.step(now_us)
    now_us += 20_000
    i2s.handler(i2s)


spec = {"name": "eeg", "format": "i24be", "channels": [0, 1, 2, 3], "block": 10}
eeg = Stream(0, spec, _fast, link, pod_clock)
sample = bytearray(15)


def sense(_turn):
    """A sample in each turn, a block when one is whole."""
    global now_us
    now_us += 4000
    pod_clock.now(ticks_us())
    eeg.push(sample, 3)
    eeg.step(now_us)


def run_dry(_turn):
    """The callback alone, with a host that is gone: bed, fade, silence."""
    global now_us
    now_us += 20_000
    i2s.handler(i2s)


def report(_turn):
    sound.second()
    link.event(wire.EVENT_STOPPED, ticks_us())


def litter(turn):
    """To see that it would be seen."""
    return [turn]


sound.open()
link.connected = True
port.give(frame(wire.OPEN, b"", 0, EPOCH))
seq = 1
for _ in range(20):
    now_us += 20_000
    i2s.handler(i2s)
play_us = now_us + 150_000

measure("play", play)
eeg.start(True)
measure("sense", sense)
measure("report", report)
measure("run_dry", run_dry)
measure("litter", litter, 100)
if sound.chunks < TURNS or sound.late or link.rx_corrupt or link.rx_out_of_order or port.written < TURNS:
    print("not a steady state", sound.chunks, sound.late, link.rx_corrupt, link.rx_out_of_order, port.written)
    sys.exit(1)
