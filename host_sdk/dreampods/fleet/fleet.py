"""The asyncio shell around the pods: it opens ports, moves bytes, and keeps the time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from types import TracebackType

from dreampods.errors import DreampodsError, LinkError
from dreampods.link import SerialPort
from dreampods.virtual import MOST_PODS, VirtualPods

from .pod import News, Pod

_TICK_S = 0.005
_REOPEN_EVERY_NS = 500_000_000
_ANSWER_WITHIN_S = 4.0
_CLOCK_WITHIN_S = 4.0
_CLOCK_GOOD_US = 1000.0
_FAREWELL_S = 0.3


class _Line:
    """A pod and its port, which may be gone for a while."""

    def __init__(self, pod: Pod) -> None:
        self.pod = pod
        self.port: SerialPort | None = None
        self._reopen_ns = 0

    def open(self) -> None:
        self.port = SerialPort(self.pod.port, self._on_bytes, self._on_gone)

    def _on_bytes(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        self.pod.receive(data, now_ns)
        if self.port is not None:  # an acknowledgement may have made room for more
            self.port.write(self.pod.outgoing(now_ns))

    def _on_gone(self, reason: str) -> None:
        self.port = None
        self.pod.lose(time.monotonic_ns(), f"the port is gone ({reason})")

    def tick(self, now_ns: int) -> None:
        if self.port is None:
            if now_ns < self._reopen_ns:
                return
            self._reopen_ns = now_ns + _REOPEN_EVERY_NS
            try:
                self.open()
            except LinkError:
                return  # not back yet
        if self.port is not None:
            self.port.write(self.pod.outgoing(now_ns))
        if self.port is not None and self.port.clear:
            # Behind a backlog a probe would only measure the backlog
            self.port.write(self.pod.probe(time.monotonic_ns()))


class Fleet:
    """Open pods. Use `async with open_pods(...) as fleet`."""

    def __init__(self, ports: list[str], virtual: VirtualPods | None = None) -> None:
        if not ports and virtual is None:
            raise LinkError("no pods given; name ports, or virtual:8 for eight virtual pods")
        self.virtual = virtual
        self._ports = ports
        self._lines: list[_Line] = []
        self._task: asyncio.Task[None] | None = None
        self.lag_worst_s = 0.0  # by how much our own loop was ever late: which side was slow

    @property
    def pods(self) -> list[Pod]:
        """All pods, in the order of their ports."""
        return [line.pod for line in self._lines]

    def news(self) -> list[News]:
        """What happened since the last call."""
        news = []
        for pod in self.pods:
            while pod.news:
                news.append(pod.news.popleft())
        return sorted(news, key=lambda item: item.host_ns)

    def flush(self) -> None:
        """Write what the pods have been given to send, without waiting for the next tick."""
        now_ns = time.monotonic_ns()
        for line in self._lines:
            if line.port is not None:
                line.port.write(line.pod.outgoing(now_ns))

    def stop(self) -> None:
        """Silence every pod, now."""
        for pod in self.pods:
            pod.stop()
        self.flush()

    async def __aenter__(self) -> Fleet:
        try:
            if self.virtual is not None:
                self._ports = await self.virtual.start()
            for number, path in enumerate(self._ports, 1):
                line = _Line(Pod(path, f"pod-{number}"))
                self._lines.append(line)
                line.open()
            self._task = asyncio.create_task(self._run())
            await self._meet()
            await self._settle()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def _run(self) -> None:
        due = time.monotonic()
        while True:
            now_ns = time.monotonic_ns()
            for line in self._lines:
                line.tick(now_ns)
            due += _TICK_S
            late = time.monotonic() - due
            if late > 0:
                self.lag_worst_s = max(self.lag_worst_s, late)
                due = time.monotonic()
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _meet(self) -> None:
        """Wait until every pod has said what it is."""
        deadline = time.monotonic() + _ANSWER_WITHIN_S
        while any(pod.state != "ready" for pod in self.pods):
            self._raise_if_broken()
            if time.monotonic() > deadline:
                pod = next(pod for pod in self.pods if pod.state != "ready")
                if pod.stray_bytes:
                    raise LinkError(
                        f"{pod.port}: a device is there and sends, but it is no pod; give another port,"
                        " or flash the pod's firmware"
                    )
                raise LinkError(
                    f"{pod.port}: no pod answers; is it a pod, has it power, is its firmware flashed?"
                )
            await asyncio.sleep(0.01)
        names = [pod.name for pod in self.pods]
        for pod in self.pods:
            if names.count(pod.name) > 1:
                raise LinkError(
                    f"{pod.port}: another pod is called {pod.name!r} too; give each pod a name of its own"
                )

    async def _settle(self) -> None:
        """Wait until every pod's clock is known well enough to schedule sound by."""
        deadline = time.monotonic() + _CLOCK_WITHIN_S
        while True:
            self._raise_if_broken()
            unknown = [
                pod
                for pod in self.pods
                if pod.clock.map is None
                or pod.clock.map.sigma_us > _CLOCK_GOOD_US
                or not pod.stats
            ]
            if not unknown:
                return
            if time.monotonic() > deadline:
                raise LinkError(
                    f"{unknown[0].port}: the clock of {unknown[0].name} cannot be told within"
                    f" {_CLOCK_GOOD_US / 1000:.0f} ms; the link is too slow or too busy"
                )
            await asyncio.sleep(0.01)

    def _raise_if_broken(self) -> None:
        if self._task is not None and self._task.done():
            self._task.result()
        for pod in self.pods:
            if pod.refused is not None:
                raise pod.refused

    async def _close(self) -> None:
        if self._task is not None:
            if not self._task.done():
                self.stop()
                await asyncio.sleep(_FAREWELL_S)
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, DreampodsError):
                await self._task
        for line in self._lines:
            if line.port is not None:
                line.port.close()
        if self.virtual is not None:
            await self.virtual.close()


def open_pods(
    pods: str, *, recordings: Path | str | None = None, folder: Path | str | None = None
) -> Fleet:
    """The pods named by `pods`, to be used in `async with`.

    Args:
        pods: ports separated by commas, or ``virtual:N`` for N virtual pods started for the occasion.
        recordings: for virtual pods: a folder of recordings their sleepers play; the recordings in
            published packages if None (see `dreampods.recordings`).
        folder: for virtual pods: where each keeps its files, among them what it played
            (``i2s-1.pcm``); a temporary folder if None.

    Raises:
        LinkError: a port that cannot be opened, or no pod on it (on entering).
    """
    kind, _, count = pods.partition(":")
    if kind == "virtual":
        if not count.isdecimal() or not 1 <= int(count) <= MOST_PODS:
            raise LinkError(
                f"{pods}: say how many virtual pods, 1 to {MOST_PODS}, as in virtual:8"
            )
        return Fleet(
            [],
            VirtualPods(
                int(count),
                recordings=None if recordings is None else Path(recordings),
                folder=None if folder is None else Path(folder),
            ),
        )
    return Fleet([port.strip() for port in pods.split(",") if port.strip()])
