"""Breath and pulse of real sleepers are found, soon, and believed only when they are there.

What is true is computed from the whole recording, forwards and backwards: beats and breaths by
their peaks, phases by a band-pass without delay and the Hilbert transform. The bounds leave a
margin to what was measured (in brackets), which two sets of eight recorded sleepers gave.
"""

import math
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import butter, find_peaks, hilbert, sosfiltfilt

from dreampods.dreamscape.scene import Follow
from dreampods.errors import DreampodsError
from dreampods.fleet import ClockMap, Stream
from dreampods.link import Block
from dreampods.recordings import load_sleepers, write_tape
from dreampods.session.body import BREATH, PULSE, Bands, Body, Rhythm

_PROJECT = Path(__file__).resolve().parents[2]
_DATA = Path(os.environ.get("DREAMPODS_DATA", _PROJECT / "../shared/data"))
_RATE = 50
_BLOCK = 5
_SECONDS = 60
_LEAD_S = 0.7
_BANDS = {"breath": (0.1, 0.5), "pulse": (0.7, 2.2)}
_FOLLOW = Follow(_BANDS["breath"], _BANDS["pulse"], {"slow": (0.5, 2.0), "alpha": (8.0, 12.0)})

Floats = NDArray[np.float64]


def _rhythm(kind: str) -> Rhythm:
    return Rhythm(_RATE, _BANDS[kind], BREATH if kind == "breath" else PULSE)


@dataclass
class Track:
    """What was known, block by block, at the block's last sample."""

    t: Floats
    hz: Floats
    phase: Floats
    confidence: Floats
    ahead: Floats

    def error(self, phase: Floats) -> Floats:
        """Against the true phase at every sample; -pi to pi."""
        return np.angle(np.exp(1j * (self.phase - phase[np.rint(self.t * _RATE).astype(int)])))


def _follow(kind: str, volt: Floats, block: int = _BLOCK) -> Track:
    rhythm = _rhythm(kind)
    known = []
    for end in range(block, len(volt) + 1, block):
        t = (end - 1) / _RATE
        rhythm.add(volt[end - block : end, None].astype(np.float32), t * 1e9)
        phase, confidence = rhythm.at(t * 1e9)
        known.append((t, rhythm.hz, phase, confidence, rhythm.at((t + _LEAD_S) * 1e9)[0]))
    return Track(*np.array(known).T)


@dataclass
class Truth:
    hz: Floats  # over the breaths or beats around
    phase: Floats  # without jumps


def _filtered(x: Floats, low: float, high: float) -> Floats:
    sos = butter(2, (low, high), "bandpass", fs=_RATE, output="sos")
    y: Floats = sosfiltfilt(sos, x - x.mean(), padlen=min(len(x) - 1, 30 * _RATE))
    return y


def _peaks(kind: str, x: Floats) -> NDArray[np.intp]:
    if kind == "breath":
        y = _filtered(x, 0.08, 0.8)
        return find_peaks(y, distance=int(1.6 * _RATE), prominence=0.7 * y.std())[0]
    # Systolic peaks: where the squared wave is above its own average over a beat (Elgendi 2013)
    y = _filtered(x, 0.5, 8)
    square = np.clip(y, 0, None) ** 2
    now, beat = (np.convolve(square, np.ones(n) / n, "same") for n in (6, 33))
    edges = np.diff(np.r_[0, now > beat + 0.02 * square.mean(), 0].astype(int))
    pieces = zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)
    return np.array([a + int(np.argmax(y[a:b])) for a, b in pieces if b - a >= 6])


def _truth(kind: str, x: Floats) -> Truth:
    middle = _RATE / float(np.median(np.diff(_peaks(kind, x))))
    phase = np.unwrap(np.angle(hilbert(_filtered(x, middle / 1.7, middle * 1.5))))
    around = int((8 if kind == "breath" else 4) * _RATE)
    i = np.arange(len(x))
    a, b = np.clip(i - around, 0, None), np.clip(i + around, None, len(x) - 1)
    return Truth((phase[b] - phase[a]) / (b - a) * _RATE / (2 * np.pi), phase)


