"""The whole way from own sounds to PCM in numpy and scipy: what the kernel is raced against.

The same definitions as csrc/include/resonance/sound.h, written as one would without a kernel: arrays
of all pods, no loop over them. Gains are steady.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import minimum_filter1d
from scipy.signal import sosfilt

from dreampods.resonance import decode_matrix, encode_matrix

GROUP, AHEAD, MARGIN, LATE = 4, 12, 2, 8
SIGHT = AHEAD + 2 * MARGIN + 1
DELAY = GROUP * (AHEAD + MARGIN) + LATE
TAPS = np.arange(-15, 17)
PHASES = 256


def _kaiser_row(away: np.ndarray, cutoff: float, reach: int, beta: float) -> np.ndarray:
    row = np.sinc(cutoff * away) * np.i0(beta * np.sqrt(np.maximum(0, 1 - (away / reach) ** 2)))
    return (row / row.sum(-1, keepdims=True)).astype(np.float32)


class NumpyDesk:
    """`process` mixes, limits and measures a block for n pods; `read` makes the PCM of their crystals."""

    def __init__(self, azimuth, frames, gains, floor_db, ceiling, release_s, a_weighting, history):
        n = len(azimuth)
        self.encode = np.stack([encode_matrix(at) for at in azimuth])
        self.decode = np.stack([decode_matrix(at + np.pi) for at in azimuth])
        self.gains, self.floor, self.ceiling = gains, 10 ** (floor_db / 10), np.float32(ceiling)
        self.frames, self.block_s = frames, frames / 32000
        self.own_levels = self.rest_levels = np.empty((n, 0), np.float32)
        self.own_level, self.room = np.zeros(n), np.ones(n, np.float32)
        self.line = np.zeros((n, DELAY, 2), np.float32)
        self.need = np.ones((n, SIGHT - 1), np.float32)
        self.held, self.gain = np.ones((n, AHEAD), np.float32), np.ones((n, 1), np.float32)
        self.release = 1 - np.exp(-GROUP / (release_s * 32000))
        away = np.arange(-7, 9) - (np.arange(1, 8) / 8)[:, None]
        self.peak_rows = _kaiser_row(away, 1.04, 8, 4.0).T
        self.a_weighting, self.weighted = a_weighting, np.zeros((len(a_weighting), n, 2, 2))
        self.sound = np.zeros((n, history, 2), np.float32)
        places = np.arange(PHASES + 1)[:, None] / PHASES
        self.rows = _kaiser_row(TAPS - places, 0.98, 16, 7.857)
        self.dice = np.random.default_rng(0)

    def process(self, own, bed):
        own_gain, collective_gain, send = self.gains
        sent = send * own
        field = np.einsum("nfs,ncs->nfc", sent, self.encode)
        bus = field.sum(0)
        rest = collective_gain * (bed + (bus - field) @ self.decode.transpose(0, 2, 1))
        mine = own_gain * own
        before = self.room
        self._leave_room(np.mean(mine**2, (1, 2)), np.mean(rest**2, (1, 2)))
        ramp = np.arange(1, self.frames + 1, dtype=np.float32) / self.frames
        mix = mine + (before[:, None] + (self.room - before)[:, None] * ramp)[:, :, None] * rest
        out = self._limit(np.concatenate([self.line, mix], 1))
        peak = np.abs(out).max((1, 2))
        square = np.mean(out**2, (1, 2))
        y, self.weighted = sosfilt(self.a_weighting, out, axis=1, zi=self.weighted)
        self.sound = np.concatenate([self.sound[:, self.frames :], out], 1)
        return peak, square, np.mean(y**2, (1, 2))

    def _leave_room(self, own, rest):
        self.own_levels = np.c_[self.own_levels, own][:, -20:]
        self.rest_levels = np.c_[self.rest_levels, rest][:, -20:]
        own_moment = np.maximum(own, self.own_levels.mean(1))
        rest_moment = np.maximum(rest, self.rest_levels.mean(1))
        self.own_level = np.maximum(own_moment, self.own_level * np.exp(-self.block_s / 3))
        target = np.sqrt(self.own_level * np.exp(-0.4 / 3) / self.floor / rest_moment)
        target = np.where(own_moment > 1e-6, np.minimum(target, 1), 1)
        recovered = self.room + (1 - self.room) * (1 - np.exp(-self.block_s))
        self.room = np.minimum(target, recovered).astype(np.float32)

    def _limit(self, x):
        frames, groups = self.frames, self.frames // GROUP
        near = np.lib.stride_tricks.sliding_window_view(x, 16, axis=1)[:, DELAY - LATE - 7 :][
            :, :frames
        ]
        between = np.abs(near @ self.peak_rows).max((2, 3))
        top = np.maximum(between, np.abs(x[:, DELAY - LATE : DELAY - LATE + frames]).max(2))
        top = top.reshape(-1, groups, GROUP).max(2) / np.float32(np.cos(np.pi / 16))
        need = np.c_[self.need, np.minimum(1, self.ceiling / np.maximum(top, 1e-30))]
        self.need = need[:, groups:]
        smallest = minimum_filter1d(need, SIGHT, axis=1)[:, SIGHT // 2 : SIGHT // 2 + groups]
        held = np.empty((len(x), groups), np.float32)
        last = self.held[:, -1].astype(float)
        for g in range(groups):
            last = np.minimum(smallest[:, g], last + (smallest[:, g] - last) * self.release)
            held[:, g] = last
        held = np.c_[self.held, held]
        self.held = held[:, groups:]
        sums = np.cumsum(held, axis=1, dtype=float)
        mean = ((sums[:, AHEAD:] - sums[:, :-AHEAD]) / AHEAD).astype(np.float32)
        ends = np.c_[self.gain, mean]
        self.gain = mean[:, -1:]
        steps = np.arange(1, GROUP + 1, dtype=np.float32) / GROUP
        gain = (ends[:, :-1, None] + np.diff(ends, axis=1)[:, :, None] * steps).reshape(-1, frames)
        self.line = x[:, frames:]
        return np.clip(x[:, :frames] * gain[:, :, None], -self.ceiling, self.ceiling)

    def read(self, start, step, frames, dither=True):
        """start (N,): frames from the beginning of the history."""
        at = start[:, None] + step[:, None] * np.arange(frames)
        whole = np.floor(at).astype(int)
        fine = (at - whole) * PHASES
        phase = fine.astype(int)
        between = (fine - phase)[:, :, None].astype(np.float32)
        row = self.rows[phase] + between * (self.rows[phase + 1] - self.rows[phase])
        windows = np.lib.stride_tricks.sliding_window_view(self.sound, 32, axis=1)
        near = windows[np.arange(len(start))[:, None], whole - 15]
        y = (near @ row[:, :, :, None])[..., 0] * 32767
        if dither:
            y += self.dice.random(y.shape, np.float32) - self.dice.random(y.shape, np.float32)
        return np.rint(np.clip(y, -32767, 32767)).astype(np.int16)
