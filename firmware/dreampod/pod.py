"""The pod: parts named by the board's data, and one loop over objects with `step`.

Nothing in the steady state allocates, so nothing is ever collected while somebody sleeps; and
nothing writes to flash in a session, which would stop the interrupts and with them the sound. What
is rarely needed and large, the self-test and the update, is loaded when it is asked for.
"""

import gc
import json
import struct
import sys

import machine

from dreampod import RELEASE, VERSION, forget, wire
from dreampod.bus import open_buses
from dreampod.clock import Clock, get_ticks, ticks_us
from dreampod.cue import Cues
from dreampod.link import Link
from dreampod.sensing import Stream
from dreampod.sound import BED_FADE_MS, BED_MS, HOST_LOST_MS, Sound
from dreampod.statistics import Statistics

try:
    from dreampod import _fast as fast
except (
    ImportError,
    SyntaxError,
    ValueError,
):  # a MicroPython without native code for its processor
    from dreampod import _plain as fast

_EEG_DELAY_US = (
    6000  # of the ADS1299's sinc filter at 250 Hz: 1.5 samples, SBAS499C section 9.3.2.2
)
_TOLD_OF_STREAMS = ("name", "unit", "rate_hz", "channels", "format", "scale", "offset")
_TOLD_OF_SOUND = ("rate_hz", "channels", "chunk_frames", "slots")


def open_i2s(spec):
    """The transmitter that feeds the amplifier, and the amplifier switched on."""
    pins = spec["pins"]
    if "enable" in pins:  # MAX98357A: SD_MODE high plays the left channel
        machine.Pin(pins["enable"], machine.Pin.OUT, value=1)
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


def open_part(spec, buses):
    """The driver of a part; no hardware is touched yet."""
    module = __import__("dreampod.drivers." + spec["driver"], None, None, ("Driver",))
    return module.Driver(spec, buses)


