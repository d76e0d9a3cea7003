"""What a session says of itself ten times a second."""

from __future__ import annotations

from dataclasses import dataclass

from dreampods.fleet import News
from dreampods.resonance import Order


@dataclass(frozen=True, slots=True)
class PodMoment:
    """One pod and its sleeper. Phases in rad, gains and levels in dB; NaN where nothing is known."""

    name: str
    state: str
    breath_phase: float
    breath_hz: float
    breath_confidence: float
    pulse_phase: float
    pulse_hz: float
    pulse_confidence: float
    coupling: float
    own_gain_db: float
    collective_gain_db: float
    send_gain_db: float
    level_dbfs: float
    ceiling_dbfs: float
    clock_sigma_us: float
    clock_ppm: float
    late: int
    underruns: int


@dataclass(frozen=True, slots=True)
class Moment:
    """The room at `t` seconds of the session. `order` is that of the breaths, with its chance level."""

    t: float
    order: Order
    pods: tuple[PodMoment, ...]
    news: tuple[News, ...]
