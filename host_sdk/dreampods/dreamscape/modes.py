"""Things that ring when a body strikes them: bowls, bells, bars, glasses, drums.

A struck body is a handful of modes, decaying sines (`dreampods.resonance.ModeBank`). A soft mallet
is the same bank once more with a faster decay and the opposite sign:
(1 - e^(-t/attack))·e^(-t/decay) starts from silence without a click.
Every mode is a pair a fraction of a hertz apart, leaning to either ear, as real bells are never
quite round and shimmer for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dreampods.dreamscape.bodies import FLICKER_HZ, Floats, Rhythm
from dreampods.dreamscape.cue import Audio, Cue
from dreampods.dreamscape.scene import Modes
from dreampods.resonance import ModeBank


@dataclass(frozen=True, slots=True)
class Material:
    """How a struck thing rings: its modes against the fundamental."""

    ratios: tuple[float, ...]
    gains_db: tuple[float, ...]
    decays: tuple[float, ...]


# Ratios of bar (marimba), drum (ideal membrane), glass (wine glass) and bell (minor-third church
# bell, hum note first) after Fletcher & Rossing, The Physics of Musical Instruments; the bowl is a
# Himalayan one after Inácio, Henrique & Antunes 2006. Gains and decays are a matter of taste.
MATERIALS = {
    "bowl": Material((1, 2.8, 5.2, 8.0), (0, -11, -22, -32), (1, 0.6, 0.35, 0.2)),
    "bell": Material(
        (0.5, 1, 1.2, 1.5, 2, 3), (-9, 0, -16, -20, -9, -22), (1, 0.8, 0.5, 0.4, 0.45, 0.25)
    ),
    "bar": Material((1, 3.93, 9.2), (0, -20, -36), (1, 0.3, 0.12)),
    "glass": Material((1, 2.32, 4.25, 6.63), (0, -14, -24, -34), (1, 0.7, 0.45, 0.3)),
    "drum": Material((1, 1.59, 2.14, 2.3), (0, -10, -18, -20), (1, 0.6, 0.45, 0.4)),
}

# Below this confidence a rhythm strikes nothing.
_BELIEVED = 0.25
# No sleeper strikes faster than flicker, nor a breath or a group oscillator faster than it can be.
_REST_S = {"pulse": 1 / FLICKER_HZ, "breath": 1.0, "kuramoto": 1.0}
_SHIMMER_HZ = 0.4
_LEAN = 0.5


class ModesPlayer:
    """`strikers` sleepers strike; a voice is a sleeper each, or one that all of them share."""

    def __init__(
        self,
        modes: Modes,
        voices: int,
        strikers: int,
        shared: bool,
        rate_hz: float,
        frames: int,
        rng: np.random.Generator,
    ) -> None:
        self._modes = modes
        self._frames = frames
        self._block_s = frames / rate_hz
        self._rng = rng
        self._shared = shared
        self._freq_hz, decay_s, self._size = _bank(modes, rate_hz, rng)
        self._bank = ModeBank(voices, self._freq_hz, decay_s, rate_hz=rate_hz)
        self._note = np.arange(strikers) % len(modes.notes_hz)
        self._seat = _seats(strikers) if self._shared else np.zeros(strikers)
        # Many lanterns in one room: their powers add, so their number must not make it louder.
        self._crowd = 1 / np.sqrt(max(1.0, strikers / 4)) if self._shared else 1.0
        self._tops = np.zeros(strikers, dtype=np.int64)
        self._rested_s = np.full(strikers, np.inf)

    def render(self, cue: Cue) -> Audio:
        rhythm = cue.rhythms[self._modes.struck_by]
        self._rested_s += self._block_s
        strikes = []
        for striker, part in _tops(rhythm):
            if self._rested_s[striker] < _REST_S[self._modes.struck_by]:
                continue
            self._rested_s[striker] = 0.0
            self._tops[striker] += 1
            if self._tops[striker] % self._modes.every or rhythm.confidence[striker] < _BELIEVED:
                continue
            voice = 0 if self._shared else striker
            frame = min(int(part * self._frames), self._frames - 1)
            strikes.append((frame, voice, self._strike(striker, float(cue.brightness_hz[voice]))))
        strikes.sort(key=lambda strike: strike[:2])
        return self._bank.process(
            self._frames,
            voice=[voice for _, voice, _ in strikes],
            frame=[frame for frame, _, _ in strikes],
            amplitude=np.array([size for _, _, size in strikes]),
        )

    def _strike(self, striker: int, brightness_hz: float) -> Floats:
        """What one strike adds to each mode, (modes, ears)."""
        rng = self._rng
        notes = len(self._modes.notes_hz)
        if self._modes.melody == "stepwise":
            step = int(rng.choice([-2, -1, 1, 2], p=[0.15, 0.35, 0.35, 0.15]))
            # Reflected at both ends of the scale: no wrap, so never a leap.
            note = int(self._note[striker]) + step
            self._note[striker] = min(abs(note), 2 * (notes - 1) - abs(note)) if notes > 1 else 0
        size = self._size[self._note[striker]] / (1 + (self._freq_hz / brightness_hz) ** 2)
        velocity = self._crowd * rng.uniform(0.7, 1.0)
        lean = np.where(np.arange(len(size)) % 2, _LEAN, -_LEAN)
        angle = (np.clip(self._seat[striker] + lean * rng.uniform(0.5, 1), -1, 1) + 1) * np.pi / 4
        ears = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        struck: Floats = velocity * size[:, None] * ears
        return struck


def _tops(rhythm: Rhythm) -> list[tuple[int, float]]:
    """Who passed phase 0 upward in this block, and at which part of it."""
    turned = np.mod(rhythm.phase - rhythm.before + np.pi, 2 * np.pi) - np.pi
    left = 2 * np.pi - rhythm.before
    return [(int(i), float(left[i] / turned[i])) for i in np.flatnonzero(turned >= left)]


def _seats(strikers: int) -> Floats:
    """Places from left to right, neighbours far apart, the same for a given number of people."""
    places = np.linspace(-0.8, 0.8, strikers)
    return places[np.argsort(np.arange(strikers) * 0.618034 % 1)]


def _bank(
    modes: Modes, rate_hz: float, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Frequencies and decays (modes,), and amplitudes (notes, modes) of a strike per note.

    Order: slow then fast bank; in each note, partial, pair. A strike peaks at 1 at most.
    """
    material = MATERIALS[modes.material]
    freq_hz = np.outer(modes.notes_hz, material.ratios)  # (notes, partials)
    # High notes ring shorter, by the root of their frequency, as bars and bowls do.
    ring = np.sqrt(min(modes.notes_hz) / np.array(modes.notes_hz))
    decay_s = modes.decay_s * np.outer(ring, material.decays)
    gain = np.tile(10 ** (np.array(material.gains_db) / 20), (len(modes.notes_hz), 1))
    highest_hz = 0.45 * rate_hz
    gain = np.where(freq_hz < highest_hz, gain, 0.0)
    freq_hz = np.minimum(freq_hz, highest_hz)
    gain /= np.sum(gain, axis=1, keepdims=True)

    split_hz = _SHIMMER_HZ * rng.uniform(0.3, 1.0, freq_hz.shape)
    pair_hz = np.stack([freq_hz - split_hz / 2, freq_hz + split_hz / 2], axis=2).ravel()
    slow_s = np.repeat(decay_s.ravel(), 2)
    # Rates add: to e^(-t/attack) 60 dB, a factor of 1000, take ln 1000 attacks.
    fast_s = 1 / (1 / slow_s + 1 / (np.log(1000) * modes.attack_s))
    sizes = np.zeros((len(modes.notes_hz), *freq_hz.shape, 2))
    for note in range(len(modes.notes_hz)):
        sizes[note, note] = gain[note][:, None] / 2
    slow = sizes.reshape(len(modes.notes_hz), -1)
    return (
        np.concatenate([pair_hz, pair_hz]),
        np.concatenate([slow_s, fast_s]),
        np.concatenate([slow, -slow], axis=1),
    )
