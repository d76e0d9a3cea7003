"""Reads a session folder back, as a report needs it: everything on one time axis, gaps kept.

A folder may come from a session that was killed, or lie on a disk with a bad block. So only
streams.xdf must be there. Whatever else is missing or damaged becomes a remark, not an error.

Device times are turned into host times by interpolating between the clock offsets recorded along
with them. These offsets are the session's own running estimate of each clock, already robust, so
interpolation gives exactly the mapping that the session lived by; a straight line drawn through
all of them, as readers do for raw offsets, would flatten a crystal that warms up.
"""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import pyxdf
from numpy.typing import NDArray

from dreampods.errors import RecordingError
from dreampods.recording.folder import EVENTS, STREAMS, SUMMARY
from dreampods.recording.xdf import open_whole

Floats = NDArray[np.float64]

# A step of more than this many periods between two samples is a gap. What a pod samples is tied to
# its crystal; what the host writes down is tied to its event loop, which may be a little late.
_SENSOR_GAP_PERIODS = 1.5
_HOST_GAP_PERIODS = 3.5
# A week. A summary that tells of more has been damaged.
_LONGEST_S = 7 * 86400.0
_HOST_TYPES = ("State", "Synchrony", "Markers")


@dataclass(frozen=True, slots=True)
class Track:
    """One stream: `time_s` (n,) in session seconds, ascending; `values` (n, channels)."""

    name: str
    type: str
    labels: tuple[str, ...]
    units: tuple[str, ...]
    rate_hz: float
    time_s: Floats
    values: Floats

    def column(self, label: str) -> Floats:
        """The channel of that name, (n,); all NaN if the stream has no such channel."""
        if label not in self.labels:
            return np.full(len(self.time_s), np.nan)
        return self.values[:, self.labels.index(label)]

    def at(self, grid_s: Floats, label: str) -> Floats:
        """The channel's nearest value at each of `grid_s`, NaN where none is near enough."""
        if not len(self.time_s):
            return np.full(len(grid_s), np.nan)
        right = np.clip(np.searchsorted(self.time_s, grid_s), 0, len(self.time_s) - 1)
        left = np.maximum(right - 1, 0)
        earlier = grid_s - self.time_s[left] < self.time_s[right] - grid_s
        nearest = np.where(earlier, left, right)
        near = np.abs(self.time_s[nearest] - grid_s) <= self.longest_step_s / 2
        return np.where(near, self.column(label)[nearest], np.nan)

    @property
    def longest_step_s(self) -> float:
        """Two neighbouring samples further apart than this have a gap between them."""
        if self.rate_hz <= 0:
            return np.inf
        host = self.type in _HOST_TYPES
        return (_HOST_GAP_PERIODS if host else _SENSOR_GAP_PERIODS) / self.rate_hz

    def gaps(self, end_s: float) -> list[tuple[float, float]]:
        """Stretches (from, to) without data between the session's second 0 and `end_s`."""
        if not len(self.time_s):
            return [(0.0, end_s)]
        step = self.longest_step_s
        at = np.flatnonzero(np.diff(self.time_s) > step)
        inner = zip(self.time_s[at].tolist(), self.time_s[at + 1].tolist(), strict=True)
        # Streams don't begin and end all at once: only a second or more is worth a mark.
        edge = max(step, 1.0)
        first, last = float(self.time_s[0]), float(self.time_s[-1])
        before = [(0.0, first)] if first > edge else []
        after = [(last, end_s)] if end_s - last > edge else []
        return [*before, *inner, *after]

    @property
    def missing(self) -> int:
        """Samples that would fit into the gaps between the first sample and the last."""
        steps = np.diff(self.time_s)
        long = steps[steps > self.longest_step_s]
        return int(np.sum(np.rint(long * self.rate_hz) - 1)) if len(long) else 0


@dataclass(frozen=True, slots=True)
class Recorded:
    """A session folder's content. `summary` is {} and `complete` False after a crash."""

    folder: Path
    complete: bool
    summary: dict[str, Any]
    events: list[dict[str, Any]]
    tracks: dict[str, Track]
    pods: list[str]
    seconds: float
    remarks: list[str]

    def track(self, pod: str, kind: str) -> Track | None:
        """The pod's "eeg", "pulse", "breath" or "state", or None if it has no sample."""
        track = self.tracks.get(f"{pod}/{kind}")
        return track if track is not None and len(track.time_s) else None


def read_session(folder: Path | str) -> Recorded:
    """Read `folder`; raise `RecordingError` if it has no readable streams.xdf."""
    folder = Path(folder)
    if not (folder / STREAMS).is_file():
        raise RecordingError(
            f"{folder} has no {STREAMS}; name the folder that a session was recorded into"
        )
    remarks: list[str] = []
    summary = _read_summary(folder / SUMMARY, remarks)
    events = _read_events(folder / EVENTS, remarks)
    tracks = _read_streams(folder / STREAMS, remarks)
    start_s = _start(events, tracks)
    tracks = {n: replace(t, time_s=t.time_s - start_s) for n, t in tracks.items()}
    ends = [float(track.time_s[-1]) for track in tracks.values() if len(track.time_s)]
    told = summary.get("seconds")
    seconds = told if is_number(told) and 0 < told <= _LONGEST_S else max(0.0, *ends, 0.0)
    return Recorded(
        folder=folder,
        complete=bool(summary),
        summary=summary,
        events=events,
        tracks=tracks,
        pods=_pods(summary, tracks),
        seconds=float(seconds),
        remarks=remarks,
    )


