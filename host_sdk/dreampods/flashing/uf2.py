"""UF2: a flash image as a file that an RP2 takes from a USB drive. Blocks of 512 bytes, each with an address.

The format is Microsoft's (https://github.com/microsoft/uf2); the families are those of the Pico SDK
(boot/uf2.h). A block carries 256 bytes, which is what the boot ROM takes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from dreampods.errors import FlashError

BLOCK_BYTES = 512
PAYLOAD_BYTES = 256

FAMILIES = {"rp2040": 0xE48BFF56, "rp2350": 0xE48BFF59}
ABSOLUTE = 0xE48BFF57  # any RP2350; also the family of a block that the RP2350-E10 workaround puts in front

_MAGIC = (0x0A324655, 0x9E5D5157)
_MAGIC_END = 0x0AB16F30
_HEAD = struct.Struct("<8I")
_NOT_FLASH = 0x00000001
_HAS_FAMILY = 0x00002000
_MOST_PAYLOAD = 476


@dataclass(frozen=True, slots=True)
class Block:
    """`data` at `address`, for chips of `family` (None: not said)."""

    address: int
    data: bytes
    family: int | None


def write_uf2(image: bytes, base: int, family: int) -> bytes:
    """`image` at `base`, padded to whole blocks with 0xFF, which is what erased flash reads.

    Raises:
        ValueError: the base is not on a block's border, or the image does not fit into 32 bits.
    """
    if base % PAYLOAD_BYTES or not image or base + len(image) > 1 << 32:
        raise ValueError(f"{len(image)} bytes cannot be at {base:#x}")
    return pack_blocks(
        [
            Block(base + at, image[at : at + PAYLOAD_BYTES].ljust(PAYLOAD_BYTES, b"\xff"), family)
            for at in range(0, len(image), PAYLOAD_BYTES)
        ]
    )


def pack_blocks(blocks: list[Block]) -> bytes:
    """The blocks as one file, numbered through: the boot ROM counts them until it has all."""
    packed = bytearray()
    for number, block in enumerate(blocks):
        flags = 0 if block.family is None else _HAS_FAMILY
        packed += _HEAD.pack(
            *_MAGIC,
            flags,
            block.address,
            len(block.data),
            number,
            len(blocks),
            block.family or 0,
        )
        packed += block.data.ljust(_MOST_PAYLOAD, b"\0") + _MAGIC_END.to_bytes(4, "little")
    return bytes(packed)


def read_uf2(content: bytes, name: str) -> list[Block]:
    """The blocks of a UF2 file, checked: none missing, none twice, none malformed.

    Args:
        name: of the file, for messages.

    Raises:
        FlashError: it is not a whole UF2 file.
    """
    if not content or len(content) % BLOCK_BYTES:
        raise FlashError(
            f"{name}: not a whole UF2 file ({len(content)} bytes, not a multiple of {BLOCK_BYTES});"
            " download it again"
        )
    seen: dict[int | None, set[int]] = {}
    counts: dict[int | None, int] = {}
    blocks = []
    for at, number, count, block in _parse(content, name):
        # An RP2350 file may hold one block of another family in front, numbered for itself
        numbers = seen.setdefault(block.family, set())
        if number in numbers or counts.setdefault(block.family, count) != count:
            raise FlashError(f"{name}: block {at} is there twice; download it again")
        numbers.add(number)
        blocks.append(block)
    for family, numbers in seen.items():
        if family != ABSOLUTE and len(numbers) != counts[family]:
            raise FlashError(
                f"{name}: {counts[family] - len(numbers)} of {counts[family]} blocks are missing;"
                " download it again"
            )
    return blocks


def family_of(blocks: list[Block], name: str) -> str:
    """The chip a UF2 file is for.

    Raises:
        FlashError: none that we know.
    """
    found = {block.family for block in blocks} - {ABSOLUTE}
    for chip, family in FAMILIES.items():
        if found == {family}:
            return chip
    raise FlashError(f"{name}: is for none of the chips {', '.join(FAMILIES)}; get the right file")


def _parse(content: bytes, name: str) -> Iterator[tuple[int, int, int, Block]]:
    for at in range(len(content) // BLOCK_BYTES):
        raw = content[at * BLOCK_BYTES : (at + 1) * BLOCK_BYTES]
        one, two, flags, address, size, number, count, family = _HEAD.unpack_from(raw)
        if (one, two) != _MAGIC or int.from_bytes(raw[-4:], "little") != _MAGIC_END:
            raise FlashError(f"{name}: block {at} is no UF2 block; is this a UF2 file?")
        if size > _MOST_PAYLOAD or number >= count:
            raise FlashError(f"{name}: block {at} is malformed; download it again")
        if not flags & _NOT_FLASH:
            data = raw[_HEAD.size : _HEAD.size + size]
            yield at, number, count, Block(address, data, family if flags & _HAS_FAMILY else None)
