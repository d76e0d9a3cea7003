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
from dreampod.clock import Clock, get_ticks, ticks_us
from dreampod.link import Link
from dreampod.sensing import Stream
from dreampod.sound import BED_FADE_MS, BED_MS, HOST_LOST_MS, Sound
from dreampod.statistics import Statistics

try:
    from dreampod import _fast as fast
except (ImportError, SyntaxError):  # a MicroPython without native code for its processor
    from dreampod import _plain as fast

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


_TOLD_OF_STREAMS = ("name", "unit", "rate_hz", "channels", "format", "scale", "offset")
_OPENERS = {"ads1299": open_eeg, "analog": open_analog}


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
            stream = Stream(number, spec, fast, self.link, self.clock)
            self.streams.append(stream)
            try:
                _OPENERS[spec["driver"]](spec).begin(stream)
            except OSError as error:
                # One dead part must not take the pod with it: the rest works, the host is told
                self._faults.append("%s: %s" % (spec["name"], error))
        self._dictionary = self._describe()
        statistics = Statistics(
            boot_id, self.link, self.clock, self.sound, self.streams, self._faults
        )
        self._parts = [self.link] + self.streams + [statistics]

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
                    {key: stream.spec[key] for key in _TOLD_OF_STREAMS} for stream in self.streams
                ],
                "sound": {
                    "rate_hz": sound["rate_hz"],
                    "channels": sound["channels"],
                    "chunk_frames": sound["chunk_frames"],
                    "slots": sound["slots"],
                },
                "limits": self.board["limits"],
                "dead_man": {"lost_ms": HOST_LOST_MS, "bed_ms": BED_MS, "fade_ms": BED_FADE_MS},
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
        """One turn of the main loop."""
        now = self.clock.now(ticks_us())
        for part in self._parts:
            part.step(now)


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
