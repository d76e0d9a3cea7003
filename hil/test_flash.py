"""A drawer of blank boards becomes pods by one command, and nothing else that is plugged in is touched.

The boards are those of `dreampods sim N --blank`, a process of its own; everything is done to them by the
commands a person would type, mpremote among them.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dreampods.flashing.finding import Port
from dreampods.flashing.looking import Seen, ask_pod
from dreampods.flashing.ports import PortError
from dreampods.virtual import registry

pytestmark = pytest.mark.virtual

_STARTS_WITHIN_S = 30
_COMMAND_WITHIN_S = 120
_SOME_PROGRAMS = 100  # of some 1,000 that the firmware takes: some files are over, not all
_SOMEBODYS = "import time\nwhile True:\n    time.sleep_ms(50)\n"

Simulate = Callable[..., list[registry.Entry]]


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _do(module: str, *arguments: str, fails: bool = False) -> str:
    """Run a command to its end; what it printed, or what it complained of if it is to fail."""
    done = subprocess.run(
        _python(module, *arguments), capture_output=True, text=True, timeout=_COMMAND_WITHIN_S
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == int(fails), done.stdout + done.stderr
    return done.stderr if fails else done.stdout


def _listed(*ports: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(_do("dreampods", "list", "--json", *ports))
    return rows


def _flash(report: Path, *arguments: str) -> list[dict[str, Any]]:
    _do("dreampods", "flash", *arguments, "--json", str(report))
    boards: list[dict[str, Any]] = json.loads(report.read_text())["boards"]
    return boards


def _answer(port: str) -> Seen:
    """The pod on a port, as soon as it answers."""
    until = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < until:
        with contextlib.suppress(PortError):
            seen, _ = ask_pod(Port(port))
            if seen is not None:
                return seen
        time.sleep(0.1)
    raise AssertionError(f"{port}: no pod answers")


def _programs(board: registry.Entry) -> int:
    """How often a board's flash has been programmed, as of its last whole file."""
    counted = Path(board.folder) / "flash-writes.json"
    try:
        return int(json.loads(counted.read_text())["programs"])
    except (FileNotFoundError, ValueError):  # nothing yet, or just being written
        return 0


