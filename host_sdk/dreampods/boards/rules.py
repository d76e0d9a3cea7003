"""What must not be on a board: two parts on one pin, a pin that cannot do its work, and the like.

Each rule is a generator over a `Board` and yields where the mistake stands (the path of a key in the
board's file) and one line that says what is wrong and what to take instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from dreampods.firmware.dreampod import wire

from .board import Board, Bus, Part
from .chips import EXACT_RATES_HZ

Path: TypeAlias = tuple[str, ...]
Conflict: TypeAlias = tuple[Path, str]


class Claim(NamedTuple):
    """A pin, who wants it, and as what: "out", "in", "adc", or "both" for a line of a bus."""

    pin: int
    path: Path
    owner: str
    role: str
    onboard: bool


def first_conflict(board: Board) -> Conflict | None:
    """Where the first mistake stands and what it is; None for a board that can be built."""
    for rule in _RULES:
        for conflict in rule(board):
            return conflict
    return None


def path_of(part: Part) -> Path:
    """Where a part stands in the board's file."""
    return ("sound",) if part.name == "sound" else ("part", part.name)


def claims(board: Board) -> list[Claim]:
    """Every pin somebody wants; the lines of a bus once, however many parts share them."""
    found = []
    for bus in board.buses.values():
        for line, pin in bus.pins.items():
            role = "in" if line == "miso" else "both"
            found.append(Claim(pin, ("bus", bus.name, line), f"{bus.name} {line}", role, False))
    for part in board.all_parts:
        for line, pin in part.pins.items():
            path = (*path_of(part), "pins", line)
            role = part.driver.pins[line]
            found.append(Claim(pin, path, f"{part.name} {line}", role, part.onboard))
    return found


def _chip_suits_the_header(board: Board) -> Iterator[Conflict]:
    chips = board.pin_map.chips
    if board.chip.name not in chips:
        yield (
            ("header",),
            f"a {board.header} board has {' or '.join(chips)}, not {board.chip.name}",
        )


def _pins_exist(board: Board) -> Iterator[Conflict]:
    for claim in claims(board):
        if claim.pin not in board.chip.pins:
            yield claim.path, f"the {board.chip.title} has no pin {claim.pin}"


def _pins_are_free(board: Board) -> Iterator[Conflict]:
    for claim in claims(board):
        if claim.onboard:
            continue
        why = board.chip.avoid.get(claim.pin) or board.reserved.get(claim.pin)
        if why:
            yield claim.path, f"pin {claim.pin} is not free: {why}; take another pin"
        elif claim.pin not in board.pin_map.by_gpio:
            yield claim.path, f"pin {claim.pin} is on no header of this board; take another pin"


def _pins_have_one_owner(board: Board) -> Iterator[Conflict]:
    owners: dict[int, str] = {}
    for claim in claims(board):
        if claim.pin in owners:
            yield (
                claim.path,
                f"pin {claim.pin} is wanted by {owners[claim.pin]} and {claim.owner};"
                " move one of them",
            )
        owners[claim.pin] = claim.owner


def _pins_can_do_it(board: Board) -> Iterator[Conflict]:
    chip = board.chip
    for claim in claims(board):
        if claim.role == "adc" and claim.pin not in chip.adc_pins:
            good = ", ".join(map(str, sorted(chip.adc_pins)))
            yield claim.path, f"pin {claim.pin} cannot measure a voltage; those that can: {good}"
        if claim.role in ("out", "both") and claim.pin in chip.input_only:
            yield claim.path, f"pin {claim.pin} is an input only and cannot drive {claim.owner}"


def _buses_fit_their_pins(board: Board) -> Iterator[Conflict]:
    taken: dict[tuple[str, int], str] = {}
    for bus in board.buses.values():
        path = ("bus", bus.name)
        if bus.kind == "soft_i2c":
            continue
        ids = board.chip.spi_ids if bus.kind == "spi" else (0, 1)
        if bus.id not in ids:
            known = " and ".join(map(str, ids))
            yield (*path, "id"), f"the {board.chip.title} has {bus.kind} {known}, not {bus.id}"
        if (bus.kind, bus.id) in taken:
            other = taken[bus.kind, bus.id]
            yield (*path, "id"), f"{bus.kind} {bus.id} is {other} already; take the other one"
        taken[bus.kind, bus.id] = bus.name
        yield from _lines_fit(board, bus)


def _lines_fit(board: Board, bus: Bus) -> Iterator[Conflict]:
    chip = board.chip
    function = chip.spi_function if bus.kind == "spi" else chip.i2c_function
    for line, pin in bus.pins.items():
        found = function(pin)
        if found is not None and found != (bus.id, line):
            good = [
                str(other)
                for other in sorted(chip.pins)
                if function(other) == (bus.id, line)
                and other not in board.reserved
                and other in board.pin_map.by_gpio
            ]
            yield (
                ("bus", bus.name, line),
                f"pin {pin} is {bus.kind[:3]}{found[0]} {found[1]}, not {line} of"
                f" {bus.kind} {bus.id}; take {', '.join(good)}",
            )


