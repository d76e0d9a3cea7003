"""One virtual board: its port, its power, and the wire between them.

The firmware behaves on a port as on USB. At first we stand between the port and MicroPython: what the
host sends goes on to it, a Ctrl-C becomes the signal that interrupts it, and what it prints goes to the
host. When the firmware says `micropython.kbd_intr(-1)`, it gets the port for itself (see `console.py` in
`firmware/virtual`), so that nothing of ours adds to its timing.

A board whose process ends is switched on again: at once after a soft reset, else after the time USB
takes to come back.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

BOARD = "virtual"  # the board it usually is
VIRTUAL_BOARDS = (BOARD, "virtual-full", "virtual-wifi")
HEAP = "192k"  # for the firmware
# Objects are twice as large on a PC as on a chip: 256k here is less than the RP2040's 233 KB there
HEAP_OF_MORE = "256k"  # with every part there is, or with TLS
_POWER_ON_AGAIN_S = 1.0
_GIVE_UP_S = 0.5  # a board waits no longer for a host that does not read
_INTERRUPT_AGAIN_S = 0.05  # a second signal before the first was seen would end MicroPython
_READ_BYTES = 65536

# What the board says, see `firmware/virtual/pc.py`
_POWERED = b"H"
_TAKES_THE_LINE = b"D"
_GIVES_IT_BACK = b"R"
_AT_THE_PROMPT = b"P"
_SOFT_RESET = b"S"
_WATCHDOG = b"W"
_BOOTLOADER = b"B"

_POWER_CAUSE, _WATCHDOG_CAUSE = 1, 3  # of a reset, as the RP2 tells it

_CTRL_A, _CTRL_C = b"\x01", b"\x03"
_RAW, _FRIENDLY = b"raw REPL; CTRL-B to exit\r\n", b'Type "help()" for more information.\r\n'

State = Literal["off", "starting", "running", "prompt", "bootloader"]


class VirtualBoard:
    """A board in `folder`. Call `turn` whenever one of `waits_for()` is ready, and ten times a second."""

    def __init__(self, name: str, folder: Path, command: list[str], *, renumber: bool) -> None:
        """`command` is the program up to the descriptors, `renumber` as a host that numbers ports anew."""
        self.name = name
        self.folder = folder
        self.state: State = "off"
        self.process: subprocess.Popen[bytes] | None = None
        self._command = command
        self._renumber = renumber
        self._off_since = 0.0
        self._direct = False
        self._soft_reset = False
        self._raw = False
        self._watchdog = False
        self._pipes: list[int] = []
        self._interrupted = 0.0
        self._open_port()

    def _open_port(self) -> None:
        self._board_fd, self._port_fd = pty.openpty()
        tty.setraw(self._port_fd)
        os.set_blocking(self._board_fd, False)
        self.port = os.ttyname(self._port_fd)

    def _close_port(self) -> None:
        os.close(self._board_fd)
        os.close(self._port_fd)

    # --- power -------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Cold: boot.py, main.py. Raises OSError when the program cannot be run."""
        self._raw = False
        self._cause = _WATCHDOG_CAUSE if self._watchdog else _POWER_CAUSE
        self._watchdog = False
        self._start()

    def _start(self) -> None:
        relayed_blocking, self._to_board = os.pipe()
        # The same pipe once more, for readers that may not block
        relayed = os.open(f"/proc/self/fd/{relayed_blocking}", os.O_RDONLY | os.O_NONBLOCK)
        self._from_board, out = os.pipe()
        self._said, say = os.pipe()
        answer, self._answers = os.pipe()
        theirs = (relayed_blocking, relayed, out, say, answer)
        self._pipes = [self._to_board, self._from_board, self._said, self._answers]
        for fd in self._pipes:
            os.set_blocking(fd, False)
        self._waiting_in = _CTRL_A if self._raw else b""
        self._waiting_out = b""
        self._taken = time.monotonic()
        self._tail = b""
        self._direct = False
        self._soft_reset = False
        self.state = "starting"
        given = (self._board_fd, relayed, say, answer)
        try:
            with (self.folder / "stderr.log").open("ab") as log:
                self.process = subprocess.Popen(
                    [
                        *self._command,
                        *map(str, (*given, self._cause)),
                        *(["raw"] if self._raw else []),
                    ],
                    stdin=relayed_blocking,
                    stdout=out,
                    stderr=log,
                    pass_fds=given,
                    cwd=self.folder,
                    start_new_session=True,  # a Ctrl-C meant for the host is not for the pod
                )
            self._exit_fd = os.pidfd_open(self.process.pid)
            self._pipes.append(self._exit_fd)
        finally:
            for fd in theirs:
                os.close(fd)

    def power_off(self) -> None:
        """As pulling the plug; `power_on` puts it in again."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self._disconnect()
        self.state = "bootloader"  # off, and not to be switched on again by itself

    def _disconnect(self) -> None:
        self.process = None
        for fd in self._pipes:
            os.close(fd)
        self._pipes = []
        self._off_since = time.monotonic()

    def close(self) -> None:
        """Power off for good, and take the port away."""
        self.power_off()
        with contextlib.suppress(OSError):
            self._close_port()

    # --- what happens ------------------------------------------------------------------------

    def waits_for(self) -> Iterator[tuple[int, bool]]:
        """Descriptors, and whether they are to be written (else read)."""
        if self.process is None:
            return
        yield self._exit_fd, False
        yield self._said, False
        if self._waiting_out:
            yield self._board_fd, True
        else:
            yield self._from_board, False
        if self._waiting_in:
            yield self._to_board, True
        elif self._relays:
            yield self._board_fd, False

    @property
    def _relays(self) -> bool:
        return not self._direct and self.state in ("running", "prompt")

    def turn(self) -> None:
        """Do what there is to do, without waiting. Raises OSError when the program cannot be run."""
        if self.process is not None:
            ended = self.process.poll() is not None
            self._listen()
            self._relay_out()
            self._relay_in()
            if ended:
                self._end()
        elif self.state == "off" and time.monotonic() - self._off_since > _POWER_ON_AGAIN_S:
            if self._renumber:
                old = self._board_fd, self._port_fd
                self._open_port()  # before the old one goes, so that it has another name
                for fd in old:
                    os.close(fd)
            _read(self._board_fd)  # nobody was there to hear it
            self.power_on()

    def _end(self) -> None:
        """The process is gone: why, and what follows?"""
        process = self.process
        assert process is not None
        soft = self._soft_reset or (process.returncode >= 0 and self.state == "prompt")
        bootloader = self.state == "bootloader"
        self._disconnect()
        self.state = "bootloader" if bootloader else "off"
        if soft and not bootloader:
            with contextlib.suppress(BlockingIOError):
                os.write(self._board_fd, b"MPY: soft reboot\r\n")
            self._start()

    def _listen(self) -> None:
        for what in re.findall(rb"(?s).", _read(self._said)):
            if what == _POWERED:
                self.state = "running"
            elif what == _AT_THE_PROMPT:
                self.state = "prompt"
            elif what == _TAKES_THE_LINE:
                self._direct = True
                self._write_in()
                os.write(self._answers, what)
            elif what == _GIVES_IT_BACK:
                self._direct = False
            elif what == _SOFT_RESET:
                self._soft_reset = True
            elif what == _WATCHDOG:
                self._watchdog = True
            elif what == _BOOTLOADER:
                self.state = "bootloader"

    def _relay_out(self) -> None:
        while True:
            if self._waiting_out:
                with contextlib.suppress(BlockingIOError):
                    count = os.write(self._board_fd, self._waiting_out)
                    self._waiting_out = self._waiting_out[count:]
                    self._taken = time.monotonic()
                if self._waiting_out and time.monotonic() - self._taken < _GIVE_UP_S:
                    return
                self._waiting_out = b""
            data = _read(self._from_board)
            if not data:
                return
            self._taken = time.monotonic()
            self._waiting_out = data
            if self.state == "prompt":
                self._note_mode(data)

    def _note_mode(self, data: bytes) -> None:
        """A soft reset keeps the prompt that there was, and from the raw one does not run main.py."""
        seen = self._tail + data
        raw, friendly = seen.rfind(_RAW), seen.rfind(_FRIENDLY)
        if raw != friendly:
            self._raw = raw > friendly
        self._tail = seen[-max(len(_RAW), len(_FRIENDLY)) :]

    def _relay_in(self) -> None:
        self._write_in()
        if not self._relays or self._waiting_in:
            return
        data = _read(self._board_fd)
        if _CTRL_C in data and self._catches_interrupts():
            data = data[data.rindex(_CTRL_C) + 1 :]
            if time.monotonic() - self._interrupted > _INTERRUPT_AGAIN_S:
                self._interrupted = time.monotonic()
                assert self.process is not None
                self.process.send_signal(signal.SIGINT)
        self._waiting_in = data
        self._write_in()

    def _write_in(self) -> None:
        if self._waiting_in:
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                self._waiting_in = self._waiting_in[os.write(self._to_board, self._waiting_in) :]

    def _catches_interrupts(self) -> bool:
        """True while a program runs. At the prompt a Ctrl-C is a key, and the signal would kill."""
        assert self.process is not None
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return False
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
        return caught is not None and bool(int(caught[1], 16) >> (signal.SIGINT - 1) & 1)


def _read(fd: int) -> bytes:
    """All there is of at most a chunk; nothing if there is nothing, or nobody."""
    try:
        return os.read(fd, _READ_BYTES)
    except OSError:
        return b""