class Pod:
    """Everything on one board, wired together."""

    def __init__(self, reader, writer, board, about, calibration, boot_id):
        self.board = board
        self.faults = []  # of the pod as a whole, one line each
        self.boot_id = boot_id
        self.clock = Clock(ticks_us(), boot_id)
        self.link = Link(reader, writer, self.clock, fast, boot_id)
        self.buses = open_buses(board["buses"])
        self.parts = []  # type: list
        self.streams = []  # type: list
        for spec in board["parts"]:
            self._fit(open_part(spec, self.buses))
        self.on_trial = about.pop("trial", False)
        self._told = self._describe(about, calibration)
        gc.collect()
        self.i2s = open_i2s(board["sound"])
        self.sound = Sound(self.i2s, board["sound"], board["limits"], fast, calibration)
        self.link.attach(self, self.sound)
        for part in self.parts:
            part.on_change = self._on_part
            self._take_presses(part)
        haptics = self._first("drv2605l")
        self.light = self._first("ws2812")
        self.cues = Cues(board["sound"], fast, haptics.play if haptics else None)
        self.sound.attach(self.cues)
        self.loop = None
        self._digits = bytearray(5)
        self._untold = b""  # who was turned away while there was no host
        self._task = None  # the update, while there is one
        self._test = None  # the self-test, while there is one
        self._slots = 0  # of the sound, which lent them to the test or the update
        statistics = Statistics(boot_id, self.link, self.clock, self.sound, self)
        self._steps = [self.link] + self.parts + self.streams + [self.cues, self, statistics]

    def _fit(self, part):
        part.number = len(self.parts)
        self.parts.append(part)
        outlets = []
        for spec in part.streams:
            stream = Stream(len(self.streams), spec, fast, self.link, self.clock)
            self.streams.append(stream)
            outlets.append(stream)
        part.begin(outlets)

    def _take_presses(self, part):
        if part.spec["driver"] == "button":
            if part.spec["event"] == "wake":
                part.on_press = self._on_wake
            else:
                part.at_once = self.sound.stop  # also while the loop waits for the rest of a frame
                part.on_press = self._on_stop

    def _first(self, driver):
        for part in self.parts:
            if part.spec["driver"] == driver:
                return part
        return None

    def stream(self, name):
        """The stream of that name, or None."""
        for stream in self.streams:
            if stream.spec["name"] == name:
                return stream
        return None

    def _describe(self, about, calibration):
        """What the pod says of itself, as the pieces of a JSON text; what changes comes in `_meet`.

        Made before the sound takes its room, and in pieces: a heap that is almost full has no long stretches.
        """
        board = self.board
        about["protocol"] = wire.PROTOCOL
        about["uid"] = machine.unique_id().hex()
        about["boot_id"] = self.boot_id
        about["reset_cause"] = machine.reset_cause()
        about["implementation"] = str(sys.implementation)
        about["firmware"] = VERSION
        about["release"] = RELEASE
        about["board"] = board["name"]
        limits = board["limits"]
        about["limits"] = {key: calibration.get(key, limits[key]) for key in limits}
        about["dead_man"] = {"lost_ms": HOST_LOST_MS, "bed_ms": BED_MS, "fade_ms": BED_FADE_MS}
        about["sound"] = {key: board["sound"][key] for key in _TOLD_OF_SOUND}
        thin = board["sound"].get("codec") == "ima"
        about["sound"]["codec"] = wire.CODEC_IMA if thin else wire.CODEC_PCM16
        told = [json.dumps(about).encode()[:-1], b',"streams":[']
        comma = b""
        for stream in self.streams:
            spec = {key: stream.spec[key] for key in _TOLD_OF_STREAMS}
            told.append(comma + json.dumps(spec).encode())
            comma = b","
        told.append(b"]")
        return told

    def _faults(self):
        """The rest of the text: the parts and how they are, and how the pod is as a whole."""
        comma = b',"parts":['
        for part in self.parts:
            about = {"name": part.name, "driver": part.spec["driver"], "fault": part.fault}
            yield comma + json.dumps(about).encode()
            comma = b","
        yield b'],"trial":' + json.dumps(self.on_trial).encode()
        yield b',"faults":' + json.dumps(self.faults).encode() + b"}"

    # --- what parts tell ---------------------------------------------------------------------

    def _on_part(self, part):
        if part.fault:
            self.link.event(wire.EVENT_PART_FAILED, ticks_us(), part.number, part.fault.encode())
        else:
            text = part.name + " works again"
            self.link.event(wire.EVENT_PART_BACK, ticks_us(), part.number, text.encode())

    def _on_wake(self):
        self.link.event(wire.EVENT_WAKE, ticks_us())

    def _on_stop(self):
        if self._test is not None:
            self._end_test()
        self.sound.stop()
        self.link.event(wire.EVENT_STOP_PRESSED, ticks_us())

    def _tell_cue(self, kind):
        cues = self.cues
        # As text of five digits, without making a string
        number = cues.event_number
        digits = self._digits
        for i in range(4, -1, -1):
            digits[i] = 48 + number % 10
            number //= 10
        self.link.event(kind, cues.event_ticks, cues.event_kind, digits)

    # --- what the host sends -----------------------------------------------------------------

    def handle(self, kind, buf, length):
        """Do what a frame asks. False: not now, send it again."""
        start = wire.HEADER_BYTES
        if kind == wire.CHUNK:
            head = wire.CHUNK_HEAD_BYTES
            if length <= head:
                return True
            return self.sound.put(get_ticks(buf, start), buf, start + head, length - head)
        if self._test is not None:
            self._end_test()  # whatever is wanted goes before
        if self._task is not None and kind != wire.UPDATE:
            self._end_update()
        if kind == wire.STOP:
            self.sound.stop()
            self._end_loop()
        elif kind == wire.OPEN:
            if not self.sound.open(buf[start] if length else wire.CODEC_PCM16):
                self.refuse("a stream in a codec that this firmware does not know")
        elif kind == wire.CLOSE:
            self.sound.close()
        elif kind == wire.SENSE and length:
            mask = buf[start]
            for stream in self.streams:
                stream.start(bool(mask >> stream.number & 1))
        elif kind == wire.CUE and length == wire.CUE_BYTES:
            if not self.cues.put(buf, start):
                self.refuse("a cue that this pod cannot play, or more than can wait")
        elif kind == wire.FOLLOW:
            self._follow(buf, length)
        elif kind == wire.LIGHT and length == wire.LIGHT_BYTES:
            if self.light:
                fade_ms = buf[start + 4] | buf[start + 5] << 8
                self.light.set(buf[start], buf[start + 1], buf[start + 2], fade_ms)
        elif kind == wire.HELLO and length >= 4:
            self._meet()
        else:
            self._rarely(kind, buf, length)
        return True

    def _meet(self):
        self.sound.release()
        self._end_loop()
        for stream in self.streams:
            stream.start(False)
        gc.collect()  # the one moment when a pause harms nobody
        self.link.dictionary(self._told + list(self._faults()))
        if self._untold:
            self.link.event(wire.EVENT_TURNED_AWAY, ticks_us(), 0, self._untold)
            self._untold = b""
        gc.collect()

    def _follow(self, buf, length):
        """Begin, change or end the closed loop. Its code is loaded when it is first asked for."""
        if self.loop is None and buf[wire.HEADER_BYTES]:
            stream = self.stream("eeg")
            if stream is not None:
                from dreampod.closed_loop import ClosedLoop

                self.loop = ClosedLoop(stream.spec, self.sound, self.cues, fast, _EEG_DELAY_US)
                stream.tap = self.loop
                self.also(self.loop)
        asked = self.loop is not None and self.loop.follow(buf, wire.HEADER_BYTES, length)
        if not asked and buf[wire.HEADER_BYTES]:
            self.refuse("a closed loop that this pod's EEG cannot serve")

    def _end_loop(self):
        if self.loop:
            self.loop.release()

    def _rarely(self, kind, buf, length):
        start = wire.HEADER_BYTES
        payload = bytes(memoryview(buf)[start : start + length])
        if kind == wire.LIMIT:
            self._limit(payload)
        elif self.busy():
            self.refuse(
                "while sound plays or samples are sent, a pod is neither tested nor changed"
            )
        elif kind == wire.TEST and length == 2:
            self._slots = self.sound.lend()
            gc.collect()
            from dreampod.selftest import SelfTest

            self._test = SelfTest(self, struct.unpack("<H", payload)[0])
        elif kind == wire.UPDATE:
            if self._task is None:
                self._begin_update()
            self._task.handle(payload)
        elif kind == wire.RESTART:
            machine.reset()

    def _begin_update(self):
        self._slots = self.sound.lend()
        gc.collect()
        from dreampod.update import Update

        self._task = Update(self.link, self._provisioning(), self.busy, ill=self._ill)

    def _provisioning(self):
        from dreampod.provisioning import Provisioning

        return Provisioning(machine.unique_id().hex())

    def _limit(self, payload):
        value, mac = payload[: wire.LIMIT_BYTES], payload[wire.LIMIT_BYTES :]
        if len(value) < wire.LIMIT_BYTES or not self._provisioning().signed(value, mac):
            self.refuse("another ceiling: the key is not the one this pod was provisioned with")
            return
        boot_id, centi_dba = struct.unpack(wire.LIMIT_FORMAT, value)
        if boot_id != self.boot_id or not self.sound.set_ceiling(centi_dba):
            self.refuse(
                "another ceiling: above the pod's hard limit, or meant for an earlier life"
            )

    def refuse(self, text):
        """Tell the host what of its wishes was not done, and why."""
        self.link.event(wire.EVENT_REFUSED, ticks_us(), 0, text.encode())

    def turn_away(self, text):
        """Tell the host, or whoever connects next, whom the network has not let in, and why."""
        if self.link.connected:
            self.link.event(wire.EVENT_TURNED_AWAY, ticks_us(), 0, text.encode())
        else:
            self._untold = text.encode()

    def healthy(self, excused):
        """True if the sound is fed and all parts work but the excused: what a new firmware is judged by."""
        for name in self._ill():
            if name not in excused:
                return False
        return self.sound.fed

    def _ill(self):
        return [part.name for part in self.parts if part.fault]

    def busy(self):
        """True while somebody may be listening or measured."""
        return self.sound.state == wire.STATE_PLAYING or any(stream.on for stream in self.streams)

    # --- the life of the pod -----------------------------------------------------------------

    def also(self, part):
        """Give another object its turn in the loop."""
        self._steps.append(part)

    def begin(self):
        """Start the sound. From here on it feeds itself."""
        self.sound.begin()

    def step(self, now):
        """Tell of cues; and the rare tasks' turn."""
        kind = self.cues.next_event()
        if kind == wire.EVENT_REFUSED:
            what = "touch %d: the haptics do not work, or know no such effect"
            self.refuse(what % self.cues.event_number)
        elif kind:
            self._tell_cue(kind)
        if self._task is not None and not self._task.step(now):
            self._end_update()
        if self._test is not None and not self._test.step(now):
            self._end_test()

    def _end_update(self):
        self._task.end()
        self._task = None
        forget("update", "slots", "provisioning")
        gc.collect()
        self.sound.take_back(self._slots)
        gc.collect()

    def _end_test(self):
        self._test.end()
        self._test = None
        forget("selftest", "loopback", "slots", "provisioning")
        gc.collect()  # now, for its code must be gone before the sound has its room again
        self.sound.take_back(self._slots)
        gc.collect()

    def turn(self):
        """One turn of the main loop."""
        now = self.clock.now(ticks_us())
        for part in self._steps:
            part.step(now)

    def end(self):
        """Leave the board as if nothing had run: no interrupt comes any more."""
        for part in self.parts:
            part.end()
        self.i2s.deinit()
        pins = self.board["sound"]["pins"]
        if "enable" in pins:
            machine.Pin(pins["enable"], machine.Pin.OUT, value=0)
