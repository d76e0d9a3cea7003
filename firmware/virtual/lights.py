"""WS2812 lights on a pin: `machine.bitstream`, and what they show in lights.json for those who look.

The file names the pin, the bytes as they were sent (green, red, blue for each light), and when, in
ticks; it is written at most twenty times a second.
"""

import binascii
import json

import crystal
import pc

_LOOK_EVERY_US = 50_000


class _Lights:
    wake = crystal.NEVER

    def __init__(self, pin):
        self._pin = pin
        self._shown = b""
        self.buf = bytearray(0)
        self.at = 0
        self.due = crystal.counted()
        crystal.attach(self)

    def fire(self):
        self.due += _LOOK_EVERY_US
        if self.buf != self._shown:
            self._shown = bytes(self.buf)
            with pc.open("lights.json", "w") as file:
                json.dump(
                    {
                        "pin": self._pin,
                        "bytes": binascii.hexlify(self._shown).decode(),
                        "ticks_us": self.at,
                    },
                    file,
                )


_strips = {}


def bitstream(pin, encoding, timing, buf):
    """Send `buf`, most significant bit first; `timing` is high and low of a 0, high and low of a 1, in ns."""
    strip = _strips.get(pin.number)
    if strip is None:
        strip = _strips[pin.number] = _Lights(pin.number)
    if len(strip.buf) != len(buf):
        strip.buf = bytearray(len(buf))
    strip.buf[:] = buf
    strip.at = (crystal.START + crystal.counted()) & (1 << 30) - 1
    crystal.spend(len(buf) * 8 * (timing[0] + timing[1]) // 1000)
