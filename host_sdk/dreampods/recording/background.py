"""Writing beside the session: a slow disk must not be heard.

Everything that goes to disk is handed over as a call and made by one thread, in order. A disk that
stalls for some seconds costs memory; one that does not come back costs what is written meanwhile, never
the sound.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from dreampods.errors import RecordingError

_MOST_WAITING = 20_000  # calls; about half a minute of eight pods, 100 MB


class Background:
    """A thread that makes calls. `failure` is the first that could not be made."""

    def __init__(self) -> None:
        self.failure: RecordingError | None = None
        self._calls: queue.Queue[Callable[[], object] | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    def call(self, write: Callable[[], object]) -> None:
        """Have `write()` called, after all calls before it."""
        try:
            self._calls.put_nowait(write)
        except queue.Full:
            self._fail(
                RecordingError("the disk is too slow for the record; parts of it are missing")
            )

    def finish(self) -> None:
        """Return when all calls are made. Further calls do nothing."""
        if self._thread.is_alive():
            self._calls.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (write := self._calls.get()) is not None:
            try:
                write()
            except RecordingError as error:
                self._fail(error)
            except Exception as error:  # a defect, but not one to end a session for
                self._fail(RecordingError(f"a part of the record could not be written: {error!r}"))

    def _fail(self, error: RecordingError) -> None:
        self.failure = self.failure or error
