"""Runs self-tests: asks the pods, gathers their answers, and adds what the host sees meanwhile.

Each port is opened by itself, so that a dead pod is only its own failure.
"""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dreampods.errors import DreampodsError, LinkError
from dreampods.fleet import Fleet, Pod, open_pods

from .loopback import Heard, Loopback, decoded, judge
from .outcome import Item, Outcome, Status
from .seen import CLOCK_S, LinkCounts, calibration_item, clock_item, firmware_item, link_item

_TICK_S = 0.02
_SILENT_S = 10.0  # the longest item takes a few seconds
_STATS_S = 1.5  # until the pod has told its counters once more

_STATUS: dict[bool | None, Status] = {True: "ok", False: "failed", None: "not fitted"}

Tell = Callable[[str, str], None]  # port, what it is at


async def selftest_all(ports: list[str], tell: Tell, folder: Path) -> list[Outcome]:
    """Test all pods at once.

    Args:
        ports: as `open_pods` takes them, one each; or ``virtual:N``.
        tell: is called as things go on.
        folder: of the fleet's keys, for pods on the network.
    """
    outcomes = await asyncio.gather(*(_open_and_examine(port, tell, folder) for port in ports))
    return [outcome for group in outcomes for outcome in group]


async def _open_and_examine(port: str, tell: Tell, folder: Path) -> list[Outcome]:
    outcomes: list[Outcome] = []
    try:
        async with open_pods(port, fleet=folder) as fleet:
            outcomes = await asyncio.gather(*(examine(fleet, pod, tell) for pod in fleet.pods))
    except DreampodsError as error:
        if not outcomes:
            outcomes = [Outcome(port, error=str(error))]
    return outcomes


async def examine(fleet: Fleet, pod: Pod, tell: Tell) -> Outcome:
    """Test one pod of an open fleet, which must not play and not be sensed meanwhile."""
    began = time.monotonic()
    told = pod.dictionary
    outcome = Outcome(
        pod.port, pod.name, str(told.get("uid", "")), str(told["board"]), str(told["firmware"])
    )
    outcome.items = [firmware_item(pod)]
    before = LinkCounts.of(pod)
    try:
        await _Examination(pod, outcome, tell).run()
        tell(pod.port, "clock and link")
        while time.monotonic() - began < CLOCK_S:
            _raise_if_away(pod)
            await asyncio.sleep(_TICK_S)
        await asyncio.sleep(_STATS_S)
        _raise_if_away(pod)
        outcome.items += [
            clock_item(pod),
            link_item(pod, before),
            calibration_item(pod, datetime.datetime.now(datetime.UTC).date()),
        ]
    except LinkError as error:
        outcome.error = str(error)
    outcome.seconds = round(time.monotonic() - began, 1)
    tell(pod.port, "failed" if outcome.error or not outcome.passed else "passed")
    return outcome


def _raise_if_away(pod: Pod) -> None:
    if pod.state != "ready":
        raise LinkError(
            f"{pod.port}: {pod.name} went away while it was tested: check its cable and its supply"
        )


class _Examination:
    """The pod's own part."""

    _requests = 0

    def __init__(self, pod: Pod, outcome: Outcome, tell: Tell) -> None:
        self._pod = pod
        self._outcome = outcome
        self._tell = tell
        self._heard: dict[str, Any] | None = None
        self._pieces: dict[int, bytes] = {}

    async def run(self) -> None:
        """Ask, and wait for the last item.

        Raises:
            LinkError: the pod refuses, goes away, or falls silent.
        """
        pod = self._pod
        life = pod.boot_id
        _Examination._requests = request = (_Examination._requests + 1) & 0xFFFF
        pod.reports.clear()
        pod.news.clear()
        pod.test(request)
        last = time.monotonic()
        while True:
            self._raise_if_refused()
            _raise_if_away(pod)
            if pod.boot_id != life:
                raise LinkError(
                    f"{pod.port}: {pod.name} restarted while it was tested: check its supply"
                )
            while pod.reports:
                report = pod.reports.popleft()
                if report.request != request:
                    continue
                last = time.monotonic()
                if report.content.get("item") == "end":
                    return
                self._take(report.content)
            if time.monotonic() - last > _SILENT_S:
                raise LinkError(
                    f"{pod.port}: {pod.name} has not gone on for {_SILENT_S:.0f} s; somebody else ended its"
                    " test, or it hangs: restart it, test again"
                )
            await asyncio.sleep(_TICK_S)

    def _raise_if_refused(self) -> None:
        for news in list(self._pod.news):
            if news.kind == "refused":
                raise LinkError(f"{self._pod.port}: {self._pod.name} is not tested: {news.text}")

    def _take(self, report: dict[str, Any]) -> None:
        name = str(report.get("item"))
        if name == "heard":
            self._heard = report
        elif name == "samples":
            at, piece = decoded(report)
            self._pieces[at] = piece
        else:
            self._tell(self._pod.port, name)
            item = Item(name, _STATUS[report["ok"]], report["text"], report.get("pins", {}))
            if name == "loopback" and item.status == "ok":
                item = self._judge(item)
            self._outcome.items.append(item)

    def _judge(self, item: Item) -> Item:
        try:
            if self._heard is None:
                raise ValueError("nothing came")
            found = Loopback.measured(Heard.from_reports(self._heard, self._pieces))
        except ValueError as error:
            text = f"what the microphone heard is incomplete ({error}): test again"
            return Item("loopback", "failed", text, item.pins)
        return judge(found, item.pins, self._heard["pins"], self._pod.limits["full_scale_dba"])
