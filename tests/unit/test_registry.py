"""The fleet's folder: who is in it, who may read it, and what happens when it is spoilt."""

from __future__ import annotations

import concurrent.futures
import datetime
import json
import multiprocessing
import os
import ssl
import stat
from pathlib import Path

import pytest

pytest.importorskip("cryptography")

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dreampods.cli import main
from dreampods.errors import FleetError
from dreampods.registry import FleetFolder

UID = "e6614103e7452a2f"


@pytest.fixture
def fleet(tmp_path: Path) -> FleetFolder:
    return FleetFolder.create(tmp_path / "fleet", "dream house")


def names_of(certificate: x509.Certificate) -> list[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return found.value.get_values_for_type(x509.DNSName)


def role_of(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


# --- making and loading ----------------------------------------------------------------------


def test_a_fleet_is_the_same_after_it_was_loaded(fleet: FleetFolder) -> None:
    record = fleet.enrol(UID, "pod-1", "DP-0001", "B")
    again = FleetFolder.load(fleet.path)
    assert (again.name, again.ca_der, again.expires) == (fleet.name, fleet.ca_der, fleet.expires)
    assert again.signing_key.public_key() == fleet.signing_key.public_key()
    assert again.pods() == [record]


def test_only_the_owner_may_read_it(fleet: FleetFolder) -> None:
    fleet.enrol(UID, "pod-1", "DP-0001", "B")
    fleet.renew()
    for path in (fleet.path, *fleet.path.rglob("*")):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_a_folder_others_may_look_into_is_not_used(fleet: FleetFolder) -> None:
    fleet.path.chmod(0o750)
    with pytest.raises(FleetError, match="chmod 700"):
        FleetFolder.load(fleet.path)


@pytest.mark.parametrize("what", ["fleet", "folder", "file"])
def test_nothing_is_overwritten(what: str, tmp_path: Path) -> None:
    path = tmp_path / "there"
    if what == "fleet":
        FleetFolder.create(path, "first")
    elif what == "folder":
        path.mkdir()
    else:
        path.write_text("mine")
    before = sorted(path.rglob("*"))
    with pytest.raises(FleetError, match="no fleet is overwritten"):
        FleetFolder.create(path, "second")
    assert sorted(path.rglob("*")) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["there"], "nothing half made is left"


@pytest.mark.parametrize("name", ["", "a\nb", "\udcff", "a" * 41, "é" * 21])
def test_what_cannot_be_a_fleets_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="cannot be a fleet's name"):
        FleetFolder.create(tmp_path / "fleet", name)
    assert not list(tmp_path.iterdir())


def test_a_fleet_that_is_not_there_is_told_how_to_make(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="dreampods fleet init"):
        FleetFolder.load(tmp_path / "nowhere")


# --- certificates ----------------------------------------------------------------------------


def test_certificates_say_who_may_do_what_and_for_how_long(fleet: FleetFolder) -> None:
    record = fleet.enrol(UID, "pod-1", "DP-0001", "B")
    authority = x509.load_der_x509_certificate(fleet.ca_der)
    pod = x509.load_der_x509_certificate(record.certificate_der)
    host = x509.load_pem_x509_certificate((fleet.path / "host.pem").read_bytes())
    assert role_of(host) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert role_of(pod) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert names_of(pod) == ["pod-1.local", UID]
    now = datetime.datetime.now(datetime.UTC)
    for certificate, years in ((authority, 20), (host, 2), (pod, 10)):
        # A board's clock starts in 2021 for want of a battery
        assert certificate.not_valid_before_utc.year == 2020
        left = certificate.not_valid_after_utc - now
        assert abs(left.days - years * 365.25) < 3
    for certificate in (host, pod):
        certificate.verify_directly_issued_by(authority)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        assert not constraints.value.ca
    key = serialization.load_der_private_key(record.private_key_der, None)
    assert key.public_key() == pod.public_key()
    assert len(record.key) == 32


def test_a_renewed_host_has_another_certificate_of_the_same_authority(fleet: FleetFolder) -> None:
    before = (fleet.path / "host.pem").read_bytes()
    fleet.renew()
    after = (fleet.path / "host.pem").read_bytes()
    assert before != after
    assert isinstance(FleetFolder.load(fleet.path).client_context(), ssl.SSLContext)


def test_an_expired_host_is_told_to_renew(
    fleet: FleetFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("dreampods.registry.certificates._HOST_YEARS", -1)
        fleet.renew()
    expired = FleetFolder.load(fleet.path)
    with pytest.raises(FleetError, match="dreampods fleet renew"):
        expired.client_context()
    expired.renew()
    expired.client_context()


# --- enrolling -------------------------------------------------------------------------------


def test_a_uid_keeps_its_record(fleet: FleetFolder) -> None:
    first = fleet.enrol(UID, "pod-1", "DP-0001", "B")
    assert fleet.enrol(UID, "pod-9", "DP-0009", "C") == first
    assert FleetFolder.load(fleet.path).enrol(UID, "pod-1", "DP-0001", "B") == first
    assert fleet.pods() == [first]


def test_two_pods_have_neither_name_nor_number_nor_secret_in_common(fleet: FleetFolder) -> None:
    first = fleet.enrol(UID, "pod-1", "DP-0001", "B")
    with pytest.raises(FleetError, match="another pod of the fleet is called 'pod-1'"):
        fleet.enrol("aabbccdd", "pod-1", "DP-0002", "B")
    with pytest.raises(FleetError, match="pod-1 has the serial number 'DP-0001'"):
        fleet.enrol("aabbccdd", "pod-2", "DP-0001", "B")
    second = fleet.enrol("aabbccdd", "pod-2", "DP-0002", "B")
    assert first.key != second.key
    assert first.private_key_der != second.private_key_der


@pytest.mark.parametrize(
    ("uid", "name", "serial", "hardware"),
    [
        ("../../etc", "pod-1", "1", "A"),
        ("", "pod-1", "1", "A"),
        (UID.upper(), "pod-1", "1", "A"),
        (UID, "Pod 1", "1", "A"),
        (UID, "-pod", "1", "A"),
        (UID, "p" * 33, "1", "A"),
        (UID, "pod.1", "1", "A"),
        (UID, "pod-1", "", "A"),
        (UID, "pod-1", "1", "A\n"),
    ],
)
def test_what_cannot_be_a_pod_is_refused(
    fleet: FleetFolder, uid: str, name: str, serial: str, hardware: str
) -> None:
    with pytest.raises(FleetError):
        fleet.enrol(uid, name, serial, hardware)
    assert fleet.pods() == []


def _enrol(folder: Path, number: int) -> str:
    try:
        own = FleetFolder.load(folder)
        return own.enrol(f"{number:08x}", f"pod-{number % 4}", f"DP-{number}", "A").name
    except FleetError:
        return ""


@pytest.mark.parametrize("workers", ["threads", "processes"])
def test_many_are_enrolled_side_by_side(fleet: FleetFolder, workers: str) -> None:
    pool = (
        concurrent.futures.ThreadPoolExecutor(8)
        if workers == "threads"
        else concurrent.futures.ProcessPoolExecutor(
            4, mp_context=multiprocessing.get_context("spawn")
        )
    )
    with pool:
        names = list(pool.map(_enrol, [fleet.path] * 8, range(8)))
    assert sorted(filter(None, names)) == ["pod-0", "pod-1", "pod-2", "pod-3"]
    assert [pod.name for pod in fleet.pods()] == ["pod-0", "pod-1", "pod-2", "pod-3"]


# --- what is spoilt --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["authority.pem", "host.pem", "signing-key.pem", "fleet.json"])
@pytest.mark.parametrize("how", ["missing", "empty", "half", "noise", "folder"])
def test_a_spoilt_file_is_named_in_one_line(fleet: FleetFolder, name: str, how: str) -> None:
    file = fleet.path / name
    content = file.read_bytes()
    file.unlink()
    if how == "folder":
        file.mkdir()
    elif how != "missing":
        file.write_bytes({"empty": b"", "half": content[: len(content) // 2]}.get(how, b"\xff\0"))
    with pytest.raises(FleetError) as told:
        FleetFolder.load(fleet.path)
    assert "\n" not in str(told.value)
    assert name in str(told.value) or "no fleet there" in str(told.value)


def test_the_host_of_another_fleet_is_noticed(fleet: FleetFolder, tmp_path: Path) -> None:
    other = FleetFolder.create(tmp_path / "other", "theirs")
    (fleet.path / "host.pem").write_bytes((other.path / "host.pem").read_bytes())
    with pytest.raises(FleetError, match="another fleet's authority"):
        FleetFolder.load(fleet.path)


@pytest.mark.parametrize("how", ["missing", "spoilt", "another fleet's"])
def test_a_hosts_certificate_that_is_no_good_is_made_anew_by_the_command_it_names(
    fleet: FleetFolder, how: str, tmp_path: Path
) -> None:
    file = fleet.path / "host.pem"
    if how == "missing":
        file.unlink()
    elif how == "spoilt":
        file.write_text("noise")
    else:
        other = FleetFolder.create(tmp_path / "other", "theirs")
        file.write_bytes((other.path / "host.pem").read_bytes())
    with pytest.raises(FleetError, match="dreampods fleet renew"):
        FleetFolder.load(fleet.path)
    main(["fleet", "renew", "--fleet", str(fleet.path)])
    assert FleetFolder.load(fleet.path).expires > datetime.datetime.now(datetime.UTC)


def test_the_pod_of_another_fleet_is_noticed(fleet: FleetFolder, tmp_path: Path) -> None:
    other = FleetFolder.create(tmp_path / "other", "theirs")
    other.enrol(UID, "pod-1", "DP-0001", "B")
    file = Path("pods") / f"{UID}.json"
    (fleet.path / file).write_bytes((other.path / file).read_bytes())
    with pytest.raises(FleetError, match="the pod is another fleet's"):
        fleet.pods()


@pytest.mark.parametrize("key", ["uid", "name", "key", "private_key", "certificate"])
def test_a_record_put_together_from_two_pods_is_noticed(fleet: FleetFolder, key: str) -> None:
    fleet.enrol(UID, "pod-1", "DP-0001", "B")
    fleet.enrol("aabbccdd", "pod-2", "DP-0002", "B")
    file = fleet.path / "pods" / f"{UID}.json"
    content = json.loads(file.read_text())
    other = json.loads((fleet.path / "pods" / "aabbccdd.json").read_text())
    content[key] = other[key][:-2] if key == "key" else other[key]
    file.write_text(json.dumps(content))
    with pytest.raises(FleetError, match="spoilt"):
        fleet.pods()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_to_a_record_ends_in_anything_but_one_line(
    fleet: FleetFolder, data: st.DataObject
) -> None:
    fleet.enrol(UID, "pod-1", "DP-0001", "B")
    file = fleet.path / "pods" / f"{UID}.json"
    whole = file.read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 40)))
    file.write_bytes(whole[:start] + data.draw(st.binary(max_size=40)) + whole[end:])
    try:
        fleet.pods()
    except FleetError as error:
        assert "\n" not in str(error)
    finally:
        file.write_bytes(whole)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_what_may_not_be_read_or_written_is_told_in_one_line(fleet: FleetFolder) -> None:
    (fleet.path / "pods").chmod(0o500)
    with pytest.raises(FleetError, match="cannot be written"):
        fleet.enrol(UID, "pod-1", "DP-0001", "B")
    (fleet.path / "pods").chmod(0o700)
    (fleet.path / "host.pem").chmod(0)
    with pytest.raises(FleetError, match="cannot be read"):
        FleetFolder.load(fleet.path)


@pytest.mark.parametrize("what", ["removed", "a file"])
def test_a_missing_folder_of_pods_is_told_and_not_taken_for_none(
    fleet: FleetFolder, what: str
) -> None:
    (fleet.path / "pods").rmdir()
    if what == "a file":
        (fleet.path / "pods").write_text("")
    with pytest.raises(FleetError, match="pods: missing; restore") as told:
        fleet.enrol(UID, "pod-1", "DP-0001", "B")
    assert "\n" not in str(told.value)
    with pytest.raises(FleetError, match="pods: missing; restore"):
        fleet.pods()


# --- the command line ------------------------------------------------------------------------


def test_the_commands_make_list_and_renew_a_fleet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "ours"
    main(["fleet", "init", str(folder)])
    FleetFolder.load(folder).enrol(UID, "pod-1", "DP-0001", "B")
    capsys.readouterr()
    main(["fleet", "list", "--fleet", str(folder), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["fleet"] == "ours"
    assert told["pods"][0] | {"expires": ""} == {
        "uid": UID,
        "name": "pod-1",
        "serial": "DP-0001",
        "hardware": "B",
        "expires": "",
    }
    main(["fleet", "list", "--fleet", str(folder)])
    assert "DP-0001" in capsys.readouterr().out
    main(["fleet", "renew", "--fleet", str(folder)])
    assert "good until" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["fleet", "init", str(folder)])
    assert "no fleet is overwritten" in capsys.readouterr().err


@pytest.mark.parametrize("columns", ["30", "100"])
def test_names_are_listed_as_they_are_in_any_width(
    columns: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    fleet = FleetFolder.create(tmp_path / "ours", "[/x]")
    main(["fleet", "list", "--fleet", str(fleet.path)])
    fleet.enrol(UID, "pod-1", "[/b]", "[red]")
    main(["fleet", "list", "--fleet", str(fleet.path)])
    told = capsys.readouterr().out
    assert "…" not in told
    if columns == "100":  # else they are folded
        assert all(text in told for text in ("'[/x]' has no pods", "fleet [/x]", "[/b]", "[red]"))
