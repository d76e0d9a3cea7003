"""What a rig needs beside pods: what their I2S really played, their true clocks, and a cable to spoil."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dreampods.fleet import Pod
from dreampods.link import SerialPort


def true_pod_us(pod: Pod, folder: Path, host_ns: float) -> float:
    """What a virtual pod's 32-bit clock truly reads at a host time (not counted on over wraps)."""
    power_on = json.loads((folder / "power-on.json").read_text())
    elapsed = host_ns * 1e-3 - power_on["true_us"]
    counted = elapsed * (1 + power_on["ppb"] * 1e-9)
    return ((pod.boot_id & 3) * 2**30 + power_on["ticks"] + counted) % 2**32


def wrapped(difference_us: float) -> float:
    """A difference of two 32-bit clock readings, as the small one it must be."""
    return (difference_us + 2**31) % 2**32 - 2**31


LOOP_MOST_MS = 20  # no turn of a pod's loop takes longer
_WITHOUT_MEMORY = ("breath", "skin-conductance")  # the ADC's next conversion overwrites the last


def lost_samples(pod: dict[str, Any]) -> dict[str, int]:
    """What a virtual pod of a session's summary lost, by stream, without what its computer took from it.

    A computer with more to do than it can leaves a pod's process waiting, longer than any turn of a board's
    loop takes; what has no memory of its own is gone by then, and only then excused.
    """
    excused = _WITHOUT_MEMORY if pod["loop_worst_ms"] > LOOP_MOST_MS else ()
    return {
        stream["name"]: stream["lost"]
        for stream in pod["streams"]
        if stream["lost"] and stream["name"] not in excused
    }


class Played:
    """What a virtual pod's I2S has played since its last power-on, with the true time of each frame."""

    def __init__(self, folder: Path) -> None:
        number = len(list(folder.glob("i2s-*.json")))
        head = json.loads((folder / f"i2s-{number}.json").read_text())
        raw = np.fromfile(folder / f"i2s-{number}.pcm", "<i2")
        self.pcm = raw[: len(raw) // head["channels"] * head["channels"]].reshape(
            -1, head["channels"]
        )
        self.start_us = float(head["start_us"])
        self.frame_us = float(head["frame_us"])

    def frame(self, host_ns: float) -> int:
        """The frame that began to play at a true time."""
        return round((host_ns * 1e-3 - self.start_us) / self.frame_us)

    def host_ns(self, frame: float) -> float:
        """True time of a frame."""
        return (self.start_us + frame * self.frame_us) * 1e3

    def between(self, start_ns: float, end_ns: float) -> np.ndarray:
        """Frames that played in a span of true time."""
        return self.pcm[max(0, self.frame(start_ns)) : self.frame(end_ns)]


class Faulty:
    """A cable between a pod and a host that can be told to spoil bytes, in both directions."""

    def __init__(self, pod_port: str) -> None:
        self.spoil: Callable[[bytes], bytes] = lambda data: data
        self._near, far = pty.openpty()
        tty.setraw(far)
        self._far = far
        os.set_blocking(self._near, False)
        self.port = os.ttyname(far)
        self._pod = SerialPort(pod_port, self._to_host, lambda reason: None)
        asyncio.get_running_loop().add_reader(self._near, self._to_pod)

    def _to_host(self, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._near, self.spoil(data))

    def _to_pod(self) -> None:
        self._pod.write(self.spoil(os.read(self._near, 65536)))

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._near)
        self._pod.close()
        os.close(self._near)
        os.close(self._far)
