"""Where everything of a wiring drawing lies, in millimetres on an A4 sheet; y grows downwards.

The board stands in the middle, the parts left and right of it. Between a column of parts and the
board run first the rails, vertical lines for what several parts share, and then the lanes, one for
each wire that has its pin to itself. Parts are in the order of their pins, and lanes are given so
that wires that move in the same direction never cross each other.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from itertools import pairwise

from dreampods.errors import BoardError

from .board import Board, Part
from .headers import HeaderPin
from .wiring import Wire, hints, rails, wires

SHEET_MM = (297.0, 210.0)
MIDDLE_MM = SHEET_MM[0] / 2
BOX_MM = 62.0  # width of a part
BOARD_MM = 45.0  # width of the board
SIGNAL_ROW_MM = 3.9
TEXT_ROW_MM = 2.5
_MARGIN_MM = 8.0
_TOP_MM, _BOTTOM_MM = 24.0, 177.0  # of the columns
_BOARD_TOP_MM, _BOARD_BOTTOM_MM = 30.0, 171.0  # first and last row of pins
_RAIL_MM = 3.2  # between rails
_LANE_MM = 2.6  # less where there are more lanes than fit
_BOX_TO_RAIL_MM = 5.0
_LANE_TO_BOARD_MM = 16.0  # room for a label at the pin
_JOINT_MM = 181.0  # the innermost joint of two rails under the board
_JOINT_STEP_MM = 2.6
_UNDER_MM, _UNDER_STEP_MM = 177.4, 1.5  # wires that go round under the board
_TEXT_COLUMNS = 35
_CLEAR_MM = 1.3  # wires of different nets that lie beside each other
_SHIFTS_MM = tuple(0.3 * step for step in range(14))

Point = tuple[float, float]


@dataclass
class Box:
    """A part on paper: `rows` are its wires with the height at which each leaves the box."""

    part: Part
    side: str
    text: list[str]
    rows: list[tuple[Wire, float]] = field(default_factory=list)
    top: float = 0.0

    @property
    def height(self) -> float:
        return max(SIGNAL_ROW_MM * len(self.rows) + 2.0, 8.4 + TEXT_ROW_MM * len(self.text))

    @property
    def left(self) -> float:
        return _MARGIN_MM if self.side == "left" else SHEET_MM[0] - _MARGIN_MM - BOX_MM

    @property
    def edge(self) -> float:
        """Where its wires begin."""
        return self.left + BOX_MM if self.side == "left" else self.left

    def move_to(self, top: float) -> None:
        """Place the box, and its wires with it."""
        self.top = top
        inset = (self.height - SIGNAL_ROW_MM * len(self.rows)) / 2 + SIGNAL_ROW_MM / 2
        self.rows = [
            (wire, top + inset + SIGNAL_ROW_MM * row) for row, (wire, _) in enumerate(self.rows)
        ]


@dataclass(frozen=True)
class Line:
    """A drawn line of one net; a line with a `wire` is that wire's own, from its part onwards."""

    net: str
    colour: str
    points: tuple[Point, ...]
    wire: Wire | None = None
    dot: Point | None = None  # where it joins a rail


@dataclass(frozen=True)
class Layout:
    """All that is drawn."""

    board: Board
    boxes: list[Box]
    lines: list[Line]

    def pin_at(self, pin: HeaderPin) -> Point:
        return pin_at(self.board, pin)


def pin_at(board: Board, pin: HeaderPin) -> Point:
    """The middle of a pin of the board."""
    half = BOARD_MM / 2 - 2.0
    pitch = (_BOARD_BOTTOM_MM - _BOARD_TOP_MM) / (board.pin_map.rows - 1)
    x = MIDDLE_MM - half if pin.side == "left" else MIDDLE_MM + half
    return x, _BOARD_TOP_MM + pitch * pin.row


def lay_out(board: Board) -> Layout:
    """Place parts and wires; of a few shifts of each column the one with the most air is taken."""
    columns = _columns(board)
    shared = rails(board)
    best: tuple[float, float, float] | None = None
    for left in _SHIFTS_MM:
        for right in _SHIFTS_MM:
            _stack(columns["left"], left)
            _stack(columns["right"], right)
            air = clearance(_lines(board, columns, shared))
            if best is None or air > best[0]:
                best = (air, left, right)
            if air >= _CLEAR_MM:
                break
        if best and best[0] >= _CLEAR_MM:
            break
    assert best is not None
    _stack(columns["left"], best[1])
    _stack(columns["right"], best[2])
    return Layout(board, [*columns["left"], *columns["right"]], _lines(board, columns, shared))


