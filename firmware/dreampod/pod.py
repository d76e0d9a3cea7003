"""The pod: parts named by the board's data, and one loop over objects with `step`.

Nothing in the steady state allocates, so nothing is ever collected while somebody sleeps; and
nothing writes to flash, which would stop the interrupts and with them the sound.
"""

import gc
import json
import struct
import sys

import machine

from dreampod import VERSION, wire
from dreampod.clock import Clock, get_ticks, ticks_diff, ticks_us
from dreampod.link import Link
from dreampod.sensing import Stream
from dreampod.sound import BED_FADE_MS, BED_MS, HOST_LOST_MS, Sound

try:
    from dreampod import _fast as fast
except (ImportError, SyntaxError):  # a MicroPython without native code for its processor
    from dreampod import _plain as fast

_IDLE_MS = 4  # the loop's longest wait: what a finished block waits at most
_SECOND_US = 1_000_000
_WATCHDOG_MS = 8000  # the RP2040's longest is 8388


def open_eeg(spec):
    from dreampod.drivers.ads1299 import ADS1299

    pins = spec["pins"]
    spi = machine.SPI(
        spec["spi"],
        baudrate=4_000_000,
        polarity=0,
        phase=1,
        sck=machine.Pin(pins["sck"]),
        mosi=machine.Pin(pins["mosi"]),
        miso=machine.Pin(pins["miso"]),
    )
    cs = machine.Pin(pins["cs"], machine.Pin.OUT, value=1)
    drdy = machine.Pin(pins["drdy"], machine.Pin.IN)
    return ADS1299(spi, cs, drdy, spec["rate_hz"])


def open_analog(spec):
    from dreampod.drivers.analog import Analog

    return Analog(machine.ADC(machine.Pin(spec["pins"]["adc"])), spec["rate_hz"])


def open_i2s(spec):
    pins = spec["pins"]
    return machine.I2S(
        spec["i2s"],
        sck=machine.Pin(pins["sck"]),
        ws=machine.Pin(pins["ws"]),
        sd=machine.Pin(pins["sd"]),
        mode=machine.I2S.TX,
        bits=16,
        format=machine.I2S.STEREO if spec["channels"] == 2 else machine.I2S.MONO,
        rate=spec["rate_hz"],
        ibuf=spec["ring_frames"] * spec["channels"] * 2,
    )


_OPENERS = {"ads1299": open_eeg, "analog": open_analog}


def put_u32(buf, offset, value):
    """Write a number below 2**30. A small int stays small: nothing is allocated."""
    buf[offset] = value & 0xFF
    buf[offset + 1] = value >> 8 & 0xFF
    buf[offset + 2] = value >> 16 & 0xFF
    buf[offset + 3] = value >> 24