def _parts_have_their_bus(board: Board) -> Iterator[Conflict]:
    there = ", ".join(board.buses) or "none"
    for part in board.all_parts:
        if part.bus is None:
            continue
        path = (*path_of(part), "bus")
        bus = board.buses.get(part.bus)
        if bus is None:
            yield path, f"there is no bus {part.bus!r}; there are: {there}"
        elif not bus.kind.endswith(str(part.driver.bus)):
            yield path, f"{part.driver.name} needs {part.driver.bus}; {bus.name} is {bus.kind}"


def _addresses_differ(board: Board) -> Iterator[Conflict]:
    taken: dict[tuple[str, int], str] = {}
    for part in board.parts:
        if part.bus is None or part.address is None:
            continue
        key = (part.bus, part.address)
        if key in taken:
            yield (
                (*path_of(part), "address"),
                f"{part.name} and {taken[key]} both answer to 0x{part.address:02X} on"
                f" {part.bus}; strap one of them to another address",
            )
        taken[key] = part.name


def _i2s_fits(board: Board) -> Iterator[Conflict]:
    taken: dict[int, str] = {}
    for part in board.all_parts:
        if part.i2s is None:
            continue
        path = path_of(part)
        if part.i2s in taken:
            yield (
                (*path, "i2s"),
                f"I2S {part.i2s} is {taken[part.i2s]}'s already; take the other one",
            )
        taken[part.i2s] = part.name
        sck, ws = part.pins["sck"], part.pins["ws"]
        if board.chip.ws_follows_sck and ws != sck + 1:
            yield (
                (*path, "pins", "ws"),
                f"ws must be the pin after sck on the {board.chip.title}:"
                f" {sck + 1} beside {sck}, not {ws}",
            )


def _voltages_fit(board: Board) -> Iterator[Conflict]:
    for part in board.all_parts:
        driver = part.driver
        drives_us = driver.bus in ("i2c", "spi") or set(driver.pins.values()) - {"out"}
        if drives_us and driver.volts > board.chip.volts:
            yield (
                (*path_of(part), "driver"),
                f"{driver.name} puts {driver.volts:g} V on pins that bear"
                f" {board.chip.volts:g} V; put a level shifter between",
            )


def _supply_is_enough(board: Board) -> Iterator[Conflict]:
    need_ma = board.current_ma("3V3")
    if need_ma > board.supply.regulator_ma:
        yield (
            ("supply", "regulator_ma"),
            f"the parts take {need_ma:.0f} mA at 3.3 V, the board's regulator gives"
            f" {board.supply.regulator_ma:g} mA; feed some from a regulator of their own",
        )


def _blocks_fit_a_frame(board: Board) -> Iterator[Conflict]:
    room = wire.MAX_PAYLOAD - wire.BLOCK_HEAD_BYTES
    for part in board.parts:
        if "block" not in part.settings:
            continue
        values = part.driver.values or len(part.settings["channels"])
        most = room // (values * part.driver.sample_bytes)
        if part.settings["block"] > most:
            yield (
                (*path_of(part), "block"),
                f"{part.settings['block']} samples do not fit one frame; {most} do",
            )


def _sound_fits(board: Board) -> Iterator[Conflict]:
    chip, sound = board.chip, board.sound.settings
    if sound["rate_hz"] not in EXACT_RATES_HZ:
        good = ", ".join(map(str, EXACT_RATES_HZ))
        yield (
            ("sound", "rate_hz"),
            f"{sound['rate_hz']} Hz is not exact on the chip's clock; take one of {good}",
        )
    most = (wire.MAX_PAYLOAD - wire.CHUNK_HEAD_BYTES) // (2 * sound["channels"])
    if sound["chunk_frames"] > most:
        yield (
            ("sound", "chunk_frames"),
            f"{sound['chunk_frames']} frames do not fit one chunk; {most} do with"
            f" {sound['channels']} channels",
        )
    ring, step = sound["ring_frames"], chip.ring_step_frames
    if ring < chip.least_ring_frames or ring % step:
        multiples = f" and a multiple of {step}" if step > 1 else ""
        yield (
            ("sound", "ring_frames"),
            f"{ring} does not suit the {chip.title}: at least {chip.least_ring_frames}{multiples}",
        )


_RULES = (
    _chip_suits_the_header,
    _pins_exist,
    _pins_are_free,
    _pins_have_one_owner,
    _pins_can_do_it,
    _parts_have_their_bus,
    _buses_fit_their_pins,
    _addresses_differ,
    _i2s_fits,
    _voltages_fit,
    _supply_is_enough,
    _blocks_fit_a_frame,
    _sound_fits,
)
