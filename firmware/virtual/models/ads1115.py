"""The ADS1115 as seen from the bus: four registers, single conversions, voltages on its inputs.

Modelled after the datasheet SBAS444D, section 8. An input whose signal was recorded has the recording's
voltage; skin conductance rests at 5 uS where it was not; any other input is at 1 V.
"""

from models.registers import Recording, Words

_RANGES_V = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256)
_SPEEDS = (8, 16, 32, 64, 128, 250, 475, 860)
_WAKE_US = 25
_RESTING_US = 5.0  # microsiemens
_RESTING_V = 1.0


class Model(Words):
    def __init__(self, spec, tapes):
        Words.__init__(self, spec)
        self._inputs = {}  # by number: the recording or None, then volts = value * scale + offset
        for entry in spec["inputs"]:
            self._inputs[entry["input"]] = self._wire(entry, tapes)
        self._conversion = 0
        self._setup = 0x8583
        self._thresholds = {2: 0x8000, 3: 0x7FFF}
        self._done = 0  # when the conversion that is running will be

    @staticmethod
    def _wire(entry, tapes):
        card = tapes.card(entry["stream"])
        if card is None:
            if entry["stream"] == "skin-conductance":
                return None, 0, (_RESTING_US - entry["offset"]) / entry["scale"]
            return None, 0, _RESTING_V
        per_count = card["unit_per_count"]
        if card["unit"] == "V":
            return Recording(tapes, entry["stream"]), per_count, 0
        return (
            Recording(tapes, entry["stream"]),
            per_count / entry["scale"],
            -entry["offset"] / entry["scale"],
        )

    def catch_up(self, now):
        if self._done and self.fault != "silent" and now >= self._done:
            self._conversion = self._convert(self.counted(self._done))
            self._done = 0

    def _convert(self, count):
        recording, scale, offset = self._inputs.get(self._setup >> 12 & 3, (None, 0, 0.0))
        volts = (recording.at(count) * scale if recording else 0) + offset
        counts = round(volts / _RANGES_V[self._setup >> 9 & 7] * 32768)
        return max(-32768, min(32767, counts)) & 0xFFFF

    def read(self, register):
        if register == 0:
            return self._conversion
        if register == 1:
            return self._setup & 0x7FFF | (0 if self._done else 0x8000)
        value = self._thresholds[register & 3]
        if self.fault == "wrong-identity" and register == 3:
            return value & 0xFFF0  # an ADS1015
        return value

    def write(self, register, value):
        if register == 1:
            self._setup = value
            if value & 0x8000 and not self._done:
                self._done = self.now() + _WAKE_US + 1_000_000 // _SPEEDS[value >> 5 & 7]
        elif register in self._thresholds:
            self._thresholds[register] = value