@cache
def _recorded(where: str, kind: str) -> list[tuple[str, Floats, Truth, Track]]:
    """What the sensors of eight pods will see of one rhythm, the truth, and what was followed."""
    if where == "data" and not _DATA.is_dir():
        pytest.skip(f"no recordings in {_DATA}; set DREAMPODS_DATA")
    try:
        sleepers = load_sleepers(8, _DATA if where == "data" else None)
    except DreampodsError as missing:
        pytest.skip(str(missing))
    found = []
    for sleeper in sleepers:
        with TemporaryDirectory() as folder:
            write_tape(sleeper, Path(folder))
            volt = np.fromfile(Path(folder) / f"{kind}.u16", "<u2") * (3.3 / 65535)
        # A virtual sensor plays its tape in a loop; filters want to see what was before and after
        played = np.tile(volt, 3 + _SECONDS * _RATE // len(volt))
        truth = _truth(kind, played)
        heard = slice(len(volt), len(volt) + _SECONDS * _RATE)
        longer = slice(len(volt), len(volt) + (_SECONDS + 1) * _RATE)
        truth = Truth(truth.hz[longer], truth.phase[longer])
        found.append((sleeper.name, played[heard], truth, _follow(kind, played[heard])))
    return found


def _spread(error: Floats) -> tuple[float, float]:
    """Circular mean and standard deviation in degrees."""
    mean = np.exp(1j * error).mean()
    return math.degrees(np.angle(mean)), math.degrees(math.sqrt(-2 * math.log(abs(mean))))


def _settled_s(track: Track, true_hz: Floats) -> float:
    """From when on the rate is within 10 % of the truth, for three seconds at least."""
    right = np.abs(track.hz / true_hz[np.rint(track.t * _RATE).astype(int)] - 1) < 0.1
    for i in range(len(right)):
        if right[i] and right[i : i + 30].mean() >= 0.95:
            return float(track.t[i])
    return math.inf


on_recordings = pytest.mark.parametrize("where", ["packages", "data"])
of_both = pytest.mark.parametrize("kind", ["breath", "pulse"])


@on_recordings
@pytest.mark.parametrize(("kind", "half_s", "all_s"), [("breath", 7, 20), ("pulse", 2, 8)])
def test_rate_is_found_soon(where: str, kind: str, half_s: float, all_s: float) -> None:
    """[breath: half within 3 and 3 s, all within 13 and 14 s; pulse: 1 s, 6 s]"""
    settled = [_settled_s(track, truth.hz) for _, _, truth, track in _recorded(where, kind)]
    assert np.median(settled) <= half_s
    assert max(settled) <= all_s


@on_recordings
@pytest.mark.parametrize(("kind", "least"), [("breath", 0.9), ("pulse", 0.96)])
def test_a_wrong_rate_is_rare_and_not_believed(where: str, kind: str, least: float) -> None:
    """After 6 s, within a quarter of the truth, so no multiple or half of it. [For 0.99 and 0.94
    of the time; pulse 1.00, 0.98; off and yet believed at most 0.06 of one sleeper's time]"""
    near = []
    for name, _, truth, track in _recorded(where, kind):
        late = track.t > 6
        true_hz = truth.hz[np.rint(track.t[late] * _RATE).astype(int)]
        right = np.abs(track.hz[late] / true_hz - 1) < 0.25
        assert np.mean(~right & (track.confidence[late] > 0.5)) < 0.12, name
        near.append(right.mean())
    assert np.mean(near) >= least


@on_recordings
@pytest.mark.parametrize(("kind", "spread", "ahead"), [("breath", 30, 39), ("pulse", 21, 37)])
def test_phase_is_right(where: str, kind: str, spread: float, ahead: float) -> None:
    """[after 10 s, mean over sleepers of the circular SD: breath 22, 26; pulse 16, 17 degrees;
    0.7 s ahead, where sound is rendered: breath 28, 35; pulse 35, 28]"""
    now, then = [], []
    for _, _, truth, track in _recorded(where, kind):
        late = track.t > 10
        now.append(_spread(track.error(truth.phase)[late]))
        i = np.rint((track.t[late] + _LEAD_S) * _RATE).astype(int)
        then.append(_spread(track.ahead[late] - truth.phase[i])[1])
    assert np.mean([sd for _, sd in now]) <= spread
    assert abs(np.mean([mean for mean, _ in now])) <= 8
    assert np.mean(then) <= ahead


@on_recordings
@of_both
def test_what_is_there_is_believed(where: str, kind: str) -> None:
    """[share of the time after 10 s with confidence above 0.5: 0.78, 0.65; 0.71, 0.85]"""
    tracks = [track for *_, track in _recorded(where, kind)]
    assert np.mean([(track.confidence[track.t > 10] > 0.5).mean() for track in tracks]) > 0.55
    within_s = 8 if kind == "breath" else 4
    assert all((track.confidence[track.t < within_s] > 0.5).any() for track in tracks)


@on_recordings
@of_both
def test_confidence_says_how_right_the_phase_is(where: str, kind: str) -> None:
    found = _recorded(where, kind)
    confidence = np.concatenate([track.confidence for *_, track in found])
    right = np.concatenate([np.cos(track.error(truth.phase)) for *_, truth, track in found])
    assert right[confidence > 0.6].mean() > 0.9
    assert right[confidence > 0.6].mean() > right[confidence < 0.4].mean() + 0.05


def _noise(seed: int, slope: int) -> Floats:
    """A minute, 1 V about 1.6 V, with power falling as f^-slope."""
    count = _SECONDS * _RATE
    hz = np.fft.rfftfreq(count, 1 / _RATE)
    hz[0] = hz[1]
    white = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    y = np.fft.irfft(white * hz ** (-slope / 2), count)
    return np.asarray(1.6 + 0.3 * y / y.std())


@of_both
@pytest.mark.parametrize("slope", [0, 1, 2])
def test_noise_is_not_believed(kind: str, slope: int) -> None:
    """[mean confidence at most 0.06; brown noise, the likest to breath, above 0.5 for 2 %]"""
    tracks = [_follow(kind, _noise(seed, slope)) for seed in range(5)]
    confidence = np.concatenate([track.confidence for track in tracks])
    assert confidence.mean() < 0.15
    assert (confidence > 0.5).mean() < 0.06


@on_recordings
@of_both
def test_a_gap_costs_belief_and_is_bridged(where: str, kind: str) -> None:
    """[confidence at the end of 3 s: below 0.11; error in the second after: 21, 15; 37, 12 deg]"""
    after = []
    for name, volt, truth, _ in _recorded(where, kind):
        gap = volt.copy()
        gap[25 * _RATE : 28 * _RATE] = np.nan
        track = _follow(kind, gap)
        assert track.confidence[track.t < 28][-1] < 0.2, name
        back = (track.t > 28) & (track.t < 29)
        after.append(np.abs(track.error(truth.phase)[back]).mean())
        assert np.isfinite(track.phase).all()
    assert math.degrees(np.mean(after)) < 50


@of_both
def test_samples_that_never_came_are_a_gap_too(kind: str) -> None:
    """A pod that restarts numbers its samples anew: only the time tells that some are missing."""
    hz = 0.25 if kind == "breath" else 1.2
    t = np.arange(40 * _RATE) / _RATE
    volt = (1.6 + np.cos(2 * np.pi * hz * t))[:, None].astype(np.float32)
    told, untold = _rhythm(kind), _rhythm(kind)
    a, b = 20 * _RATE, 23 * _RATE
    for end in range(_BLOCK, a + 1, _BLOCK):
        for rhythm in (told, untold):
            rhythm.add(volt[end - _BLOCK : end], t[end - 1] * 1e9)
    told.add(np.full((b - a, 1), np.nan, np.float32), t[b - 1] * 1e9)
    for end in (b + _BLOCK, b + 2 * _BLOCK):
        for rhythm in (told, untold):
            rhythm.add(volt[end - _BLOCK : end], t[end - 1] * 1e9)
    assert untold.phase == pytest.approx(told.phase, abs=0.05)
    assert untold.confidence == pytest.approx(told.confidence, abs=0.05)
    assert told.confidence < 0.5


@pytest.mark.parametrize(
    ("kind", "hz"),
    [("breath", f) for f in (0.12, 0.2, 0.3, 0.45)] + [("pulse", f) for f in (0.8, 1.2, 2.0)],
)
def test_every_rate_of_the_band_is_found(kind: str, hz: float) -> None:
    t = np.arange(30 * _RATE) / _RATE
    track = _follow(kind, 1.6 + 0.5 * np.cos(2 * np.pi * hz * t))
    late = track.t > 12
    assert np.abs(track.hz[late] / hz - 1).max() < 0.1
    assert np.abs(track.error(2 * np.pi * hz * t)[late]).max() < math.radians(15)
    assert track.confidence[late].min() > 0.6


def test_a_dicrotic_wave_is_part_of_its_pulse() -> None:
    """Even one as strong as the beat itself; and a rate twice as high is still found."""
    t = np.arange(30 * _RATE) / _RATE
    beat = 2 * np.pi * 70 / 60 * t
    wave = 1.6 + 0.4 * np.cos(beat) + 0.35 * np.cos(2 * beat + 1) + 0.1 * np.cos(3 * beat)
    track = _follow("pulse", wave)
    assert np.abs(track.hz[track.t > 3] * 60 - 70).max() < 4
    quick = _follow("pulse", 1.6 + 0.4 * np.cos(2 * np.pi * 2.0 * t))
    assert np.abs(quick.hz[quick.t > 3] * 60 - 120).max() < 4


def test_a_paced_breath_is_followed_to_six_a_minute() -> None:
    t = np.arange(_SECONDS * _RATE) / _RATE
    hz = np.interp(t, [0, 15, 45, 60], [0.25, 0.25, 0.1, 0.1])
    phase = np.cumsum(2 * np.pi * hz / _RATE)
    track = _follow("breath", 1.6 + 0.8 * np.cos(phase))
    assert np.abs(track.error(phase)[track.t > 8]).max() < math.radians(50)
    assert track.hz[-1] < 0.13
    assert track.confidence[track.t > 8].min() > 0.3


def test_a_turn_in_bed_is_forgotten() -> None:
    """The belt's voltage jumps by twice the breath: doubted at once, followed again in 6 s."""
    t = np.arange(_SECONDS * _RATE) / _RATE
    phase = 2 * np.pi * 0.25 * t
    track = _follow("breath", 1.2 + 0.5 * np.cos(phase) + 1.0 * (t > 30))
    assert track.confidence[(track.t > 30.5) & (track.t < 34)].max() < 0.5
    assert np.abs(track.error(phase)[track.t > 36]).max() < math.radians(25)


@of_both
def test_a_sensor_that_does_not_move_says_nothing(kind: str) -> None:
    assert _follow(kind, np.full(10 * _RATE, 1.65)).confidence.max() == 0
    t = np.arange(20 * _RATE) / _RATE
    fell_off = np.where(
        t < 10, 1.6 + 0.5 * np.cos(2 * np.pi * (0.25 if kind == "breath" else 1) * t), 1.5
    )
    track = _follow(kind, fell_off)
    assert track.confidence[track.t > 16].max() < 0.1


@of_both
def test_nothing_is_known_before_the_first_sample_and_long_after_the_last(kind: str) -> None:
    rhythm = _rhythm(kind)
    assert math.isnan(rhythm.at(0)[0])
    rhythm.add(np.full((_BLOCK, 1), np.nan, np.float32), 0)
    assert math.isnan(rhythm.at(0)[0])
    rhythm.add(np.linspace(0, 1, 100, dtype=np.float32)[:, None], 2e9)
    assert math.isfinite(rhythm.at(3e9)[0])
    assert rhythm.at(5e9) == (pytest.approx(math.nan, nan_ok=True), 0.0)


@of_both
def test_size_of_blocks_does_not_matter(kind: str) -> None:
    t = np.arange(20 * _RATE) / _RATE
    volt = 1.6 + 0.5 * np.cos(2 * np.pi * (0.27 if kind == "breath" else 1.3) * t)
    one, ten = _follow(kind, volt, 1), _follow(kind, volt, 10)
    assert np.abs(np.angle(np.exp(1j * (one.phase[-1] - ten.phase[-1])))) < 0.02
    assert one.confidence[-1] == pytest.approx(ten.confidence[-1], abs=0.02)


def test_phase_is_counted_on_to_the_time_asked_for() -> None:
    t = np.arange(30 * _RATE) / _RATE
    track = _follow("breath", 1.6 + 0.5 * np.cos(2 * np.pi * 0.25 * t))
    ahead = np.angle(np.exp(1j * (track.ahead - track.phase)))
    assert ahead[-1] == pytest.approx(2 * math.pi * track.hz[-1] * _LEAD_S, abs=1e-6)


def test_bands_show_a_burst_in_their_own_band_only() -> None:
    rate = 250
    t = np.arange(30 * rate) / rate
    rng = np.random.default_rng(2)
    eeg = 5 * rng.standard_normal((len(t), 2)) + 20_000  # electrodes have an offset of millivolts
    eeg[(t > 20) & (t < 24)] += 40 * np.sin(2 * np.pi * 10 * t[(t > 20) & (t < 24)])[:, None]
    eeg[(t > 10) & (t < 11)] = np.nan
    bands = Bands(rate, 2, {"slow": (0.5, 2.0), "alpha": (8.0, 12.0)})
    levels = []
    for start in range(0, len(t), 10):
        bands.add(eeg[start : start + 10].astype(np.float32))
        levels.append(bands.level)
    level = dict(zip(bands.names, np.array(levels).T, strict=True))
    at = np.arange(len(levels)) * 10 / rate
    assert np.isfinite(levels).all()
    assert level["alpha"][(at > 22) & (at < 24)].min() > 0.9
    assert level["alpha"][at > 26].max() < 0.4
    assert level["slow"][(at > 21) & (at < 24)].mean() < 0.8


def _stream(name: str, rate_hz: int, channels: int) -> Stream:
    labels = [f"c{i}" for i in range(channels)]
    return Stream(name, "V", rate_hz, tuple(labels), "u16", 3.3 / 65535, 0.0)


def test_body_takes_its_streams() -> None:
    """And knows nothing of what has no sensor."""
    body = Body(_FOLLOW)
    mapping = ClockMap(0, 0.0, 1.0, 10.0, 1e-6, 50.0, 100.0, 8)
    breath = _stream("breath", _RATE, 1)
    clock = _Clock()
    t = np.arange(20 * _RATE) / _RATE
    counts = (32768 + 8000 * np.cos(2 * np.pi * 0.25 * t)).astype("<u2")
    for first in range(0, len(counts), _BLOCK):
        data = counts[first : first + _BLOCK].tobytes()
        stamp = round((first + _BLOCK - 1) * 1e6 / _RATE)
        block = Block(0, _BLOCK, first, first + _BLOCK - 1, stamp, data)
        body.add(breath, breath.add(block, clock), mapping)  # type: ignore[arg-type]
    assert body.breath is not None
    assert body.breath.hz == pytest.approx(0.25, rel=0.05)
    phase, confidence = body.breath.at(t[-1] * 1e9)
    assert abs(math.remainder(phase - 2 * math.pi * 0.25 * t[-1], 2 * math.pi)) < 0.1
    assert confidence > 0.8
    assert body.pulse is None
    assert body.bands is None
    body.add(breath, np.zeros((0, 1), np.float32), mapping)


class _Clock:
    """A pod's clock that has not wrapped yet."""

    def extend(self, pod_us: int) -> int:
        return pod_us
