"""What each piece of the pod's work costs on this MicroPython, in two yardsticks timed in the same run.

Prints JSON lines. A piece is timed as it is, and once more with inner loops (`_fast`) that do nothing: what
is left is bytecode, measured in turns of an empty-handed `for` loop; the difference is machine code,
measured in samples of an oscillator with a gain. Both yardsticks were also timed on an emulated RP2040, so
that a chip's load can be estimated. What C does (CRC-32) is counted in bytes, what a bus takes in
microseconds of its clock. The pod's own time is made here and does not pass by itself.
"""

# ruff: noqa: E402  (what stands for the board has to be there before its drivers are imported)

import gc
import json
import struct
import sys

import micropython
import utime

TICKS = 1 << 30
BATCHES = 60
SECONDS = 20  # of a polled part
I2C_BYTE_US = 22.5  # 9 bits at 400 kHz
SPI_BYTE_US = 2.0  # 8 bits at 4 MHz

now_us = TICKS - 10_000_000


def ticks_us():
    return now_us & (TICKS - 1)


def ticks_add(ticks, delta):
    return (ticks + delta) & (TICKS - 1)


def ticks_diff(end, start):
    return ((end - start + (1 << 29)) & (TICKS - 1)) - (1 << 29)


class Pin:
    IN = OUT = PULL_UP = OPEN_DRAIN = IRQ_FALLING = 0

    def __init__(self, number, mode=0, pull=0, value=0):
        pass

    def __call__(self, value=0):
        return 0

    def irq(self, handler=None, trigger=0, hard=False):
        self.handler = handler


class SPI:
    """An ADS1299 that keeps its registers and whose samples are zero."""

    MSB = 0

    def __init__(self, id, **settings):
        self.kept = bytearray(32)

    def readinto(self, buf):
        buf[0] = 0xC0

    def write(self, buf):
        if buf[0] & 0xE0 == 0x40:
            self.kept[buf[0] & 0x1F] = buf[2]

    def write_readinto(self, out, into):
        into[2] = 0x3C if out[0] == 0x20 else self.kept[out[0] & 0x1F]


class I2C:
    """Asks the models once, and from then on says the same again in no time."""

    said = ()
    at = 0
    again = False
    transferred = 0

    def __init__(self, id, scl, sda, freq, timeout):
        pass

    def readfrom_mem_into(self, address, register, buf):
        if I2C.again:
            buf[:] = I2C.said[I2C.at]
            I2C.at += 1
            return
        model = fitted[address]
        model.start()
        model.write_byte(register)
        model.start()
        for i in range(len(buf)):
            buf[i] = model.read_byte()
        model.stop()
        I2C.said.append(bytes(buf))
        I2C.transferred += 3 + len(buf)

    def writeto_mem(self, address, register, buf):
        if I2C.again:
            return
        model = fitted[address]
        model.start()
        model.write_byte(register)
        for i in range(len(buf)):
            model.write_byte(buf[i])
        model.stop()
        I2C.transferred += 2 + len(buf)


class Machine:
    Pin = Pin
    I2C = I2C
    SPI = SPI


class Crystal:
    PPB = 20_000
    EPOCH_US = 0
    NEVER = 1 << 60

    @staticmethod
    def counted():
        return now_us - (TICKS - 10_000_000)


class Tapes:
    def open(self, name):
        return None

    def card(self, name):
        return None


fitted = {}
sys.modules["machine"] = Machine
sys.modules["crystal"] = Crystal

from dreampod import _fast, bus, clock, closed_loop, cue, link, sensing, sound, statistics, wire
from dreampod.drivers import ads1115, ads1299, lsm6dso, max30102, pace, part

for module in (clock, link, sensing, sound, cue, closed_loop, statistics, pace, part):
    for function in (ticks_us, ticks_add, ticks_diff):
        setattr(module, function.__name__, function)
for module in (ads1115, ads1299, lsm6dso, max30102):
    for function in (ticks_us, ticks_add, ticks_diff):
        setattr(module, function.__name__, function)
sys.path.append(next(path for path in sys.path if path.endswith("firmware")) + "/virtual")
import models.ads1115
import models.lsm6dso
import models.max30102

sys.path.pop()

from bench import I2S, Port, frame, renumber


class Voltages(models.ads1115.Model):
    def _convert(self, count):
        return 1234


class Nothing:
    """`_fast` that is called and does nothing: calls of machine code cost the same, whatever is in them."""

    @micropython.viper
    def _two(a, b):
        pass

    @micropython.viper
    def _three(a, b, c):
        pass

    @micropython.viper
    def _four(a, b, c, d):
        pass

    @micropython.viper
    def _five(a, b, c, d, e):
        pass

    @micropython.viper
    def _six(a, b, c, d, e, f):
        pass

    put_crc = staticmethod(_two)
    clear = fade = resonate = rms32 = staticmethod(_three)
    limit = rumble = pink = tone = staticmethod(_four)
    copy = decay = ima = staticmethod(_five)
    add = weigh = staticmethod(_six)


