"""Virtual pods for a fleet: starts their supervisor, and says where their ports are."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from dreampods.errors import LinkError

from .board import BOARD

MOST_PODS = 64

_START_WITHIN_S = 120.0
_LINE_LIMIT = 1 << 20


class VirtualPods:
    """`count` virtual pods in a process of their own, which outlives us long enough to fall silent."""

    def __init__(
        self,
        count: int,
        *,
        board: str = BOARD,
        recordings: Path | None = None,
        folder: Path | None = None,
    ) -> None:
        self.count = count
        self._board = board
        self._recordings = recordings
        self._temporary = None if folder else tempfile.TemporaryDirectory(prefix="dreampods-")
        self.folder = folder or Path(self._temporary.name if self._temporary else ".")
        self.pods: list[dict[str, Any]] = []
        self.fleet: Path | None = None  # the folder of its keys, if they are on the network
        self._process: asyncio.subprocess.Process | None = None

    def _card(self, pod: dict[str, Any]) -> dict[str, Any]:
        card = json.loads((Path(pod["folder"]) / "tape" / "tape.json").read_text())
        assert isinstance(card, dict)
        return card

    @property
    def credits(self) -> list[str]:
        """Whose recordings the sleepers are, a line for each source."""
        return list(dict.fromkeys(self._card(pod)["credit"] for pod in self.pods))

    @property
    def sleepers(self) -> dict[str, str]:
        """By pod name, which stretch of the recordings its sleeper is."""
        return {pod["name"]: self._card(pod)["stretches"] or "recording" for pod in self.pods}

    def material_s(self, name: str) -> float | None:
        """After how many seconds the shortest recording of a pod's sleeper begins again."""
        for pod in self.pods:
            if pod["name"] == name:
                return min(
                    float(signal["seconds"]) for signal in self._card(pod)["signals"].values()
                )
        return None

    async def start(self) -> list[str]:
        """Power on; returns the ports.

        Raises:
            LinkError, RecordingError: what is missing for it.
        """
        wanted = {
            "count": self.count,
            "board": self._board,
            "folder": str(self.folder.resolve()),
            "recordings": str(self._recordings.resolve()) if self._recordings else None,
        }
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "dreampods.virtual.supervisor",
            json.dumps(wanted),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_LIMIT,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), _START_WITHIN_S)
        except TimeoutError:
            raise LinkError(
                f"the virtual pods did not start within {_START_WITHIN_S:.0f} s"
            ) from None
        answer: dict[str, Any] = (
            json.loads(line) if line.strip() else {"error": "the virtual pods did not start"}
        )
        if "error" in answer:
            raise LinkError(answer["error"])
        self.pods = answer["pods"]
        self.fleet = Path(answer["fleet"]) if answer["fleet"] else None
        return [str(pod["port"]) for pod in self.pods]

    async def close(self) -> None:
        """Power off."""
        if self._process is not None and self._process.returncode is None:
            assert self._process.stdin is not None
            with contextlib.suppress(ConnectionError):
                self._process.stdin.write(b"off\n")
                await self._process.stdin.drain()
            await self._process.wait()
        if self._temporary is not None:
            self._temporary.cleanup()
