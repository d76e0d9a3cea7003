"""The pod's own supply: its voltage through a divider on the microcontroller's ADC.

On a Pico that is VSYS, a third of it on pin 29. On a Pico W the same pin is the clock of the radio's
SPI: reading it there while the radio works breaks the radio's transfers. So the board's data of a pod
with a radio leave this part out, or wire a divider to another pin.
"""

from machine import ADC, Pin

from dreampod.drivers.part import Part

_FULL_SCALE = 65535
_VOLTS = 3.3
_LEAST_VOLTS = 4.4  # the least a USB device may be given, USB 2.0 section 7.2.2
_POLL_US = 1_000_000
_READINGS = 16  # the RP2's ADC is noisy
_LOW_LOOKS = 3  # a motor that starts is no fault


class Driver(Part):
    """Looks once a second; a voltage too low for three seconds is a fault."""

    chip = "ADC"
    poll_us = _POLL_US

    def __init__(self, spec, buses):
        super().__init__(spec, buses)
        self._volts_per_count = _VOLTS / _FULL_SCALE * spec["divider"]
        self._least_volts = spec.get("least_volts", _LEAST_VOLTS)
        # Compared as counts, so that no float is made each second
        self._least = int(self._least_volts / self._volts_per_count)
        self._low = 0  # looks in a row that found too little

    def start(self):
        self._adc = ADC(Pin(self.spec["pins"]["adc"]))
        self._check()

    def sample(self, _now):
        if self._counts() >= self._least:
            self._low = 0
            return
        self._low += 1
        if self._low >= _LOW_LOOKS:
            self._low = 0
            self._check()

    def _counts(self):
        total = 0
        for _ in range(_READINGS):
            total += self._adc.read_u16()
        return total // _READINGS

    def _check(self):
        counts = self._counts()
        if counts < self._least:
            raise OSError(
                "%.2f V where %.2f V is the least: check the cable, the hub and what else it feeds "
                "(measured on pin %d)"
                % (counts * self._volts_per_count, self._least_volts, self.spec["pins"]["adc"])
            )

    def test(self):
        try:
            self._check()
        except OSError as error:
            raise OSError("%s (%s): %s" % (self.name, self.chip, error)) from None
        return "%.2f V" % (self._counts() * self._volts_per_count)
