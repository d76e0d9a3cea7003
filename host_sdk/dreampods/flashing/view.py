"""What a person sees while boards are flashed: a line for each, and what came of it."""

from __future__ import annotations

import contextlib
import sys
from types import TracebackType

from dreampods.errors import DreampodsError

from .finding import Port
from .flash import Outcome


class View:
    """Progress bars in a terminal; elsewhere a line for each step.

    Whoever reads it may go away, as `head` does, or its disk be full. That does not end the work on a
    board: `error` says so afterwards.
    """

    def __init__(self, ports: list[Port]) -> None:
        try:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
        except ImportError:
            raise DreampodsError("progress needs rich: pip install 'dreampods[console]'") from None

        class Plain(Console):
            def on_broken_pipe(self) -> None:
                raise  # as it is; the Console of rich ends the program

        self.error: OSError | None = None
        self._console = Plain(highlight=False, markup=False, soft_wrap=True)
        self._bars = self._console.is_terminal
        self._progress = Progress(
            TextColumn("{task.fields[name]}", markup=False),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TextColumn("{task.description}", markup=False),
            console=self._console,
            transient=True,
            disable=not self._bars,
        )
        self._tasks = {
            port.path: self._progress.add_task("waiting", total=None, start=False, name=port.path)
            for port in ports
        }

    def __enter__(self) -> View:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def say(self, port: Port, text: str) -> None:
        """A step begins."""
        self._progress.update(self._tasks[port.path], description=text)
        if not self._bars:
            self._print(f"{port.path}  {text}")

    def progress(self, port: Port, done: int, total: int) -> None:
        """Bytes written, and to be written."""
        self._progress.start_task(self._tasks[port.path])
        self._progress.update(self._tasks[port.path], completed=done, total=total)

    def done(self, port: Port, outcome: Outcome) -> None:
        """A board is done with, one way or the other."""
        self._progress.remove_task(self._tasks[port.path])
        if not outcome.ok:
            if self._bars:
                self._progress.print(outcome.error)
            else:
                with contextlib.suppress(
                    OSError
                ):  # the last line of the command tells it once more
                    print(outcome.error, file=sys.stderr, flush=True)
            return
        what = outcome.plan if outcome.result == "planned" else outcome.result
        detail = f"{outcome.files} files, {outcome.seconds:.1f} s" if outcome.files else ""
        self._print(
            "  ".join(filter(None, (port.path, outcome.board, what, detail, outcome.image)))
        )

    def _print(self, line: str) -> None:
        if self.error:
            return
        try:
            self._console.print(line)
        except OSError as error:
            self.error = error
