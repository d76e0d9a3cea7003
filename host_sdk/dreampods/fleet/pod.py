"""One pod as the host knows it, without input or output: bytes and times in, frames and news out.

A pod may reset, lose its cable or go for good at any moment, and come back as if nothing had been.
What belongs to one life of it (clock, numbering) ends with that life; what is counted for the
session (samples, losses) goes on. Each change is told once, as news.
"""

from __future__ import annotations

import hmac
import math
import secrets
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dreampods.errors import LinkError
from dreampods.firmware.dreampod import wire
from dreampods.link import (
    Ack,
    Block,
    Dictionary,
    Event,
    Message,
    ProbeReply,
    Protocol,
    Report,
    Stats,
    build_frame,
)

from .asked import Cue, Follow, SoundFormat
from .clock import BURST_EVERY_S, BURST_PROBES, BURST_SPACING_S, PodClock
from .description import what_is_wrong
from .streams import Stream

LOST_AFTER_NS = 600_000_000
_HELLO_EVERY_NS = 400_000_000
_KEEPALIVE_NS = 150_000_000  # well within the pod's dead-man, should no sound flow
_PROBES_OPEN = 64
_STRAY_BYTES = 4096
_CTRL_C = 3

State = Literal["connecting", "ready", "lost"]
NewsKind = Literal[
    "ready",
    "returned",
    "rebooted",
    "lost",
    "late",
    "underrun",
    "stopped",
    "host-lost",
    "fault",
    "mended",
    "wake",
    "stop-pressed",
    "cue",
    "cue-late",
    "refused",
    "turned-away",
    "unrecorded",
]
_NEWS_OF: dict[int, tuple[NewsKind, str]] = {
    wire.EVENT_STOPPED: ("stopped", "silent until the next stream"),
    wire.EVENT_HOST_FOUND: (
        "host-lost",
        "the pod had not heard us for longer than its dead-man waits",
    ),
    wire.EVENT_PART_FAILED: ("fault", "a part of the pod does not work"),
    wire.EVENT_PART_BACK: ("mended", "a part of the pod works again"),
    wire.EVENT_WAKE: ("wake", "the sleeper asks to be woken"),
    wire.EVENT_STOP_PRESSED: ("stop-pressed", "the sleeper pressed stop"),
    wire.EVENT_CUE: ("cue", ""),
    wire.EVENT_CUE_LATE: ("cue-late", ""),
    wire.EVENT_REFUSED: ("refused", ""),
    wire.EVENT_TURNED_AWAY: ("turned-away", ""),
}

SamplesHook = Callable[["Pod", Stream, NDArray[np.float32]], None]


@dataclass(frozen=True, slots=True)
class News:
    """Something a person should know about a pod."""

    kind: NewsKind
    pod: str
    host_ns: int
    text: str


