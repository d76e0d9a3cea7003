"""Updates of virtual pods that run: from one release to the next, back, and what is refused."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dreampods.cli import main
from dreampods.errors import LinkError
from dreampods.flashing import Port, look
from dreampods.image import Bundle, Image, architecture, build_image, provision_files
from dreampods.image.rollout import Outcome, roll_back_all, update_all
from dreampods.registry import FleetFolder
from dreampods.virtual.supervisor import Supervisor, find_micropython, uid

PODS = 2


def release(image: Image, serial: int, **changed: bytes) -> Bundle:
    """The firmware under another release number, with some files changed."""
    files = image.slot_files | changed
    manifest = json.loads(image.manifest) | {
        "serial": serial,
        "files": [
            [name, len(content), hashlib.sha256(content).hexdigest()]
            for name, content in sorted(files.items())
        ],
    }
    return Bundle(json.dumps(manifest).encode(), files)


class Provisioned(Supervisor):
    """Virtual boards that belong to a fleet."""

    fleet: FleetFolder

    def _write_flash(
        self, home: Path, files: dict[str, bytes] | None, provision: dict[str, bytes]
    ) -> None:
        name = home.name
        number = int(name.removeprefix("pod-"))
        record = self.fleet.enrol(uid(number), name, f"S{number}", "r1")
        identity = {"uid": record.uid, "name": name, "serial": record.serial, "hardware": "r1"}
        super()._write_flash(home, files, provision_files(identity, record.key))


@dataclass
class Bench:
    """Pods with power, and the fleet they belong to."""

    folder: Path
    fleet: FleetFolder
    ports: list[str]
    image: Image

    @property
    def keys(self) -> dict[str, bytes]:
        return {record.uid: record.key for record in self.fleet.pods()}

    def update(self, bundle: Bundle, keys: dict[str, bytes] | None = None) -> list[Outcome]:
        told = keys if keys is not None else self.keys
        return asyncio.run(update_all(self.ports, bundle, told, lambda *_: None, self.fleet.path))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    try:
        find_micropython()
    except LinkError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("bench")
    Provisioned.fleet = FleetFolder.create(folder / "fleet", "bench")
    supervisor = Provisioned(PODS, folder / "pods", None)
    over = threading.Event()

    def power() -> None:
        while not over.is_set():
            supervisor.watch(0.05)

    thread = threading.Thread(target=power)
    thread.start()
    try:
        yield Bench(
            folder,
            Provisioned.fleet,
            [unit.port for unit in supervisor.units],
            build_image("virtual", architecture("virtual")),
        )
    finally:
        over.set()
        thread.join()
        supervisor.close()


def test_pods_are_updated_refuse_what_is_not_for_them_and_go_back(bench: Bench) -> None:
    third = release(bench.image, 3)
    outcomes = bench.update(third)
    assert [(o.error, o.result, o.slot) for o in outcomes] == [("", "updated", "b")] * PODS
    assert [o.result for o in bench.update(third)] == ["nothing to do"] * PODS
    for port in bench.ports:  # what a host learns that was away when they confirmed
        assert look(Port(port)).dictionary["trial"] is False

    for outcome in bench.update(release(bench.image, 1)):
        assert "release 1 is not newer; to go back, dreampods rollback" in outcome.error
    pico = Bundle(third.manifest.replace(b'"virtual"', b'"RPI_PICO"'), third.files)
    for outcome in bench.update(pico):
        assert "is a virtual, and this bundle is for RPI_PICO" in outcome.error
    # These the pod refuses by itself
    for outcome in bench.update(release(bench.image, 3, **{"dreampod/more.mpy": b""})):
        assert "not newer than release 3" in outcome.error
    fourth = release(bench.image, 4)
    for outcome in bench.update(fourth, dict.fromkeys(bench.keys, bytes(32))):
        assert "made for another fleet's pods" in outcome.error
    for outcome in bench.update(fourth, {}):
        assert "none of this fleet's pods" in outcome.error

    # A firmware that was made with our keys and cannot run: tried three times, then the old one again
    broken = {"dreampod/run.mpy": bench.image.slot_files["dreampod/wire.mpy"]}
    for outcome in bench.update(release(bench.image, 5, **broken)):
        assert "went back to the one it had: ImportError" in outcome.error
    assert [o.result for o in bench.update(third)] == ["nothing to do"] * PODS
    sixth = release(bench.image, 6)
    outcomes = bench.update(sixth)
    assert [(o.error, o.result, o.slot) for o in outcomes] == [("", "updated", "a")] * PODS

    outcomes = asyncio.run(roll_back_all(bench.ports, lambda *_: None, bench.fleet.path))
    assert [(o.error, o.release, o.slot) for o in outcomes] == [("", 3, "b")] * PODS


def test_the_commands_make_a_bundle_and_tell_of_each_pod(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet, file = str(bench.fleet.path), str(bench.folder / "virtual.bundle")
    report = bench.folder / "report.json"
    main(["bundle", "virtual", "--fleet", fleet, "--out", file])
    assert "for virtual" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(
            [
                *("update", file, bench.ports[0], "/dev/none", "/dev/../dev/none", bench.ports[0]),
                *("--fleet", fleet, "--json", str(report)),
            ]
        )
    assert ended.value.code == 1
    told = capsys.readouterr()
    assert "/dev/none: no such port" in told.err
    assert len(told.err.splitlines()) + len(told.out.splitlines()) == 2
    assert [pod["port"] for pod in json.loads(report.read_text())["pods"]] == [
        bench.ports[0],
        "/dev/none",
    ]
    other = bench.folder / "other"
    FleetFolder.create(other, "other")
    with pytest.raises(SystemExit):
        main(["update", file, bench.ports[0], "--fleet", str(other)])
    assert "not signed with this fleet's key" in capsys.readouterr().err
