"""Bundles: what was signed is what comes out, and nothing else comes out at all."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from dreampods.errors import FlashError
from dreampods.image import Image, architecture, build_image, littlefs, read_bundle, write_bundle

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
OTHERS = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
IMAGE = Image("virtual", "x64", {"board.json": b"{}", "dreampod/pod.mpy": b"pod" * 50}, {})


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "virtual.bundle"
    write_bundle(IMAGE, KEY, path)
    return path


def refusal(path: Path) -> str:
    """Why a bundle is refused, in one line."""
    with pytest.raises(FlashError) as error:
        read_bundle(path, KEY.public_key())
    text = str(error.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text


def test_a_bundle_brings_back_what_went_in(bundle: Path) -> None:
    found = read_bundle(bundle, KEY.public_key())
    assert found.files == IMAGE.slot_files
    assert found.digest == IMAGE.digest
    assert found.about["board"] == "virtual"


def test_the_same_firmware_makes_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    write_bundle(IMAGE, KEY, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == bundle.read_bytes()


@settings(max_examples=300)
@given(data=st.data())
def test_one_bit_changed_anywhere_is_refused(bundle: Path, data: st.DataObject) -> None:
    content = bytearray(bundle.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    changed = bundle.with_name("changed")
    changed.write_bytes(content)
    refusal(changed)


@given(data=st.data())
def test_a_bundle_cut_off_or_with_something_behind_it_is_refused(
    bundle: Path, data: st.DataObject
) -> None:
    content = bundle.read_bytes()
    changed = bundle.with_name("changed")
    changed.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    refusal(changed)
    changed.write_bytes(content + data.draw(st.binary(min_size=1, max_size=30)))
    refusal(changed)


@given(content=st.binary(max_size=300))
def test_what_is_no_bundle_is_refused(bundle: Path, content: bytes) -> None:
    other = bundle.with_name("other")
    other.write_bytes(content)
    assert "bundle" in refusal(other)


def test_another_fleets_signature_is_refused(tmp_path: Path) -> None:
    write_bundle(IMAGE, OTHERS, tmp_path / "theirs")
    assert "not signed with this fleet's key" in refusal(tmp_path / "theirs")


@pytest.mark.parametrize("what", ["missing", "does not belong", "not what was signed"])
def test_files_that_are_not_those_of_the_manifest_are_refused(
    bundle: Path, tmp_path: Path, what: str
) -> None:
    changed = tmp_path / "changed"
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            if what == "missing" and name == "board.json":
                continue
            content = old.read(name)
            if what == "not what was signed" and name == "board.json":
                content += b" "
            new.writestr(name, content)
        if what == "does not belong":
            new.writestr("dreampod/more.mpy", b"")
    assert what in refusal(changed)


def test_a_file_that_is_not_there_or_is_a_folder_is_told(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none")
    assert "cannot be read" in refusal(tmp_path)
    with pytest.raises(FlashError, match="cannot be written"):
        write_bundle(IMAGE, KEY, Path("/proc/none/bundle"))


@pytest.mark.parametrize("board", ["virtual", "RPI_PICO", "RPI_PICO2_W", "ESP32_GENERIC_S3"])
def test_an_image_has_what_a_board_needs_to_start(board: str) -> None:
    image = build_image(board, architecture(board))
    assert {"boot.py", "main.py", "watchdog.py", "slots.mpy", "boot.json"} <= image.files.keys()
    assert {"a/manifest.json", "a/board.json", "a/dreampod/pod.mpy"} <= image.files.keys()
    assert image.files["slots.mpy"] == image.files["a/dreampod/slots.mpy"]
    assert image.digest == hashlib.sha256(image.manifest).hexdigest()[:16]
    assert build_image(board, architecture(board)).digest == image.digest


def test_images_for_different_processors_differ_in_machine_code_only() -> None:
    pico, s3 = (build_image("virtual", arch).slot_files for arch in ("armv6m", "xtensawin"))
    assert {name for name in pico if pico[name] != s3[name]} == {"dreampod/_fast.mpy"}


def test_a_flash_too_small_is_told_in_one_line() -> None:
    image = build_image("virtual", architecture("virtual"))
    assert len(littlefs(image.files, 128)) == 128 * 4096
    with pytest.raises(FlashError, match="do not fit into a flash of 32768 bytes"):
        littlefs(image.files, 8)


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(FlashError, match="not a bundle"):
        read_bundle(Path("/dev/zero"), KEY.public_key())


def test_a_zip_that_promises_more_than_it_holds_is_not_unpacked(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", bytes(5_000_000))
    (tmp_path / "bomb").write_bytes(out.getvalue())
    assert "promises more than it holds" in refusal(tmp_path / "bomb")