def least_of(works, count):
    """Nanoseconds one call of each takes, the least of many short tries in turns: a PC has other work too."""
    for work in works:
        for _ in range(20):
            work()
    least = [1 << 60 for _ in works]
    for _ in range(BATCHES):
        gc.collect()
        for i in range(len(works)):
            work = works[i]
            began = utime.ticks_us()
            for _ in range(count):
                work()
            least[i] = min(least[i], utime.ticks_us() - began)
    return [value * 1000 / count for value in least]


def nothing():
    pass


def loops():
    for _ in range(1000):
        pass


@micropython.viper
def _voice(buf: ptr16, count: int, table: ptr16, gain: int):  # noqa: F821
    phase = 0
    for i in range(count):
        buf[i] = int(table[phase >> 8 & 255]) * gain >> 15
        phase += 1234


_buffer = bytearray(2000)
_wave = bytearray(512)


def voice():
    _voice(_buffer, 1000, _wave, 20000)


def tell(name, make, times_a_second, crc_bytes=0, bus_us=0.0, port=None):
    """`make(fast)` gives the work to be timed; a second of a pod's life holds so many of it.

    `port` is the script's own share of it.
    """
    works = [make(_fast), make(Nothing), port or nothing]
    whole, bare, rest = least_of(works, 20)
    rest = rest if port else 0
    told = {"name": name, "a_second": times_a_second, "crc_bytes": crc_bytes, "bus_us": bus_us}
    told["bytecode_ns"] = bare - crc_bytes * crc_ns - rest
    told["machine_ns"] = max(0, whole - bare)
    print(json.dumps(told))


# --- sound -----------------------------------------------------------------------------------

LIMITS = {"full_scale_dba": 50.0, "ceiling_dba": 60.0, "hard_dba": 60.0}
LOUD = {"full_scale_dba": 80.0, "ceiling_dba": 40.0, "hard_dba": 80.0}
BOOT_ID = 0x12345679


def spec_of(channels):
    chunk_frames = 480 // channels
    return {
        "rate_hz": 16000,
        "channels": channels,
        "ring_frames": 1280,
        "dma_frames": 64,
        "chunk_frames": chunk_frames,
        "slots": 16,
    }


def callback(channels, streams=True, kind=0, limits=LIMITS, lost=False):
    """The I2S callback. Chunks are put by hand, outside of the link, and outside of what is timed."""

    def make(fast):
        i2s = I2S()
        voice = sound.Sound(i2s, spec_of(channels), limits, fast)
        cues = cue.Cues(spec_of(channels), fast)
        voice.attach(cues)
        voice.begin()
        voice.open()
        frames = voice.chunk_frames
        for s in range(voice.slots):
            for i in range(len(voice._pcm[s])):
                voice._pcm[s][i] = i * 37 & 0x1F if i & 1 else i & 0xFF
            voice._length[s] = frames
        if kind:
            told = bytearray(
                struct.pack(wire.CUE_FORMAT, kind, wire.CUE_NOW, 7, 0, 60000, 10, 9000, 440)
            )
            cues.put(told, 0)

        def work():
            global now_us
            now_us += 20_000
            voice.heard = not lost
            if lost:
                voice._host_lost = True
                voice._bed_buffers = 9
            if streams:
                voice._flowing = True
                # Whatever was consumed is there again, without a copy
                voice._put = voice._got + 4
                for s in range(voice._got, voice._put):
                    voice._play[s % voice.slots] = voice.cursor
            if kind:
                cues._done[0] = 2000
            i2s.handler(i2s)

        for _ in range(50):
            work()
        if fast is _fast:  # it does what it is timed for
            assert voice.chunks > 30 or not streams
            assert (voice._level.turned_down < 32768) == (limits is LOUD)
            assert kind == 0 or cues.begun == 1
        return work

    return make


# --- the link --------------------------------------------------------------------------------


class Silent:
    """A pod that takes chunks only."""

    def __init__(self, voice):
        self.voice = voice

    def handle(self, kind, buf, length):
        if kind == wire.CHUNK:
            head = wire.CHUNK_HEAD_BYTES
            return self.voice.put(
                clock.get_ticks(buf, wire.HEADER_BYTES),
                buf,
                wire.HEADER_BYTES + head,
                length - head,
            )
        return True


class Select:
    POLLIN = 1

    def __init__(self, port):
        self._port = port

    def poll(self):
        return self._port


