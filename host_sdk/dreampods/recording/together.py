"""What a finished session says about togetherness, every figure next to what chance gives.

Three views, each with a null of its own:

* Order parameter. The session records it with its chance level √(π/4n). For n independent phases
  it is close to Rayleigh distributed, so it stays below 1.954 times that level 95 % of the time:
  √(ln 20 / n), from √(π/4n) for the mean.
* Agreement of one sleeper with the others: the projection of their phase onto the mean of the
  others' phasors; the cosine to that mean, times how much the others agree. The sleeper is left
  out of the mean, so it is 0 on average for an independent one, at any size of group. How far its
  mean strays in a session of this length is read off the session itself: one series is shifted
  against the other, circularly, by every lag of at least `MIN_SHIFT_S`, which destroys what they
  share and keeps each one's own rhythm. The span of chance is 1.96 times the root mean square of
  these means. (Their quantiles would be too narrow: neighbouring shifts are nearly the same.)
  Eight simulated independent sleepers lie outside it 7 % of the time in a session of 60 s, 5 % in
  90 s, 4 % in 2 minutes and longer.
* Pairs. The session records each pair's phase locking value and its 95 % chance band. An
  independent pair is above that band 5 % of the time; with many pairs, a few always are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dreampods.recording.reading import Floats, Recorded, Track

GRID_HZ = 10.0
MIN_SHIFT_S = 10.0
# √(ln 20 / n) over √(π / 4n)
_BAND_PER_CHANCE = float(np.sqrt(4 * np.log(20) / np.pi))


@dataclass(frozen=True, slots=True)
class Order:
    """The group's order parameter (n,), its chance level and the 95 % band of chance."""

    track: Track
    value: Floats
    chance: Floats
    band: Floats
    share_above: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """Each sleeper with the others: `value` (sleepers, n) over time, and its session mean.

    By chance, 95 % of the means lie within ± `reach` (sleepers,).
    """

    pods: list[str]
    time_s: Floats
    value: Floats
    mean: Floats
    reach: Floats


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair's phase locking value over time, with its 95 % chance band."""

    a: str
    b: str
    plv: Floats
    chance: Floats

    @property
    def share_above(self) -> float:
        """Part of the time that the value was above its band; NaN if never measured."""
        known = np.isfinite(self.plv) & np.isfinite(self.chance)
        return float(np.mean(self.plv[known] > self.chance[known])) if known.any() else np.nan


def order_of(session: Recorded) -> Order | None:
    """The order parameter with its chance, or None if not both were recorded, of two at least."""
    track = session.tracks.get("group")
    if (
        len(session.pods) < 2
        or track is None
        or not {"order_parameter", "order_chance"} <= set(track.labels)
    ):
        return None
    value, chance = track.column("order_parameter"), track.column("order_chance")
    known = np.isfinite(value) & np.isfinite(chance)
    if not known.any():
        return None
    band = np.minimum(1.0, _BAND_PER_CHANCE * chance)
    return Order(track, value, chance, band, float(np.mean(value[known] > band[known])))


def agreement_of(session: Recorded) -> Agreement | None:
    """Agreement in breath, or None for fewer than two sleepers or too short a session."""
    tracks = [(pod, session.track(pod, "state")) for pod in session.pods]
    known = [(pod, track) for pod, track in tracks if track is not None]
    grid_s = np.arange(0, session.seconds, 1 / GRID_HZ)
    shift = int(MIN_SHIFT_S * GRID_HZ)
    if len(known) < 2 or len(grid_s) < 4 * shift:
        return None
    phasors = np.array([_phasor(grid_s, track) for _, track in known])
    own = np.abs(phasors)
    here = own > 1e-9
    unit = np.divide(phasors, own, out=np.zeros_like(phasors), where=here)
    weight = own.sum(axis=0) - own
    there = weight > 1e-9
    others = phasors.sum(axis=0) - phasors
    towards = np.divide(others, weight, out=np.zeros_like(others), where=there)
    value = np.where(here & there, (unit * towards.conj()).real, np.nan)
    # The mean at every circular shift at once, over the samples both have at that shift.
    total = _correlate(unit, towards).real
    overlap = _correlate(here.astype(complex), there.astype(complex)).real
    means = np.divide(total, overlap, out=np.full_like(total, np.nan), where=overlap > shift)
    shifted = means[:, shift : len(grid_s) - shift + 1]
    pods = [pod for pod, _ in known]
    enough = np.isfinite(means[:, 0]) & np.isfinite(shifted).all(axis=1)
    if enough.sum() < 2:
        return None
    return Agreement(
        pods=[pod for pod, use in zip(pods, enough, strict=True) if use],
        time_s=grid_s,
        value=value[enough],
        mean=means[enough, 0],
        reach=1.96 * np.sqrt(np.mean(shifted[enough] ** 2, axis=1)),
    )


def pairs_of(session: Recorded) -> list[Pair]:
    """All pairs of known sleepers that have both a value and its chance."""
    track = session.tracks.get("pairs")
    if track is None or not len(track.time_s):
        return []
    pairs = []
    for label in track.labels:
        name, _, kind = label.rpartition(":")
        a, _, b = name.partition("~")
        chance = f"{name}:chance"
        if kind == "plv" and chance in track.labels and {a, b} <= set(session.pods):
            pairs.append(Pair(a, b, track.column(label), track.column(chance)))
    return pairs


def _phasor(grid_s: Floats, track: Track) -> NDArray[np.complex128]:
    """The breath as confidence · e^{i phase}; 0 where it was not measured."""
    phase = track.at(grid_s, "breath_phase_rad")
    weight = track.at(grid_s, "breath_confidence")
    known = np.isfinite(phase) & np.isfinite(weight)
    return np.where(known, weight, 0) * np.exp(1j * np.where(known, phase, 0))


def _correlate(a: NDArray[np.complex128], b: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Σ_t a(t + s) b*(t) for every circular shift s, row by row."""
    product = np.fft.fft(a, axis=1) * np.fft.fft(b, axis=1).conj()
    return np.asarray(np.fft.ifft(product, axis=1), dtype=np.complex128)
