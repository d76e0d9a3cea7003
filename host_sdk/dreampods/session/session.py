"""A session from beginning to end: it listens, compares, renders, plays and records.

Sound is rendered LEAD_S before it is heard, so that a host that stutters, or a cable that does, is not
heard. `session_s` is 0 when the first sound plays.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import math
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dreampods.dreamscape import Scene
from dreampods.errors import ConsentError, DreampodsError, RecordingError
from dreampods.fleet import Fleet, News, Pod, Stream
from dreampods.guardian import Consent, Gate, Limits
from dreampods.mix import BLOCK_S, Feed, Rendering
from dreampods.recording import SessionFolder, write_report

from .body import Body
from .moment import Moment, PodMoment
from .record import Record
from .room import MOMENT_S, Room

LEAD_S = 0.85
_TURN_S = 0.01
_PAIRS_EVERY_S = 1.0
_MOMENTS_KEPT = 50  # for a listener who is slow; the record has them all
_BLOCKS_AT_ONCE = 8  # then the link has its turn
_STALE_MOMENT_S = 0.5  # a moment that we are later for than this is a gap
_SLOW_S = 0.25
_LAST_COUNT_S = 1.2


class Session:
    """Use with `async with`, and read its moments with `async for`.

    Args:
        fleet: open pods.
        scene: what to play.
        out: folder for the record and, at the end, the report; it must not hold a session yet.
        seconds: how long; the scene's own length if None.
        consent: who agreed to what; needed for real pods, virtual ones play published recordings.

    Raises:
        ConsentError: nobody named for a pod.
        RecordingError: the folder cannot be written, now or later.
    """

    def __init__(
        self,
        fleet: Fleet,
        scene: Scene,
        out: Path | str,
        *,
        seconds: float | None = None,
        consent: Consent | None = None,
    ) -> None:
        self.fleet = fleet
        self.scene = scene if seconds is None else scene.lasting(seconds)
        self.out = Path(out)
        self.seconds = self.scene.seconds
        self.warnings: list[str] = []
        self.report: Path | None = None
        self._pods = fleet.pods
        names = [pod.name for pod in self._pods]
        if consent is None:
            if fleet.virtual is None:
                raise ConsentError(
                    "no consent given for real pods; write a consent file, and give it as consent="
                    " or --consent"
                )
            consent = Consent.of_recordings(fleet.virtual.sleepers)
        consent.require(names)
        self.consent = consent
        self.gate = Gate(consent, {pod.name: Limits.of(pod.limits) for pod in self._pods})
        self._bodies = [Body(self.scene.follow) for _ in self._pods]
        self._room = Room(self.scene, self._bodies, self.seconds)
        self._moments: asyncio.Queue[Moment | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._over = False
        self._blocks = 0  # of sound rendered
        self._unrecorded = False
        self._orders: list[tuple[float, float]] = []
        self._fresh: list[News] = []

    # --- asking ------------------------------------------------------------------------------

    @property
    def session_s(self) -> float:
        """Seconds since the first sound; negative before it."""
        return (time.monotonic_ns() - self._start_ns) * 1e-9

    def stop(self, reason: str) -> None:
        """Silence all pods at once, and end the session."""
        self._require_entered()
        if self.gate.stopped is None:
            self.gate.stop(reason)
            self.fleet.stop()
            self._event("stop", reason=reason)

    def revoke(self, pod: str, use: str) -> None:
        """A person takes a use back; it is in force with the next block of sound and of samples."""
        self._require_entered()
        if pod not in self.gate.limits:
            raise ConsentError(
                f"{pod!r} is no pod of this session; there are {', '.join(self.gate.limits)}"
            )
        self.consent.revoke(pod, use)
        self._event("revoke", pod=pod, use=use)
        if use == "sense":
            index = [p.name for p in self._pods].index(pod)
            self._bodies[index].breath = self._bodies[index].pulse = self._bodies[index].bands = (
                None
            )
            self._sense(self._pods[index])

    def __aiter__(self) -> Session:
        return self

    def _require_entered(self) -> None:
        if self._task is None:
            raise DreampodsError("the session has not begun; use it in `async with`")

    async def __anext__(self) -> Moment:
        self._require_entered()
        if self._over:
            raise StopAsyncIteration
        moment = await self._moments.get()
        if moment is None:
            self._over = True
            if self._task is not None and self._task.done():
                self._task.result()  # raises what ended the session, if it was not its end
            raise StopAsyncIteration
        return moment

    # --- beginning and end -------------------------------------------------------------------

    async def __aenter__(self) -> Session:
        if any(pod.on_samples is not None for pod in self._pods) or self._task is not None:
            raise DreampodsError(
                "these pods have a session already, or this one was over; begin a new one"
            )
        if not self._pods:
            raise DreampodsError(
                "the fleet has no open pods; use it in `async with` around the session"
            )
        # Tables are computed: not in the loop that the pods are waiting for
        self._rendering = await asyncio.to_thread(
            Rendering, self.scene, self.gate, [pod.name for pod in self._pods]
        )
        folder = SessionFolder(self.out)
        try:
            self._record = Record(folder, self.consent, self._pods)
        except BaseException:
            folder.close()
            raise
        # Matrix libraries start threads that spin while they wait for each other; on a busy machine a
        # product of a few microseconds then takes a quarter of a second, and the pods run dry
        self._one_thread = threadpool_limits(1, user_api="blas")
        self._started = datetime.datetime.now().astimezone()
        self._start_ns = time.monotonic_ns() + int(LEAD_S * 1e9)
        self._feeds = [Feed(pod, self.gate, self._start_ns) for pod in self._pods]
        for pod in self._pods:
            pod.count_anew()
            pod.on_samples = self._on_samples
            self._sense(pod)
        self.fleet.news()  # what happened before belongs to nobody's record
        self.fleet.lag_worst_s = 0.0
        start_s = self._start_ns * 1e-9
        self._record.event("start", 0.0, start_s, {"host_s": start_s, "scene": self.scene.name})
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(lambda _: self._moments.put_nowait(None))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._task is not None
        self._ended_s = self.session_s
        if kind is not None or not self._task.done():
            self.stop(_reason(kind, error))
        self._task.cancel()
        self._one_thread.restore_original_limits()
        with contextlib.suppress(asyncio.CancelledError, Exception):  # told to whoever iterates
            await self._task
        for pod in self._pods:
            pod.on_samples = None
            pod.sense(set())
        for feed in self._feeds:
            feed.close()
        self.fleet.flush()
        self._event("end")
        try:
            if kind is None:
                await asyncio.sleep(_LAST_COUNT_S)  # the pods count once a second
        finally:  # whoever loses patience here still gets the record
            self._record.finish(self._summary())
        await self._write_report()
        if self._record.failure is not None and kind is None:
            raise RecordingError(f"parts of the record are missing: {self._record.failure}")

    async def _write_report(self) -> None:
        """The report, if what draws it is installed; it can be written any time later."""
        try:
            self.report = await asyncio.to_thread(write_report, self.out)
        except RecordingError as error:
            self.warnings.append(str(error))

    # --- the work ----------------------------------------------------------------------------

    def _sense(self, pod: Pod) -> None:
        """Have the pod send what may be measured: nothing at all without consent."""
        wanted = (
            {stream.name for stream in pod.streams}
            if self.consent.allows(pod.name, "sense")
            else set()
        )
        pod.sense(wanted)

    def _on_samples(self, pod: Pod, stream: Stream, values: NDArray[np.float32]) -> None:
        if not self.consent.allows(pod.name, "sense"):
            return
        self._record.samples(pod, stream, values)
        mapping = pod.clock.map
        if mapping is not None:
            self._bodies[self._pods.index(pod)].add(stream, values, mapping)

    async def _run(self) -> None:
        moments, pairs_s = 0, 0.0
        try:
            while self.session_s < self.seconds and self.gate.stopped is None:
                self._take_news()
                await self._render()
                self._record.offsets(self._pods, time.monotonic_ns())
                while self.session_s >= moments * MOMENT_S:
                    if self.session_s - moments * MOMENT_S < _STALE_MOMENT_S:
                        self._compare(moments * MOMENT_S)
                    moments += 1
                if self.session_s >= pairs_s:
                    pairs_s += _PAIRS_EVERY_S
                    # Some 10 ms for eight sleepers, more for more: beside the loop, not in it
                    pairs = await asyncio.to_thread(self._room.pairs())
                    self._record.pairs(pairs, time.monotonic())
                await asyncio.sleep(_TURN_S)
            self._take_news()
        except asyncio.CancelledError:
            raise  # by __aexit__, which has said why
        except BaseException as error:
            # Whatever it is, it must not leave people with a sound that nobody steers
            self.gate.stop(str(error) or type(error).__name__)
            self.fleet.stop()
            raise

    def _take_news(self) -> None:
        for news in self.fleet.news():
            self._fresh.append(news)
            self._record.news(news, self._start_ns)
            if news.kind in ("returned", "stop-pressed"):
                index = [pod.name for pod in self._pods].index(news.pod)
                if news.kind == "returned":
                    self._feeds[index].reset()
                    self._sense(self._pods[index])
                else:
                    self._feeds[index].stop()
        if self.fleet.lag_worst_s > _SLOW_S:
            self._warn(
                f"this computer was busy for {self.fleet.lag_worst_s:.2f} s at {self.session_s:.0f} s"
            )
        self.fleet.lag_worst_s = 0.0

    async def _render(self) -> None:
        """Render and send whatever will be heard within LEAD_S."""
        for _ in range(_BLOCKS_AT_ONCE):
            block_s = self._blocks * BLOCK_S
            if block_s >= min(self.session_s + LEAD_S, self.seconds):
                break
            mixed = self._rendering.block(
                block_s, self._room.bodies(self._start_ns + block_s * 1e9)
            )
            self._blocks += 1
            self._record.sound(mixed)
            now_ns = time.monotonic_ns()
            for i, feed in enumerate(self._feeds):
                feed.write(mixed.pods[i])
                feed.send(now_ns)
            self.fleet.flush()
            await asyncio.sleep(0)
        if self._blocks * BLOCK_S >= self.seconds:
            for feed in self._feeds:
                feed.close()

    def _compare(self, session_s: float) -> None:
        at_ns = self._start_ns + round(session_s * 1e9)
        if self._record.failure is not None and not self._unrecorded:
            self._unrecorded = True
            news = News("unrecorded", "record", at_ns, str(self._record.failure))
            self._fresh.append(news)
            self._record.news(news, self._start_ns)
        self._room.step(at_ns)
        order = self._room.order
        if order.n_eff > 1:
            self._orders.append((order.value, order.chance))
        fresh, self._fresh = tuple(self._fresh), []
        pods = tuple(self._pod_moment(i, at_ns) for i in range(len(self._pods)))
        moment = Moment(session_s, order, pods, fresh)
        self._record.moment(moment, at_ns * 1e-9)
        if self._moments.qsize() >= _MOMENTS_KEPT:
            self._moments.get_nowait()
        self._moments.put_nowait(moment)

    def _pod_moment(self, index: int, now_ns: int) -> PodMoment:
        pod, body, gains = self._pods[index], self._bodies[index], self._rendering.gains
        breath, breath_confidence = body.breath.at(now_ns) if body.breath else (math.nan, 0.0)
        pulse, pulse_confidence = body.pulse.at(now_ns) if body.pulse else (math.nan, 0.0)
        mapping = pod.clock.map
        return PodMoment(
            name=pod.name,
            state=pod.state,
            breath_phase=breath,
            breath_hz=body.breath.hz if breath_confidence and body.breath else math.nan,
            breath_confidence=breath_confidence,
            pulse_phase=pulse,
            pulse_hz=body.pulse.hz if pulse_confidence and body.pulse else math.nan,
            pulse_confidence=pulse_confidence,
            coupling=float(self._room.coupling[index]),
            own_gain_db=float(gains.own_db[index]),
            collective_gain_db=float(gains.collective_db[index]),
            send_gain_db=float(gains.send_db[index]),
            level_dbfs=self.gate.level_dbfs(pod.name),
            ceiling_dbfs=self.gate.limits[pod.name].ceiling_dbfs,
            clock_sigma_us=mapping.sigma_at(now_ns) if mapping else math.nan,
            clock_ppm=mapping.ppm if mapping else math.nan,
            late=pod.total("late"),
            underruns=pod.total("underruns"),
        )

    def _event(self, kind: str, **details: object) -> None:
        self._record.event(kind, self.session_s, time.monotonic(), details)

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        self._event("warning", text=text)

    def _summary(self) -> dict[str, Any]:
        orders = np.array(self._orders) if self._orders else np.full((1, 2), math.nan)
        order, chance = orders.mean(axis=0)
        return {
            "seconds": round(min(max(self._ended_s, 0.0), self.seconds), 3),
            "scene": self.scene.name,
            "started": self._started.isoformat(timespec="seconds"),
            "stopped": self.gate.stopped,
            "recordings": self.fleet.virtual.credits if self.fleet.virtual else [],
            "group": {"order_parameter": {"mean": float(order), "chance": float(chance)}},
            "pods": [self._pod_summary(pod) for pod in self._pods],
            "warnings": self.warnings,
        }

    def _pod_summary(self, pod: Pod) -> dict[str, Any]:
        mapping = pod.clock.map
        skipped = self._feeds[self._pods.index(pod)].skipped
        return {
            "name": pod.name,
            "port": pod.port,
            "implementation": pod.implementation,
            "boot_id": f"{pod.boot_id:08x}",
            "boots": pod.boots,
            "participant": self.consent.participant(pod.name),
            "material_s": self.fleet.virtual.material_s(pod.name) if self.fleet.virtual else None,
            "streams": [
                {
                    "name": stream.name,
                    "unit": stream.unit,
                    "rate_hz": stream.rate_hz,
                    "samples": stream.samples,
                    "lost": stream.lost,
                }
                for stream in pod.streams
            ],
            "clock": {
                "offset_us": mapping.offset_us if mapping else None,
                "ppm": mapping.ppm if mapping else None,
                "sigma_us": mapping.sigma_us if mapping else None,
                "asymmetry_us": mapping.asymmetry_us if mapping else None,
                "best_rtt_us": mapping.best_rtt_us if mapping else None,
            },
            "sound": {
                "chunks": pod.total("chunks"),
                "late": pod.total("late"),
                "underruns": pod.total("underruns"),
                "skipped": skipped,
                "i2s_slips": pod.stats.get("i2s_slips", 0),
                "peak_dbfs": pod.peak_dbfs,
            },
            "link": {
                "corrupt_host": pod.protocol.corrupt,
                "corrupt_pod": pod.stats.get("rx_corrupt", 0),
                "lost_frames": pod.protocol.lost_frames,
                "repeated": pod.protocol.repeated,
            },
            "mem_free": pod.stats.get("mem_free"),
            "loop_worst_ms": pod.loop_worst_us / 1000,
        }


def _reason(kind: type[BaseException] | None, error: BaseException | None) -> str:
    """Why a session ended before its time."""
    if kind is None:
        return "left before its end"
    if kind in (asyncio.CancelledError, KeyboardInterrupt):
        return "interrupted"
    return str(error) or kind.__name__
