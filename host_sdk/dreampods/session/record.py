"""The record of a session: what goes into its folder, and, first of all, what may.

Sensor streams keep the pod's own clock; what the host's clock read at the same moments stands beside
them as clock offsets, as the format wants it. If a pod resets, its clock starts anew; the recorded
one goes on as if it had not, by the last known map, and the next offset tells the difference.

A disk that is full does not end a session: people are asleep in it. What cannot be written is missed,
`failure` says so, and each later write tries anew.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dreampods.errors import RecordingError
from dreampods.fleet import ClockMap, News, Pod, Stream
from dreampods.guardian import Consent
from dreampods.mix import ENGINE_RATE_HZ
from dreampods.recording import Background, SessionFolder
from dreampods.resonance import Mixed

from .moment import Moment, PodMoment
from .room import MOMENT_S, Pairs

_OFFSET_EVERY_NS = 2_000_000_000
_TYPES = {"eeg": "EEG", "pulse": "PPG", "breath": "Respiration"}
_NOT_STATE = ("name", "state")
_UNITS = {"phase": "rad", "hz": "Hz", "db": "dB", "dbfs": "dBFS", "us": "us", "ppm": "ppm"}


class _PodTime:
    """The recorded clock of one pod, in seconds, continuous over the pod's resets."""

    def __init__(self) -> None:
        self._map: ClockMap | None = None
        self._boot = 0
        self._shift_us = 0.0

    def update(self, pod: Pod) -> None:
        mapping = pod.clock.map
        if mapping is None:
            return
        if self._map is not None and pod.boot_id != self._boot:
            self._shift_us += self._map.to_pod_us(mapping.host_ns) - mapping.pod_us
        self._boot = pod.boot_id
        self._map = mapping

    def seconds(self, pod_us: float) -> float:
        return (pod_us + self._shift_us) * 1e-6

    def offset(self, host_ns: int) -> tuple[float, float] | None:
        """(recorded pod time, host time minus that), s, at a host time."""
        if self._map is None:
            return None
        collected = self.seconds(self._map.to_pod_us(host_ns))
        return collected, host_ns * 1e-9 - collected