def clearance(lines: list[Line]) -> float:
    """The least distance between parallel stretches of different nets that run side by side."""
    flat = [
        (line.net, across, at, low, high)
        for line in lines
        for across, at, low, high in _stretches(line.points)
    ]
    # A step too small to see is as bad as two lines too near
    least = min((high - low for _, across, _, low, high in flat if not across), default=_CLEAR_MM)
    for number, (net, across, at, low, high) in enumerate(flat):
        for other, other_across, other_at, other_low, other_high in flat[number + 1 :]:
            if net != other and across == other_across and low < other_high and other_low < high:
                least = min(least, abs(at - other_at))
    return least


def _stretches(points: tuple[Point, ...]) -> list[tuple[bool, float, float, float]]:
    found = []
    for (x0, y0), (x1, y1) in pairwise(points):
        if abs(x1 - x0) > abs(y1 - y0):
            found.append((True, y0, min(x0, x1), max(x0, x1)))
        elif y0 != y1:
            found.append((False, x0, min(y0, y1), max(y0, y1)))
    return found


# --- columns ---------------------------------------------------------------------------------


def _columns(board: Board) -> dict[str, list[Box]]:
    """Parts with pins of their own go to the side of these pins, the others where there is room."""
    shared = set(rails(board))
    columns: dict[str, list[Box]] = {"left": [], "right": []}
    free: list[Box] = []
    for part in board.all_parts:
        mine = [wire for wire in wires(board) if wire.part == part.name]
        if not mine:
            continue
        own = [wire for wire in mine if wire.net not in shared]
        order = {net: number for number, net in enumerate(rails(board))}
        mine.sort(key=lambda wire: (order.get(wire.net, len(order)), wire.pin.row))
        text = [line for hint in hints(board, part) for line in textwrap.wrap(hint, _TEXT_COLUMNS)]
        box = Box(part, "left", text, [(wire, 0.0) for wire in mine])
        if own:
            lefts = sum(wire.pin.side == "left" for wire in own)
            box.side = "left" if 2 * lefts >= len(own) else "right"
            columns[box.side].append(box)
        else:
            free.append(box)
    for column in columns.values():
        column.sort(key=lambda box: _mean_row(box, shared))
    above: dict[str, list[Box]] = {"left": [], "right": []}
    for box in free:
        box.side = min(
            columns, key=lambda side: sum(b.height for b in columns[side] + above[side])
        )
        above[box.side].append(box)
    return {side: _nearer(board, above[side], columns[side], shared) for side in columns}


def _mean_row(box: Box, shared: set[str]) -> float:
    own = [wire.pin.row for wire, _ in box.rows if wire.net not in shared]
    return sum(own) / len(own)


def _nearer(board: Board, free: list[Box], own: list[Box], shared: set[str]) -> list[Box]:
    """Parts without pins of their own above or below the others, whichever makes shorter wires."""

    def length(boxes: list[Box]) -> float:
        _stack(boxes, 0.0)
        return sum(
            abs(pin_at(board, wire.pin)[1] - y)
            for box in boxes
            for wire, y in box.rows
            if wire.net not in shared
        )

    return min([*free, *own], [*own, *free], key=length)


def _stack(boxes: list[Box], shift: float) -> None:
    room = _BOTTOM_MM - _TOP_MM - sum(box.height for box in boxes) - max(_SHIFTS_MM)
    if room < 0:
        raise BoardError("too many parts for one sheet of paper; write the wiring as .md instead")
    gap = min(room / max(len(boxes) - 1, 1), 12.0)
    top = _TOP_MM + shift + (room - gap * (len(boxes) - 1)) / 2
    for box in boxes:
        box.move_to(top)
        top += box.height + gap


# --- lines -----------------------------------------------------------------------------------


def _lines(board: Board, columns: dict[str, list[Box]], shared: list[str]) -> list[Line]:
    lines = []
    # A rail's place in its column is the same on both sides, so that joints lie inside each other
    for number, net in enumerate(shared):
        lines += _rail(board, columns, net, number, len(shared))
    return lines + _lanes(board, columns, shared)


