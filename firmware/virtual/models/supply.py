"""The pod's own supply behind its divider: 5 V from USB, or less when it is "low"."""

_FULL_SCALE = 65535
_REFERENCE_VOLTS = 3.3
_VOLTS = 5.0
_LOW_VOLTS = 4.1


class Model:
    """Read by the converter of the microcontroller. `fault` may be "low"."""

    def __init__(self, spec, tapes):
        self.fault = None
        self._divider = spec["divider"]

    def read_u16(self):
        volts = _LOW_VOLTS if self.fault == "low" else _VOLTS
        return int(volts / self._divider / _REFERENCE_VOLTS * _FULL_SCALE)