@pytest.fixture
def simulate(tmp_path: Path, tapes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulate]:
    """Start `dreampods sim`; its boards are found by commands started here and by no others."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with contextlib.ExitStack() as stack:

        def start(count: int, *options: str) -> list[registry.Entry]:
            folders = ("--out", str(tmp_path / "pods"), "--recordings", str(tapes))
            sim = subprocess.Popen(
                _python("dreampods", "sim", str(count), "--blank", *folders, *options),
                stdout=subprocess.DEVNULL,
            )
            stack.callback(sim.wait, _STARTS_WITHIN_S)
            stack.callback(sim.send_signal, signal.SIGINT)
            until = time.monotonic() + _STARTS_WITHIN_S
            while len(registry.running()) < count:
                assert sim.poll() is None and time.monotonic() < until, "no boards"
                time.sleep(0.05)
            return registry.running()

        yield start


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return tmp_path / "report.json"


@contextlib.contextmanager
def _stranger() -> Iterator[tuple[str, int]]:
    """A serial device that is no board of ours: its port, and where to read what was sent to it."""
    near, far = pty.openpty()
    try:
        tty.setraw(far)
        os.set_blocking(near, False)
        yield os.ttyname(far), near
    finally:
        os.close(near)
        os.close(far)


def _heard(near: int) -> bytes:
    try:
        return os.read(near, 65536)
    except BlockingIOError:
        return b""


def test_eight_blank_boards_are_pods_after_one_command_and_the_second_has_nothing_to_do(
    simulate, report, measured
):
    boards = simulate(8)
    assert [row["state"] for row in _listed()] == ["blank"] * 8
    began = time.monotonic()
    outcomes = _flash(report, "--all", "-j", "4")
    measured("eight boards flashed", time.monotonic() - began, "s")
    assert [outcome["result"] for outcome in outcomes] == ["flashed"] * 8
    assert {outcome["uid"] for outcome in outcomes} == {board.uid for board in boards}
    rows = _listed()
    assert [row["state"] for row in rows] == ["pod"] * 8
    assert {row["image"] for row in rows} == {outcomes[0]["image"]}

    lives = [_answer(board.port).dictionary["boot_id"] for board in boards]
    outcomes = _flash(report, "--all", "-j", "4")
    assert [outcome["result"] for outcome in outcomes] == ["nothing to do"] * 8
    # Nor was any of them disturbed
    assert [_answer(board.port).dictionary["boot_id"] for board in boards] == lives


def test_mpremote_sees_the_files_of_a_running_pod_which_is_a_pod_again_after_a_reset(
    simulate, report
):
    (board,) = simulate(1)
    _flash(report, board.port)
    first = _answer(board.port)
    time.sleep(2)  # nobody has spoken to it for a while
    listing = _do("mpremote", "connect", board.port, "fs", "ls")
    assert {"main.py", "boot.py", "boot.json", "a/"} <= set(listing.split())

    _do("mpremote", "connect", board.port, "reset")
    second = _answer(board.port)
    assert second.image == first.image
    assert second.dictionary["boot_id"] != first.dictionary["boot_id"]

    # Somebody has only just spoken to it
    assert _listed(board.port)[0]["state"] == "pod"
    assert "main.py" in _do("mpremote", "connect", board.port, "fs", "ls").split()
    # It lies at the prompt now; to look does it no harm, and leaves it running again
    assert _listed(board.port)[0]["state"] in ("pod", "stopped")
    assert _answer(board.port).image == first.image


def test_somebody_elses_board_and_an_unknown_port_are_never_written(simulate, report, tmp_path):
    ours, theirs = simulate(2)
    program = tmp_path / "main.py"
    program.write_text(_SOMEBODYS)
    _do("mpremote", "connect", theirs.port, "fs", "cp", str(program), ":main.py")
    _do("mpremote", "connect", theirs.port, "reset")
    flash = Path(theirs.folder) / "flash.bin"
    time.sleep(2)
    before = flash.read_bytes()
    with _stranger() as (port, near):
        rows = {row["port"]: row for row in _listed()}
        assert rows[theirs.port]["state"] == "foreign"
        assert port not in rows
        outcomes = _flash(report, "--all")
        assert [outcome["port"] for outcome in outcomes] == [ours.port]
        assert _heard(near) == b""
    complaint = _do("dreampods", "flash", theirs.port, fails=True)
    assert "somebody else's main.py" in complaint
    assert flash.read_bytes() == before
    assert _do("mpremote", "connect", theirs.port, "fs", "cat", ":main.py") == _SOMEBODYS


def test_a_flash_broken_off_by_ctrl_c_goes_on_by_the_same_command(simulate, report):
    boards = simulate(2)
    flash = subprocess.Popen(
        _python("dreampods", "flash", "--all"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    before = _programs(boards[0])
    while _programs(boards[0]) < before + _SOME_PROGRAMS:
        assert flash.poll() is None
        time.sleep(0.005)
    flash.send_signal(signal.SIGINT)
    _, complaint = flash.communicate(timeout=_COMMAND_WITHIN_S)
    assert flash.returncode == 130
    assert "Traceback" not in complaint
    assert "the same command goes on from here" in complaint
    assert "stopped" in {row["state"] for row in _listed()}

    outcomes = _flash(report, "--all")
    assert [outcome["result"] for outcome in outcomes] == ["flashed"] * 2
    assert any("0 kept" not in outcome["plan"] for outcome in outcomes), outcomes
    assert {_answer(board.port).image for board in boards} == {outcomes[0]["image"]}


def test_boards_are_found_again_when_a_reset_gives_their_ports_new_names(simulate, report):
    before = {board.uid: board.port for board in simulate(2, "--renumber")}
    outcomes = _flash(report, "--all")
    assert [outcome["result"] for outcome in outcomes] == ["flashed"] * 2
    after = {board.uid: board.port for board in registry.running()}
    assert after.keys() == before.keys()
    assert all(after[uid] != before[uid] for uid in before)
    assert [row["state"] for row in _listed()] == ["pod"] * 2


def test_who_a_board_is_outlasts_flashing_and_erasing_unless_that_is_asked_for(
    simulate, report, tmp_path
):
    (board,) = simulate(1)
    keys = ("--fleet", str(tmp_path / "fleet"))
    _do("dreampods", "fleet", "init", str(tmp_path / "fleet"))
    _flash(report, board.port)
    told = _do(
        *("dreampods", "provision", board.port, "--name", "drift", "--serial", "S-7"),
        *("--hardware", "B", "--full-scale-dba", "82.5", "--calibrated", "2026-03-31", *keys),
    )
    assert "is drift, serial S-7" in told
    pod = _answer(board.port)
    assert pod.name == "drift"
    assert pod.dictionary["limits"]["full_scale_dba"] == 82.5
    again = ("dreampods", "provision", board.port, "--name", "other", "--serial", "S-8")
    assert "is provisioned already, as drift" in _do(*again, "--hardware", "B", *keys, fails=True)

    assert "files removed" in _do("dreampods", "erase", board.port, "--yes")
    assert _listed(board.port)[0]["state"] == "blank"
    assert _flash(report, board.port)[0]["result"] == "flashed"
    pod = _answer(board.port)
    assert pod.name == "drift"
    assert pod.dictionary["limits"]["full_scale_dba"] == 82.5

    _do("dreampods", "erase", board.port, "--provision", "--yes")
    _flash(report, board.port)
    assert _answer(board.port).name != "drift"
