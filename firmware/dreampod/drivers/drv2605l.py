"""Touch: Texas Instruments DRV2605L, a driver for a vibration motor, on I2C.

Sections named below are those of the datasheet SLOS854D. Effects are the numbers of its own library
(section 11.2). How strong it may ever be is the motor's rated and peak voltage, which are the board's
data and go into the chip at start: no effect, and nothing a host sends, goes beyond them.

A motor calibrated by the chip brakes more crisply (section 8.5.6). That takes a second of strong
vibration at each start, which nobody wants who sleeps, so the chip's defaults stand in.
"""

import math
import time

from machine import Pin

from dreampod.drivers.part import Part

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


_STATUS = const(0x00)
_MODE = const(0x01)
_LIBRARY = const(0x03)
_SEQUENCE = const(0x04)
_GO = const(0x0C)
_RATED_VOLTAGE = const(0x16)
_OD_CLAMP = const(0x17)
_FEEDBACK = const(0x1A)
_CONTROL1 = const(0x1B)
_CONTROL3 = const(0x1D)
_VBAT = const(0x21)

_ID_DRV2605L = const(7)  # STATUS bits 7 to 5, section 8.6.1
_DIAGNOSIS_BAD = const(0x08)
_OVER_TEMPERATURE = const(0x02)
_OVER_CURRENT = const(0x01)
_INTERNAL_TRIGGER = const(0x00)  # MODE, section 8.6.2
_DIAGNOSE = const(0x06)
_STANDBY = const(0x40)

# An LRA is a weight on a spring, an ERM a weight on a turning shaft
_LIBRARY_LRA = const(6)
_LIBRARY_ERM = const(2)  # B: motors of 3 V
_FEEDBACK_LRA = const(0xB6)  # section 8.6.21; the low bits are the chip's defaults
_FEEDBACK_ERM = const(0x36)
_STARTUP_BOOST = const(0x80)
_DRIVE_TIME_ERM = const(0x13)
_CLOSED_LOOP = const(0x80)  # CONTROL3: both kinds measure the motor's answer, section 8.6.24

_MOST_EFFECT = const(123)
_ENABLE_US = const(250)  # from EN high until it listens on I2C, section 7.6
_POLL_US = const(1_000_000)
_DIAGNOSIS_MS = const(500)
_DIAGNOSIS_STEP_MS = const(10)

# A common coin-shaped LRA; other motors stand in the board's data
_RATED_VOLTS = 2.0
_PEAK_VOLTS = 2.7
_RESONANCE_HZ = 175

_MOTOR = "the motor's wires, OUT+ and OUT-"


def lra_registers(rated_volts, peak_volts, resonance_hz):
    """RATED_VOLTAGE, OD_CLAMP and DRIVE_TIME for a closed-loop LRA, rounded down; section 8.5.2."""
    sampling = math.sqrt(1 - (4 * 300e-6 + 300e-6) * resonance_hz)
    rated = int(rated_volts * sampling / 20.58e-3)
    clamp = int(peak_volts / 21.22e-3)
    drive_time = int((500 / resonance_hz - 0.5) / 0.1 + 0.5)  # half a period
    return min(255, rated), min(255, clamp), min(31, max(0, drive_time))


def erm_registers(rated_volts, peak_volts):
    """The same for a closed-loop ERM at the chip's own drive time of 4.8 ms; section 8.5.2."""
    rated = int(rated_volts / 21.18e-3)
    clamp = int(peak_volts * (4.8 + 0.075 + 0.075) / (21.64e-3 * (4.8 - 0.3)))
    return min(255, rated), min(255, clamp), _DRIVE_TIME_ERM


