"""Drivers in MicroPython itself: what they allocate."""

from __future__ import annotations

from test_micropython import run


def test_sampling_and_polling_allocate_nothing() -> None:
    told = dict(line.split(" ", 1) for line in run("driver_memory.py").splitlines())
    assert told.pop("litter") == "allocates"
    assert told.pop("counts") == "10 0 True True"
    assert set(told.values()) == {"ok"}
    assert len(told) == 7