class Record:
    """Writes a session's folder. Everything about a person passes `consent` for recording first."""

    def __init__(self, folder: SessionFolder, consent: Consent, pods: list[Pod]) -> None:
        self._folder = folder
        self._disk = Background()
        self._offsets_due_ns = 0
        self._consent = consent
        self._names = [pod.name for pod in pods]
        xdf = folder.xdf
        self._sensors: dict[tuple[str, str], int] = {}
        self._state: dict[str, int] = {}
        self._times = {pod.name: _PodTime() for pod in pods}
        self._state_fields = [
            field.name for field in fields(PodMoment) if field.name not in _NOT_STATE
        ]
        state_labels = [_state_label(name) for name in self._state_fields]
        state_units = [_UNITS.get(label.rsplit("_", 1)[-1], "1") for label in state_labels]
        for pod in pods:
            self._add_sensors(pod)
            self._state[pod.name] = xdf.add_stream(
                f"{pod.name}/state",
                "State",
                state_labels,
                state_units,
                1 / MOMENT_S,
                "float64",
                pod.name,
            )
        group = ["order_parameter", "order_chance"]
        self._group = xdf.add_stream(
            "group", "Synchrony", group, ["1"] * 2, 1 / MOMENT_S, "float64", "host"
        )
        pairs = [
            f"{a}~{b}:{what}"
            for i, a in enumerate(self._names)
            for b in self._names[i + 1 :]
            for what in ("plv", "chance")
        ]
        # A room of one has no pairs, and a stream must have a channel
        self._pairs = (
            xdf.add_stream("pairs", "Synchrony", pairs, ["1"] * len(pairs), 1.0, "float64", "host")
            if pairs
            else None
        )
        self._events = xdf.add_stream("events", "Markers", ["event"], [""], 0, "string", "host")
        self._audio = {"collective": folder.audio("collective", ENGINE_RATE_HZ)}
        for name in self._names:
            if consent.allows(name, "record"):
                self._audio[name] = folder.audio(name, ENGINE_RATE_HZ)
        xdf.flush()

    def _add_sensors(self, pod: Pod) -> None:
        for stream in pod.streams:
            self._sensors[pod.name, stream.name] = self._folder.xdf.add_stream(
                f"{pod.name}/{stream.name}",
                _TYPES.get(stream.name, stream.name),
                stream.channels,
                [stream.unit] * len(stream.channels),
                stream.rate_hz,
                "float32",
                str(pod.dictionary.get("uid", pod.name)),
            )

    def samples(self, pod: Pod, stream: Stream, values: NDArray[np.float32]) -> None:
        """Samples as they come; missing ones (NaN rows in front) leave a gap in the times."""
        if not self._consent.allows(pod.name, "record"):
            return
        time = self._times[pod.name]
        time.update(pod)
        there = values[~np.isnan(values).all(axis=1)]
        first_s = time.seconds(stream.pod_us(stream.next_number - len(there)))
        ident = self._sensors[pod.name, stream.name]
        self._disk.call(partial(self._folder.xdf.samples, ident, first_s, there))

    def offsets(self, pods: list[Pod], now_ns: int) -> None:
        """Write the clock offsets that are due."""
        if now_ns < self._offsets_due_ns:
            return
        self._offsets_due_ns = now_ns + _OFFSET_EVERY_NS
        host_s = now_ns * 1e-9
        for ident in (self._group, self._pairs, self._events, *self._state.values()):
            if ident is not None:  # in the host's own time, which readers like to be told
                self._disk.call(partial(self._folder.xdf.clock_offset, ident, host_s, 0.0))
        for pod in pods:
            time = self._times[pod.name]
            time.update(pod)
            offset = time.offset(now_ns)
            if offset is None or pod.state != "ready":
                continue
            if self._consent.allows(pod.name, "record"):
                for stream in pod.streams:
                    ident = self._sensors[pod.name, stream.name]
                    self._disk.call(partial(self._folder.xdf.clock_offset, ident, *offset))

    def moment(self, moment: Moment, host_s: float) -> None:
        """What the room was like."""
        if self._all_agree("sense"):
            known = moment.order.n_eff > 1
            order = [moment.order.value, moment.order.chance] if known else [math.nan, math.nan]
            self._row(self._group, host_s, order)
        for pod in moment.pods:
            if self._consent.allows(pod.name, "record"):
                row = [float(getattr(pod, name)) for name in self._state_fields]
                self._row(self._state[pod.name], host_s, row)

    def _all_agree(self, *uses: str) -> bool:
        """Whether all who enter something in common, by any of `uses`, agree to its being kept."""
        return all(
            self._consent.allows(name, "record")
            for name in self._names
            if any(self._consent.allows(name, use) for use in uses)
        )

    def _row(self, stream: int, host_s: float, row: list[float]) -> None:
        """One sample of a stream in host time."""
        self._disk.call(
            partial(self._folder.xdf.samples, stream, np.array([host_s]), np.array([row]))
        )

    def pairs(self, pairs: Pairs, host_s: float) -> None:
        """Locking of all pairs; unknown for those who did not agree to be recorded."""
        if self._pairs is None:
            return
        row: list[float] = []
        for i, a in enumerate(self._names):
            for j, b in enumerate(self._names[i + 1 :], i + 1):
                kept = self._consent.allows(a, "record") and self._consent.allows(b, "record")
                row += [pairs.plv[i, j], pairs.chance[i, j]] if kept else [math.nan, math.nan]
        self._row(self._pairs, host_s, row)

    def sound(self, mixed: Mixed) -> None:
        """A block of all mixes, as it was before each pod's resampling."""
        if self._all_agree("sense", "share"):
            self._disk.call(partial(self._audio["collective"].write, mixed.collective))
        for i, name in enumerate(self._names):
            if name in self._audio and self._consent.allows(name, "record"):
                self._disk.call(partial(self._audio[name].write, mixed.pods[i]))

    def event(
        self, kind: str, session_s: float, stamp_s: float, details: Mapping[str, object]
    ) -> None:
        """Something that happened at `session_s`, which is `stamp_s` of host time."""
        self._disk.call(partial(self._folder.event, kind, session_s, **details))
        text = json.dumps({"kind": kind, **details}, ensure_ascii=False)
        self._disk.call(partial(self._folder.xdf.samples, self._events, stamp_s, [text]))

    def news(self, news: News, start_ns: int) -> None:
        """Something that happened to a pod."""
        session_s = (news.host_ns - start_ns) * 1e-9
        details = {"pod": news.pod, "text": news.text}
        self.event(news.kind, session_s, news.host_ns * 1e-9, details)

    @property
    def failure(self) -> RecordingError | None:
        """The first thing that could not be written, if any."""
        return self._disk.failure

    def finish(self, summary: Mapping[str, object]) -> None:
        """Write what is still to be written, the summary too, and close all files."""
        self._disk.finish()
        self._folder.finish(summary)

    def close(self) -> None:
        """Close all files."""
        self._disk.finish()
        self._folder.close()


def _state_label(name: str) -> str:
    return name + "_rad" if name.endswith("_phase") else name
