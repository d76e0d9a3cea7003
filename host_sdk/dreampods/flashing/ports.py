"""Opening a port, and saying in one line why it cannot be opened."""

from __future__ import annotations

import errno
import time

import serial

from dreampods.errors import FlashError

BAUD = 115200  # of no meaning on USB, but pyserial wants one
# A program that was started while we had the port open holds our lock until it runs: milliseconds
_BUSY_S, _AGAIN_S = 0.5, 0.02


class PortError(FlashError):
    """A port that cannot be used; `state` is the one word for it in a table."""

    def __init__(self, state: str, text: str) -> None:
        super().__init__(text)
        self.state = state


def open_port(path: str, timeout_s: float) -> serial.Serial:
    """The port, for us alone.

    Raises:
        PortError: why not.
    """
    until = time.monotonic() + _BUSY_S
    while True:
        try:
            return serial.Serial(path, BAUD, timeout=timeout_s, write_timeout=5, exclusive=True)
        except serial.SerialException as error:
            why = _explain(path, error)
            if why.state != "busy" or time.monotonic() > until:
                raise why from None
        except (ValueError, OSError) as error:
            raise PortError(
                "other", f"{path}: cannot be used as a serial port ({error}); check the name"
            ) from None
        time.sleep(_AGAIN_S)


def gone(path: str) -> PortError:
    """For when the port ends in the middle of something."""
    return PortError(
        "gone", f"{path}: the board has gone; check its plug and cable, then do the same again"
    )


def _explain(path: str, error: serial.SerialException) -> PortError:
    # pyserial keeps the number in one place or another; termios.error is no OSError
    number = error.errno
    if number is None and error.__context__ is not None and error.__context__.args:
        number = error.__context__.args[0]
    if number == errno.ENOENT:
        return PortError(
            "absent", f"{path}: no such port; `dreampods list` shows what is plugged in"
        )
    if number in (errno.EACCES, errno.EPERM):
        return PortError(
            "no permission",
            f"{path}: not allowed; add yourself to the group that owns it (usually `dialout`)",
        )
    if number in (errno.EAGAIN, errno.EBUSY):
        return PortError("busy", f"{path}: in use by another program; close it, and try again")
    if number in (errno.ENOTTY, errno.EISDIR, errno.EINVAL, errno.EIO, errno.ENXIO):
        return PortError("other", f"{path}: not a serial port; `dreampods list` shows what is")
    return PortError("other", f"{path}: cannot be opened ({error})")
