"""Many boards at once: each in a thread of its own, one log, one report, and none holds up the others."""

from __future__ import annotations

import contextlib
import datetime
import json
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Any

from dreampods.errors import FlashError

from .finding import Port
from .flash import Job, Outcome, flash
from .looking import Seen, look

_WAKE_S = 0.2  # between looks at whether the person pressed Ctrl-C


class Log:
    """One text file for all boards of a command, a line for each step; None: nowhere.

    A disk that is full does not end the work on a board: `error` says so afterwards.
    """

    def __init__(self, path: Path | None) -> None:
        self.error: FlashError | None = None
        self._path = path
        self._lock = threading.Lock()
        self._file = None
        if path:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = path.open("a", encoding="utf-8")
            except OSError as error:
                raise FlashError(f"{path}: cannot be written ({error.strerror})") from None

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file:
            with contextlib.suppress(OSError):  # what could not be written is told already
                self._file.close()

    def write(self, port: str, text: str) -> None:
        """One line, with the time."""
        if self._file and not self.error:
            now = datetime.datetime.now().isoformat(timespec="milliseconds")
            try:
                with self._lock:
                    self._file.write(f"{now} {port} {text}\n")
                    self._file.flush()
            except OSError as error:
                self.error = FlashError(
                    f"{self._path}: the log ends too soon ({error.strerror}); the boards were not held up"
                )


def look_at_all(ports: list[Port]) -> list[Seen]:
    """Look at all ports at the same time."""
    if not ports:
        return []
    with ThreadPoolExecutor(len(ports)) as pool:
        return list(pool.map(look, ports))


def flash_all(
    boards: list[tuple[Port, Seen | None]],
    job: Job,
    at_once: int,
    log: Log,
    say: Callable[[Port, str], None],
    progress: Callable[[Port, int, int], None],
    done: Callable[[Port, Outcome], None],
) -> list[Outcome]:
    """Flash boards, `at_once` at a time; what came of each, in their order.

    After a Ctrl-C those under way end after the file in hand, those that wait do not begin, and
    KeyboardInterrupt is raised once all are left in peace.
    """

    def one(port: Port, seen: Seen | None) -> Outcome:
        def told(text: str) -> None:
            log.write(port.path, text)
            say(port, text)

        if job.stop.is_set():
            return Outcome(port.path, port.location, result="failed", error="not begun")
        outcome = flash(port, job, told, lambda now, total: progress(port, now, total), seen)
        log.write(port.path, outcome.error or outcome.result)
        done(port, outcome)
        return outcome

    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(one, port, seen) for port, seen in boards]
        try:
            missing = set(futures)
            while missing:
                _, missing = wait(missing, timeout=_WAKE_S, return_when=FIRST_COMPLETED)
        except KeyboardInterrupt:
            job.stop.set()
            with contextlib.suppress(KeyboardInterrupt):  # the second one changes nothing
                wait(futures)
            raise
        return [future.result() for future in futures]


def write_report(path: Path, outcomes: list[Outcome]) -> None:
    """The JSON report, for rigs.

    Raises:
        FlashError: it cannot be written.
    """
    content: dict[str, Any] = {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "ok": all(outcome.ok for outcome in outcomes),
        "boards": [outcome.as_json() for outcome in outcomes],
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2) + "\n")
    except OSError as error:
        raise FlashError(f"{path}: cannot be written ({error.strerror})") from None