class Driver(Part):
    """`play` an effect at once, `stop` it."""

    chip = "DRV2605L"
    poll_us = _POLL_US

    def __init__(self, spec, buses):
        super().__init__(spec, buses)
        self._one = bytearray(1)
        self._loaded = 0  # the effect in the sequencer
        self._enable = None

    def start(self):
        spec = self.spec
        if "pins" in spec:
            self._enable = Pin(spec["pins"]["enable"], Pin.OUT, value=1)
            time.sleep_us(_ENABLE_US)
        status = self._read(_STATUS)
        if status >> 5 != _ID_DRV2605L:
            raise OSError(
                "no DRV2605L at address 0x%02x, STATUS reads 0x%02x: check which part is on %s"
                % (self.address, status, self.bus.wires)
            )
        rated_volts = spec.get("rated_volts", _RATED_VOLTS)
        peak_volts = spec.get("peak_volts", _PEAK_VOLTS)
        if spec.get("motor", "lra") == "lra":
            library, feedback = _LIBRARY_LRA, _FEEDBACK_LRA
            resonance_hz = spec.get("resonance_hz", _RESONANCE_HZ)
            rated, clamp, drive_time = lra_registers(rated_volts, peak_volts, resonance_hz)
        else:
            library, feedback = _LIBRARY_ERM, _FEEDBACK_ERM
            rated, clamp, drive_time = erm_registers(rated_volts, peak_volts)
        # The ceiling first: whatever happens on the way, nothing plays louder
        self._write(_RATED_VOLTAGE, rated)
        self._write(_OD_CLAMP, clamp)
        self._write(_MODE, _INTERNAL_TRIGGER)
        self._write(_GO, 0)
        self._write(_LIBRARY, library)
        self._write(_FEEDBACK, feedback)
        self._write(_CONTROL1, _STARTUP_BOOST | drive_time)
        self._write(_CONTROL3, _CLOSED_LOOP)
        self._write(_SEQUENCE, 0)
        self._write(_SEQUENCE + 1, 0)  # each sequence is one effect long
        self._loaded = 0

    def play(self, effect):
        """Play an effect of the library now, in place of the one that may be playing. False: it cannot."""
        if self.fault is not None or not 0 < effect <= _MOST_EFFECT:
            return False
        bus, address = self.bus, self.address
        try:
            bus.write(address, _GO, 0)
            if effect != self._loaded:
                self._loaded = 0
                bus.write(address, _SEQUENCE, effect)
                self._loaded = effect
            bus.write(address, _GO, 1)
        except OSError:
            self.errors += 1
            return False
        return True

    def stop(self):
        """Be still. False: the chip did not hear it."""
        try:
            self.bus.write(self.address, _GO, 0)
        except OSError:
            self.errors += 1
            return False
        return True

    def sample(self, _now):
        """What the chip protects itself from. It has switched the motor off by then; section 8.6.1."""
        status = self._read(_STATUS)
        if status >> 5 != _ID_DRV2605L:
            raise OSError("STATUS reads 0x%02x: check its supply, %s" % (status, self.bus.wires))
        if status & _OVER_CURRENT:
            raise OSError("over-current: check %s, for a short" % _MOTOR)
        if status & _OVER_TEMPERATURE:
            raise OSError("over-temperature: check %s, and for effects without pause" % _MOTOR)

    def test(self):
        """Let the chip look for its motor; it moves for a moment. Section 8.5.7."""
        if self.fault:
            raise OSError(self.fault)
        try:
            self._write(_MODE, _DIAGNOSE)
            self.bus.write(self.address, _GO, 1)
            waited_ms = 0
            while self._read(_GO) & 1 and waited_ms < _DIAGNOSIS_MS:
                time.sleep_ms(_DIAGNOSIS_STEP_MS)
                waited_ms += _DIAGNOSIS_STEP_MS
            status = self._read(_STATUS)
            volts = self._read(_VBAT) * 5.6 / 255  # section 8.6.28
        finally:
            self._write(_MODE, _INTERNAL_TRIGGER)
        if waited_ms >= _DIAGNOSIS_MS or status & _DIAGNOSIS_BAD:
            raise OSError(
                "%s (%s): finds no motor: check %s, for a break or a short"
                % (self.name, self.chip, _MOTOR)
            )
        return "motor answers, %.1f V" % volts

    def end(self):
        if self.stop() and self._enable is not None:
            self._enable(0)

    def _read(self, register):
        self.bus.read(self.address, register, self._one)
        return self._one[0]

    def _write(self, register, value):
        self.bus.write(self.address, register, value)
        kept = self._read(register)
        if kept != value:
            raise OSError(
                "register 0x%02x reads 0x%02x after 0x%02x was written: check its supply, %s"
                % (register, kept, value, self.bus.wires)
            )
