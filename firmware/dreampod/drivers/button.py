"""A button from a pin to ground, with the chip's own pull-up: *wake me*, *stop*.

A press counts when the pin has been low for 20 ms, so that neither a bouncing contact nor a spark nearby
is one; it is told once, and again only after a release as long. The main loop looks at the pin in each
turn. The interrupt on the edges is there for the press that came and went between two turns, and for
a loop that waits in a broken frame: `at_once` is called from it, in which nothing may be sent; `on_press`
only ever from the loop.
"""

from machine import Pin

from dreampod.clock import ticks_diff, ticks_us
from dreampod.drivers.part import Part

_BOUNCE_US = 20_000
_STUCK_US = 30_000_000


class Driver(Part):
    """`on_press()` is called for each press; `at_once()` too, perhaps before it, if it is set."""

    chip = "button"
    on_press = None
    at_once = None

    def __init__(self, spec, buses):
        super().__init__(spec, buses)
        self._open = False
        self._low = False  # as of the last look or edge
        self._since = ticks_us()  # when that began
        self._armed = False  # it was up long enough for the next press to count
        self._pressed = False  # a press that the loop has not told yet
        self.presses = 0

    def start(self):
        if not self._open:
            self._open = True
            self._pin = Pin(self.spec["pins"]["button"], Pin.IN, Pin.PULL_UP)
            self._low = not self._pin()
            self._since = ticks_us()
            self._pin.irq(self._on_edge, Pin.IRQ_FALLING | Pin.IRQ_RISING)
        elif not self._pin():
            raise OSError(self._stuck_text())

    def _on_edge(self, _pin):
        self._look(ticks_us())

    def _look(self, now):
        """Take note of the level; what lasted long enough before it changed counts."""
        held = ticks_diff(now, self._since) >= _BOUNCE_US
        if held:
            if not self._low:
                self._armed = True
            elif self._armed:
                self._armed = False
                self._pressed = True
                if self.at_once is not None:
                    self.at_once()
        low = not self._pin()
        if low != self._low:
            self._low = low
            self._since = now

    def sample(self, _now):
        now = ticks_us()  # an edge may be younger than the turn
        self._look(now)
        if self._pressed:
            self._pressed = False
            self.presses += 1
            if self.on_press is not None:
                self.on_press()
        if not self._low:
            # Kept young, because the ticks wrap and a button rests all night
            if self._armed:
                self._since = now
        elif ticks_diff(now, self._since) > _STUCK_US:
            raise OSError(self._stuck_text())

    def _stuck_text(self):
        return "pressed for %d s: check for a short between its pin (%d) and ground" % (
            _STUCK_US // 1_000_000,
            self.spec["pins"]["button"],
        )

    def test(self):
        if self.fault:
            raise OSError(self.fault)
        if self._low:
            raise OSError(
                "%s (%s): is pressed: let go, or check for a short between its pin (%d) and ground"
                % (self.name, self.chip, self.spec["pins"]["button"])
            )
        return "up, pressed %d times so far" % self.presses

    def end(self):
        if self._open:
            self._pin.irq(None)
