"""A scene: which layers sound, what each of them follows in the sleepers, and how loud it may be.

A scene is one TOML file. Each `[layer.<name>]` says whose it is (`of`), what makes the sound
(`source`), how loud it is at most (`gain_db`), and how it moves: `level_db`, `brightness_hz`,
`pitch_semitones` and `pan` are each either a plain number or a table such as

    level_db = { follow = "breath", from = -14, to = 0, behind = 0.2, smooth_s = 0.3 }

`from` is the value at the bottom of what is followed, `to` the value at its top; `behind` makes it
come a part of a turn later (rhythms only); `smooth_s` is how sluggish it is.

Reading and checking a file is `reader`; playing a scene is `synth`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from dreampods.dreamscape.timeline import Timeline, ease
from dreampods.errors import SceneError

LONGEST_S = 12 * 3600.0


@dataclass(frozen=True, slots=True)
class Control:
    """A quantity that goes from `low` to `high` as its driver goes from 0 to 1."""

    low: float
    high: float
    follow: str | None = None
    behind: float = 0.0
    smooth_s: float = 0.15


@dataclass(frozen=True, slots=True)
class Noise:
    """A bed of noise. `ripple_db`: how much each octave swells by itself, slower than 1 Hz."""

    colour: Literal["pink", "brown"]
    low_hz: float
    high_hz: float
    ripple_db: float


@dataclass(frozen=True, slots=True)
class Tone:
    """A bed of sines: each note with its partials, each partial a pair that beats slowly.

    `one_each`: sleeper i has note i of the list (in turn) as a voice of their own.
    """

    notes_hz: tuple[float, ...]
    partials: int
    roll_off_db: float
    beat_hz: float
    one_each: bool


@dataclass(frozen=True, slots=True)
class Modes:
    """Things that ring when a rhythm passes its top, every `every`-th time.

    `melody`: each sleeper strikes their "own" note, or wanders "stepwise" through the notes.
    `decay_s`: until the lowest mode has fallen by 60 dB. `attack_s`: how soft the mallet is.
    """

    material: str
    notes_hz: tuple[float, ...]
    decay_s: float
    attack_s: float
    struck_by: str
    every: int
    melody: Literal["own", "stepwise"]


@dataclass(frozen=True, slots=True)
class Rubbed:
    """Things that sing while a rhythm rubs them, the more the higher it stands; all notes at once.

    `decay_s`: until the lowest mode has fallen by 60 dB once it is let go.
    """

    material: str
    notes_hz: tuple[float, ...]
    decay_s: float
    rubbed_by: str


@dataclass(frozen=True, slots=True)
class Beats:
    """A tone that beats: `binaural_hz` apart between the ears, or coming and going `isochronic_hz`
    times a second; the other one is 0."""

    carrier_hz: float
    binaural_hz: float
    isochronic_hz: float


@dataclass(frozen=True, slots=True)
class File:
    """A recorded sound or voice; `every_s` None: once."""

    path: Path
    start_s: float
    every_s: float | None


Source = Noise | Tone | Modes | Rubbed | Beats | File


@dataclass(frozen=True, slots=True)
class Layer:
    """One sound. `gain_db` is its loudest: RMS of a noise, a tone or something
    rubbed, peak of a strike or file."""

    name: str
    of: Literal["individual", "collective"]
    source: Source
    gain_db: float
    level_db: Control
    brightness_hz: Control
    pitch_semitones: Control
    pan: Control
    width: float
    room: float
    timeline: Timeline


@dataclass(frozen=True, slots=True)
class Mix:
    """How pods are mixed, dB: own layer in one's own mix and the least it may fall to, the
    collective in everyone's mix, and how much of everyone's own layer goes to the others."""

    own_db: float
    own_floor_db: float
    collective_db: float
    send_db: float


@dataclass(frozen=True, slots=True)
class Follow:
    """The bands (low, high in Hz) in which the bodies' rhythms are looked for."""

    breath_hz: tuple[float, float]
    pulse_hz: tuple[float, float]
    eeg_hz: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Group:
    """The Kuramoto oscillators: how strongly the group, and their own sleeper, draw them."""

    coupling_hz: float
    drive_hz: float


@dataclass(frozen=True, slots=True)
class Room:
    """The space around the layers: time until an echo has fallen by 60 dB, and its level."""

    decay_s: float
    level_db: float


@dataclass(frozen=True, slots=True)
class Scene:
    """A whole scene; `seconds` is its natural length, after which it is silent."""

    name: str
    title: str
    description: str
    seconds: float
    fade_in_s: float
    fade_out_s: float
    mix: Mix
    follow: Follow
    group: Group
    room: Room
    layers: tuple[Layer, ...] = field(repr=False)

    def fade(self, session_s: float) -> float:
        """The scene's own fader, 0..1."""
        rise = ease(session_s / self.fade_in_s) if self.fade_in_s else float(session_s >= 0)
        left_s = self.seconds - session_s
        fall = ease(left_s / self.fade_out_s) if self.fade_out_s else float(left_s > 0)
        return rise * fall

    def lasting(self, seconds: float) -> Scene:
        """The same scene for a session of another length (s).

        Timelines stretch; the fades at both ends keep their length as long as they fit. Raises
        SceneError when `seconds` is not a positive number.
        """
        if not (math.isfinite(seconds) and 0 < seconds <= LONGEST_S):
            raise SceneError(
                f"scene {self.name}: cannot last {seconds:g} s; give 0 to {LONGEST_S:g} s"
            )
        factor = seconds / self.seconds
        shorter = min(1.0, seconds / max(self.fade_in_s + self.fade_out_s, 1e-9))
        return replace(
            self,
            seconds=float(seconds),
            fade_in_s=self.fade_in_s * shorter,
            fade_out_s=self.fade_out_s * shorter,
            layers=tuple(_stretched(layer, factor) for layer in self.layers),
        )


def _stretched(layer: Layer, factor: float) -> Layer:
    source = layer.source
    if isinstance(source, File):
        source = replace(source, start_s=source.start_s * factor)
    return replace(layer, source=source, timeline=layer.timeline.stretched(factor))
