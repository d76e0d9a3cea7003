"""What is soldered to the board: wiring.json of the pod's folder, whatever the flash says about it."""

import json

import adc
import faults
import i2c
import i2s
import pc
import spi
from tape import Tapes


def _model(part, tapes, *more):
    """The part as seen from its pins."""
    module = __import__("models." + part["driver"], None, None, ("Model",))
    return module.Model(part, tapes, *more)


def solder():
    """Give every part its place: on a bus, on a pin, or beside the loudspeaker."""
    try:
        with pc.open("wiring.json") as file:
            board = json.load(file)
    except OSError:  # a bare board
        return
    tapes = Tapes()
    on = {name: [] for name in board["buses"]}
    for part in board["parts"]:
        pins = part.get("pins", {})
        if "bus" in part:
            on[part["bus"]].append((part, _model(part, tapes)))
        elif "adc" in pins:
            adc.solder(part, _model(part, tapes))
        elif "i2s" in part:
            i2s.solder(part, _model(part, tapes, i2s.Played))
    for name, spec in board["buses"].items():
        bus = spi if spec["kind"] == "spi" else i2c
        bus.solder(name, spec, on[name])
    faults.board.wire_buttons(board["parts"])
    if board.get("link") == "tcp":
        import network  # of a chip with Wi-Fi it is a part as `machine` is
