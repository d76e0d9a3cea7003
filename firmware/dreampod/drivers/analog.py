"""A sensor with a voltage on the microcontroller's own ADC, paced by a timer.

The value is volts * scale + offset, in the board's unit. On RP2 the timer's interrupt is a hard one.
The ESP32 has soft ones only, which can be late by milliseconds or get lost when many are waiting; the
losses are seen by the pace and their numbers used up. Nor does it have timers by software, so each
analog part takes one of its four.
"""

import machine
from machine import Pin, Timer

from dreampod.clock import ticks_diff, ticks_us
from dreampod.drivers.pace import Pace
from dreampod.drivers.part import Part

_FULL_SCALE = 65535
_VOLTS = 3.3  # at full scale
_VOLTS_ESP32 = 3.1  # with its attenuation of 11 dB, without which it would measure up to 1 V only
_SILENT_PERIODS = 20
_RAIL = 330  # closer than this to either end, 0.5 %, no sensor is at rest

_timers = 0  # hardware timers given away


def _open_timer():
    global _timers
    try:
        return Timer(-1)
    except ValueError:
        _timers += 1
        return Timer(_timers - 1)


class Driver(Part):
    """Samples one pin at a steady rate, 16 bits unsigned."""

    chip = "ADC"

    def __init__(self, spec, buses):
        super().__init__(spec, buses)
        self._rate_hz = spec["rate_hz"]
        scale = spec.get("scale", 1.0)
        self._attenuated = hasattr(machine.ADC, "ATTN_11DB")
        self._volts_per_count = (_VOLTS_ESP32 if self._attenuated else _VOLTS) / _FULL_SCALE
        self.streams = [
            {
                "name": spec["name"],
                "unit": spec.get("unit", "V"),
                "rate_hz": self._rate_hz,
                "channels": [spec["name"]],
                "format": "u16",
                "scale": scale * self._volts_per_count,
                "offset": spec.get("offset", 0.0),
                "block": spec["block"],
            }
        ]
        self._silent_us = _SILENT_PERIODS * 1_000_000 // self._rate_hz
        self._value = bytearray(2)
        self._pace = Pace(self._rate_hz)
        self._timer = None
        self.lost = 0

    def begin(self, streams):
        self._stream = streams[0]
        super().begin(streams)

    def start(self):
        if self._timer is None:
            pin = Pin(self.spec["pins"]["adc"])
            if self._attenuated:
                self._adc = machine.ADC(pin, atten=machine.ADC.ATTN_11DB)
            else:
                self._adc = machine.ADC(pin)
            self._timer = _open_timer()
        else:
            self._timer.deinit()
        self._pace.restart(self.sampled if self._begun else None)
        settings = {"freq": self._rate_hz, "mode": Timer.PERIODIC, "callback": self._on_time}
        try:
            self._timer.init(hard=True, **settings)
        except (TypeError, ValueError, NotImplementedError):
            self._timer.init(**settings)

    def _on_time(self, _timer):
        """The interrupt. It may be a hard one: nothing here allocates."""
        now = ticks_us()
        value = self._adc.read_u16()
        self._value[0] = value & 0xFF
        self._value[1] = value >> 8
        missed = self._pace.missed(now)
        if missed:
            self.lost += missed
            self._stream.skip(missed)
        self._stream.push_at(self._value, 0, now)
        self.sampled = now

    def sample(self, now):
        """The watchdog."""
        if ticks_diff(now, self.sampled) > self._silent_us:
            raise OSError(
                "its timer stopped for %d ms: starting it anew" % (self._silent_us // 1000)
            )

    def test(self):
        if self.fault:
            raise OSError(self.fault)
        value = self._adc.read_u16()
        volts = value * self._volts_per_count
        if not _RAIL < value < _FULL_SCALE - _RAIL:
            raise OSError(
                "%s (%s): %.2f V, as far as it goes: check the sensor's supply and its wire to ADC (pin %d)"
                % (self.name, self.chip, volts, self.spec["pins"]["adc"])
            )
        return "%.3f V" % volts

    def end(self):
        if self._timer is not None:
            self._timer.deinit()
