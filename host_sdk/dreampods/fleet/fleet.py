"""The asyncio shell around the pods: it opens ports, moves bytes, and keeps the time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from dreampods.errors import DreampodsError, LinkError
from dreampods.link import SerialPort
from dreampods.virtual import MOST_PODS, VIRTUAL_BOARDS, VirtualPods

from .pod import News, Pod

if TYPE_CHECKING:
    from dreampods.link.tcp_port import TcpPort, Trust

_NETWORK = "tcp://"
_TICK_S = 0.005
_TICKS_PER_PROBE = 16  # a pod's clock is probed once in so many ticks at most, where pods are many
_REOPEN_AFTER_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # a port that has failed so often in a row
_ANSWER_WITHIN_S = 6.0
_ANSWER_BY_NETWORK_WITHIN_S = 20.0  # a small chip computes for seconds before it lets us in
_CLOCK_WITHIN_S = 4.0
_CLOCK_GOOD_US = 1000.0
_FAREWELL_S = 0.3


class _Line:
    """A pod and its port, which may be gone for a while."""

    def __init__(self, pod: Pod, trust: Trust | None) -> None:
        self.pod = pod
        self.port: SerialPort | TcpPort | None = None
        self.trouble = ""  # why the port was last lost
        self._trust = trust
        self._failures = 0
        self._reopen_ns = 0

    def open(self) -> None:
        if not self.pod.port.startswith(_NETWORK):
            self.port = SerialPort(self.pod.port, self._on_bytes, self._on_gone)
            return
        from dreampods.link.tcp_port import TcpPort

        assert self._trust is not None
        self.port = TcpPort(self.pod.port, self._on_bytes, self._on_gone, self._trust)

    def _on_bytes(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        self._failures = 0
        self.pod.receive(data, now_ns)
        if self.port is not None:  # an acknowledgement may have made room for more
            self.port.write(self.pod.outgoing(now_ns))

    def _on_gone(self, reason: str) -> None:
        self.port = None
        self.trouble = reason
        self._rest()
        self.pod.lose(time.monotonic_ns(), f"the port is gone ({reason})")

    def _rest(self) -> None:
        wait_s = _REOPEN_AFTER_S[min(self._failures, len(_REOPEN_AFTER_S) - 1)]
        self._reopen_ns = time.monotonic_ns() + int(wait_s * 1e9)
        if self.pod.port.startswith(_NETWORK):  # a cable is looked at, which costs nobody anything
            self._failures += 1

    def tick(self, now_ns: int) -> None:
        if self.port is None:
            if now_ns < self._reopen_ns:
                return
            try:
                self.open()
            except LinkError:
                self._rest()  # not back yet
                return
        if self.port is not None and self.port.connected:
            self.port.write(self.pod.outgoing(now_ns))

    def probe(self) -> bool:
        """Probe the pod's clock if it is time; whether that was so."""
        if self.port is None or not self.port.clear:
            return False  # behind a backlog a probe would only measure the backlog
        probe = self.pod.probe(time.monotonic_ns())
        self.port.write(probe)
        return bool(probe)


