"""Strict reading of a TOML file that people write by hand.

tomllib says where the syntax is wrong, but once a file parses nobody checks it any more: a
misspelt key would silently be a default. Here a `Table` hands out each value by name with its type
and bounds, remembers what was asked for, and `done()` complains of whatever is left. Every
complaint names file, line, key, and reason, because the person reading it is an artist with an
editor open. tomllib does not keep lines, so the line is found by a second, simple walk over the
text; where that walk is unsure the message goes without it.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

from dreampods.errors import SceneError

_LARGEST = 1e9
_HEADER = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-\"'. ]+?)\s*=")


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """The 1-based line where `path` (table names, then key) is set; None if it can't be found.

    A key inside an inline table is found on the line of the key that holds that table.
    """
    here: tuple[str, ...] = ()
    best: tuple[int, int] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            here = found = _names(header.group(1))
        elif key := _KEY.match(line):
            found = here + _names(key.group(1))
        else:
            continue
        if path[: len(found)] == found and (best is None or len(found) > best[0]):
            best = (len(found), number)
    return best[1] if best else None


class Table:
    """One TOML table, read key by key; `path` is its place in the file, for messages."""

    def __init__(
        self, values: Mapping[str, object], file: Path, text: str, path: tuple[str, ...] = ()
    ) -> None:
        self._values = values
        self._file = file
        self._text = text
        self._path = path
        self._asked: set[str] = set()

    @classmethod
    def read(cls, file: Path) -> Table:
        """The root table of `file`. Raises SceneError when it is unreadable or not TOML."""
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SceneError(f"{file}: cannot be read as a text file: {error}") from error
        try:
            return cls(tomllib.loads(text), file, text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise SceneError(f"{file}: not valid TOML: {error}") from error

    @property
    def folder(self) -> Path:
        """Where the file lies: paths inside it are relative to this."""
        return self._file.parent

    def __contains__(self, key: str) -> bool:
        return self._given(key)

    def names(self) -> list[str]:
        return list(self._values)

    def fail(self, key: str, reason: str) -> NoReturn:
        """Raise the SceneError for `key` of this table (an empty key means the table itself)."""
        path = (*self._path, key) if key else self._path
        line = line_of(self._text, path)
        where = f"{self._file}:{line}" if line else f"{self._file}"
        raise SceneError(f"{where}: {'.'.join(path) or 'scene'}: {reason}")

    def _given(self, key: str) -> bool:
        self._asked.add(key)
        return key in self._values

    def _value(self, key: str) -> object:
        if not self._given(key):
            self.fail(key, "is missing")
        return self._values[key]

    def text(self, key: str, default: str | None = None) -> str:
        if default is not None and not self._given(key):
            return default
        value = self._value(key)
        if not isinstance(value, str) or not value.strip():
            self.fail(key, f"must be a text in quotes, not {value!r}")
        return value.strip()

    def choice(self, key: str, options: Iterable[str], default: str | None = None) -> str:
        value = self.text(key, default)
        known = list(options)
        if value not in known:
            self.fail(key, f"{value!r} is not one of {', '.join(known)}{nearest(value, known)}")
        return value

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        if default is not None and not self._given(key):
            return default
        return self._number(key, self._value(key), low, high)

    def _number(self, key: str, value: object, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(key, f"must be a number, not {value!r}")
        # A whole number may be too large for a float; then it is outside, whatever the bounds.
        if not low <= value <= high or abs(value) > _LARGEST:
            self.fail(key, f"{str(value)[:12]} is outside {low:g} to {high:g}")
        return float(value)

    def whole(self, key: str, low: int, high: int, default: int) -> int:
        value = self.number(key, low, high, default)
        if value != int(value):
            self.fail(key, f"must be a whole number, not {value:g}")
        return int(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self._value(key) if self._given(key) else default
        if not isinstance(value, bool):
            self.fail(key, f"must be true or false, not {value!r}")
        return value

    def numbers(self, key: str, low: float, high: float) -> tuple[float, ...]:
        """A list with at least one number."""
        value = self._value(key)
        if not isinstance(value, list) or not value:
            self.fail(key, f"must be a list of numbers such as [1, 2], not {value!r}")
        return tuple(self._number(key, item, low, high) for item in value)

    def span(
        self, key: str, low: float, high: float, default: tuple[float, float]
    ) -> tuple[float, float]:
        """A rising pair [from, to]."""
        if not self._given(key):
            return default
        pair = self.numbers(key, low, high)
        if len(pair) != 2 or pair[0] >= pair[1]:
            self.fail(key, f"must be a rising pair [from, to], not {list(pair)}")
        return pair[0], pair[1]

    def points(self, key: str) -> tuple[tuple[float, float], ...]:
        """A list of pairs of numbers; bounds are the caller's business."""
        value = self._value(key)
        if not isinstance(value, list) or not value:
            self.fail(key, f"must be a list of pairs such as [[0, 0], [4, 1]], not {value!r}")
        pairs = []
        for item in value:
            if not isinstance(item, list) or len(item) != 2:
                self.fail(key, f"{item!r} is not a pair [session_s, level]")
            first, second = (self._number(key, part, -math.inf, math.inf) for part in item)
            pairs.append((first, second))
        return tuple(pairs)

    def is_table(self, key: str) -> bool:
        return self._given(key) and isinstance(self._values[key], dict)

    def table(self, key: str) -> Table:
        """The table under `key`; an empty one where the file has none."""
        self._asked.add(key)
        value = self._values.get(key, {})
        if not isinstance(value, dict):
            self.fail(key, f"must be a table such as [{'.'.join((*self._path, key))}]")
        return Table(value, self._file, self._text, (*self._path, key))

    def done(self) -> None:
        """Every key was asked for by somebody, or the file is refused."""
        for key in self._values:
            if key not in self._asked:
                known = sorted(self._asked)
                self.fail(
                    key, f"no such key here{nearest(key, known)}; there are: {', '.join(known)}"
                )


def nearest(word: str, known: Iterable[str]) -> str:
    """`` (did you mean "x"?)``, or nothing when no name is near."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""
