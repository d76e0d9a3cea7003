"""What makes a pod this pod, and that its silent corruption is noticed."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest
from dreampod.provisioning import Provisioning, hmac_sha256, same
from hypothesis import given
from hypothesis import strategies as st
from releases import KEY, UID, provision

from dreampods.errors import FlashError
from dreampods.image import provision_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path, content in provision().items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    return tmp_path / "provision"


def switch_on(folder: Path) -> Provisioning:
    return Provisioning(UID, f"{folder}/")


@given(key=st.binary(max_size=150), parts=st.lists(st.binary(max_size=200), max_size=3))
def test_the_pods_hmac_is_everybodys(key: bytes, parts: list[bytes]) -> None:
    assert hmac_sha256(key, *parts) == hmac.new(key, b"".join(parts), hashlib.sha256).digest()


@given(one=st.binary(max_size=40), two=st.binary(max_size=40))
def test_comparing_compares(one: bytes, two: bytes) -> None:
    assert same(one, two) == (one == two)
    assert same(one, bytes(one))


def test_a_provisioned_pod_knows_its_name_and_key(folder: Path) -> None:
    record = switch_on(folder)
    assert (record.fault, record.name, record.key) == (None, "pod-1", KEY)
    assert record.signed(b"text", hmac_sha256(KEY, b"text"))
    assert not record.signed(b"text", hmac_sha256(KEY, b"texT"))
    assert record.read("certificate.der") == bytes(600)
    assert KEY.hex() not in str(record.about())


def test_a_blank_pod_runs_under_its_chips_number(tmp_path: Path) -> None:
    record = switch_on(tmp_path)
    assert (record.fault, record.name, record.key) == (None, "pod-000001", None)
    assert not record.signed(b"text", b"")


@pytest.mark.parametrize("name", ["pod.json", "key", "certificate.der"])
@pytest.mark.parametrize("how", ["gone", "one bit"])
def test_a_spoilt_record_is_a_fault_and_the_pod_runs_all_the_same(
    folder: Path, name: str, how: str
) -> None:
    if how == "gone":
        (folder / name).unlink()
    else:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 4
        (folder / name).write_bytes(content)
    record = switch_on(folder)
    assert record.read(name) is None
    assert record.fault is not None
    assert (
        f"{name} is {'missing' if how == 'gone' else 'spoilt'}: provision the pod again"
        in record.fault
    )
    assert record.name == ("pod-000001" if name == "pod.json" else "pod-1")


def test_another_boards_record_is_not_ours(folder: Path) -> None:
    record = Provisioning("e660000000000002", f"{folder}/")
    assert record.fault is not None
    assert f"is that of board {UID}" in record.fault
    assert (record.name, record.key, record.calibration) == ("pod-000002", None, {})


def test_the_measured_loudness_takes_the_place_of_the_boards(tmp_path: Path) -> None:
    board = {"full_scale_dba": 80.0, "ceiling_dba": 60.0, "hard_dba": 75.0}
    assert switch_on(tmp_path).limits(board) == board
    files = provision_files(
        {"uid": UID, "calibration": {"date": "2026-11-23", "full_scale_dba": 83.5}}, KEY
    )
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    limits = switch_on(tmp_path / "provision").limits(board)
    assert limits == {"full_scale_dba": 83.5, "ceiling_dba": 60.0, "hard_dba": 75.0}
    assert board["full_scale_dba"] == 80.0


def test_a_key_of_another_length_is_not_written() -> None:
    with pytest.raises(FlashError, match="31 bytes"):
        provision_files({"uid": UID}, bytes(31))
