"""The converter of the microcontroller: what the part on a pin puts out, in 65535ths of the supply."""

from faults import Socket

_FIRST_PIN = 26
_LAST_PIN = 29

_sockets = {}  # by pin


def solder(part, model):
    """Wire a part to the pin it names."""
    _sockets[part["pins"]["adc"]] = Socket(part, model)


class ADC:
    """A pin with nothing on it reads 0."""

    CORE_TEMP = 4

    def __init__(self, pin):
        number = getattr(pin, "number", pin)
        if number != ADC.CORE_TEMP and not _FIRST_PIN <= number <= _LAST_PIN:
            raise ValueError("Pin doesn't have ADC capabilities")
        self._socket = _sockets.get(number)

    def read_u16(self):
        socket = self._socket
        if socket is None or socket.fault == "absent":
            return 0
        return socket.model.read_u16()
