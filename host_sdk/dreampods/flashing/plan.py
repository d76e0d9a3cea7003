"""What is to be done to a board so that it holds an image: looked at first, written down, then done.

A board has two slots. What runs stays untouched: the other slot is filled, and the boot record, written
last, makes it the one that starts. So a flash that is broken off leaves a board that starts as before,
and the next flash goes on with what is missing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from dreampods.errors import FlashError
from dreampods.image import Image, architecture

from .looking import ROOT_FILES, SLOTS, Seen
from .repl import HASH_BYTES, Repl

_MANIFEST = "manifest.json"
_BOOT_RECORD = "/boot.json"

# Only where our files can be: provision/ is not even read
_SURVEY = """
import os,hashlib,binascii
_b=bytearray(%d)
_m=memoryview(_b)
def _f(p):
 h=hashlib.sha256()
 with open(p,'rb') as f:
  while 1:
   n=f.readinto(_b)
   if not n:break
   h.update(_m[:n])
 print(repr((p,os.stat(p)[6],binascii.hexlify(h.digest()).decode())))
def _w(d):
 try:l=list(os.ilistdir(d))
 except OSError:return
 for e in l:
  if e[1]&0x4000:_w(d+'/'+e[0])
  else:_f(d+'/'+e[0])
for p in %r:
 _w(p)
for p in %r:
 try:_f(p)
 except OSError:pass
print(repr(os.statvfs('/')[:4]))
try:
 with open('/boot.json') as f:print(repr(f.read(300)))
except OSError:print('None')
"""


@dataclass(slots=True)
class Survey:
    """What is on a board's flash."""

    files: dict[str, tuple[int, str]]  # size and SHA-256 by path
    block_bytes: int
    free_bytes: int
    boot_record: str | None


@dataclass(slots=True)
class Plan:
    """What to remove and what to write, in order; nothing of it if the board holds the image already."""

    slot: str
    remove: list[str] = field(default_factory=list)
    write: list[tuple[str, bytes]] = field(default_factory=list)
    kept: int = 0  # files that are right already

    @property
    def nothing(self) -> bool:
        """True if there is nothing to do."""
        return not self.remove and not self.write

    @property
    def bytes(self) -> int:
        """To be transferred."""
        return sum(len(content) for _, content in self.write)

    def __str__(self) -> str:
        if self.nothing:
            return "nothing to do"
        removed = f", {len(self.remove)} removed" if self.remove else ""
        return (
            f"slot {self.slot}: {len(self.write)} files of {self.bytes / 1000:.1f} kB to write,"
            f" {self.kept} kept{removed}"
        )


def survey(repl: Repl) -> Survey:
    """Read what is on the flash, in one go."""
    root = tuple(f"/{name}{end}" for name in ROOT_FILES for end in ("", ".new"))
    code = _SURVEY % (HASH_BYTES, tuple("/" + slot for slot in SLOTS), root)
    said = repl.run(code, "reading the flash")
    *files, space, record = [
        repl.parse(line, "reading the flash") for line in said.strip().splitlines()
    ]
    unit, fragment, _, free = space
    return Survey(
        files={path: (size, digest) for path, size, digest in files},
        block_bytes=unit,
        free_bytes=fragment * free,
        boot_record=record,
    )


def check_fits(seen: Seen, image: Image) -> None:
    """Refuse an image whose code the board could not load.

    Raises:
        FlashError: which of the two is wrong.
    """
    path = seen.port.path
    wanted = architecture(image.board)
    if seen.arch != wanted:
        raise FlashError(
            f"{path}: its processor is {seen.arch or 'unknown'}, {image.board} has {wanted};"
            " give the right --board"
        )
    native = [f for name, f in image.slot_files.items() if name.endswith("_fast.mpy")]
    for content in native:
        # Header of an .mpy: 'M', version, flags of which the low two bits are the machine code's version
        version, code = content[1], content[2] & 3
        if seen.bytecode & 0xFF != version or seen.bytecode >> 8 & 3 != code:
            raise FlashError(
                f"{path}: its MicroPython ({seen.firmware}) loads bytecode"
                f" {seen.bytecode & 0xFF}.{seen.bytecode >> 8 & 3}, mpy-cross makes {version}.{code};"
                " update the older of the two"
            )


def make_plan(found: Survey, image: Image) -> Plan:
    """From what is there to `image`, touching as little as possible.

    Raises:
        FlashError: it does not fit.
    """
    current = current_slot(found)
    if current and not _differing(found, image, current):
        slot = current
    else:
        slot = _other(current) if current else SLOTS[0]
    wanted = _slot_content(image, slot)
    plan = Plan(slot)
    plan.remove = sorted(
        path
        for path in found.files
        if (path.startswith(f"/{slot}/") and path not in wanted) or path.endswith(".new")
    )
    slot_writes = [
        (path, content) for path, content in wanted.items() if not _same(found, path, content)
    ]
    manifest = f"/{slot}/{_MANIFEST}"
    if slot_writes and manifest in found.files:
        # A slot with a manifest may be started; this one is about to be neither old nor new
        plan.remove.insert(0, manifest)
        slot_writes = [*(w for w in slot_writes if w[0] != manifest), (manifest, wanted[manifest])]
    root = {f"/{name}": image.root_files[name] for name in ROOT_FILES}
    root[_BOOT_RECORD] = boot_record(slot)
    plan.write = slot_writes + [
        (path, content) for path, content in root.items() if not _same(found, path, content)
    ]
    plan.kept = len(wanted) + len(root) - len(plan.write)
    _check_space(found, plan)
    return plan


def boot_record(slot: str) -> bytes:
    """What makes `slot` the one that starts, and is to be trusted."""
    return json.dumps({"slot": slot, "good": slot, "tries": 0}).encode()


def current_slot(found: Survey) -> str | None:
    """The slot the board starts from; None if it starts from none."""
    try:
        record = json.loads(found.boot_record or "")
        slot = record["slot"]
    except (ValueError, KeyError, TypeError):
        return None
    return slot if slot in SLOTS and f"/{slot}/{_MANIFEST}" in found.files else None


def _other(slot: str) -> str:
    return SLOTS[1 - SLOTS.index(slot)]


def _slot_content(image: Image, slot: str) -> dict[str, bytes]:
    """In the order of writing: the manifest last."""
    files = {f"/{slot}/{name}": content for name, content in sorted(image.slot_files.items())}
    return {**files, f"/{slot}/{_MANIFEST}": image.manifest}


def _differing(found: Survey, image: Image, slot: str) -> bool:
    return any(
        not _same(found, path, content) for path, content in _slot_content(image, slot).items()
    )


def _same(found: Survey, path: str, content: bytes) -> bool:
    return found.files.get(path) == (len(content), hashlib.sha256(content).hexdigest())


def _check_space(found: Survey, plan: Plan) -> None:
    def blocks(size: int) -> int:
        return -(-size // found.block_bytes)

    needed = sum(blocks(len(content)) for _, content in plan.write)
    needed += max((blocks(len(content)) for _, content in plan.write), default=0)  # its .new
    given_up = {*plan.remove, *(path for path, _ in plan.write)} & found.files.keys()
    room = found.free_bytes // found.block_bytes + sum(
        blocks(found.files[path][0]) for path in given_up
    )
    if needed > room:
        raise FlashError(
            f"the flash has room for {room * found.block_bytes // 1000} kB, and"
            f" {needed * found.block_bytes // 1000} kB are needed; `dreampods erase` makes room"
        )