class Fleet:
    """Open pods. Use `async with open_pods(...) as fleet`."""

    def __init__(
        self, ports: list[str], virtual: VirtualPods | None = None, trust: Trust | None = None
    ) -> None:
        if not ports and virtual is None:
            raise LinkError("no pods given; name ports, or virtual:8 for eight virtual pods")
        self.virtual = virtual
        self._ports = ports
        self._trust = trust
        self._lines: list[_Line] = []
        self._task: asyncio.Task[None] | None = None
        self._probed = 0  # the line whose turn to be probed is next
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
                if self.virtual.fleet is not None:
                    self._trust = _trust(self.virtual.fleet)
            for number, path in enumerate(self._ports, 1):
                line = _Line(Pod(path, f"pod-{number}"), self._trust)
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
            self._probe()
            due += _TICK_S
            late = time.monotonic() - due
            if late > 0:
                self.lag_worst_s = max(self.lag_worst_s, late)
                due = time.monotonic()
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def _probe(self) -> None:
        """Probe a few of the clocks that are due, after all other bytes are out.

        Pods that are asked in one breath answer in one breath: all but the first wait for a processor, a hub
        or our own reading, one way only and each time alike, which no two-way method can see. A pod wants
        some ten probes a second, so that an even share of each tick is enough for all.
        """
        share = -(-len(self._lines) // _TICKS_PER_PROBE)
        for turn in range(len(self._lines)):
            line = self._lines[(self._probed + turn) % len(self._lines)]
            if line.probe():
                share -= 1
                if not share:
                    self._probed = (self._probed + turn + 1) % len(self._lines)
                    return

    async def _meet(self) -> None:
        """Wait until every pod has said what it is."""
        network = any(port.startswith(_NETWORK) for port in self._ports)
        within_s = _ANSWER_BY_NETWORK_WITHIN_S if network else _ANSWER_WITHIN_S
        deadline = time.monotonic() + within_s
        while any(pod.state != "ready" for pod in self.pods):
            self._raise_if_broken()
            if time.monotonic() > deadline:
                line = next(line for line in self._lines if line.pod.state != "ready")
                pod = line.pod
                if line.trouble:
                    raise LinkError(f"{pod.port}: {line.trouble}")
                if pod.stray:
                    raise LinkError(
                        f"{pod.port}: a device is there and sends{_quoted(pod.stray)}, but it is no pod;"
                        " give another port, or flash the pod's firmware"
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


def _quoted(stray: bytes) -> str:
    """The error in what a board printed, or the last line of it, if these are words."""
    lines = [line.strip() for line in stray.decode(errors="replace").splitlines()]
    words = [line for line in lines if line.isprintable() and any(map(str.isalpha, line))]
    errors = [line for line in words if "Error" in line]
    return f" {(errors or words)[-1][:80]!r}" if words else ""


def _trust(fleet: Path | str) -> Trust:
    """What opens the pods of the fleet in this folder."""
    try:
        from dreampods.link.tcp_port import Trust
        from dreampods.registry import FleetFolder
    except ImportError:
        raise LinkError(
            "pods on the network need cryptography and zeroconf: pip install 'dreampods[network]'"
        ) from None
    return Trust(FleetFolder.load(fleet))


def open_pods(
    pods: str,
    *,
    recordings: Path | str | None = None,
    folder: Path | str | None = None,
    fleet: Path | str = "fleet",
) -> Fleet:
    """The pods named by `pods`, to be used in `async with`.

    Args:
        pods: ports separated by commas, or ``virtual:N`` for N virtual pods started for the occasion,
            ``virtual-full:N`` for such with every part there is, ``virtual-wifi:N`` for such on a
            network. A port is a serial port, or ``tcp://NAME.local`` or ``tcp://ADDRESS``.
        recordings: for virtual pods: a folder of recordings their sleepers play; the recordings in
            published packages if None (see `dreampods.recordings`).
        folder: for virtual pods: where each keeps its files, among them what it played
            (``i2s-1.pcm``); a temporary folder if None.
        fleet: for pods on a network: the folder of their fleet's keys (see `dreampods.registry`).

    Raises:
        LinkError: a port that cannot be opened, or no pod on it (on entering).
        FleetError: the fleet's folder is missing or spoilt, and a pod is on the network.
    """
    kind, _, count = pods.partition(":")
    if kind in VIRTUAL_BOARDS:
        if not count.isdecimal() or not 1 <= int(count) <= MOST_PODS:
            raise LinkError(
                f"{pods}: say how many virtual pods, 1 to {MOST_PODS}, as in virtual:8"
            )
        return Fleet(
            [],
            VirtualPods(
                int(count),
                board=kind,
                recordings=None if recordings is None else Path(recordings),
                folder=None if folder is None else Path(folder),
            ),
        )
    ports = [port.strip() for port in pods.split(",") if port.strip()]
    network = any(port.startswith(_NETWORK) for port in ports)
    return Fleet(ports, trust=_trust(fleet) if network else None)
