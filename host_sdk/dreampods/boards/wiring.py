"""Every wire of a board: from which signal of which part to which pin, and in what colour.

The table, the Markdown page and the drawing are all made from this one list.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from .board import Board, Part
from .headers import HeaderPin

POWER = ("GND", "3V3", "5V")

# Colours that hook-up wire is sold in; the same job has the same colour everywhere.
_COLOURS = {
    "GND": "black",
    "3V3": "red",
    "5V": "orange",
    "sda": "blue",
    "scl": "yellow",
    "sck": "green",
    "mosi": "violet",
    "miso": "grey",
    "cs": "brown",
    "drdy": "pink",
    "ws": "violet",
    "sd": "brown",
    "enable": "grey",
    "data": "green",
    "button": "pink",
    "adc": "violet",
}


@dataclass(frozen=True)
class Wire:
    """One wire. Wires of the same `net` are joined: they may share a rail of a breadboard."""

    part: str
    signal: str  # as printed on the breakout board
    net: str  # 3V3, "i2c0 sda", "eeg cs"
    pin: HeaderPin
    colour: str
    volts: float

    @property
    def target(self) -> str:
        """The board's pin, as text: `GP4 (pin 6)`."""
        return f"{self.pin.name} (pin {self.pin.number})"


def wires(board: Board) -> list[Wire]:
    """All wires, part by part; none for parts that are on the board itself."""
    return [
        _wire(board, part, signal, line)
        for part in board.all_parts
        if not part.onboard
        for signal, line in part.driver.wires.items()
    ]


def rails(board: Board) -> list[str]:
    """The nets that several parts share, power first."""
    count = Counter(wire.net for wire in wires(board))
    shared = [net for net, number in count.items() if number > 1 and net not in POWER]
    return [power for power in POWER if count[power]] + shared


def hints(board: Board, part: Part) -> list[str]:
    """What to know before soldering this part: where it answers, and what else it needs."""
    found = []
    if part.address is not None:
        strap = next(k for k, value in part.driver.addresses.items() if value == part.address)
        found.append(f"Address 0x{part.address:02X}: {strap}.")
    inputs = part.settings.get("inputs", ())
    found += [f"A{one['input']}: {one['stream']}." for one in inputs]
    if "channels" in part.settings and part.name != "sound":
        found.append(f"Channels: {', '.join(part.settings['channels'])}.")
    if "count" in part.settings:
        found.append(f"{part.settings['count']} in a row.")
    if part.name == "sound" and part.settings["channels"] == 2:
        found.append(
            "Stereo: two amplifiers on the same wires; the right one's SD through 210 kΩ."
        )
    return [*found, part.driver.note]


def notes(board: Board) -> list[str]:
    """What holds for the whole board."""
    found = [
        f"At 3.3 V the parts take {board.current_ma('3V3'):.0f} mA of the"
        f" {board.supply.regulator_ma:g} mA there are, at 5 V {board.current_ma('5V'):.0f} mA"
        f" from {board.supply.source}.",
    ]
    for bus in board.buses.values():
        if bus.kind == "spi":
            continue
        users = sum(part.bus == bus.name for part in board.parts)
        found.append(
            f"{bus.name}: SDA and SCL each need one pull-up of 4.7 kΩ to 3V3. Breakouts bring their"
            f" own: with {users} of them measure SDA to 3V3, and remove some under 1 kΩ."
        )
    found.append("Lines that cross without a dot are not joined. Unplug USB before you solder.")
    return found


def markdown(board: Board) -> str:
    """The wiring as a page of Markdown."""
    lines = [
        f"# {board.title}: wiring",
        "",
        "| part | its pin | wire | board pin | volts |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.part} | {one.signal} | {one.colour} | {one.target} | {one.volts:g} |"
        for one in wires(board)
    ]
    lines += ["", "## Parts", ""]
    for part in board.all_parts:
        if not part.onboard:
            sheet = part.driver.datasheet
            source = f"[{sheet}]({part.driver.link})" if part.driver.link else sheet
            text = " ".join(hints(board, part))
            lines.append(f"- **{part.name}**: {part.driver.title} ({source}). {text}")
    lines += ["", "## Board", "", *(f"- {note}" for note in notes(board))]
    return "\n".join(lines) + "\n"


def _wire(board: Board, part: Part, signal: str, line: str) -> Wire:
    if line in POWER:
        pin = _power_pin(board, line)
        volts = {"GND": 0.0, "3V3": 3.3, "5V": 5.0}[line]
        return Wire(part.name, signal, line, pin, _COLOURS[line], volts)
    bus = board.buses[part.bus] if part.bus else None
    if bus and line in bus.pins:
        net, gpio = f"{bus.name} {line}", bus.pins[line]
    else:
        net, gpio = f"{part.name} {line}", part.pins[line]
    pin = board.pin_map.by_gpio[gpio]
    return Wire(part.name, signal, net, pin, _COLOURS[line], board.chip.volts)


def _power_pin(board: Board, power: str) -> HeaderPin:
    """The pin a rail begins at; ground from the side that 3V3 is on, where there is one."""
    main = board.pin_map.power_pins("3V3")[0]
    pins = board.pin_map.power_pins(power)
    return next((pin for pin in pins if pin.side == main.side), pins[0])
