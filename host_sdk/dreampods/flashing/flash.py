"""Flash one board: look, plan, write what differs, start it, and wait until it says it runs the new image."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from dreampods.errors import FlashError
from dreampods.image import Image, architecture, build_image

from .finding import Port, find_again
from .looking import POD, Seen, ask_pod, at_prompt, look
from .plan import Plan, check_fits, make_plan, survey
from .ports import PortError
from .repl import Repl

STARTS_WITHIN_S = 30.0  # until the pod answers after its reset, USB and self-checks included
_ASK_EVERY_S = 0.3

Say = Callable[[str], None]


class Interrupted(FlashError):
    """The person pressed Ctrl-C; the board is left so that the next flash goes on."""


class Images:
    """Each image is built once, however many boards want it at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._built: dict[str, Image] = {}

    def of(self, board: str) -> Image:
        """The image for a board.

        Raises:
            BoardError, FlashError: it cannot be built.
        """
        with self._lock:
            if board not in self._built:
                self._built[board] = build_image(board, architecture(board))
            return self._built[board]


@dataclass(slots=True)
class Outcome:
    """What came of one board; as JSON for rigs."""

    port: str
    location: str = ""
    uid: str = ""
    board: str = ""
    state: str = ""  # as it was found
    image: str = ""
    result: str = ""  # flashed, nothing to do, planned, failed
    plan: str = ""
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    error: str = ""

    @property
    def ok(self) -> bool:
        """False if it failed."""
        return self.result != "failed"

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return asdict(self)


@dataclass(slots=True)
class Job:
    """How to flash: shared by all boards of one command."""

    board: str = ""  # for boards that do not say what they are
    dry_run: bool = False
    images: Images = field(default_factory=Images)
    stop: threading.Event = field(default_factory=threading.Event)


def flash(
    port: Port, job: Job, say: Say, progress: Callable[[int, int], None], seen: Seen | None = None
) -> Outcome:
    """Flash the board on `port`. Never raises for what can go wrong with a board: the outcome tells.

    Args:
        say: is told each step, a line for people.
        progress: is told bytes done and bytes to do.
        seen: if somebody has looked already.
    """
    began = time.monotonic()
    outcome = Outcome(port.path, port.location)
    try:
        _flash(port, job, say, progress, seen or look(port, patient=True), outcome)
    except FlashError as error:
        outcome.result, outcome.error = "failed", str(error)
    except Exception as error:  # one board must not end the work on the others
        outcome.result, outcome.error = "failed", f"{port.path}: {type(error).__name__}: {error}"
    outcome.seconds = round(time.monotonic() - began, 2)
    return outcome


def _flash(
    port: Port,
    job: Job,
    say: Say,
    progress: Callable[[int, int], None],
    seen: Seen,
    outcome: Outcome,
) -> None:
    outcome.uid, outcome.state = seen.uid, seen.state
    outcome.board = job.board or seen.board
    if seen.state == POD and outcome.board:
        image = job.images.of(outcome.board)
        outcome.image = image.digest
        if seen.image == image.digest:
            outcome.result = "nothing to do"
            return
    with at_prompt(seen) as (repl, now):
        say("looking at its flash")
        outcome.uid = now.uid
        outcome.board = job.board or seen.board or now.board
        if not outcome.board:
            raise FlashError(
                f"{port.path}: this board does not say what it is; give --board,"
                " `dreampods boards` lists the names"
            )
        image = job.images.of(outcome.board)
        outcome.image = image.digest
        check_fits(now, image)
        plan = make_plan(survey(repl), image)
        outcome.plan, outcome.files, outcome.bytes = str(plan), len(plan.write), plan.bytes
        say(str(plan))
        if job.dry_run:
            outcome.result = "nothing to do" if plan.nothing else "planned"
            repl.leave(run=True)
            return
        carry_out(plan, repl, job.stop, progress)
        say("starting")
        repl.reset()
    outcome.result = "nothing to do" if plan.nothing else "flashed"
    if talks_over_network(image):
        return  # nothing answers on USB; whether it runs is seen where it is expected
    answer = wait_until_answers(port, lambda pod: pod.image == image.digest)
    if answer:
        raise FlashError(
            f"{port.path}: all was written and read back, but within {STARTS_WITHIN_S:.0f} s the pod"
            f" did not start: {_complaint(port) or answer}"
        )


def carry_out(
    plan: Plan, repl: Repl, stop: threading.Event, progress: Callable[[int, int], None]
) -> None:
    """Remove and write as planned. After each file the board is in a state that can be gone on from.

    Raises:
        Interrupted: `stop` was set.
        FlashError: something could not be written.
    """
    done, total = 0, plan.bytes

    def more(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    if plan.remove:
        repl.run(
            f"import os\nfor p in {plan.remove!r}:os.remove(p)", "removing what is not needed"
        )
    progress(0, total)
    for path, content in plan.write:
        if stop.is_set():
            raise Interrupted(f"{repl.path}: interrupted; flash again, it goes on from here")
        repl.write_file(path, content, more)


def _complaint(port: Port) -> str:
    """What the board says when it is started once more."""
    found = find_again(port, 0)
    if found is None:
        return ""
    try:
        with Repl(found.path) as repl:
            repl.enter()
            return repl.why_it_does_not_start()
    except FlashError:
        return ""


def talks_over_network(image: Image) -> bool:
    """True for a board whose link is not the port it is flashed by."""
    return bool(json.loads(image.slot_files["board.json"])["link"] == "tcp")


def wait_until_answers(port: Port, right: Callable[[Seen], bool]) -> str:
    """Wait for the pod to come back as it should after a reset; why it did not, or an empty string."""
    until = time.monotonic() + STARTS_WITHIN_S
    reason = "it does not answer"
    while time.monotonic() < until:
        found = find_again(port, max(0.0, until - time.monotonic()))
        if found is None:
            return "its port did not come back"
        try:
            seen, _ = ask_pod(found)
        except PortError as error:
            # Just plugged in, the port may not yet be ours to open
            seen, reason = None, str(error)
        if seen is not None:
            if right(seen):
                return ""
            reason = f"it answers as {seen.name}, image {seen.image or 'unnamed'}"
        time.sleep(_ASK_EVERY_S)
    return reason
