"""The command line where it is easily got wrong: odd answers, outputs that end, names in no alphabet."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path

import pytest

from dreampods.cli import main
from dreampods.commands.arguments import endings
from dreampods.flashing import Port
from dreampods.flashing.flash import Outcome
from dreampods.flashing.jobs import Log
from dreampods.flashing.view import View
from dreampods.registry import FleetFolder


@pytest.mark.parametrize("answer", [EOFError(), "n", "", "\udcff"])
def test_nothing_is_erased_unless_somebody_says_yes(
    answer: str | EOFError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(_question: str) -> str:
        if isinstance(answer, EOFError):
            raise answer
        return answer

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", said)
    with pytest.raises(SystemExit) as ended:
        main(["erase", "/dev/none"])
    assert ended.value.code == 1
    assert capsys.readouterr().err == "dreampods: nothing was removed\n"


@pytest.mark.parametrize("number", ["0", "65", "-1", "²", "x", ""])
def test_how_many_at_a_time_is_a_number_from_1_to_64(
    number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["flash", "--all", f"-j{number}"] if number else ["flash", "--all", "-j", ""])
    assert ended.value.code == 2
    assert "give 1 to 64" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ssid", "password", "told"),
    [
        ("", "long enough", "network's name"),
        ("x" * 33, "long enough", "network's name"),
        ("é" * 17, "long enough", "network's name"),
        ("a\nb", "long enough", "network's name"),
        ("net", "short", "8 to 63"),
        ("net", "long enough é", "ASCII"),
        ("net", "long\tenough", "ASCII"),
        ("net", "", "nobody answered"),
    ],
)
def test_a_network_that_cannot_be_is_refused_before_a_board_is_touched(
    ssid: str,
    password: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fleet = FleetFolder.create(tmp_path / "fleet", "ours")
    monkeypatch.setattr(sys, "stdin", io.StringIO(password + "\n"))
    who = ["--name", "a", "--serial", "1", "--hardware", "A", "--fleet", str(fleet.path)]
    with pytest.raises(SystemExit) as ended:
        main(["provision", "/dev/none", *who, "--wifi", ssid])
    assert ended.value.code == 1
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("how", [[], ["--json"]])
def test_a_port_that_is_not_there_is_listed_as_absent_and_fails(
    how: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["list", "/dev/none", *how])
    assert ended.value.code == 1
    assert "absent" in capsys.readouterr().out


def test_a_label_of_a_uid_that_nobody_knows_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["label", "00ff11ee", "--out", str(tmp_path / "a.pdf"), "--fleet", str(tmp_path / "fleet")])
    assert ended.value.code == 1
    assert "has no pod of this uid" in capsys.readouterr().err


def test_a_log_on_a_full_disk_holds_up_no_board_and_is_told_afterwards() -> None:
    with Log(Path("/dev/full")) as log:
        log.write("/dev/none", "writing")
        log.write("/dev/none", "flashed")
    assert "/dev/full: the log ends too soon (No space left" in str(log.error)


@pytest.mark.parametrize("full", [False, True])
def test_a_reader_who_goes_away_holds_up_no_board(
    full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if full:
        writing = os.open("/dev/full", os.O_WRONLY)
    else:
        reading, writing = os.pipe()
        os.close(reading)
    out = os.fdopen(writing, "w")
    monkeypatch.setattr(sys, "stdout", out)
    port = Port("/dev/none")
    with View([port]) as view:
        view.say(port, "looking at its flash")
        view.say(port, "starting")
        view.done(port, Outcome(port.path, result="flashed"))
    assert isinstance(view.error, OSError)
    monkeypatch.undo()
    with pytest.raises(OSError):
        out.close()


def test_sigterm_and_a_closed_terminal_end_a_command_but_not_under_nohup() -> None:
    assert endings() == [signal.SIGTERM, signal.SIGHUP]
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert endings() == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_an_output_has_no_letters_for_is_written_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = tmp_path / "own.toml"
    board.write_text('like = "RPI_PICO"\ntitle = "Café"\n', encoding="utf-8")
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="ascii"))
    main(["boards", str(board)])
    sys.stdout.flush()
    assert b"Caf\\xe9" in out.getvalue()


def test_what_nobody_foresaw_is_told_with_the_file_it_happened_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        (tmp_path / "nowhere" / "x").write_text("")

    monkeypatch.setattr("dreampods.commands.sim.simulate", refuse)
    with pytest.raises(SystemExit):
        main(["sim", "1"])
    told = capsys.readouterr().err
    assert told == f"dreampods: {tmp_path / 'nowhere' / 'x'}: No such file or directory\n"
