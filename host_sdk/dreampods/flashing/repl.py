"""A board at MicroPython's raw prompt: run code there, write files and read them back.

mpremote's transport does the talking. Ours is how the prompt is reached: mpremote gives up where a board
is slow to boot, prints while it does, or is still busy with what the last program left on the line.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import re
import struct
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import serial

from dreampods.errors import FlashError

from .ports import PortError, gone, open_port

CHUNK_BYTES = 512  # of a file in one go: what a board with 190 KB of heap parses without trouble
HASH_BYTES = 512

# mpremote wants to see the `>` behind it for itself
_BANNER = b"raw REPL; CTRL-B to exit\r\n"
_REBOOTED = b"soft reboot\r\n"
_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # for the prompt, each try longer; an ESP32 boots in 2 s
_POD_SILENCE_S = 1.2  # a pod goes to the prompt only if no host has spoken for 1 s
_QUIET_S = 0.05
_ANSWER_S = 2.0
_TAKE_S = 10.0
_EXECUTE_S = 30  # without a byte; a full flash that has to erase takes its time
_REBOOT_S = 6.0

# The last line of a traceback, or what main.py says when there is nothing to start
_COMPLAINT = re.compile(r"\w*(Error|Exception|Interrupt)\b|no firmware")

_RENAME = """
import os
try:
 os.rename({0!r},{1!r})
except OSError:
 os.remove({1!r})
 os.rename({0!r},{1!r})
"""

_MKDIR = """
import os
try:
 os.mkdir({0!r})
except OSError as e:
 if e.errno!=17:raise
