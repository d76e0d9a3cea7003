"""Pulse and breath: sensors with a voltage, on the microcontroller's own ADC, paced by a timer."""

from machine import Timer


class Analog:
    """Samples an ADC at a steady rate into a stream, 16 bits unsigned."""

    def __init__(self, adc, rate_hz):
        self._read = adc.read_u16
        self._rate_hz = rate_hz
        self._value = bytearray(2)

    def begin(self, stream):
        self._push = stream.push
        self._timer = Timer(-1)
        self._timer.init(
            freq=self._rate_hz, mode=Timer.PERIODIC, callback=self._on_time, hard=True
        )

    def _on_time(self, _timer):
        value = self._read()
        self._value[0] = value & 0xFF
        self._value[1] = value >> 8
        self._push(self._value, 0)
