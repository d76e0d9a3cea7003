"""Who is on a port: a pod that runs, a board to be flashed, or somebody else's work that is left alone.

The order matters. A pod is asked in its own language first, for to look at it from the prompt would end
a session. Only what does not answer is interrupted, and what proves to be somebody else's is started
again as it was.
"""

from __future__ import annotations

import contextlib
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import serial

from dreampods.errors import FlashError
from dreampods.firmware.dreampod import wire
from dreampods.link import Dictionary, Protocol
from dreampods.link.protocol import build_frame

from .finding import Port
from .ports import PortError, gone, open_port
from .repl import Repl

POD = "pod"  # our firmware runs and answers
STOPPED = "stopped"  # our files are on it, but it is at the prompt
BLANK = "blank"  # MicroPython, and nothing else
FOREIGN = "foreign"  # MicroPython with somebody else's files: never touched
FLASHABLE = (POD, STOPPED, BLANK)

# The files in the root of a board that is ours, in the order of writing: what boots comes after what it
# imports, and the boot record last of all
ROOT_FILES = ("watchdog.py", "slots.mpy", "boot.py", "main.py", "boot.json")
SLOTS = ("a", "b")
_OURS = {*SLOTS, "provision", "boot.new", *ROOT_FILES, *(name + ".new" for name in ROOT_FILES)}
# What MicroPython itself or the virtual board mounts there
_MOUNTED = {"pc", "rom", "remote"}

_ANSWER_S = 0.8
_READ_S = 0.05

