"""Updates and rollbacks of running pods: one task for each port, and none holds up the others.

A pod is done with when it has restarted and confirmed its new firmware, or has gone back to the old one.
Each pod is opened by itself, so that a dead one is only its own failure.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dreampods.errors import DreampodsError, FlashError
from dreampods.firmware.dreampod import wire
from dreampods.fleet import Fleet, Pod, open_pods

from .bundle import Bundle
from .transfer import UpdateSession

_TICK_S = 0.01
_IN_HAND_FRAMES = 24  # given to the link at a time: two windows, so that it never waits for us
_SILENT_S = 30.0  # the longest a pod is busy with its flash is a few seconds
_RESTARTED_WITHIN_S = 30.0
# Three tries of a firmware that hangs, each ended by the watchdog after 8 s, and the way back
_DECIDED_WITHIN_S = 90.0

Tell = Callable[[str, str, int, int], None]  # port, what happens, bytes sent, bytes in all


@dataclass(slots=True)
class Outcome:
    """What came of one pod. `error` is empty if all went well."""

    port: str
    name: str = ""
    uid: str = ""
    result: str = ""  # updated, rolled back, nothing to do
    release: int = 0
    slot: str = ""
    error: str = ""
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


async def update_all(
    ports: list[str], bundle: Bundle, keys: Mapping[str, bytes], tell: Tell, folder: Path
) -> list[Outcome]:
    """Bring a bundle to all pods at once.

    Args:
        ports: as `open_pods` takes them.
        bundle: what `read_bundle` has checked.
        keys: each pod's own key by its uid.
        tell: is called as things go on.
        folder: of the fleet's keys, for pods on the network.
    """

    async def update(fleet: Fleet, outcome: Outcome) -> None:
        await _update(fleet, outcome, bundle, keys, tell)

    return await asyncio.gather(*(_one(port, folder, update) for port in ports))


async def roll_back_all(ports: list[str], tell: Tell, folder: Path) -> list[Outcome]:
    """Have all pods go back to the firmware in their other slot. Arguments as for `update_all`."""

    async def back(fleet: Fleet, outcome: Outcome) -> None:
        await _roll_back(fleet, outcome, tell)

    return await asyncio.gather(*(_one(port, folder, back) for port in ports))


async def _one(port: str, folder: Path, work: Callable[[Fleet, Outcome], Any]) -> Outcome:
    outcome = Outcome(port)
    began = time.monotonic()
    try:
        async with open_pods(port, fleet=folder) as fleet:
            pod = fleet.pods[0]
            outcome.name, outcome.uid = pod.name, str(pod.dictionary["uid"])
            await work(fleet, outcome)
    except DreampodsError as error:
        outcome.error = str(error)
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


async def _update(
    fleet: Fleet, outcome: Outcome, bundle: Bundle, keys: Mapping[str, bytes], tell: Tell
) -> None:
    pod = fleet.pods[0]
    about = bundle.about
    outcome.release = int(about["serial"])
    if pod.dictionary.get("image") == bundle.digest:
        outcome.result, outcome.slot = "nothing to do", str(pod.dictionary.get("slot", ""))
        return
    if outcome.uid not in keys:
        raise FlashError(
            f"{outcome.port}: {pod.name} (uid {outcome.uid}) is none of this fleet's pods:"
            " check --fleet, or provision it"
        )
    # The pod refuses these too, whatever we say; from us it learns sooner what to do about it
    if about["board"] != pod.dictionary["board"]:
        raise FlashError(
            f"{outcome.port}: {pod.name} is a {pod.dictionary['board']}, and this bundle is for"
            f" {about['board']}: dreampods bundle {pod.dictionary['board']}"
        )
    runs = int(pod.dictionary.get("release", 0))
    if outcome.release <= runs:
        raise FlashError(
            f"{outcome.port}: {pod.name} runs release {runs}, and release {outcome.release} is not"
            f" newer; to go back, dreampods rollback {outcome.port}"
        )
    session = UpdateSession(bundle, keys[outcome.uid])
    await _send(fleet, outcome, session, tell)
    session.raise_if_refused(f"{outcome.port}: {pod.name}")
    await _restart(fleet, outcome, session.slot, tell)
    outcome.result = "updated"


async def _send(fleet: Fleet, outcome: Outcome, session: UpdateSession, tell: Tell) -> None:
    """Send until the pod is done or refuses; begin again whenever it was away."""
    pod = fleet.pods[0]
    moved = time.monotonic()
    before: tuple[object, ...] = ()
    while session.state not in ("done", "refused"):
        for item in fleet.news():
            if item.kind in ("returned", "rebooted"):
                session.begin()
            elif item.kind == "refused":  # by the pod itself, before its updater was asked
                session.take({"update": "refused", "reason": item.text})
        if pod.state == "ready":
            for payload in session.next(_IN_HAND_FRAMES - pod.protocol.backlog):
                pod.update(payload)
        while pod.reports:
            session.take(pod.reports.popleft().content)
        what = {"asking": "asking", "sending": "sending"}.get(session.state, "checking")
        tell(outcome.port, what, session.sent_bytes, session.total_bytes)
        now = (session.state, session.sent_bytes, pod.protocol.backlog)
        if now != before:
            before, moved = now, time.monotonic()
        elif time.monotonic() - moved > _SILENT_S:
            raise FlashError(
                f"{outcome.port}: {pod.name} has said nothing for {_SILENT_S:.0f} s and keeps its"
                " firmware; check its cable and power, then give the same command again"
            )
        await asyncio.sleep(_TICK_S)


async def _roll_back(fleet: Fleet, outcome: Outcome, tell: Tell) -> None:
    pod = fleet.pods[0]
    pod.update(bytes((wire.UPDATE_ROLLBACK,)))
    end = time.monotonic() + _SILENT_S
    while time.monotonic() < end:
        for item in fleet.news():
            if item.kind == "refused":
                raise FlashError(f"{outcome.port}: {pod.name} stays: {item.text}")
        while pod.reports:
            report = pod.reports.popleft().content
            if report.get("update") == "refused":
                raise FlashError(f"{outcome.port}: {pod.name} stays: {report.get('reason')}")
            if report.get("update") == "rollback":
                outcome.release = int(report["release"])
                await _restart(fleet, outcome, str(report["slot"]), tell)
                outcome.result = "rolled back"
                return
        await asyncio.sleep(_TICK_S)
    raise FlashError(f"{outcome.port}: {pod.name} does not answer; check its cable and power")


async def _restart(fleet: Fleet, outcome: Outcome, slot: str, tell: Tell) -> None:
    """Restart the pod, and wait until it has confirmed what runs in `slot`, or has gone back."""
    pod = fleet.pods[0]
    life = pod.boot_id
    pod.restart()
    tell(outcome.port, "restarting", 0, 0)
    end = time.monotonic() + _RESTARTED_WITHIN_S
    while pod.boot_id == life or pod.state != "ready":
        for item in fleet.news():
            if item.kind == "refused":
                raise FlashError(
                    f"{outcome.port}: {pod.name} does not restart now: {item.text}; it starts the"
                    " other firmware when its power comes on the next time"
                )
            if item.kind == "returned" and pod.boot_id == life:
                pod.restart()  # it was out of reach, and what it had been sent is forgotten
        if time.monotonic() > end:
            raise FlashError(
                f"{outcome.port}: {pod.name} has not come back within {_RESTARTED_WITHIN_S:.0f} s of"
                " its restart; it goes back to its old firmware by itself if the other does not run"
            )
        await asyncio.sleep(_TICK_S)
    tell(outcome.port, "on trial", 0, 0)
    end = time.monotonic() + _DECIDED_WITHIN_S
    while time.monotonic() < end:
        if pod.state == "ready" and pod.boot_id != life:
            if pod.dictionary.get("slot") != slot:
                why = pod.dictionary.get("rolled_back") or "it did not run well"
                raise FlashError(
                    f"{outcome.port}: {pod.name} tried the other firmware and went back"
                    f" to the one it had: {why}"
                )
            if not pod.dictionary.get("trial") or _confirmed(pod, slot):
                outcome.slot = slot
                return
        await asyncio.sleep(_TICK_S)
    raise FlashError(
        f"{outcome.port}: {pod.name} runs the other firmware but has not confirmed it within"
        f" {_DECIDED_WITHIN_S:.0f} s: `dreampods selftest` tells which part is not well"
    )


def _confirmed(pod: Pod, slot: str) -> bool:
    while pod.reports:
        report = pod.reports.popleft().content
        if report.get("update") == "confirmed" and report.get("slot") == slot:
            return True
    return False
