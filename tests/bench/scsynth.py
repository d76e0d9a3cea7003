"""SuperCollider's server as a mixing desk: the same mix-minus, rendered by `scsynth -N`.

One synth per pod plays the own sound and sends it to a bus, another hears the bus without it, adds
the own sound, and limits (Limiter.ar). The score and the synth definitions are written here byte by
byte, in the formats of SuperCollider 3.13's help ("Synth Definition File Format", "Non-Realtime
Synthesis"), so no sclang is needed.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

SCSYNTH = shutil.which("scsynth")
RATE_HZ = 32000
LIMITER_S = 0.0015

_AUDIO, _CONTROL = 2, 1
_SUBTRACT, _MULTIPLY, _ADD = 1, 2, 0
_FIRST_PRIVATE = 1000  # audio bus of the collective; the pods' own follow, two each

Source = tuple[int, int]  # unit generator and its output; -1: a constant


def _pstring(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


@dataclass
class _Definition:
    """A synth definition that grows unit by unit."""

    name: str
    parameters: list[str]
    constants: list[float] = field(default_factory=list)
    units: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.unit("Control", _CONTROL, [], len(self.parameters))

    def parameter(self, name: str) -> Source:
        return 0, self.parameters.index(name)

    def constant(self, value: float) -> Source:
        if value not in self.constants:
            self.constants.append(value)
        return -1, self.constants.index(value)

    def unit(
        self, kind: str, rate: int, inputs: list[Source], outputs: int, special: int = 0
    ) -> int:
        data = _pstring(kind) + struct.pack(">biih", rate, len(inputs), outputs, special)
        data += b"".join(struct.pack(">ii", *source) for source in inputs)
        self.units.append(data + bytes([rate]) * outputs)
        return len(self.units) - 1

    def both(self, operator: int, a: Source, b: Source) -> Source:
        return self.unit("BinaryOpUGen", _AUDIO, [a, b], 1, operator), 0

    def data(self) -> bytes:
        out = b"SCgf" + struct.pack(">ih", 2, 1) + _pstring(self.name)
        out += struct.pack(f">i{len(self.constants)}f", len(self.constants), *self.constants)
        out += struct.pack(
            f">i{len(self.parameters)}f", len(self.parameters), *[0.0] * len(self.parameters)
        )
        out += struct.pack(">i", len(self.parameters))
        for index, name in enumerate(self.parameters):
            out += _pstring(name) + struct.pack(">i", index)
        return (
            out + struct.pack(">i", len(self.units)) + b"".join(self.units) + struct.pack(">h", 0)
        )


def _sender() -> bytes:
    d = _Definition("sender", ["buffer", "own", "send"])
    one, zero = d.constant(1.0), d.constant(0.0)
    play = d.unit("PlayBuf", _AUDIO, [d.parameter("buffer"), one, one, zero, one, zero], 2)
    d.unit("Out", _AUDIO, [d.parameter("own"), (play, 0), (play, 1)], 0)
    sent = [d.both(_MULTIPLY, (play, side), d.parameter("send")) for side in (0, 1)]
    d.unit("Out", _AUDIO, [d.constant(float(_FIRST_PRIVATE)), *sent], 0)
    return d.data()


def _listener() -> bytes:
    d = _Definition("listener", ["own", "out", "send", "own_gain", "collective_gain", "ceiling"])
    own = d.unit("In", _AUDIO, [d.parameter("own")], 2)
    bus = d.unit("In", _AUDIO, [d.constant(float(_FIRST_PRIVATE))], 2)
    sides = []
    for side in (0, 1):
        sent = d.both(_MULTIPLY, (own, side), d.parameter("send"))
        others = d.both(_SUBTRACT, (bus, side), sent)
        heard = d.both(_MULTIPLY, others, d.parameter("collective_gain"))
        mixed = d.both(_ADD, d.both(_MULTIPLY, (own, side), d.parameter("own_gain")), heard)
        inputs = [mixed, d.parameter("ceiling"), d.constant(LIMITER_S)]
        sides.append((d.unit("Limiter", _AUDIO, inputs, 1), 0))
    d.unit("Out", _AUDIO, [d.parameter("out"), *sides], 0)
    return d.data()


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _message(address: str, *arguments: object) -> bytes:
    tags, data = ",", b""
    for one in arguments:
        if isinstance(one, int):
            tags, data = tags + "i", data + struct.pack(">i", one)
        elif isinstance(one, float):
            tags, data = tags + "f", data + struct.pack(">f", one)
        elif isinstance(one, bytes):
            tags, data = tags + "b", data + struct.pack(">i", len(one)) + _padded(one)
        else:
            tags, data = tags + "s", data + _padded(str(one).encode() + b"\0")
    return _padded(address.encode() + b"\0") + _padded(tags.encode() + b"\0") + data


def _bundle(seconds: float, message: bytes) -> bytes:
    whole = int(seconds)
    data = b"#bundle\0" + struct.pack(">II", whole, int((seconds - whole) * 2**32))
    data += struct.pack(">i", len(message)) + message
    return struct.pack(">i", len(data)) + data


class Desk:
    """`render()` mixes `seconds` of sound for the pods of own (N, frames, 2), which repeats.

    gains: own, collective, send. audible: write every pod's mix to the file, and not only the first's.
    """

    def __init__(
        self,
        folder: Path,
        own: np.ndarray,
        gains: tuple[float, float, float],
        ceiling: float,
        seconds: float,
        audible: bool = False,
    ) -> None:
        self._score, self._sound = folder / "score.osc", folder / "mix.wav"
        self._pods, self._channels = len(own), 2 * len(own) if audible else 2
        own_gain, collective_gain, send = gains
        score = _bundle(0, _message("/d_recv", _sender())) + _bundle(
            0, _message("/d_recv", _listener())
        )
        for pod, sound in enumerate(own):
            path = folder / f"own{pod}.wav"
            soundfile.write(path, sound, RATE_HZ, subtype="FLOAT")
            score += _bundle(0, _message("/b_allocRead", pod, path))
        for pod in range(self._pods):
            private = _FIRST_PRIVATE + 2 + 2 * pod
            out = 2 * pod if audible or pod == 0 else private + 2 * self._pods
            sender = [0, pod, 1, private, 2, send]
            listener = [0, private, 1, out, 2, send, 3, own_gain, 4, collective_gain, 5, ceiling]
            for name, values in (("sender", sender), ("listener", listener)):
                # Senders to the head, listeners to the tail of the default group.
                values = [one if k % 2 == 0 else float(one) for k, one in enumerate(values)]
                score += _bundle(
                    0, _message("/s_new", name, -1, 1 if name == "listener" else 0, 0, *values)
                )
        score += _bundle(seconds, _message("/c_set", 0, 0.0))
        self._score.write_bytes(score)

    def render(self) -> Path:
        """The sound file of the outputs."""
        buses = _FIRST_PRIVATE + 4 + 4 * self._pods
        sizes = [
            "-o",
            self._channels,
            "-i",
            0,
            "-a",
            buses,
            "-b",
            self._pods + 8,
            "-n",
            2 * self._pods + 64,
        ]
        files = ["-N", self._score, "_", self._sound, RATE_HZ, "WAV", "float"]
        command = [SCSYNTH, *files, *sizes, "-m", 65536, "-w", 256]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        if done.returncode or "FAILURE" in done.stdout:
            raise RuntimeError(done.stdout + done.stderr)
        return self._sound