def _rail_x(side: str, number: int) -> float:
    out = _MARGIN_MM + BOX_MM + _BOX_TO_RAIL_MM + _RAIL_MM * number
    return out if side == "left" else SHEET_MM[0] - out


def _rail(
    board: Board, columns: dict[str, list[Box]], net: str, number: int, count: int
) -> list[Line]:
    """The rail itself, the link to its pin, and a stub from each part."""
    rows = {
        side: [(box, wire, y) for box in boxes for wire, y in box.rows if wire.net == net]
        for side, boxes in columns.items()
    }
    wire = next(wire for of_side in rows.values() for _, wire, _ in of_side)
    pin_x, pin_y = pin_at(board, wire.pin)
    home = _rail_x(wire.pin.side, number)
    joint_y = _JOINT_MM + _JOINT_STEP_MM * (count - 1 - number)
    used = [side for side in rows if rows[side] or side == wire.pin.side]
    lines = [Line(net, wire.colour, ((pin_x, pin_y), (home, pin_y)), dot=(home, pin_y))]
    spine: list[Point] = []
    for side in used:
        x = _rail_x(side, number)
        heights = [y for _, _, y in rows[side]] + [pin_y] * (side == wire.pin.side)
        foot = joint_y if len(used) == 2 else max(heights)
        ends = [(x, min(heights)), (x, foot)]
        spine += ends if not spine else ends[::-1]
        for box, one, y in rows[side]:
            lines.append(Line(net, one.colour, ((box.edge, y), (x, y)), one, (x, y)))
    return [Line(net, wire.colour, tuple(spine)), *lines]


def _lanes(board: Board, columns: dict[str, list[Box]], shared: list[str]) -> list[Line]:
    """Wires to a pin of their own; those to the far side of the board go round under it."""
    rows = [
        (box, wire, y)
        for boxes in columns.values()
        for box in boxes
        for wire, y in box.rows
        if wire.net not in shared
    ]
    round_it = [wire for box, wire, _ in rows if box.side != wire.pin.side]
    places: dict[tuple[str, Wire], float] = {}
    for side in columns:
        straight = [(wire, y) for box, wire, y in rows if box.side == wire.pin.side == side]
        numbers = _lane_numbers(board, straight)
        for wire in round_it:
            numbers[wire] = max(numbers.values(), default=-1) + 1
        first = BOARD_MM / 2 + _LANE_TO_BOARD_MM
        room = MIDDLE_MM - first - _rail_x("left", len(shared))
        pitch = min(_LANE_MM, room / max(max(numbers.values(), default=0), 1))
        for wire, number in numbers.items():
            out = first + pitch * number
            places[side, wire] = MIDDLE_MM - out if side == "left" else MIDDLE_MM + out
    lines = []
    for box, wire, y in rows:
        x, far_x = places[box.side, wire], places[wire.pin.side, wire]
        pin_x, pin_y = pin_at(board, wire.pin)
        turn: tuple[Point, ...] = ()
        if wire in round_it:
            under = _UNDER_MM + _UNDER_STEP_MM * round_it.index(wire)
            turn = ((x, under), (far_x, under))
        points = ((box.edge, y), (x, y), *turn, (far_x, pin_y), (pin_x, pin_y))
        lines.append(Line(wire.net, wire.colour, points, wire))
    return lines


def _lane_numbers(board: Board, rows: list[tuple[Wire, float]]) -> dict[Wire, int]:
    """Lanes, counted from the board. Wires that fall take them beginning with the topmost wire,
    wires that rise beginning with the lowest: then no wire has to cross one of its own kind."""
    rows = sorted(rows, key=lambda row: row[1])
    falling = [row for row in rows if pin_at(board, row[0].pin)[1] >= row[1]]
    rising = [row for row in reversed(rows) if row not in falling]
    taken: dict[int, list[tuple[float, float]]] = {}
    numbers = {}
    for group in (falling, rising):
        for number, (wire, y) in enumerate(group):
            lane = number
            pin_y = pin_at(board, wire.pin)[1]
            low, high = min(y, pin_y) - _LANE_MM, max(y, pin_y) + _LANE_MM
            while any(low < end and start < high for start, end in taken.get(lane, ())):
                lane += 1
            taken.setdefault(lane, []).append((low, high))
            numbers[wire] = lane
    return numbers
