"""Tell a board who it is: name, serial number, calibration, keys and certificates; once, and for good.

What is written here is neither read nor touched by flashing and updates. A board that has it already says
who it is and is left as it is, unless the person says `again`; then what is not given anew is kept.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from typing import Any

from dreampods.errors import FlashError
from dreampods.image.provision import FOLDER, provision_files
from dreampods.registry import FleetFolder, PodRecord

from .finding import Port, named_port
from .flash import STARTS_WITHIN_S, wait_until_answers
from .looking import POD, at_prompt, look
from .repl import Repl

# As the pod's `run.py` reads them
CERTIFICATE, PRIVATE_KEY, AUTHORITY = "certificate.der", "private.der", "authority.der"

_POD, _SUMS = f"/{FOLDER}/pod.json", f"/{FOLDER}/sums.json"
_QUIETEST_DBA, _LOUDEST_DBA = 40.0, 140.0
_LONGEST_RIG = 64


@dataclass(frozen=True, slots=True)
class Calibration:
    """What full scale is worth at the sleeper's ear, when that was measured, and on which rig."""

    full_scale_dba: float
    date: str
    rig: str

    def __post_init__(self) -> None:
        if not _QUIETEST_DBA <= self.full_scale_dba <= _LOUDEST_DBA:  # NaN is in no range
            raise FlashError(
                f"--full-scale-dba {self.full_scale_dba:g}: full scale is worth"
                f" {_QUIETEST_DBA:g} to {_LOUDEST_DBA:g} dBA; measure again"
            )
        try:
            date = datetime.date.fromisoformat(self.date)
        except ValueError:
            date = None
        if date is None or date.isoformat() != self.date:  # Python also takes 2026-W13-2
            raise FlashError(f"--calibrated {self.date!r}: give the day as 2026-03-31")
        if date > datetime.date.today():
            raise FlashError(f"--calibrated {self.date}: that day is still to come")
        if len(self.rig) > _LONGEST_RIG or not self.rig.isprintable():
            raise FlashError(
                f"--rig {self.rig!r}: name the place in up to {_LONGEST_RIG} letters and digits"
            )


@dataclass(frozen=True, slots=True)
class Identity:
    """What a person says about a board."""

    name: str
    serial: str
    hardware: str
    calibration: Calibration | None = None
    wifi: tuple[str, str] | None = None  # ssid, password


def provision(
    port: Port,
    identity: Identity,
    fleet: FleetFolder,
    *,
    again: bool = False,
) -> PodRecord:
    """Enrol the board on `port` in the fleet, and write down on it who it is.

    Raises:
        FlashError: it is somebody already, or cannot be written.
        FleetError: the fleet cannot take it under that name.
    """
    seen = look(port, patient=True)
    with at_prompt(seen) as (repl, now):
        if not now.uid:
            raise FlashError(f"{port.path}: its chip tells no number; it cannot be enrolled")
        old = read_identity(repl)
        if old is not None and not again:
            raise FlashError(
                f"{port.path}: is provisioned already, as {who(old)}; --again writes it anew"
            )
        record = fleet.enrol(now.uid, identity.name, identity.serial, identity.hardware)
        _check_same(record, identity, fleet)
        _write(repl, _files(record, identity, fleet, old or {}), again=old is not None)
        repl.reset()
    if seen.state == POD:
        answer = wait_until_answers(port, lambda pod: pod.name == record.name)
        if answer:
            raise FlashError(
                f"{port.path}: is provisioned, but did not start as {record.name} within"
                f" {STARTS_WITHIN_S:.0f} s: {answer}"
            )
    return record


def read_identity(repl: Repl) -> dict[str, Any] | None:
    """Who the board at the prompt is; None if nobody has said so yet, or not to the end."""
    names = repl.ask(
        f"[e[0] for e in __import__('os').ilistdir('/{FOLDER}')]"
        f" if '{FOLDER}' in __import__('os').listdir('/') else []",
        "looking for its identity",
    )
    if "pod.json" not in names or "sums.json" not in names:
        return None
    try:
        record = json.loads(repl.read_file(_POD))
    except ValueError:
        record = None
    return record if isinstance(record, dict) else {"name": "a pod with a spoilt pod.json"}


def identity_of(name: str, fleet: dict[str, dict[str, str]]) -> dict[str, str]:
    """Who the board on a port is, from the fleet's records by uid or else from the board itself.

    Raises:
        FlashError: there is no board, or it is nobody yet.
    """
    port = named_port(name)
    seen = look(port, patient=True)
    if seen.uid in fleet:
        return fleet[seen.uid]
    with at_prompt(seen) as (repl, now):
        record = read_identity(repl)
        repl.reset()
    if record is None:
        raise FlashError(f"{port.path}: is nobody yet (uid {now.uid}): dreampods provision")
    return {key: str(value) for key, value in record.items() if isinstance(value, str)}


def who(record: dict[str, Any]) -> str:
    """A line for people."""
    parts = [str(record.get("name", "nobody"))]
    parts += [f"{key} {record[key]}" for key in ("serial", "hardware", "uid") if record.get(key)]
    return ", ".join(parts)


def _check_same(record: PodRecord, identity: Identity, fleet: FleetFolder) -> None:
    asked = (identity.name, identity.serial, identity.hardware)
    if (record.name, record.serial, record.hardware) != asked:
        raise FlashError(
            f"the fleet knows this board ({record.uid}) as {record.name}, serial {record.serial},"
            f" hardware {record.hardware}: give the same, or remove"
            f" {fleet.path / 'pods' / (record.uid + '.json')} to begin anew"
        )


def _files(
    record: PodRecord, identity: Identity, fleet: FleetFolder, old: dict[str, Any]
) -> dict[str, bytes]:
    content: dict[str, Any] = {
        "uid": record.uid,
        "name": record.name,
        "serial": record.serial,
        "hardware": record.hardware,
    }
    calibration, wifi = identity.calibration, identity.wifi
    content["calibration"] = (
        {
            "full_scale_dba": calibration.full_scale_dba,
            "date": calibration.date,
            "rig": calibration.rig,
        }
        if calibration
        else old.get("calibration")
    )
    content["wifi"] = {"ssid": wifi[0], "password": wifi[1]} if wifi else old.get("wifi")
    return provision_files(
        {key: value for key, value in content.items() if value is not None},
        record.key,
        {
            CERTIFICATE: record.certificate_der,
            PRIVATE_KEY: record.private_key_der,
            AUTHORITY: fleet.ca_der,
        },
    )


def _write(repl: Repl, files: dict[str, bytes], *, again: bool) -> None:
    if again:
        # Without the sums it is nobody's: if this is broken off, it can simply be done again
        repl.run(f"import os\nos.remove({_SUMS!r})", "beginning anew")
    for path, content in files.items():
        repl.write_file("/" + path, content)
