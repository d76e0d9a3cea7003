"""The steady state leaves nothing behind that would have to be collected, over many turns.

Collection is off, and the heap in use must not grow by a byte. Larger functions' frames live on the
heap while they run and are freed at once, which is no garbage (`micropython.mem_total` would count
them). A PC's small integers have 63 bits, a pod's 31: what this does not see is a number between.
"""

import gc
import math
import struct
import sys
from array import array

from dreampod import _fast, clock, wire
from dreampod import closed_loop as closed_loop_module
from dreampod import cue as cue_module
from dreampod import link as link_module
from dreampod import sensing as sensing_module
from dreampod import sound as sound_module
from dreampod.clock import Clock, get_ticks
from dreampod.closed_loop import ClosedLoop
from dreampod.cue import Cues
from dreampod.sensing import Stream
from dreampod.sound import Sound

from bench import I2S, LIMITS, SPEC, Port, frame, renumber

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


for module in (clock, link_module, sensing_module, sound_module, cue_module, closed_loop_module):
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
            length -= wire.CHUNK_HEAD_BYTES
            return self.sound.put(get_ticks(buf, wire.HEADER_BYTES), buf, 12, length)
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
sound = Sound(i2s, SPEC, LIMITS, _fast)
pod_clock = Clock(ticks_us())
link = link_module.Link(port, port, pod_clock, _fast, BOOT_ID)
link.attach(Pod(sound), sound)
cues = Cues(SPEC, _fast, lambda _effect: None)
sound.attach(cues)
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


ima_chunk = bytearray(8 + 239)


def play_ima(_turn):
    """20 ms of a stream in IMA ADPCM, and a pod that turns itself down."""
    global now_us, play_us
    while play_us - now_us < 200_000:
        for i in range(8, len(ima_chunk)):
            ima_chunk[i] = 0x7F if i & 1 else 0xF7
        sound.put(play_us & 0x3FFFFFFF, ima_chunk, 0, len(ima_chunk))
        play_us += 15_000
    sound.heard = True
    now_us += 20_000
    i2s.handler(i2s)


told = [
    bytearray(struct.pack(wire.CUE_FORMAT, kind, wire.CUE_NOW, 7, 0, 100, 10, 9000, 440))
    for kind in (wire.CUE_PINK, wire.CUE_TONE, wire.CUE_HAPTIC)
]


def cue(turn):
    """20 ms with cues in them, sound and touch."""
    global now_us
    cues.put(told[turn % 3], 0)
    sound.heard = True
    now_us += 20_000
    i2s.handler(i2s)
    cues.step(now_us & 0x3FFFFFFF)
    while cues.next_event():
        pass


eeg_spec = {"rate_hz": 250, "channels": [0, 1, 2, 3], "format": "i24be", "scale": 0.0224}
loop = ClosedLoop(eeg_spec, sound, cues, _fast)
follow = struct.pack(wire.FOLLOW_FORMAT, 1, 0, 850, 0, 100, 3000, 0, 0) + bytes(told[1])
slow = array("h", bytes(2 * 294))
for place in range(294):
    slow[place] = round(2000 * math.cos(2 * math.pi * place / 294))
wave = bytearray(15)


def follow_wave(turn):
    """A sample of a slow wave, and what the loop makes of it."""
    global now_us
    now_us += 4000
    value = slow[turn % 294]
    wave[3] = value >> 16 & 0xFF
    wave[4] = value >> 8 & 0xFF
    wave[5] = value & 0xFF
    loop.sample(wave, 3)
    loop.step(now_us & 0x3FFFFFFF)
    if turn % 5 == 0:
        sound.heard = True
        i2s.handler(i2s)
        cues.next_event()


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
sound.open(wire.CODEC_IMA)
sound.set_ceiling(2000)  # far below what is played
play_us = now_us + 150_000
measure("play_ima", play_ima)
measure("cue", cue)
loop.follow(bytearray(follow), 0, len(follow))
measure("follow_wave", follow_wave)
measure("run_dry", run_dry)
measure("litter", litter, 100)
if sound.malformed or cues.begun < TURNS or loop.cues < 8:
    print("not a steady state", sound.malformed, cues.begun, cues.late, loop.cues, loop.refused)
    sys.exit(1)
if sound.chunks < TURNS or sound.late or link.rx_corrupt or link.rx_out_of_order or port.written < TURNS:
    print("not a steady state", sound.chunks, sound.late, link.rx_corrupt, link.rx_out_of_order, port.written)
    sys.exit(1)
