"""The speaker as its own pod's microphone heard it: level, latency and polarity by a matched filter.

What was heard is correlated with the train that was played. Where the correlation is largest, there the
train lies; its height over the train's energy is the gain of the way from sample to sample, its sign the
polarity. Noise alone would give a correlation with a standard deviation that follows from what was heard
before the train began, so that it is known when nothing was heard.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .outcome import Item

# TDK DS-INMP441: 94 dB SPL gives -26 dBFS
MICROPHONE_FULL_SCALE_DBA = 120.0

_HEARD_SIGMAS = 8.0
_CLEAR = 1.2  # by so much one polarity must fit better than the other
_EARLIEST_US, _LATEST_US = -500.0, 8000.0  # a converter each way, and 2 m of air
_QUIETEST_DB, _LOUDEST_DB = -20.0, 30.0  # against the level at the ear
_LEAD_US = 1000.0  # kept away from the first pulse when noise is measured
_SIDE_US = 800.0  # within which the other polarity is looked for


@dataclass(frozen=True, slots=True)
class Heard:
    """What the microphone heard, floats of full scale, from `first_us` after the train was to begin."""

    samples: NDArray[np.float64]
    rate_hz: float
    first_us: float
    train: NDArray[np.float64]  # as played, at the same rate

    @classmethod
    def from_reports(cls, head: dict[str, Any], pieces: dict[int, bytes]) -> Heard:
        """Put together what the pod told.

        Raises:
            ValueError: something of it is missing.
        """
        raw = b"".join(pieces[at] for at in sorted(pieces))
        if len(raw) != head["bytes"] or len(raw) % 4:
            raise ValueError(f"{len(raw)} of {head['bytes']} bytes came")
        samples = np.frombuffer(raw, "<i4").astype(np.float64) / 2**31
        pulse, starts = head["pulse"], head["starts"]
        train = np.zeros(starts[-1] + len(pulse))
        for start in starts:
            train[start : start + len(pulse)] += np.array(pulse) / 32768
        ratio = head["rate_hz"] / head["train_rate_hz"]
        if ratio != 1.0:
            there = np.arange(int(len(train) * ratio)) / ratio
            train = np.interp(there, np.arange(len(train)), train)
        return cls(samples, float(head["rate_hz"]), float(head["first_us"]), train)


def decoded(report: dict[str, Any]) -> tuple[int, bytes]:
    """Where a piece of the samples lies, and its bytes."""
    return int(report["at"]), base64.b64decode(report["base64"])


@dataclass(frozen=True, slots=True)
class Loopback:
    """What the matched filter finds. `gain_db` is full scale heard per full scale played."""

    sigmas: float  # how far above the noise
    gain_db: float
    latency_us: float
    margin: float  # how much better the right way up fits than upside down; below 1: upside down

    @classmethod
    def measured(cls, heard: Heard) -> Loopback:
        """Find the train."""
        energy = float(heard.train @ heard.train)
        match = np.correlate(heard.samples, heard.train, "valid")
        place = int(np.argmax(np.abs(match)))
        step_us = 1e6 / heard.rate_hz
        quiet = max(2, int((-heard.first_us - _LEAD_US) / step_us))
        noise = float(np.std(heard.samples[:quiet])) or 2.0**-23
        side = round(_SIDE_US / step_us)
        around = match[max(0, place - side) : place + side + 1]
        upright, reversed_ = max(float(around.max()), 0.0), max(float(-around.min()), 0.0)
        size = abs(float(match[place]))
        return cls(
            sigmas=size / (noise * math.sqrt(energy)),
            gain_db=20 * math.log10(max(size / energy, 1e-9)),
            latency_us=heard.first_us + (place + _between(np.abs(match), place)) * step_us,
            margin=upright / max(reversed_, 1e-12),
        )


def _between(curve: NDArray[np.float64], place: int) -> float:
    """How far from its largest sample the crest of a curve lies, by the parabola through three."""
    if not 0 < place < len(curve) - 1:
        return 0.0
    before, at, after = curve[place - 1 : place + 2]
    bend = before - 2 * at + after
    return float((before - after) / (2 * bend)) if bend else 0.0


def judge(
    found: Loopback, speaker: dict[str, int], microphone: dict[str, int], full_scale_dba: float
) -> Item:
    """Is that how a pod should sound? The pins are for the texts."""
    wires = _wires(speaker)
    values = {
        "sigmas": round(found.sigmas, 1),
        "gain_db": round(found.gain_db, 2),
        "latency_us": round(found.latency_us, 1),
        "margin": round(found.margin, 2),
    }
    level_dba = found.gain_db + MICROPHONE_FULL_SCALE_DBA
    above_db = level_dba - full_scale_dba
    measured = (
        f"full scale would be {level_dba:.0f} dB SPL at the microphone,"
        f" {found.latency_us / 1000:.2f} ms later"
    )
    wrong = ""
    if found.sigmas < _HEARD_SIGMAS:
        wrong = (
            "the microphone does not hear the speaker: check the amplifier's supply, the two wires to"
            f" the speaker, and the amplifier's {wires}; the microphone's {_wires(microphone)}"
        )
    elif found.margin < 1 / _CLEAR:
        wrong = f"the sound comes upside down: swap the two wires of the speaker ({measured})"
    elif not _EARLIEST_US < found.latency_us < _LATEST_US:
        wrong = (
            f"the sound comes {found.latency_us / 1000:.2f} ms after its time, 0 to"
            f" {_LATEST_US / 1000:.0f} ms are expected: test again; check the amplifier's {wires}"
        )
    elif above_db < _QUIETEST_DB:
        wrong = (
            f"too quiet, {measured}: check that neither the speaker nor the microphone's hole is covered,"
            " the amplifier's gain and supply"
        )
    elif above_db > _LOUDEST_DB:
        wrong = (
            f"too loud, {measured}, against {full_scale_dba:.0f} dBA by calibration: check the amplifier's"
            " gain, calibrate and provision again"
        )
    if wrong:
        return Item("loopback", "failed", wrong, speaker, values)
    clear = "right way up" if found.margin > _CLEAR else "which way up cannot be told"
    return Item("loopback", "ok", f"{measured}, {clear}", speaker, values)


def _wires(pins: dict[str, int]) -> str:
    return ", ".join(f"{name.upper()} (pin {pin})" for name, pin in sorted(pins.items()))
