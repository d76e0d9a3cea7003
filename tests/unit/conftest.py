"""Boards for the tests of drivers: see `driver_bench`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from driver_bench import LONGEST_STEP_US, Bench


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Bench]:
    board = Bench(monkeypatch)
    board.folder = tmp_path
    yield board
    assert board.longest_step_us <= LONGEST_STEP_US


@pytest.fixture
def soft_bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A board like the ESP32."""
    return Bench(monkeypatch, hard_interrupts=False)
