"""A board's file together with the files it is like, read as one table.

Most boards differ from another in a few pins only, so a file may begin with `like = "RPI_PICO"` and
say what differs. A complaint still names the file and the line where the value stands, whichever of
the files that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from dreampods.dreamscape.tables import Table, line_of, nearest
from dreampods.errors import BoardError, SceneError

BOARDS_FOLDER = Path(__file__).parent.parent / "firmware" / "boards"


@dataclass(frozen=True)
class _Layer:
    """One file, as it stands on disk."""

    file: Path
    text: str
    values: Mapping[str, object]


class Sheet(Table):
    """A table of a board's file; `done()` and the getters are those of every TOML file here."""

    def __init__(
        self, values: Mapping[str, object], layers: tuple[_Layer, ...], path: tuple[str, ...] = ()
    ) -> None:
        super().__init__(values, layers[0].file, layers[0].text, path)
        self._layers = layers

    def fail(self, key: str | tuple[str, ...], reason: str) -> NoReturn:
        """Raise the BoardError for `key` of this table (an empty one means the table itself)."""
        inner = (key,) if isinstance(key, str) and key else tuple(key)
        path = (*self._path, *inner)
        layer = next((one for one in self._layers if _holds(one.values, path)), self._layers[0])
        line = line_of(layer.text, path) if path else None
        where = f"{layer.file}:{line}" if line else f"{layer.file}"
        told = f"{where}: {'.'.join(path) or 'board'}: {reason}"
        raise BoardError(" ".join(told.split()))  # a key in quotes may hold a line end

    def table(self, key: str) -> Sheet:
        """The table under `key`; an empty one where no file has it."""
        plain = super().table(key)
        return Sheet(plain._values, self._layers, plain._path)

    def is_absent(self, key: str) -> bool:
        """Whether `key = false` takes away what the other file has there."""
        return self._given(key) and self._values[key] is False

    def pin(self, key: str) -> int:
        """The number of a GPIO; whether the chip has it is for the rules to say."""
        return self.integer(key, 0, 99)

    def integer(self, key: str, low: int, high: int) -> int:
        """A whole number that must be there."""
        self._value(key)
        return self.whole(key, low, high, low)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list with at least one text, no two alike."""
        value = self._value(key)
        if not isinstance(value, list) or not value:
            self.fail(key, f'must be a list of names such as ["eeg-1"], not {value!r}')
        for item in value:
            if not isinstance(item, str) or not item.strip() or value.count(item) > 1:
                self.fail(key, f"{item!r} is not a name of its own")
        return tuple(value)


def read_sheet(name_or_path: str | Path) -> tuple[Sheet, str]:
    """The sheet of a shipped board by its name or of any file by its path, and the board's name."""
    file = _file(name_or_path)
    layers: list[_Layer] = []
    while True:
        layers.append(_layer(file))
        like = layers[-1].values.get("like")
        if like is None:
            break
        head = Sheet(layers[-1].values, (layers[-1],))
        if not isinstance(like, str) or like not in board_names():
            head.fail(
                "like",
                f"{like!r} is no shipped board{nearest(str(like), board_names())}; "
                f"there are: {', '.join(board_names())}",
            )
        file = _file(like)
        if any(file.resolve() == layer.file.resolve() for layer in layers):
            head.fail("like", f"{like} is like this board itself; one of them must stand alone")
    values: dict[str, object] = {}
    for layer in reversed(layers):
        values = _over(values, layer.values)
    values.pop("like", None)
    return Sheet(values, tuple(layers)), layers[0].file.stem


def board_names() -> list[str]:
    """The boards that ship with dreampods."""
    return sorted(path.stem for path in BOARDS_FOLDER.glob("*.toml"))


def _file(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix != ".toml":
        if str(name_or_path) not in board_names():
            raise BoardError(
                f"no board {str(name_or_path)!r}{nearest(str(name_or_path), board_names())}; "
                f"there are: {', '.join(board_names())}; or give a path ending in .toml"
            )
        return BOARDS_FOLDER / f"{name_or_path}.toml"
    if not path.is_file():
        raise BoardError(f"{path}: no such board file; shipped boards: {', '.join(board_names())}")
    return path


def _layer(file: Path) -> _Layer:
    try:
        table = Table.read(file)
    except SceneError as error:
        raise BoardError(" ".join(str(error).split())) from None
    return _Layer(file, table._text, table._values)


def _over(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    """Table by table, what is said above holds over what is said below."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        both = isinstance(under, dict) and isinstance(value, dict)
        merged[key] = _over(under, value) if both else value  # type: ignore[arg-type]
    return merged


def _holds(values: object, path: tuple[str, ...]) -> bool:
    for key in path:
        if not isinstance(values, Mapping) or key not in values:
            return False
        values = values[key]
    return True