def open_link(fast, channels=1, codec=0):
    port = Port()
    link.select = Select(port)
    voice = sound.Sound(I2S(), spec_of(channels), LIMITS, fast)
    voice.begin()
    voice.open(codec)
    line = link.Link(port, port, clock.Clock(ticks_us()), fast, BOOT_ID)
    line.attach(Silent(voice), voice)
    line.connected = True
    line._last_read = ticks_us()
    return port, line, voice


def chunk_in(payload, codec=0):
    def make(fast):
        port, line, voice = open_link(fast, 1, codec)
        told = frame(wire.CHUNK, struct.pack("<I", 0) + payload, 0, BOOT_ID & 0xFF)
        renumber(told, 0, ticks_us() + 100_000 & 0xFFFFFFFF)

        def work():
            line._expected = 0
            line._unacked = 0
            voice._got = voice._put
            port.give(told)
            line._read()

        work()
        assert voice._put == 1 and not voice.malformed
        return work

    return make


def probe_in(fast):
    port, line, _ = open_link(fast)
    told = frame(wire.PROBE, struct.pack("<I", 7), 0, 0)

    def work():
        port.give(told)
        line._read()

    return work


def given(length):
    """The script's own share in a frame that comes in."""
    port = Port()
    told = bytes(length)
    view = memoryview(bytearray(length))
    head, body = view[:8], view[8:]

    def work():
        port.give(told)
        port.readinto(head)
        port.readinto(body)

    return work


def ack_out(fast):
    _, line, _ = open_link(fast)
    return line._send_ack


# --- samples ---------------------------------------------------------------------------------

EEG = {"name": "eeg", "bus": "spi0", "rate_hz": 250, "block": 10}
EEG["pins"] = {"cs": 17, "drdy": 20}
EEG["channels"] = ["eeg-1", "eeg-2", "eeg-3", "eeg-4"]
SPI_BUS = {"kind": "spi", "id": 0, "sck": 18, "mosi": 19, "miso": 16, "freq_hz": 4_000_000}
I2C_BUS = {"kind": "i2c", "id": 0, "sda": 4, "scl": 5, "freq_hz": 400_000}


def open_eeg(fast):
    _, line, voice = open_link(fast)
    driver = ads1299.Driver(EEG, bus.open_buses({"spi0": SPI_BUS}))
    stream = sensing.Stream(0, driver.streams[0], fast, line, line._clock)
    driver.begin([stream])
    assert driver.fault is None, driver.fault
    driver._settling = 0
    return driver, stream, voice


def interrupt(fast):
    driver = open_eeg(fast)[0]

    def work():
        global now_us
        now_us += 4000
        driver._on_ready(None)

    return work


def block_out(fast):
    stream = open_eeg(fast)[1]
    stream.on = True
    stream._counter = stream._sent = 0

    def work():
        stream._counter = 10
        stream._sent = 0
        stream.step(0)

    return work


def loop_sample(fast):
    driver, _, voice = open_eeg(fast)
    cues = cue.Cues(spec_of(1), fast)
    follower = closed_loop.ClosedLoop(driver.streams[0], voice, cues, fast)
    told = struct.pack(wire.CUE_FORMAT, wire.CUE_PINK, 0, 9, 0, 50, 5, 2000, 0)
    told = struct.pack(wire.FOLLOW_FORMAT, 1, 0, 850, 0, 100, 3000, 0, 0) + told
    follower.follow(told, 0, len(told))
    sample = bytearray(15)
    toggle = [0]

    def work():
        global now_us
        now_us += 4000
        toggle[0] ^= 1
        sample[5] = toggle[0]
        follower.sample(sample, 3)
        follower.step(ticks_us())

    return work


def second_of(driver, model, spec, rate_hz):
    """A second of a polled part: 250 turns, the bus's answers from memory."""
    global now_us
    spec = dict(spec, bus="i2c0", rate_hz=rate_hz)

    def live(fast):
        global now_us
        now_us = TICKS - 10_000_000
        I2C.at = 0
        sampler = driver.Driver(spec, bus.open_buses({"i2c0": I2C_BUS}))
        sampler.begin(
            [sensing.Stream(n, s, fast, None, None) for n, s in enumerate(sampler.streams)]
        )
        assert sampler.fault is None, sampler.fault
        return sampler

    def turns(sampler):
        global now_us
        for _ in range(250):
            sampler.step(ticks_us())
            now_us += 4000

    fitted[spec["address"]] = model(spec, Tapes())
    I2C.said, I2C.again, I2C.transferred = [], False, 0
    sampler = live(_fast)
    began = I2C.transferred
    for _ in range(SECONDS):
        turns(sampler)
    taken = (I2C.transferred - began) / SECONDS
    I2C.again = True

    samplers = []
    starts = []  # what a start has read
    for fast in (_fast, Nothing):
        samplers.append(live(fast))
        starts.append(I2C.at)
    least = [1 << 60, 1 << 60]
    states = [0, 0]
    times = [now_us, now_us]
    for _ in range(SECONDS):
        gc.collect()
        for i in range(2):
            I2C.at, now_us = states[i] or starts[i], times[i]
            began = utime.ticks_us()
            turns(samplers[i])
            least[i] = min(least[i], utime.ticks_us() - began)
            states[i], times[i] = I2C.at, now_us
    whole, bare = least[0] * 1000, least[1] * 1000
    print(
        json.dumps(
            {
                "name": "a second of " + spec["name"],
                "a_second": 1,
                "crc_bytes": 0,
                "bus_us": taken * I2C_BYTE_US,
                "bytecode_ns": bare,
                "machine_ns": max(0, whole - bare),
            }
        )
    )


