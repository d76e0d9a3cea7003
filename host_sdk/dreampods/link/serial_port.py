"""A serial port under asyncio: bytes in as they come, bytes out as the port takes them.

pyserial opens and sets up the port (a pty and a USB port alike, never shared with another program);
reading and writing follow the event loop, for pyserial's own calls would block it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable

import serial

from dreampods.errors import LinkError

_READ_BYTES = 65536


class SerialPort:
    """An open port. `on_bytes` gets what arrives, `on_gone` is called once when the port is no more."""

    def __init__(
        self, path: str, on_bytes: Callable[[bytes], None], on_gone: Callable[[str], None]
    ) -> None:
        self.path = path
        self._on_bytes = on_bytes
        self._on_gone = on_gone
        self._unsent = bytearray()
        self._loop = asyncio.get_running_loop()
        self._serial = _open(path)
        self._fd = self._serial.fileno()
        self._loop.add_reader(self._fd, self._readable)

    @property
    def connected(self) -> bool:
        """True until the port is closed."""
        return self._fd >= 0

    @property
    def clear(self) -> bool:
        """True if all that was written has left."""
        return not self._unsent

    def write(self, data: bytes) -> None:
        """Send now what the port takes, the rest as soon as it takes more."""
        if not data or self._fd < 0:
            return
        if self._unsent:
            self._unsent += data
            return
        sent = self._send(data)
        if self._fd >= 0 and sent < len(data):
            self._unsent += data[sent:]
            self._loop.add_writer(self._fd, self._writable)

    def close(self) -> None:
        """Close the port; nothing is called any more. What the port has taken is still delivered."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._fd = -1
            with contextlib.suppress(OSError, serial.SerialException):
                self._serial.close()

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._gone(error.strerror or str(error))
            return
        if data:
            self._on_bytes(data)
        else:
            self._gone("the device hung up")

    def _writable(self) -> None:
        del self._unsent[: self._send(self._unsent)]
        if not self._unsent and self._fd >= 0:
            self._loop.remove_writer(self._fd)

    def _send(self, data: bytes | bytearray) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._gone(error.strerror or str(error))
            return 0

    def _gone(self, reason: str) -> None:
        self.close()
        self._on_gone(reason)


def _open(path: str) -> serial.Serial:
    try:
        port = serial.Serial(path, 115200, timeout=0, exclusive=True)
    except serial.SerialException as error:
        raise LinkError(_explain(path, error)) from None
    except (ValueError, OSError) as error:
        raise LinkError(
            f"{path}: cannot be used as a serial port ({error}); check the name"
        ) from None
    os.set_blocking(port.fileno(), False)
    return port


def _explain(path: str, error: serial.SerialException) -> str:
    # pyserial keeps the number in one place or another; termios.error is no OSError
    number = error.errno
    if number is None and error.__context__ is not None and error.__context__.args:
        number = error.__context__.args[0]
    if number == errno.ENOENT:
        return (
            f"{path}: no such port; is the pod plugged in? `ls /dev/serial/by-path` shows what is"
        )
    if number in (errno.EACCES, errno.EPERM):
        return f"{path}: not allowed; add yourself to the group that owns it (usually `dialout`)"
    if number in (errno.EAGAIN, errno.EBUSY):
        return f"{path}: in use by another program; close it, or give another port"
    if number in (errno.ENOTTY, errno.EISDIR, errno.EINVAL, errno.EIO, errno.ENXIO):
        return f"{path}: not a serial port; give the port a pod is plugged into"
    return f"{path}: cannot be opened ({error})"
