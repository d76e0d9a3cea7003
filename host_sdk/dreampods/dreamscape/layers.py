"""One layer of a scene, being played: its source, and the faders that bodies move.

Every control is smoothed twice by a one-pole filter, once per block. Two are used because one
leaves a corner where the target jumps, which is audible on a level; the pair starts gently. Then
each control is ramped over the block, so nothing ever steps.
"""

from __future__ import annotations

import math

import numpy as np

from dreampods.dreamscape.beats import BeatsPlayer
from dreampods.dreamscape.bodies import Drivers, Floats
from dreampods.dreamscape.cue import Audio, Cue, Player
from dreampods.dreamscape.files import FilePlayer
from dreampods.dreamscape.modes import ModesPlayer
from dreampods.dreamscape.noise import NoisePlayer
from dreampods.dreamscape.rubbed import RubbedPlayer
from dreampods.dreamscape.scene import Beats, Control, File, Layer, Modes, Noise, Rubbed, Tone
from dreampods.dreamscape.tones import TonePlayer
from dreampods.resonance import add_layer


class Fader:
    """A control of all voices, gliding after its driver; `in_octaves`: halfway is the geometric
    mean, as for anything in hertz."""

    def __init__(
        self,
        control: Control,
        voices: int,
        collective: bool,
        block_s: float,
        in_octaves: bool = False,
    ) -> None:
        ends = np.array([control.low, control.high])
        self._low, self._high = np.log2(ends) if in_octaves else ends
        self._in_octaves = in_octaves
        self._control = control
        self._collective = collective
        self._keep = math.exp(-block_s / control.smooth_s)
        self._first: Floats = np.full(voices, self._low)
        self._second = self._first
        self._begun = False

    def step(self, drivers: Drivers) -> Floats:
        """The value of every voice at the end of this block."""
        control = self._control
        if control.follow is not None:
            driver = drivers.value(
                control.follow, control.behind, control.smooth_s, self._collective
            )
            self._glide(self._low + (self._high - self._low) * driver)
        return 2**self._second if self._in_octaves else self._second

    def _glide(self, target: Floats) -> None:
        if not self._begun:
            # Begin where the bodies are, not on the way there.
            self._begun = True
            self._first = self._second = target
        self._first = target + self._keep * (self._first - target)
        self._second = self._first + self._keep * (self._second - self._first)


class LayerPlayer:
    """`layer` for `pods` sleepers: a voice for each, or one voice where it is collective."""

    def __init__(
        self, layer: Layer, pods: int, rate_hz: float, frames: int, rng: np.random.Generator
    ) -> None:
        self.collective = layer.of == "collective"
        self.room = layer.room
        self._layer = layer
        self._block_s = frames / rate_hz
        voices = 1 if self.collective else pods
        shape = (voices, self.collective, self._block_s)
        self._level_db = Fader(layer.level_db, *shape)
        self._brightness_hz = Fader(layer.brightness_hz, *shape, in_octaves=True)
        self._pitch_semitones = Fader(layer.pitch_semitones, *shape)
        self._pan = Fader(layer.pan, *shape)
        self._player = _player(layer, voices, pods, rate_hz, frames, rng)
        self._gain = 10 ** (layer.gain_db / 20)
        # Towards width 0 each ear takes more of the other's sound, at equal power for sounds
        # that have nothing in common.
        angle = (1 - layer.width) * math.pi / 4
        self._straight, self._across = math.cos(angle), math.sin(angle)
        self._ears: Floats = np.zeros((voices, 2))  # from silence: the first block fades in

    def add(self, session_s: float, drivers: Drivers, dry: Audio, to_room: Audio) -> None:
        """Adds the next block to what is heard, and to what the room hears, (voices, frames, 2)."""
        sound = self._player.render(
            Cue(
                session_s=session_s,
                brightness_hz=self._brightness_hz.step(drivers),
                pitch_semitones=self._pitch_semitones.step(drivers),
                rhythms=drivers.rhythms,
            )
        )
        before, self._ears = self._ears, self._fade(session_s + self._block_s, drivers)
        add_layer(
            sound,
            before,
            self._ears,
            dry,
            straight=self._straight,
            across=self._across,
            send=self.room,
            send_bus=to_room if self.room else None,
        )

    def _fade(self, session_s: float, drivers: Drivers) -> Floats:
        """Gains (voices, ears) at a moment; equal power from side to side, 1 in the middle."""
        level = 10 ** (self._level_db.step(drivers) / 20)
        level = level * self._gain * self._layer.timeline.at(session_s)
        angle = (self._pan.step(drivers) + 1) * (math.pi / 4)
        ears: Floats = (
            math.sqrt(2) * level[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        )
        return ears


def _player(
    layer: Layer, voices: int, pods: int, rate_hz: float, frames: int, rng: np.random.Generator
) -> Player:
    match layer.source:
        case Noise():
            return NoisePlayer(layer.source, voices, rate_hz, frames, rng)
        case Tone():
            return TonePlayer(layer.source, voices, rate_hz, frames, rng)
        case Modes():
            shared = layer.of == "collective"
            return ModesPlayer(layer.source, voices, pods, shared, rate_hz, frames, rng)
        case Rubbed():
            return RubbedPlayer(layer.source, voices, rate_hz, frames, rng)
        case Beats():
            return BeatsPlayer(layer.source, voices, rate_hz, frames, rng)
        case File():
            return FilePlayer(layer.source, voices, rate_hz, frames)