def _read_summary(path: Path, remarks: list[str]) -> dict[str, Any]:
    try:
        summary = json.loads(path.read_bytes())
    except FileNotFoundError:
        remarks.append(
            f"There is no {SUMMARY}: the session did not end in order. "
            "This page shows what had been written until then."
        )
        return {}
    except (OSError, ValueError) as error:
        remarks.append(f"{SUMMARY} cannot be read ({error}), so its figures are absent here.")
        return {}
    if not isinstance(summary, dict):
        remarks.append(f"{SUMMARY} is not a summary, so its figures are absent here.")
        return {}
    return summary


def _read_events(path: Path, remarks: list[str]) -> list[dict[str, Any]]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        remarks.append(f"{EVENTS} cannot be read ({error.strerror}), so no events are listed.")
        return []
    events = []
    for number, line in enumerate(lines, 1):
        try:
            event = json.loads(line)
            valid = isinstance(event["kind"], str) and is_number(event["session_s"])
        except (ValueError, KeyError, TypeError):
            valid = False
        if valid:
            events.append(event)
        else:
            remarks.append(f"Line {number} of {EVENTS} is no whole event and was left out.")
    return sorted(events, key=lambda event: float(event["session_s"]))


def _read_streams(path: Path, remarks: list[str]) -> dict[str, Track]:
    whole, left = open_whole(path)
    if left:
        remarks.append(f"The last {left} bytes of {STREAMS} are a torn chunk and were left out.")
    # pyxdf tells its story through the root logger; a reader of the report gets remarks instead.
    logging.getLogger("pyxdf").addHandler(logging.NullHandler())
    try:
        # Neither of pyxdf's own corrections: see the head of this file, and gaps are data.
        streams, _ = pyxdf.load_xdf(whole, synchronize_clocks=False, dejitter_timestamps=False)
        tracks = [_track(stream) for stream in streams if _numeric(stream)]
    except Exception as error:  # a parser of many hands: any of them may fail on a damaged file
        raise RecordingError(f"{path} is damaged: {error}") from error
    return {track.name: track for track in tracks}


def _numeric(stream: dict[str, Any]) -> bool:
    return bool(stream["info"]["channel_format"][0] != "string")


def _track(stream: dict[str, Any]) -> Track:
    info = stream["info"]
    channels = info["desc"][0]["channels"][0]["channel"]
    time_s = _host_times(
        np.asarray(stream["time_stamps"], dtype=np.float64),
        np.asarray(stream["clock_times"], dtype=np.float64),
        np.asarray(stream["clock_values"], dtype=np.float64),
    )
    values = np.asarray(stream["time_series"], dtype=np.float64)
    # A clock estimate that improves may set a few samples before their predecessors.
    order = np.argsort(time_s, kind="stable")
    return Track(
        name=info["name"][0] or "",
        type=info["type"][0] or "",
        labels=tuple(channel["label"][0] or "" for channel in channels),
        units=tuple(channel["unit"][0] or "" for channel in channels),
        rate_hz=float(info["nominal_srate"][0]),
        time_s=time_s[order],
        values=values[order],
    )


def _host_times(stamps: Floats, at: Floats, offsets: Floats) -> Floats:
    """Device stamps as host times; a device that restarts begins its clock anew, in a new run."""
    if not len(at) or not len(stamps):
        return stamps
    at_runs, offset_runs = _runs(at, at, offsets)
    stamp_runs = _runs(stamps, stamps)[0]
    mapped = []
    for number, run in enumerate(stamp_runs):
        known = min(number, len(at_runs) - 1)
        mapped.append(run + np.interp(run, at_runs[known], offset_runs[known]))
    return np.concatenate(mapped)


def _runs(clock: Floats, *arrays: Floats) -> tuple[list[Floats], ...]:
    """Cut each of `arrays` where `clock` falls back by more than a correction would."""
    cuts = np.flatnonzero(np.diff(clock) < -1.0) + 1
    return tuple(np.split(array, cuts) for array in arrays)


def _start(events: list[dict[str, Any]], tracks: dict[str, Track]) -> float:
    """The host time of session second 0: told by an event, else the first stamp there is."""
    for event in events:
        host_s = event.get("host_s")
        if is_number(host_s):
            return host_s - float(event["session_s"])
    firsts = [float(track.time_s[0]) for track in tracks.values() if len(track.time_s)]
    return min(firsts, default=0.0)


def _pods(summary: dict[str, Any], tracks: dict[str, Track]) -> list[str]:
    """Pods in the summary's order; those that only the streams know come after them."""
    told = summary.get("pods")
    names = [
        pod["name"]
        for pod in (told if isinstance(told, list) else [])
        if isinstance(pod, dict) and isinstance(pod.get("name"), str)
    ]
    names += [name.rpartition("/")[0] for name in tracks if "/" in name]
    return list(dict.fromkeys(names))


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value read from JSON is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)
