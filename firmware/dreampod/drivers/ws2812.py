"""Light: a strip of WS2812, all in one colour, fading, and never flashing.

The bits go out by `machine.bitstream`, with interrupts off for 30 us per light: 0.24 ms for 8, 1.8 ms
for 60. The I2S is fed by DMA and does not mind; an EEG at 1000 Hz loses samples with more than 30 lights
(counted, as ever). So the strip is written only when the colour changes, at most 50 times a second.

A strip cannot answer. That it is there, somebody has to see.
"""

import machine
from machine import Pin

from dreampod.clock import ticks_diff
from dreampod.drivers.flash_guard import FlashGuard
from dreampod.drivers.part import Part

_TIMING_NS = (400, 850, 800, 450)  # high and low of a 0, high and low of a 1
_POLL_US = 20_000
_LIGHT_US = 30
_BRIGHTNESS = 64  # of 255, where the board does not say otherwise: plenty for closed eyes


class Driver(Part):
    """`set` a colour to fade to; `held` counts those that the flash rule made wait."""

    chip = "WS2812"
    poll_us = _POLL_US

    def __init__(self, spec, buses):
        super().__init__(spec, buses)
        self._count = spec["count"]
        self._most = spec.get("brightness", _BRIGHTNESS)
        self._bits = bytearray(3 * self._count)
        self._shown = bytearray(3)  # red, green, blue
        self._from = bytearray(3)
        self._to = bytearray(3)
        self._fade_ms = 0
        self._begun_at = 0
        self._new = False
        self._moving = False
        self._waits = False
        self._guard = FlashGuard(self._most)
        self._pin = None
        self.held = 0

    def start(self):
        self._pin = Pin(self.spec["pins"]["data"], Pin.OUT, value=0)
        self._send()

    def set(self, red, green, blue, fade_ms):
        """Fade to this colour, 0..255 of the board's own brightness, within `fade_ms`."""
        most, to = self._most, self._to
        to[0] = red * most // 255
        to[1] = green * most // 255
        to[2] = blue * most // 255
        self._fade_ms = fade_ms
        self._new = True
        self._waits = False

    def sample(self, now):
        """The next step of the fade."""
        shown, start, to = self._shown, self._from, self._to
        if self._new:
            self._new = False
            self._moving = True
            self._begun_at = now
            for i in range(3):
                start[i] = shown[i]
        elapsed_ms = ticks_diff(now, self._begun_at) // 1000 if self._moving else 0
        fade_ms = self._fade_ms
        over = elapsed_ms >= fade_ms
        if not self._moving:
            # Nothing to show, but the guard must not lose count of time
            self._guard.allows(now, shown[0], shown[1], shown[2])
            return
        red = to[0] if over else start[0] + (to[0] - start[0]) * elapsed_ms // fade_ms
        green = to[1] if over else start[1] + (to[1] - start[1]) * elapsed_ms // fade_ms
        blue = to[2] if over else start[2] + (to[2] - start[2]) * elapsed_ms // fade_ms
        if not self._guard.allows(now, red, green, blue):
            if not self._waits:
                self._waits = True
                self.held += 1
            if over:
                # However long it has to wait, the ticks must not wrap in the meantime
                self._fade_ms = 0
                self._begun_at = now
            return
        if over:
            self._moving = False
        if red != shown[0] or green != shown[1] or blue != shown[2]:
            shown[0], shown[1], shown[2] = red, green, blue
            self._send()

    def _send(self):
        bits, shown = self._bits, self._shown
        for i in range(0, len(bits), 3):
            bits[i] = shown[1]  # green comes first on the wire
            bits[i + 1] = shown[0]
            bits[i + 2] = shown[2]
        machine.bitstream(self._pin, 0, _TIMING_NS, bits)

    def test(self):
        return "%d lights, to be seen only; %.2f ms for each change, %d requests held" % (
            self._count,
            self._count * _LIGHT_US / 1000,
            self.held,
        )

    def end(self):
        if self._pin is not None:
            for i in range(3):
                self._shown[i] = self._to[i] = 0
            self._moving = False
            self._send()