# --- the loop --------------------------------------------------------------------------------


class Heap:
    """`gc.mem_free` walks the heap, in C: that share is left out."""

    @staticmethod
    def mem_free():
        return 5000


statistics.gc = Heap


class WholePod:
    """What statistics ask about."""

    streams = parts = ()
    loop = None

    def __init__(self):
        self.buses = {}
        self.cues = cue.Cues(spec_of(1), _fast)


def second(fast):
    _, line, voice = open_link(fast)
    pod = WholePod()
    teller = statistics.Statistics(BOOT_ID, line, line._clock, voice, pod)

    def work():
        teller._send(ticks_us())

    return work


def idle_turn(fast):
    """A turn in which nobody has work: the link, seven polled parts, their streams, cues, statistics."""
    _, line, voice = open_link(fast)
    pod = WholePod()
    teller = statistics.Statistics(BOOT_ID, line, line._clock, voice, pod)
    driver, stream, _ = open_eeg(fast)
    driver.sampled = ticks_us()
    steps = [line] + 7 * [driver] + 5 * [stream] + [pod.cues, teller]

    def work():
        now = line._clock.now(ticks_us())
        line.heard = line._acked = teller._second = now
        for item in steps:
            item.step(now)

    return work


import binascii

_kilobyte = bytes(1000)
yards = least_of([loops, voice, lambda: binascii.crc32(_kilobyte)], 20)
crc_ns = yards[2] / 1000
yard = {"loop_ns": yards[0] / 1000, "voice_ns": yards[1] / 1000, "crc_ns": crc_ns}
print(json.dumps(yard))

tell("20 ms of sound: nothing plays", callback(1, streams=False), 50)
tell("20 ms of sound: a stream, mono", callback(1), 50)
tell("20 ms of sound: a stream, stereo", callback(2), 50)
tell("20 ms of sound: a stream, turned down, mono", callback(1, limits=LOUD), 50)
tell("20 ms of sound: the bed, mono", callback(1, streams=False, lost=True), 50)
tell("20 ms of sound: a stream and a tone, mono", callback(1, kind=wire.CUE_TONE), 50)
tell("20 ms of sound: a stream and pink noise, mono", callback(1, kind=wire.CUE_PINK), 50)
pcm = bytes(range(240)) * 4
ima = b"\x00\x00\x10\x01" + b"\x37" * 240
tell("a chunk of 30 ms, PCM16, mono", chunk_in(pcm), 1000 / 30, crc_bytes=976, port=given(976))
codec = wire.CODEC_IMA
tell("a chunk of 30 ms, IMA, mono", chunk_in(ima, codec), 1000 / 30, 260, port=given(260))
tell("a clock probe answered", probe_in, 1000 / 150, crc_bytes=16, port=given(16))
tell("an acknowledgement", ack_out, 50)
tell("an EEG sample, 4 channels, interrupt", interrupt, 250, bus_us=15 * SPI_BYTE_US)
tell("a block of 10 EEG samples sent", block_out, 25)
tell("an EEG sample in the closed loop", loop_sample, 250)
second_of(max30102, models.max30102.Model, {"name": "pulse", "address": 87, "block": 10}, 100)
inputs = [
    {"stream": "breath", "input": 0, "unit": "V", "scale": 1.0, "offset": 0.0},
    {"stream": "skin-conductance", "input": 1, "unit": "uS", "scale": 10.0, "offset": 0.0},
]
second_of(ads1115, Voltages, {"name": "adc", "address": 72, "block": 3, "inputs": inputs}, 25)
second_of(lsm6dso, models.lsm6dso.Model, {"name": "motion", "address": 106, "block": 4}, 52)
tell("a second's statistics", second, 1)
tell("a turn with nothing to do", idle_turn, 250)
