"""The parts that exist, from `parts.toml`: what each needs from a board, and how it is wired."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

_PARTS = Path(__file__).parent / "parts.toml"


@dataclass(frozen=True)
class Driver:
    """A kind of part. The units and the meaning of each value stand on top of `parts.toml`."""

    name: str
    title: str
    datasheet: str
    link: str
    volts: float
    current_ma: float
    note: str
    pins: Mapping[str, str]
    wires: Mapping[str, str]
    settings: tuple[str, ...]
    options: Mapping[str, list[Any]] = field(default_factory=dict)
    bus: str | None = None
    addresses: Mapping[str, int] = field(default_factory=dict)
    rates_hz: tuple[int, ...] = ()
    most_channels: int = 0
    values: int = 0
    sample_bytes: int = 0
    per_count: bool = False

    @property
    def supply(self) -> str:
        """What feeds it: 3V3 or 5V."""
        return "5V" if "5V" in self.wires.values() else "3V3"


@cache
def drivers() -> Mapping[str, Driver]:
    """All drivers by name."""
    tables = tomllib.loads(_PARTS.read_text(encoding="utf-8"))
    found = {}
    for name, table in tables.items():
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
        }
        found[name] = Driver(name=name, **values)
    return found
