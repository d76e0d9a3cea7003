"""From a board's file to a `Board`, every key checked, every conflict refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .board import Board, Bus, Flash, Limits, Part, Supply
from .chips import CHIPS
from .drivers import Driver, drivers
from .headers import HEADERS
from .rules import first_conflict
from .sheet import Sheet, read_sheet

_BUS_LINES = {"i2c": ("sda", "scl"), "soft_i2c": ("sda", "scl"), "spi": ("sck", "mosi", "miso")}
_MOST_HZ = {"i2c": 1_000_000, "soft_i2c": 400_000, "spi": 20_000_000}
_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")
_NOT_NAMES = ("sound", "collective")
_DBA = (40.0, 130.0)
_EVENTS = ("wake", "stop")
_MOST_LIGHTS = 64
_LONGEST_TITLE = 40


def load_board(name_or_path: str | Path) -> Board:
    """A shipped board by its name, or a board file by its path (ending in .toml).

    Raises BoardError naming file, line where known, key, and reason.
    """
    sheet, name = read_sheet(name_or_path)
    board = _board(sheet, name)
    sheet.done()
    conflict = first_conflict(board)
    if conflict:
        sheet.fail(*conflict)
    return board


def _board(sheet: Sheet, name: str) -> Board:
    chip = CHIPS[sheet.choice("chip", CHIPS)]
    reserved = sheet.table("reserved")
    buses, parts = sheet.table("bus"), sheet.table("part")
    return Board(
        name=name,
        title=_title(sheet),
        chip=chip,
        header=sheet.choice("header", HEADERS),
        link=sheet.choice("link", ("usb", "tcp")),
        flash=_flash(sheet.table("flash")),
        supply=_supply(sheet.table("supply")),
        reserved=_reserved(reserved),
        buses={key: _bus(buses.table(key), key) for key in _names(buses)},
        parts=tuple(_part(parts.table(key), key) for key in _names(parts)),
        sound=_sound(sheet.table("sound")),
        limits=_limits(sheet.table("limits")),
    )


def _title(sheet: Sheet) -> str:
    title = sheet.text("title")
    if len(title) > _LONGEST_TITLE or not title.isprintable():
        sheet.fail("title", f"must be one line of at most {_LONGEST_TITLE} characters")
    return title


def _names(table: Sheet) -> list[str]:
    """The names in a table of parts, buses or inputs, without those that `= false` takes away."""
    names = [name for name in table.names() if not table.is_absent(name)]
    for name in names:
        if not _NAME.fullmatch(name) or name in _NOT_NAMES:
            table.fail(
                name,
                "a name is up to 20 small letters, digits and -, and not one of the pod's own",
            )
    return names


def _flash(table: Sheet) -> Flash:
    flash = Flash(table.integer("base", 0, 0x3FFFFFFF), table.integer("bytes", 65536, 1 << 28))
    table.done()
    if flash.bytes % 4096 or flash.base % 4096:
        table.fail("bytes", "base and bytes must be multiples of 4096, the flash's own block")
    return flash


def _supply(table: Sheet) -> Supply:
    supply = Supply(table.text("source"), table.number("regulator_ma", 1, 5000))
    table.done()
    return supply


def _reserved(table: Sheet) -> dict[int, str]:
    found = {}
    for key in table.names():
        if not key.isascii() or not key.isdigit() or len(key) > 2:
            table.fail(key, "must be the number of a pin")
        if not table.is_absent(key):
            found[int(key)] = table.text(key)
    return found


def _bus(table: Sheet, name: str) -> Bus:
    kind = table.choice("kind", _BUS_LINES)
    bus = Bus(
        name,
        kind,
        table.integer("id", 0, 2),
        {line: table.pin(line) for line in _BUS_LINES[kind]},
        table.integer("freq_hz", 10_000, _MOST_HZ[kind]),
    )
    table.done()
    return bus


def _part(table: Sheet, name: str) -> Part:
    driver = drivers()[table.choice("driver", drivers())]
    if driver.name == "max98357a":
        table.fail("driver", "the amplifier stands under [sound]")
    part = _wired(table, name, driver)
    table.done()
    return part


def _wired(table: Sheet, name: str, driver: Driver) -> Part:
    """The part with what its driver asks for; what it has no use for is left for `done` to refuse."""
    on_bus = driver.bus in ("i2c", "spi")
    if on_bus and "bus" not in table:
        table.fail("bus", f"is missing: {driver.name} needs an {driver.bus} bus")
    address = None
    if driver.addresses:
        address = table.whole("address", 0x08, 0x77, next(iter(driver.addresses.values())))
        if address not in driver.addresses.values():
            known = ", ".join(f"0x{one:02X}" for one in driver.addresses.values())
            table.fail(
                "address", f"0x{address:02X} is no address of {driver.name}; it has {known}"
            )
    pins = table.table("pins")
    for pin in driver.pins:
        if pin not in pins:
            table.fail("pins", f"{driver.name} needs a pin {pin!r}")
    part = Part(
        name,
        driver,
        bus=table.text("bus") if on_bus else None,
        address=address,
        i2s=table.integer("i2s", 0, 1) if driver.bus == "i2s" else None,
        pins={pin: pins.pin(pin) for pin in driver.pins},
        settings={key: _setting(table, key, driver) for key in driver.settings}
        | {key: _option(table, key, of) for key, of in driver.options.items() if key in table},
        onboard=table.flag("onboard", False),
    )
    pins.done()
    return part


def _setting(table: Sheet, key: str, driver: Driver) -> Any:
    if key == "rate_hz":
        rate = table.integer(key, 1, 100_000)
        if rate not in driver.rates_hz:
            known = ", ".join(map(str, driver.rates_hz))
            table.fail(key, f"{driver.name} does not sample at {rate} Hz; it can at {known}")
        return rate
    if key == "channels":
        names = table.texts(key)
        if len(names) > driver.most_channels:
            table.fail(key, f"{driver.name} has {driver.most_channels} channels, not {len(names)}")
        return list(names)
    if key == "inputs":
        return _inputs(table.table(key), driver)
    if key == "event":
        return table.choice(key, _EVENTS)
    if key == "unit":
        return table.text(key)
    if key == "scale":
        return _scale(table)
    if key == "offset":
        return table.number(key, -1e6, 1e6, 0.0)
    if key == "divider":
        return table.number(key, 1, 20)
    least, most = {"block": (1, 1000), "count": (1, _MOST_LIGHTS)}[key]
    return table.integer(key, least, most)


def _option(table: Sheet, key: str, of: list[Any]) -> str | int | float:
    """One of the texts in `of`, or a number within its two; a whole one if they are whole."""
    if isinstance(of[0], str):
        return table.choice(key, of)
    low, high = of
    return table.integer(key, low, high) if isinstance(low, int) else table.number(key, low, high)


def _inputs(table: Sheet, driver: Driver) -> list[dict[str, Any]]:
    if not 0 < len(_names(table)) <= driver.most_channels:
        table.fail("", f"{driver.name} takes 1 to {driver.most_channels} inputs")
    found: list[dict[str, Any]] = []
    for stream in _names(table):
        one = table.table(stream)
        number = one.integer("input", 0, driver.most_channels - 1)
        if any(number == other["input"] for other in found):
            one.fail("input", f"input {number} is taken already")
        found.append(
            {
                "stream": stream,
                "input": number,
                "unit": one.text("unit"),
                "scale": _scale(one),
                "offset": one.number("offset", -1e6, 1e6, 0.0),
            }
        )
        one.done()
    return found


def _scale(table: Sheet) -> float:
    scale = table.number("scale", -1e6, 1e6, 1.0)
    if scale == 0:
        table.fail("scale", "0 would make every sample the same")
    return scale


def _sound(table: Sheet) -> Part:
    name = table.choice("driver", ("max98357a",))
    amplifier = _wired(table, "sound", drivers()[name])
    bounds = {
        "rate_hz": (8000, 96000),
        "channels": (1, 2),
        "ring_frames": (64, 16384),
        "dma_frames": (0, 16384),
        "chunk_frames": (16, 2048),
        "slots": (2, 256),
    }
    settings: dict[str, Any] = {key: table.integer(key, *bounds[key]) for key in bounds}
    if table.choice("codec", ("pcm16", "ima"), "pcm16") == "ima":
        settings["codec"] = "ima"  # sound comes to the pod in a quarter of the bytes
    table.done()
    return Part(
        "sound", amplifier.driver, i2s=amplifier.i2s, pins=amplifier.pins, settings=settings
    )


def _limits(table: Sheet) -> Limits:
    limits = Limits(
        full_scale_dba=table.number("full_scale_dba", *_DBA),
        ceiling_dba=table.number("ceiling_dba", 0, 60),
        hard_dba=table.number("hard_dba", 0, 75),
    )
    if limits.ceiling_dba > limits.hard_dba:
        table.fail("ceiling_dba", f"is above hard_dba = {limits.hard_dba:g}")
    table.done()
    return limits