class Pod:
    """Everything on one board, wired together."""

    def __init__(self, reader, writer, board, name, boot_id):
        self.board = board
        self.name = name
        self.boot_id = boot_id
        self.clock = Clock(ticks_us(), boot_id)
        self.link = Link(reader, writer, self.clock, fast, boot_id)
        self.sound = Sound(open_i2s(board["sound"]), board["sound"], board["limits"], fast)
        self.link.attach(self, self.sound)
        self.streams = []
        self._faults = []
        for number, spec in enumerate(board["streams"]):
            stream = Stream(number, spec, fast)
            self.streams.append(stream)
            try:
                _OPENERS[spec["driver"]](spec).begin(stream)
            except OSError as error:
                # One dead part must not take the pod with it: the rest works, the host is told
                self._faults.append("%s: %s" % (spec["name"], error))
        self._dictionary = self._describe()
        self._values = [0] * len(wire.STATS_FIELDS)
        self._boot_bytes = struct.pack("<I", boot_id)
        self._second = ticks_us()
        self._turn = self._second
        self._loop_worst_us = 0
        self._state = wire.STATE_IDLE

    def _describe(self):
        sound = self.board["sound"]
        return json.dumps(
            {
                "protocol": wire.PROTOCOL,
                "name": self.name,
                "uid": machine.unique_id().hex(),
                "boot_id": self.boot_id,
                "reset_cause": machine.reset_cause(),
                "implementation": str(sys.implementation),
                "firmware": VERSION,
                "board": self.board["name"],
                "streams": [
                    {
                        key: stream.spec[key]
                        for key in (
                            "name",
                            "unit",
                            "rate_hz",
                            "channels",
                            "format",
                            "scale",
                            "offset",
                        )
                    }
                    for stream in self.streams
                ],
                "sound": {
                    "rate_hz": sound["rate_hz"],
                    "channels": sound["channels"],
                    "chunk_frames": sound["chunk_frames"],
                    "slots": sound["slots"],
                },
                "limits": self.board["limits"],
                "dead_man": {
                    "lost_ms": HOST_LOST_MS,
                    "bed_ms": BED_MS,
                    "bed_fade_ms": BED_FADE_MS,
                },
                "faults": self._faults,
            }
        ).encode()

    # --- what the host sends -----------------------------------------------------------------

    def handle(self, kind, buf, length):
        """Do what a frame asks. False: not now, send it again."""
        if kind == wire.CHUNK:
            frames = (length - wire.CHUNK_HEAD_BYTES) // (2 * self.board["sound"]["channels"])
            if not 0 < frames <= self.sound.chunk_frames:
                return True
            start = wire.HEADER_BYTES + wire.CHUNK_HEAD_BYTES
            return self.sound.put(get_ticks(buf, wire.HEADER_BYTES), buf, start, frames)
        if kind == wire.STOP:
            self.sound.stop()
        elif kind == wire.OPEN:
            self.sound.open()
        elif kind == wire.CLOSE:
            self.sound.close()
        elif kind == wire.SENSE and length:
            mask = buf[wire.HEADER_BYTES]
            for stream in self.streams:
                stream.start(bool(mask >> stream.number & 1))
        elif kind == wire.HELLO and length >= 4:
            self.sound.release()
            for stream in self.streams:
                stream.start(False)
            self.link.send_dictionary(self._dictionary)
            gc.collect()  # the one moment when a pause harms nobody
        return True

    # --- the loop ----------------------------------------------------------------------------

    def step(self):
        """One turn: the host's frames, the sensors' blocks, and each second the statistics."""
        self.link.step(_IDLE_MS)
        now = self.clock.now(ticks_us())
        for stream in self.streams:
            stream.step(self.link, self.clock)
        self._tell_state(now)
        if ticks_diff(now, self._second) >= _SECOND_US:
            self._second = now
            self._send_stats(now)
        turn = ticks_diff(now, self._turn)
        self._turn = now
        if turn > self._loop_worst_us:
            self._loop_worst_us = turn

    def _tell_state(self, now):
        state = self.sound.state
        if state != self._state:
            if state == wire.STATE_STOPPED:
                self.link.event(wire.EVENT_STOPPED, now)
            elif self._state == wire.STATE_HOST_LOST:
                self.link.event(wire.EVENT_HOST_FOUND, now)
            self._state = state

    def _send_stats(self, now):
        sound, link, values = self.sound, self.link, self._values
        sound.second()
        overflows = 0
        for stream in self.streams:
            overflows += stream.overflows
        values[2] = link.rx_frames
        values[3] = link.rx_corrupt
        values[4] = link.rx_skipped
        values[5] = link.rx_out_of_order
        values[6] = link.tx_frames
        values[7] = link.tx_dropped
        values[8] = overflows
        values[9] = len(self._faults)
        values[10] = sound.chunks
        values[11] = sound.late
        values[12] = sound.late_worst_us
        values[13] = sound.underruns
        values[14] = sound.slips
        values[15] = sound.buffered_us()
        values[16] = sound.peak
        values[17] = sound.mean_square
        values[18] = sound.ceiling_hits
        values[19] = self._loop_worst_us
        values[20] = gc.mem_free()
        values[21] = sound.state
        self._loop_worst_us = 0
        for i in range(2, len(values)):
            put_u32(link.tx, wire.HEADER_BYTES + 4 * i, values[i])
        for i in range(4):
            link.tx[wire.HEADER_BYTES + i] = self._boot_bytes[i]
        self.clock.put(link.tx, wire.HEADER_BYTES + 4, now)
        link.send(wire.STATS, wire.STATS_BYTES)


def load(path, default):
    """A JSON file of the pod's, or `default` where there is none."""
    try:
        with open(path) as file:
            return json.load(file)
    except OSError:
        return default


def run(reader, writer):
    """Be a pod, on these two streams, until the power goes."""
    import os

    board = load("board.json", None)
    if board is None:
        raise OSError("board.json is missing: flash the pod again")
    uid = machine.unique_id().hex()
    name = load("pod.json", {}).get("name", "pod-" + uid[-6:])
    boot_id = struct.unpack("<I", os.urandom(4))[0] | 1  # never 0: that means unknown
    pod = Pod(reader, writer, board, name, boot_id)
    pod.sound.begin()
    watchdog = machine.WDT(timeout=_WATCHDOG_MS)
    gc.collect()
    while True:
        pod.step()
        watchdog.feed()
