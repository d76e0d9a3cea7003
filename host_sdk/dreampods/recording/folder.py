"""The folder that a session leaves behind, in formats that outlive this program.

    session.json   the measured summary; written last, so its presence says the session ended well
    streams.xdf    every signal, state and synchrony figure, with its times and clock offsets
    events.jsonl   what happened, one JSON object a line
    mix/*.flac     what was played
    report.html    made from the above by `write_report`, and may be made again

Everything but the first and the last is append-only and handed to the system at once or within
half a second, so a killed host costs no more than that. A folder is used once.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import numpy as np

from dreampods.errors import RecordingError
from dreampods.recording.audio import AudioWriter
from dreampods.recording.xdf import XdfWriter

SUMMARY = "session.json"
STREAMS = "streams.xdf"
EVENTS = "events.jsonl"


class SessionFolder:
    """A session being written. A context manager that closes, but does not `finish`."""

    def __init__(self, out: Path | str) -> None:
        """Make the folder; raise `RecordingError` if it can't be, or already holds a session."""
        self.path = Path(out)
        self.check_free(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # Line-sized appends, each one write: a kill leaves whole lines.
            self._events = (self.path / EVENTS).open("ab", buffering=0)
        except (FileExistsError, NotADirectoryError):
            raise RecordingError(
                f"{self.path} is not a folder; name a folder for the session"
            ) from None
        except OSError as error:
            raise RecordingError(
                f"cannot make the session folder {self.path}: {error.strerror}"
            ) from error
        self._audio: list[AudioWriter] = []
        try:
            self.xdf = XdfWriter(self.path / STREAMS)
        except RecordingError:
            self._events.close()
            raise

    @staticmethod
    def check_free(out: Path) -> None:
        """Raise `RecordingError` if `out` already holds a session, or is no folder."""
        if any((out / name).exists() for name in (SUMMARY, STREAMS, EVENTS, "mix")):
            raise RecordingError(
                f"{out} already holds a session; choose a new folder, none is replaced"
            )
        if out.exists() and not out.is_dir():
            raise RecordingError(f"{out} is not a folder; name a folder for the session")

    def event(self, kind: str, session_s: float, **fields: object) -> None:
        """Append one event at once: numbers, strings, lists and mappings; no number is `null`."""
        if self._events.closed:
            raise ValueError(f"{self.path} is closed")
        line = _json({"session_s": session_s, "kind": kind, **fields}) + b"\n"
        start = self._events.seek(0, os.SEEK_END)
        try:
            done = self._events.write(line)
            while done < len(line):
                done += self._events.write(line[done:])
        except OSError as error:
            self._events.truncate(start)
            raise _unwritable(self.path / EVENTS, error) from error

    def audio(self, name: str, rate_hz: int) -> AudioWriter:
        """Begin `mix/<name>.flac`; a name that is no file name is percent-encoded into one."""
        mix = self.path / "mix"
        try:
            mix.mkdir(exist_ok=True)
        except OSError as error:
            raise _unwritable(mix, error) from error
        writer = AudioWriter(mix / f"{quote(name, safe=' ')}.flac", rate_hz)
        self._audio.append(writer)
        return writer

    def finish(self, summary: Mapping[str, object]) -> None:
        """Close everything, then write session.json: all of it or, on a full disk, none."""
        try:
            self.close()
        finally:
            final = self.path / SUMMARY
            part = final.with_suffix(".json.part")
            try:
                with part.open("wb") as file:
                    file.write(_json(summary, indent=2) + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(final)
            except OSError as error:
                part.unlink(missing_ok=True)
                raise _unwritable(final, error) from error

    def close(self) -> None:
        """Close every file, even if one of them fails. Further calls do nothing."""
        closers: list[Callable[[], None]] = [self.xdf.close, *(a.close for a in self._audio)]
        failed: RecordingError | None = None
        for close in closers:
            try:
                close()
            except RecordingError as error:
                failed = failed or error
        self._events.close()
        if failed:
            raise failed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _unwritable(path: Path, error: OSError) -> RecordingError:
    return RecordingError(
        f"cannot write {path}: {error.strerror}; free some space, "
        "what was recorded before stays readable"
    )


def _json(value: Mapping[str, object], indent: int | None = None) -> bytes:
    text = json.dumps(_plain(value), ensure_ascii=False, allow_nan=False, indent=indent)
    return text.encode(errors="replace")


def _plain(value: object) -> object:
    """`value` in JSON's own terms. JSON has no NaN: what was not measured is null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(part) for part in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return str(value)
