"""What somebody on the PC does to the board: breaks parts and buses, presses buttons.

Two files in the pod's folder are looked at twenty times a second, written in place by whoever wants:

    faults.json   {"parts": {"pulse": "absent"}, "buses": {"i2c0": "stuck-sda"}}
    buttons.json  {"wake-me": true}
"""

import json

import crystal
import pc
import pins

_LOOK_EVERY_US = 50_000


class Socket:
    """A part in its place on the board, with its fault, if it has one."""

    def __init__(self, part, model):
        self.model = model
        self.fault = None
        board.watch_part(part["name"], self)

    def hear(self, fault):
        self.fault = fault
        self.model.fault = fault


class _Faults:
    """Looks, and tells those concerned: by `attach`, with `hear(faults)`, one entry or None."""

    wake = crystal.NEVER

    def __init__(self):
        self._file = pc.Watched("faults.json")
        self._buttons_file = pc.Watched("buttons.json")
        self._parts = []
        self._buses = []
        self._buttons = ()
        self._now = {}
        self.due = crystal.counted()
        crystal.attach(self)

    def watch_part(self, name, concerned):
        """`concerned.hear(fault)` is called now and at each change, with None when all is well."""
        self._parts.append((name, concerned))
        self._look()
        concerned.hear(self._now.get("parts", {}).get(name))

    def watch_bus(self, name, concerned):
        self._buses.append((name, concerned))
        self._look()
        concerned.hear(self._now.get("buses", {}).get(name))

    def wire_buttons(self, parts):
        """The buttons of the board's parts: closed they pull their pin to ground."""
        self._buttons = tuple(
            (part["name"], part["pins"]["button"]) for part in parts if part["driver"] == "button"
        )

    def fire(self):
        self.due += _LOOK_EVERY_US
        self._look()

    def _look(self):
        if self._file.changed():
            found = _parsed(self._file)
            if found is not None:
                self._now = found
                for kind, listeners in (("parts", self._parts), ("buses", self._buses)):
                    for name, concerned in listeners:
                        concerned.hear(found.get(kind, {}).get(name))
        if self._buttons_file.changed():
            found = _parsed(self._buttons_file)
            if found is not None:
                for name, pin in self._buttons:
                    pins.drive(pin, 0) if found.get(name) else pins.release(pin)


def _parsed(file):
    """None while it is being written."""
    try:
        return json.loads(file.bytes() or b"{}")
    except ValueError:
        return None


board = _Faults()
