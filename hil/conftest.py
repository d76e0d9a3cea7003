"""The rig: `pytest hil` runs on virtual pods, `pytest hil --pods PORT,PORT` on those plugged in.

Tests that need to know the truth (what the crystal really does, what the I2S really played) or to
harm a pod need virtual ones, and are skipped with that reason elsewhere. Tests measure what they
assert on their own pods; each figure is printed, and kept in the junit properties.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dreampods as dp

# A run in the background is started with Ctrl-C ignored, and what it starts would ignore it too
signal.signal(signal.SIGINT, signal.default_int_handler)

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pods", default="virtual:3", help="virtual:N, or ports separated by commas")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "virtual: needs virtual pods (their truth, or to harm them)"
    )
    config.addinivalue_line("markers", "soak: longer than a change waits for; `make soak` runs it")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not os.environ.get("DREAMPODS_SOAK"):
        for item in items:
            if item.get_closest_marker("soak"):
                item.add_marker(pytest.mark.skip(reason="`make soak` runs it"))
    if not config.getoption("--pods").startswith("virtual:"):
        for item in items:
            if item.get_closest_marker("virtual"):
                item.add_marker(pytest.mark.skip(reason="needs virtual pods"))


@pytest.fixture
def run() -> Run:
    """Run a coroutine to its end."""
    return asyncio.run


@pytest.fixture
def measured(
    record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> Callable[..., None]:
    """Keep a figure: `measured(name, value, unit)`."""

    def keep(name: str, value: float, unit: str) -> None:
        record_property(name, f"{value:.6g} {unit}")
        with capsys.disabled():
            print(f"\n    {name}: {value:.4g} {unit}", end="", file=sys.stderr)

    return keep


@pytest.fixture
def tapes(tmp_path: Path) -> Path:
    """A folder of recordings for virtual sleepers, of known truth: sines, so that any error shows."""
    seconds, rate = 60, 50
    t = np.arange(seconds * rate) / rate
    np.savetxt(tmp_path / "sine.csv", np.sin(2 * np.pi * 1.0 * t))
    np.savez(
        tmp_path / "eeg.npz",
        eeg=50 * np.sin(2 * np.pi * 10 * np.arange(seconds * 250) / 250)[:, None],
    )
    entry = """
[[sleeper]]
name = "s{0}"
credit = "made for this test"
eeg = {{ file = "eeg.npz", array = "eeg", rate_hz = 250, unit = "uV" }}
pulse = {{ file = "sine.csv", rate_hz = 50 }}
breath = {{ file = "sine.csv", rate_hz = 50 }}
"""
    (tmp_path / "sleepers.toml").write_text("".join(entry.format(i) for i in range(8)))
    return tmp_path


@pytest.fixture
def open_rig(
    pytestconfig: pytest.Config, tmp_path: Path, tapes: Path
) -> Iterator[Callable[..., dp.Fleet]]:
    """The pods under test: `async with open_rig() as fleet`."""

    def open_them(pods: str | None = None) -> dp.Fleet:
        return dp.open_pods(
            pods or pytestconfig.getoption("--pods"), recordings=tapes, folder=tmp_path / "pods"
        )

    yield open_them
