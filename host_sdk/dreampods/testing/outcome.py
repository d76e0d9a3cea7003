"""What came of a self-test: an item for each thing tested, an outcome for each pod."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["ok", "failed", "not fitted"]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing tested. If it failed, `text` says what is wrong and what to try."""

    name: str
    status: Status
    text: str
    pins: dict[str, int] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    """What came of one pod. `error` says why it could not be tested to the end; empty if it was."""

    port: str
    name: str = ""
    uid: str = ""
    board: str = ""
    firmware: str = ""
    items: list[Item] = field(default_factory=list)
    error: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """True if it was tested to the end and nothing failed."""
        return not self.error and all(item.status != "failed" for item in self.items)

    def item(self, name: str) -> Item | None:
        """The item of that name, if it was tested."""
        return next((item for item in self.items if item.name == name), None)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "passed": self.passed}
