"""The figures of a session in numbers: the strip at the top of a report, and its tables.

The summary is taken as a stranger's file: a figure that is absent, or no number, becomes "–", and
no entry of it can stop a report from being made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dreampods.recording.reading import Floats, Recorded, Track, is_number
from dreampods.recording.together import Order, Pair

NOT_MEASURED = "–"
_WHO = ("participant", "boot_id")
_COUNTS = ("rate_hz", "samples", "lost")


def headline(
    session: Recorded, order: Order | None, pairs: Sequence[Pair]
) -> list[tuple[str, str, str]]:
    entries = []
    if order:
        known = np.isfinite(order.value) & np.isfinite(order.chance)
        mean, chance = order.value[known].mean(), order.chance[known].mean()
        entries.append(("Mean order R", f"{mean:.2f}", f"by chance {chance:.2f}"))
        entries.append(("Time in clear order", percent(order.share_above), "by chance 5\u202f%"))
    shares = [pair.share_above for pair in pairs if np.isfinite(pair.share_above)]
    if shares:
        entries.append(
            (
                "Pairs above chance",
                percent(float(np.mean(shares))),
                "of the time; by chance 5\u202f%",
            )
        )
    samples, lost = _sample_counts(session)
    share = lost / max(1, samples + lost)
    entries.append(("Samples", _count(samples), f"lost {_count(lost)} ({percent(share, 2)})"))
    states = [state for pod in session.pods if (state := session.track(pod, "state"))]
    rooms = [room for state in states if (room := headroom_db(state)) is not None]
    if rooms:
        small = "at the nearest" if min(rooms) >= 0 else "above the ceiling"
        entries.append(("Below the ceiling", f"{min(rooms):.1f} dB", small))
    sigmas = [
        sigma for state in states if np.isfinite(sigma := _median(state.column("clock_sigma_us")))
    ]
    if sigmas:
        entries.append(
            ("Clocks known to", f"{np.median(sigmas):.0f} µs", f"1 σ, worst pod {max(sigmas):.0f}")
        )
    late, underruns = _sound_total(session, "late"), _sound_total(session, "underruns")
    if late is not None:
        ran_dry = NOT_MEASURED if underruns is None else f"{underruns:.0f}"
        entries.append(("Late sound", f"{late:.0f}", f"chunks; {ran_dry} underruns"))
    return entries


def headroom_db(state: Track) -> float | None:
    """The smallest distance of the level below the ceiling; negative if it was ever above."""
    room = state.column("ceiling_dbfs") - state.column("level_dbfs")
    room = room[np.isfinite(room)]
    return float(room.min()) if len(room) else None


def event_rows(session: Recorded) -> list[list[str]]:
    rows = []
    for number, event in enumerate(session.events, 1):
        details = ", ".join(
            f"{name} {_plain(value)}"
            for name, value in event.items()
            if name not in ("kind", "session_s", "host_s")
        )
        at = f"{float(event['session_s']):.1f} s"
        rows.append([str(number), at, event["kind"], details])
    return rows


def pod_table(session: Recorded) -> tuple[list[str], list[list[str]], int]:
    heads = ["pod", "participant", "boot", "ppm", "σ µs", "best RTT µs"]
    heads += ["chunks", "late", "underruns", "peak dBFS", "runs"]
    rows = []
    for pod in session.pods:
        told = told_of(session, pod)
        clock, sound = part(told, "clock"), part(told, "sound")
        rows.append(
            [
                pod,
                *(as_text(told.get(name)) for name in _WHO),
                *(_number(clock.get(name), 1) for name in ("ppm", "sigma_us", "best_rtt_us")),
                *(_number(sound.get(name), 0) for name in ("chunks", "late", "underruns")),
                _number(sound.get("peak_dbfs"), 1),
                _interpreter(as_text(told.get("implementation"))),
            ]
        )
    return heads, rows if session.complete else [], 3


def _interpreter(implementation: str) -> str:
    """A pod's `sys.implementation` as people say it, or as it stands if it is of another form."""
    found = re.search(r"name='(\w+)', version=\((\d+), (\d+), (\d+), '(\w*)'\)", implementation)
    if not found:
        return implementation
    name, *version, stage = found.groups()
    return f"{name} {'.'.join(version)}{'-' + stage if stage else ''}"


@dataclass(frozen=True, slots=True)
class _Arrived:
    """What came of one signal: as the session counted, or after a crash as the file shows."""

    name: str
    rate_hz: float
    samples: float
    lost: float


def _arrived(session: Recorded, pod: str) -> list[_Arrived]:
    counted = [
        _Arrived(as_text(told.get("name")), *(float(told[name]) for name in _COUNTS))
        for told in entries_of(told_of(session, pod), "streams")
        if isinstance(told, dict) and all(is_number(told.get(name)) for name in _COUNTS)
    ]
    tracks = [(name.rpartition("/"), track) for name, track in session.tracks.items()]
    return counted or [
        _Arrived(kind, track.rate_hz, len(track.time_s), track.missing)
        for (owner, _, kind), track in tracks
        if owner == pod and kind != "state"
    ]


def stream_table(session: Recorded) -> tuple[list[str], list[list[str]], int]:
    by_pod = {pod: {a.name: a for a in _arrived(session, pod)} for pod in session.pods}
    names = list(dict.fromkeys(name for arrived in by_pod.values() for name in arrived))
    rows = []
    for pod, arrived in by_pod.items():
        row = [pod]
        for name in names:
            got = arrived.get(name)
            if got is None:
                row += [NOT_MEASURED, NOT_MEASURED, NOT_MEASURED]
            else:
                row += [_count(got.samples), f"{got.rate_hz:g}", _count(got.lost)]
        rows.append(row)
    heads = [text for name in names for text in (f"{name} samples", "Hz", "lost")]
    return ["pod", *heads], rows if names else [], 1


def _sample_counts(session: Recorded) -> tuple[float, float]:
    arrived = [a for pod in session.pods for a in _arrived(session, pod)]
    return sum(a.samples for a in arrived), sum(a.lost for a in arrived)


def _sound_total(session: Recorded, name: str) -> float | None:
    """Summed over pods: as told at the end, or after a crash the last count of each."""
    values = [part(told_of(session, pod), "sound").get(name) for pod in session.pods]
    if not session.complete:
        states = [session.track(pod, "state") for pod in session.pods]
        values = [state.column(name)[-1] for state in states if state is not None]
    counts = [float(v) for v in values if is_number(v)]
    return sum(counts) if counts else None


def told_of(session: Recorded, pod: str) -> Mapping[str, Any]:
    """What the summary says of a pod."""
    for entry in entries_of(session.summary, "pods"):
        if isinstance(entry, dict) and entry.get("name") == pod:
            return entry
    return {}


def part(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = told.get(name)
    return part if isinstance(part, dict) else {}


def entries_of(told: Mapping[str, Any], name: str) -> list[Any]:
    part = told.get(name)
    return part if isinstance(part, list) else []


def as_text(value: object) -> str:
    return "" if value is None else str(value)


def _plain(value: object) -> str:
    if isinstance(value, list):
        return " ".join(_plain(part) for part in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return as_text(value)


def _number(value: object, digits: int) -> str:
    return f"{value:.{digits}f}" if is_number(value) else NOT_MEASURED


def _median(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else np.nan


def percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f}\u202f%"


def _count(number: float) -> str:
    return f"{number:,.0f}".replace(",", "\u202f")