"""


class Repl:
    """The raw prompt of the board at `path`. Use it as a context: the port is closed in the end."""

    def __init__(self, path: str) -> None:
        try:
            from mpremote.transport_serial import (  # type: ignore[import-untyped]
                SerialTransport,
                TransportError,
                TransportExecError,
            )
        except ImportError:
            raise FlashError("flashing needs mpremote: pip install 'dreampods[flash]'") from None
        self.path = path
        self._error, self._exec_error = TransportError, TransportExecError
        # Why it cannot be opened is what mpremote does not tell
        open_port(path, _ANSWER_S).close()
        with self._explained("opening the port"):
            self._transport: Any = SerialTransport(path, timeout=_ANSWER_S)
            # mpremote would wait for ever for a board that takes no bytes
            self._transport.serial.write_timeout = _TAKE_S

    def __enter__(self) -> Repl:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError, serial.SerialException):
            self._transport.close()

    # --- to the prompt and away ------------------------------------------------------------------

    def enter(self, *, heard: bool = False, patient: bool = True) -> None:
        """Reach the raw prompt, whatever the board does now.

        Args:
            heard: a host has just spoken to the pod, which must believe it gone first.
            patient: try for 20 s; else, to see whether there is MicroPython at all, for 2 s.

        Raises:
            FlashError: no prompt came.
        """
        port = self._transport.serial
        if heard:
            time.sleep(_POD_SILENCE_S)
        with self._explained("looking for the prompt"):
            for number, wait_s in enumerate(_WAITS_S if patient else _WAITS_S[:2]):
                # Ctrl-C leaves a program, a half-typed line, and a transfer that was broken off;
                # this beginning of a burst is also what a pod looks for
                port.write(b"\r\x03" if number % 2 == 0 else b"\r\x03\x03")
                self._drain(_QUIET_S)
                port.write(b"\r\x01")
                if self._wait_for(_BANNER, wait_s):
                    return
                time.sleep(_POD_SILENCE_S if patient else 0)
        raise PortError(
            "silent",
            f"{self.path}: no MicroPython prompt; unplug it and plug it in again, and check that"
            " MicroPython is on it",
        )

    def restart(self) -> None:
        """Soft reset, which frees all memory and stops what the last program left running.

        A board that has no soft reset, or whose boot.py is slow, is just taken as it is.
        """
        with self._explained("restarting MicroPython"):
            self._wait_for(b">", _ANSWER_S)
            self._transport.serial.write(b"\x04")
            rebooted = self._wait_for(_REBOOTED, _REBOOT_S) and self._wait_for(_BANNER, _REBOOT_S)
        if not rebooted:
            self.enter()

    def leave(self, *, run: bool) -> None:
        """Back to the friendly prompt; with `run`, on to the board's own program by a soft reset."""
        with contextlib.suppress(OSError, serial.SerialException):
            self._transport.serial.write(b"\x03\x02")
            self._drain(_QUIET_S)
            if run:
                self._transport.serial.write(b"\x04")

    def why_it_does_not_start(self) -> str:
        """Start the board's own program, and listen to what it complains of; empty if it does not."""
        self.leave(run=True)
        said = bytearray()
        with self._explained("listening"):
            until = time.monotonic() + _REBOOT_S
            while time.monotonic() < until:
                said += self._transport.serial.read(1)
        lines = said.decode(errors="replace").splitlines()
        return next((line for line in reversed(lines) if _COMPLAINT.match(line)), "")

    def reset(self) -> None:
        """As if the power had gone and come back. The port may go with it."""
        with self._explained("resetting"):
            self._transport.exec_raw_no_follow("import machine\nmachine.reset()")
        time.sleep(0.1)  # for the board to take the last byte before the port is closed

    def _wait_for(self, ending: bytes, wait_s: float) -> bool:
        port, data = self._transport.serial, bytearray()
        until = time.monotonic() + wait_s
        port.timeout = 0.05
        try:
            while time.monotonic() < until:
                data += port.read(1)
                if data.endswith(ending):
                    return True
        finally:
            port.timeout = _ANSWER_S
        return False

    def _drain(self, quiet_s: float) -> None:
        port = self._transport.serial
        port.timeout = quiet_s
        until = time.monotonic() + _ANSWER_S  # a program that never stops printing
        while port.read(4096) and time.monotonic() < until:
            pass
        port.timeout = _ANSWER_S

    # --- code ------------------------------------------------------------------------------------

    def run(self, code: str, what: str) -> bytes:
        """What `code` prints.

        Args:
            what: for the message if it fails: "reading the flash".

        Raises:
            FlashError: it failed, in one line.
        """
        with self._explained(what):
            said, wrong = self._transport.exec_raw(code, timeout=_EXECUTE_S)
        if wrong:
            raise FlashError(f"{self.path}: {what} failed: {self._reason(wrong)}")
        assert isinstance(said, bytes)
        return said

    def ask(self, expression: str, what: str) -> Any:
        """The value of an expression, if it is a plain one."""
        return self.parse(self.run(f"print(repr({expression}))", what), what)

    def parse(self, said: bytes, what: str) -> Any:
        """What the board printed, as the plain value it is.

        Raises:
            FlashError: it is none: other things were printed too.
        """
        try:
            return ast.literal_eval(said.strip().decode())
        except (ValueError, SyntaxError):
            raise FlashError(
                f"{self.path}: {what}: the board answered {said[:60]!r}; try again"
            ) from None

    def _reason(self, wrong: bytes) -> str:
        last = wrong.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        if "ENOSPC" in last[0] or "Errno 28" in last[0] or last[0] == "OSError: 28":
            return "its flash is full; `dreampods erase` makes room (provisioning is kept)"
        if "MemoryError" in last[0]:
            return "the board ran out of memory; unplug it, plug it in and try again"
        return last[0]

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except self._exec_error as error:
            raise FlashError(
                f"{self.path}: {what} failed: {self._reason(error.error_output.encode())}"
            ) from None
        except serial.SerialTimeoutException:
            raise PortError(
                "silent", f"{self.path}: {what}: the board takes no bytes; unplug it and try again"
            ) from None
        except (serial.SerialException, OSError):
            raise gone(self.path) from None
        except (self._error, struct.error) as error:
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise FlashError(
                f"{self.path}: {what}: the board does not answer as expected ({text[:80]}); try again"
            ) from None

    # --- files -----------------------------------------------------------------------------------

    def write_file(
        self, path: str, content: bytes, progress: Callable[[int], None] = lambda done: None
    ) -> None:
        """Write a file so that, whatever happens, the board has the old one or the new one, whole.

        Args:
            progress: called with the number of bytes that went over since its last call.

        Raises:
            FlashError: it could not be written, or reads back otherwise.
        """
        fresh, what = path + ".new", f"writing {path}"
        for folder in _folders(path):
            self.run(_MKDIR.format(folder), what)
        sent = 0

        def told(done: int, _total: int) -> None:
            nonlocal sent
            progress(done - sent)
            sent = done

        with self._explained(what):
            try:
                self._transport.fs_writefile(fresh, content, CHUNK_BYTES, told)
            except OSError as error:
                # mpremote turns the board's OSError into ours; the port's has no file's name
                if error.args[1:] == (fresh,):
                    reason = self._reason(f"OSError: {error.args[0]}".encode())
                    raise FlashError(f"{self.path}: {what} failed: {reason}") from None
                raise
        if self.digest(fresh) != hashlib.sha256(content).hexdigest():
            raise FlashError(
                f"{self.path}: {path} reads back otherwise than it was written; try another cable,"
                " and if that does not help, another board"
            )
        self.run(_RENAME.format(fresh, path), what)

    def digest(self, path: str) -> str:
        """SHA-256 of a file, computed on the board."""
        with self._explained(f"reading {path} back"):
            digest = self._transport.fs_hashfile(path, "sha256", HASH_BYTES)
        assert isinstance(digest, bytes)
        return digest.hex()

    def read_file(self, path: str) -> bytes:
        """A whole file."""
        with self._explained(f"reading {path}"):
            return bytes(self._transport.fs_readfile(path))


def _folders(path: str) -> list[str]:
    """`/a/b/c` lies in `/a` and `/a/b`."""
    parts = path.strip("/").split("/")[:-1]
    return ["/" + "/".join(parts[: end + 1]) for end in range(len(parts))]