# The arch field of sys.implementation._mpy, in MicroPython's order (py/persistentcode.h)
_ARCHITECTURES = (
    *("", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp"),
    *("xtensa", "xtensawin", "rv32imc", "rv64imc"),
)

_LOOK = """
import os,sys
def _h(p,n):
 try:
  with open(p,'rb') as f:return f.read(n)
 except OSError:return None
def _o(p):
 try:
  with open(p,'rb') as f:return any(b'dreampod' in l for l in f)
 except OSError:return None
try:
 import machine
 _u=''.join('%02x'%c for c in machine.unique_id())
except (ImportError,AttributeError):_u=''
_i=sys.implementation
try:_r=os.listdir('/')
except OSError:_r=None
print(repr((_u,_i.name,'.'.join(str(n) for n in _i.version),getattr(_i,'_machine',''),\
getattr(_i,'_build',''),getattr(_i,'_mpy',0),_r,_h('/boot.py',2000),\
_o('/main.py'),_h('/boot.json',300))))
"""


@dataclass(slots=True)
class Seen:
    """What is on a port. Fields that could not be learned are empty."""

    port: Port
    state: str
    uid: str = ""
    name: str = ""
    board: str = ""
    firmware: str = ""
    slot: str = ""
    image: str = ""  # digest of the image that runs
    arch: str = ""
    bytecode: int = (
        0  # low 10 bits of sys.implementation._mpy: version, and version of machine code
    )
    note: str = ""  # for people: why it is in this state
    dictionary: dict[str, Any] = field(default_factory=dict)


def look(port: Port, *, patient: bool = False) -> Seen:
    """Find out who is on a port. Never raises for what may be plugged in: the state tells.

    Args:
        patient: wait 20 s for a board that is still booting, not 2 s.
    """
    try:
        seen, heard = ask_pod(port)
        if seen is not None:
            return seen
        with Repl(port.path) as repl:
            repl.enter(heard=heard, patient=patient)
            seen = look_from_prompt(port, repl)
            # Whose program was interrupted gets it back
            repl.leave(run=seen.state in (FOREIGN, STOPPED))
            return seen
    except PortError as error:
        return Seen(port, error.state, note=str(error))
    except FlashError as error:  # something like a prompt, but it does not behave as one
        return Seen(port, "other", note=str(error))


def ask_pod(port: Port) -> tuple[Seen | None, bool]:
    """Say HELLO. The pod that answered or None, and whether anything was heard at all.

    Raises:
        PortError: the port cannot be used.
    """
    protocol = Protocol()
    protocol.hello(_NONCE)
    heard = False
    with open_port(port.path, _READ_S) as line:
        try:
            line.write(protocol.outgoing(time.monotonic_ns()))
            until = time.monotonic() + _ANSWER_S
            while time.monotonic() < until:
                data = line.read(4096)
                for message in protocol.receive(data, time.monotonic_ns()):
                    heard = True
                    if isinstance(message, Dictionary) and message.nonce == _NONCE:
                        return _running(port, message.content), True
        except serial.SerialTimeoutException:
            raise PortError(
                "silent", f"{port.path}: takes no bytes; unplug it and try again"
            ) from None
        except (serial.SerialException, OSError):
            raise gone(port.path) from None
    return None, heard


@contextlib.contextmanager
def at_prompt(seen: Seen) -> Iterator[tuple[Repl, Seen]]:
    """The board at its prompt, freshly restarted, and what is seen from there.

    Raises:
        FlashError: it is not ours to touch, or does not come to the prompt. After this error or any
            other, a board that still answers is started again.
    """
    if seen.state not in FLASHABLE:
        raise FlashError(refusal(seen))
    with Repl(seen.port.path) as repl:
        repl.enter(heard=seen.state == POD)
        try:
            repl.restart()
            now = look_from_prompt(seen.port, repl)
            if now.state not in FLASHABLE:
                raise FlashError(refusal(now))
            yield repl, now
        except BaseException:
            repl.leave(run=True)
            raise


def refusal(seen: Seen) -> str:
    """Why a board in this state is not touched, and what can be done."""
    path = seen.port.path
    if seen.state == FOREIGN:
        return (
            f"{path}: {seen.note}; it is left alone. If all on it may go, empty it yourself:"
            f" `mpremote connect {path} fs rm -r :/`"
        )
    return seen.note or f"{path}: is {seen.state}"


def look_from_prompt(port: Port, repl: Repl) -> Seen:
    """Look round on a board that is at the raw prompt."""
    said = repl.run(_LOOK, "looking round")
    values = repl.parse(said, "looking round")
    uid, python, version, machine, build, mpy, root, boot, main, record = values
    seen = Seen(
        port,
        STOPPED,
        uid=uid,
        board=board_name(machine, build),
        firmware=f"{python} {version}",
        arch=_ARCHITECTURES[min(mpy >> 10 & 0xF, len(_ARCHITECTURES) - 1)],
        bytecode=mpy & 0x3FF,
    )
    names = set(root or ()) - _MOUNTED
    strange = sorted(names - _OURS)
    if python != "micropython":
        seen.state, seen.note = FOREIGN, f"runs {python}, not MicroPython"
    elif strange:
        seen.state, seen.note = FOREIGN, f"has somebody else's files: {', '.join(strange[:5])}"
    elif main is not None and not main:
        seen.state, seen.note = FOREIGN, "has somebody else's main.py"
    elif not _stock_or_ours(boot):
        seen.state, seen.note = FOREIGN, "has somebody else's boot.py"
    elif not names - {"boot.py", "provision"}:
        seen.state = BLANK
        seen.note = "its file system cannot be read" if root is None else ""
    elif record is None or main is None:
        seen.note = "not flashed to the end"
    return seen


def board_name(machine: str, build: str) -> str:
    """Our name of the board whose MicroPython says `_machine` and `_build`; empty if we have none.

    Boards are called as MicroPython calls its builds. Before 1.25 there is no `_build`.
    """
    if machine.startswith("linux"):
        return "virtual"
    if build:
        return build.split("-")[0]  # ESP32_GENERIC_S3-SPIRAM_OCT is a variant
    return _BOARDS_BY_MACHINE.get(machine, "")


_BOARDS_BY_MACHINE = {
    "Raspberry Pi Pico with RP2040": "RPI_PICO",
    "Raspberry Pi Pico W with RP2040": "RPI_PICO_W",
    "Raspberry Pi Pico2 with RP2350": "RPI_PICO2",
    "Raspberry Pi Pico 2 W with RP2350": "RPI_PICO2_W",
    "Generic ESP32S3 module with ESP32S3": "ESP32_GENERIC_S3",
}


def _running(port: Port, said: dict[str, Any]) -> Seen:
    def text(key: str) -> str:
        return str(said.get(key, ""))

    return Seen(
        port,
        POD,
        uid=text("uid"),
        name=text("name"),
        board=text("board"),
        firmware=text("firmware"),
        slot=text("slot"),
        image=text("image"),
        dictionary=said,
    )


def _stock_or_ours(boot: bytes | None) -> bool:
    """The ESP32's own boot.py is nothing but comments."""
    if boot is None or b"feed_at_the_prompt" in boot:
        return True
    return all(not line.strip() or line.lstrip().startswith(b"#") for line in boot.splitlines())


def _harmless_nonce() -> int:
    """One for which the end of a HELLO has no control characters, should it meet a prompt.

    The type of the frame is Ctrl-A and its length Ctrl-D, which end in a syntax error at the raw prompt.
    Behind them another Ctrl-D would be a soft reset.
    """
    nonce = 0x50505050
    while True:
        frame = build_frame(wire.HELLO, nonce.to_bytes(4, "little"))
        if min(frame[7:]) >= 0x20 and zlib.crc32(frame) == wire.CRC_RESIDUE:
            return nonce
        nonce += 1


_NONCE = _harmless_nonce()
