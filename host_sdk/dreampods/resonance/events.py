"""Moments in signals, such as beats and breaths: one entry of each array for each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Arrays (n,), ordered by channel, then by moment. channel: of which signal."""

    moment: ClassVar[str] = "time_s"
    channel: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.channel)

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        """What several calls brought, as one; ValueError if there is no part."""
        pieces = list(parts)
        if not pieces:
            raise ValueError("parts holds nothing")
        if not all(isinstance(piece, cls) for piece in pieces):
            raise ValueError(f"parts must be {cls.__name__}, all of them")
        columns = {
            field.name: np.concatenate([getattr(piece, field.name) for piece in pieces])
            for field in fields(cls)
        }
        order = np.lexsort((columns[cls.moment], columns["channel"]))
        return cls(**{name: column[order] for name, column in columns.items()})