class Pod:
    """State of one pod. `receive` and `outgoing` are for the shell that owns the port."""

    def __init__(self, port: str, name: str) -> None:
        self.port = port
        self.name = name
        self.state: State = "connecting"
        self.protocol = Protocol()
        self.clock = PodClock()
        self.dictionary: dict[str, Any] = {}
        self.streams: list[Stream] = []
        self.stats: dict[str, int] = {}
        self.boots = 0
        self.refused: LinkError | None = None  # why this pod cannot be used
        self.stray = b""  # the last of what came before any whole frame: perhaps not a pod
        self.news: deque[News] = deque()
        self.reports: deque[Report] = deque(maxlen=64)  # answers to `test` and `update`
        self._cue_number = 0
        self.on_samples: SamplesHook | None = None
        self._totals = dict.fromkeys(("chunks", "late", "underruns"), 0)  # of earlier lives
        self._before: dict[str, int] = {}  # counters of this life when counting began
        self._loudest = 0
        self.loop_worst_us = 0  # longest turn of the pod's loop since `count_anew`, all lives
        self._nonce = 0
        self._hello_ns = 0
        self._heard_ns = 0
        self._probes: dict[int, int] = {}
        self._probe_number = 0
        self._burst_left = BURST_PROBES
        self._next_probe_ns = 0
        self._next_burst_ns = 0

    # --- what it is --------------------------------------------------------------------------

    @property
    def boot_id(self) -> int:
        """Random number of this life of the pod; 0 before it has introduced itself."""
        return int(self.dictionary.get("boot_id", 0))

    @property
    def implementation(self) -> str:
        """What the pod says runs it: its own `sys.implementation`."""
        return str(self.dictionary.get("implementation", ""))

    @property
    def sound(self) -> SoundFormat:
        """The sound the pod takes."""
        spec = self.dictionary["sound"]
        return SoundFormat(
            int(spec["rate_hz"]),
            int(spec["channels"]),
            int(spec["chunk_frames"]),
            int(spec["codec"]),
        )

    @property
    def limits(self) -> dict[str, float]:
        """The pod's own limits: full_scale_dba, ceiling_dba, hard_dba."""
        return {key: float(value) for key, value in self.dictionary["limits"].items()}

    def total(self, counter: Literal["chunks", "late", "underruns"]) -> int:
        """A counter since `count_anew`, over all lives of the pod."""
        return self._totals[counter] + self._counted(counter)

    def _counted(self, counter: str) -> int:
        """A counter of this life, without what was there before we counted."""
        return self.stats.get(counter, 0) - self._before.get(counter, 0)

    def count_anew(self) -> None:
        """A session begins: nothing from before it is its own."""
        self._totals = dict.fromkeys(self._totals, 0)
        self._before = dict(self.stats)
        self._loudest = 0
        self.loop_worst_us = 0
        self.boots = 1
        for stream in self.streams:
            stream.count_anew()

    @property
    def peak_dbfs(self) -> float | None:
        """The loudest sample the pod itself has played, all lives; None if it played nothing."""
        return 20 * math.log10(self._loudest / 32767) if self._loudest else None

    def stream(self, name: str) -> Stream | None:
        """The stream of that name, if the pod has one."""
        return next((stream for stream in self.streams if stream.name == name), None)

    # --- asking ------------------------------------------------------------------------------

    def sense(self, names: set[str]) -> None:
        """Have exactly these streams sampled and sent."""
        mask = sum(1 << i for i, stream in enumerate(self.streams) if stream.name in names)
        self.protocol.send(wire.SENSE, bytes((mask,)))

    def open_sound(self) -> None:
        """A sound stream begins."""
        self.protocol.send(wire.OPEN, bytes((self.sound.codec,)))

    def play(self, pod_us: int, frames: bytes) -> None:
        """Frames, in the pod's codec, that play at a pod time."""
        self.protocol.send(wire.CHUNK, (pod_us & 0xFFFFFFFF).to_bytes(4, "little") + frames)

    def close_sound(self) -> None:
        """The stream ends with what was sent."""
        self.protocol.send(wire.CLOSE)

    def stop(self) -> None:
        """Silence, now."""
        self.protocol.stop()

    def cue(self, cue: Cue, pod_us: int | None = None) -> int:
        """Have the pod make a cue at a pod time, or at once; returns the number that its news will name."""
        self._cue_number = (self._cue_number + 1) & 0xFFFF
        self.protocol.send(wire.CUE, cue.payload(self._cue_number, pod_us))
        return self._cue_number

    def follow(self, follow: Follow | None, cue: Cue | None = None) -> None:
        """Let the pod cue by itself, at a phase of its sleeper's slow waves; None ends that."""
        if follow is None or cue is None:
            self.protocol.send(wire.FOLLOW, bytes(wire.FOLLOW_BYTES + wire.CUE_BYTES))
        else:
            self.protocol.send(wire.FOLLOW, follow.payload() + cue.payload(0, None))

    def light(self, red: int, green: int, blue: int, fade_s: float = 1.0) -> None:
        """Light of 0 to 255 per colour. The pod keeps it below three flashes a second."""
        self.protocol.send(
            wire.LIGHT, struct.pack("<BBBxH", red, green, blue, round(fade_s * 1000))
        )

    def set_ceiling(self, dba: float, key: bytes) -> None:
        """Another ceiling until the pod's next boot; `key` is the one the pod was provisioned with."""
        value = struct.pack(wire.LIMIT_FORMAT, self.boot_id, round(dba * 100))
        self.protocol.send(wire.LIMIT, value + hmac.digest(key, value, "sha256"))

    def test(self, request: int) -> None:
        """Ask for the self-test; its `reports` come with this number."""
        self.protocol.send(wire.TEST, struct.pack("<H", request))

    def update(self, payload: bytes) -> None:
        """One step of an update; what the pod makes of it comes as `reports`."""
        self.protocol.send(wire.UPDATE, payload)

    def restart(self) -> None:
        """As if the power had gone and come back."""
        self.protocol.send(wire.RESTART)

    # --- the shell's side --------------------------------------------------------------------

    def outgoing(self, now_ns: int) -> bytes:
        """Bytes to write now."""
        if self.state == "ready" and now_ns - self._heard_ns > LOST_AFTER_NS:
            self.lose(now_ns, f"nothing heard for {(now_ns - self._heard_ns) * 1e-9:.1f} s")
        if self.state != "ready" and now_ns - self._hello_ns > _HELLO_EVERY_NS:
            self._hello(now_ns)
        return self.protocol.outgoing(now_ns)

    def probe(self, now_ns: int) -> bytes:
        """A clock probe if one is due, to be written at once: `now_ns` is when it leaves."""
        if self.state != "ready" or now_ns < self._next_probe_ns:
            return b""
        if now_ns >= self._next_burst_ns and self._burst_left == 0:
            self._burst_left = BURST_PROBES
        if self._burst_left:
            self._burst_left -= 1
            self._next_probe_ns = now_ns + int(BURST_SPACING_S * 1e9)
            if not self._burst_left:
                self._next_burst_ns = now_ns + int(BURST_EVERY_S * 1e9)
                self._next_probe_ns = now_ns + _KEEPALIVE_NS
        else:
            self._next_probe_ns = now_ns + _KEEPALIVE_NS
        self._probe_number += 1
        self._probes[self._probe_number] = now_ns
        if len(self._probes) > _PROBES_OPEN:
            self._probes.pop(next(iter(self._probes)))
        return self.protocol.probe(self._probe_number)

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take bytes that came at `now_ns`."""
        for message in self.protocol.receive(data, now_ns):
            self._heard_ns = now_ns
            self._take(message, now_ns)
        if self.state == "connecting" and self.protocol.skipped_bytes:
            self.stray = (self.stray + data)[-_STRAY_BYTES:]

    def lose(self, now_ns: int, reason: str) -> None:
        """The pod is out of reach."""
        if self.state == "ready":
            self.state = "lost"
            self._tell("lost", now_ns, reason)

    def _hello(self, now_ns: int) -> None:
        self._hello_ns = now_ns
        # A board that is just starting takes a byte 3 for Ctrl-C, until its firmware says otherwise
        self._nonce = secrets.randbits(32)
        while _CTRL_C in build_frame(wire.HELLO, struct.pack("<I", self._nonce)):
            self._nonce = secrets.randbits(32)
        self.protocol.hello(self._nonce)

    def _take(self, message: Message, now_ns: int) -> None:
        if isinstance(message, Dictionary):
            self._meet(message, now_ns)
            return
        if self.state != "ready":
            return
        if isinstance(message, Block):
            self._take_block(message)
        elif isinstance(message, ProbeReply):
            sent_ns = self._probes.pop(message.probe, None)
            if sent_ns is not None:
                self.clock.add(sent_ns, message.received_us, message.answered_us, now_ns)
        elif isinstance(message, Ack):
            self._check_boot(message.boot_id, now_ns)
        elif isinstance(message, Stats):
            if self._check_boot(message.values["boot_id"], now_ns):
                self._take_stats(message.values, now_ns)
        elif isinstance(message, Event):
            self._take_event(message, now_ns)
        elif isinstance(message, Report):
            self.reports.append(message)

    def _take_block(self, block: Block) -> None:
        if block.stream < len(self.streams):
            stream = self.streams[block.stream]
            try:
                values = stream.add(block, self.clock)
            except ValueError:
                return  # a block that does not fit its own description
            if self.on_samples is not None and len(values):
                self.on_samples(self, stream, values)

    def _check_boot(self, boot_id: int, now_ns: int) -> bool:
        """False if this is another life of the pod than the one we met: then meet it."""
        if boot_id == self.boot_id:
            return True
        self.state = "lost"
        self._tell("rebooted", now_ns, "the pod has reset")
        self._hello(now_ns)
        return False

    def _meet(self, message: Dictionary, now_ns: int) -> None:
        if message.nonce != self._nonce:
            return
        content = message.content
        wrong = what_is_wrong(content)
        if wrong:
            self.refused = LinkError(f"{self.port}: {wrong}")
            return
        first = not self.dictionary
        reborn = not first and int(content["boot_id"]) != self.boot_id
        if first:
            self.name = str(content["name"])
            self.streams = [Stream.from_dictionary(entry) for entry in content["streams"]]
        if first or reborn:
            self.boots += 1
            for key in self._totals:
                self._totals[key] += self._counted(key)
            self.stats, self._before = {}, {}
            self.clock = PodClock()
            self._probes.clear()
            for stream in self.streams:
                stream.restart()
        self.dictionary = content
        self.state = "ready"
        self._heard_ns = now_ns
        self._burst_left = BURST_PROBES
        self._next_probe_ns = now_ns
        faults = [*content["faults"], *(part["fault"] for part in content["parts"])]
        for fault in filter(None, faults):
            self._tell("fault", now_ns, str(fault))
        self._tell("ready" if first else "returned", now_ns, f"boot {self.boot_id:08x}")

    def _take_stats(self, values: dict[str, int], now_ns: int) -> None:
        if not self.stats and self.boots == 1:
            self._before = dict(values)  # a pod that had been running: not our doing
            self.stats = values
            return
        late = values["late"] - self.stats.get("late", 0)
        if late:
            text = f"{late} chunks of sound, by up to {values['late_worst_us'] / 1000:.1f} ms"
            self._tell("late", now_ns, text)
        underruns = values["underruns"] - self.stats.get("underruns", 0)
        if underruns:
            self._tell("underrun", now_ns, f"{underruns} times nothing was there to play")
        self.stats = values
        self._loudest = max(self._loudest, values["peak"])
        self.loop_worst_us = max(self.loop_worst_us, values["loop_worst_us"])

    def _take_event(self, event: Event, now_ns: int) -> None:
        kind, text = _NEWS_OF.get(event.kind, (None, ""))
        if kind is not None:
            self._tell(kind, now_ns, event.text or text)

    def _tell(self, kind: NewsKind, now_ns: int, text: str) -> None:
        self.news.append(News(kind, self.name, now_ns, text))
