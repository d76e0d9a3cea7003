"""A virtual board is a board: mpremote, resets, power cuts, buses that hang, as on the bench."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dreampods.errors import LinkError
from dreampods.virtual import board as board_module
from dreampods.virtual import registry
from dreampods.virtual.supervisor import Supervisor, find_micropython

pytest.importorskip("mpremote")
SECONDS = 20.0  # nothing here takes so long, unless it hangs


@pytest.fixture(scope="module")
def sleepers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings that need no package."""
    folder = tmp_path_factory.mktemp("recordings")
    np.savetxt(folder / "sine.csv", np.sin(2 * np.pi * np.arange(60 * 50) / 50))
    sleeper = """
[[sleeper]]
name = "{}"
credit = "made for this test"
pulse = {{ file = "sine.csv", rate_hz = 50 }}
"""
    (folder / "sleepers.toml").write_text(sleeper.format("one") + sleeper.format("two"))
    return folder


class Bench:
    """One board with power, and mpremote on its port."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._on = True
        self.board = supervisor.units[0]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while self._on:
            self._supervisor.watch(0.02)

    def close(self) -> None:
        self._on = False
        self._thread.join()
        self._supervisor.close()

    @property
    def folder(self) -> Path:
        return self.board.folder

    def mpremote(self, *command: str, fails: bool = False) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mpremote", "connect", self.board.port, *command],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done.stdout

    def exec(self, code: str) -> str:
        return self.mpremote("exec", code)

    def put(self, name: str, text: str) -> None:
        (self.folder / "to-copy").write_text(text)
        self.mpremote("fs", "cp", str(self.folder / "to-copy"), f":{name}")

    def await_state(self, *states: str) -> None:
        until(lambda: self.board.state in states)

    def power_cycle(self) -> None:
        """As `machine.reset()` of an idle board, from outside."""
        process = self.board.process
        assert process is not None
        process.kill()
        until(lambda: self.board.process not in (None, process))
        self.await_state("prompt", "running")

    @contextlib.contextmanager
    def port(self) -> Iterator[Callable[[bytes, bytes], bytes]]:
        """Type something, and get what the board says, up to an ending."""
        fd = os.open(self.board.port, os.O_RDWR | os.O_NOCTTY)
        try:
            while select.select([fd], [], [], 0.2)[0]:
                os.read(fd, 4096)  # a farewell to mpremote

            def talk(data: bytes, ending: bytes) -> bytes:
                os.write(fd, data)
                heard = b""
                deadline = time.monotonic() + SECONDS
                while not heard.endswith(ending):
                    assert time.monotonic() < deadline, heard
                    if select.select([fd], [], [], 0.1)[0]:
                        heard += os.read(fd, 4096)
                return heard

            yield talk
        finally:
            os.close(fd)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def supply(
    tmp_path: Path, sleepers: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Bench]]:
    """Switches on a board; USB comes back sooner than in life."""
    monkeypatch.setattr(board_module, "_POWER_ON_AGAIN_S", 0.0)
    benches = []

    def switch_on(board: str = "virtual-full", **options: bool) -> Bench:
        try:
            find_micropython()
        except LinkError as error:
            pytest.skip(str(error))
        supervisor = Supervisor(1, tmp_path / "pods", sleepers, board=board, **options)
        bench = Bench(supervisor)
        benches.append(bench)
        return bench

    yield switch_on
    for bench in benches:
        bench.close()


@pytest.fixture
def blank(supply: Callable[..., Bench]) -> Bench:
    """A board with MicroPython and an empty flash."""
    bench = supply(blank=True)
    bench.await_state("prompt")
    return bench


# --- mpremote, prompt and resets -------------------------------------------------------------


def test_files_copied_by_mpremote_outlast_every_reset(blank, tmp_path):
    data = np.random.default_rng(1).bytes(20_000)
    (tmp_path / "data").write_bytes(data)
    blank.mpremote("fs", "cp", str(tmp_path / "data"), ":data")
    blank.mpremote("soft-reset")
    blank.mpremote("reset")
    blank.power_cycle()
    blank.mpremote("fs", "cp", ":data", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == data


def test_who_lists_or_erases_all_of_a_board_sees_nothing_of_the_pc(blank):
    blank.put("one", "x")
    assert blank.exec("import os; print(os.listdir('/'))").strip() == "['one']"


def test_a_soft_reset_at_the_raw_prompt_leaves_out_main_and_one_at_the_other_does_not(blank):
    blank.put("boot.py", "print('boot has run')\n")
    blank.put("main.py", "print('main has run')\n")
    with blank.port() as talk:
        assert b"main" not in talk(b"\r\x01", b"raw REPL; CTRL-B to exit\r\n>")
        heard = talk(b"\x04", b"raw REPL; CTRL-B to exit\r\n>")
        assert b"MPY: soft reboot\r\nboot has run" in heard
        assert b"main" not in heard
        talk(b"\x02", b">>> ")
        heard = talk(b"\x04", b">>> ")
        assert b"MPY: soft reboot\r\nboot has run" in heard
        assert b"main has run" in heard


def test_a_hard_reset_runs_main_and_says_why(blank):
    blank.put(
        "main.py",
        "import machine\n"
        "with open('cause', 'w') as file:\n"
        "    file.write(str(machine.reset_cause()))\n",
    )
    blank.power_cycle()
    blank.await_state("prompt")
    assert blank.exec("print(open('cause').read())").strip() == "1"
    before = blank.board.process
    blank.mpremote("resume", "exec", "--no-follow", "import machine; machine.reset()")
    until(lambda: blank.board.process not in (None, before))
    blank.await_state("prompt")
    assert blank.exec("print(open('cause').read())").strip() == "3"


def test_a_ctrl_c_interrupts_a_program_that_never_ends(blank):
    blank.put("main.py", "print('busy')\nwhile True:\n    pass\n")
    blank.power_cycle()
    blank.await_state("running")
    assert blank.exec("print('here I am')").strip() == "here I am"


ECHO = """
import micropython, select, sys
micropython.kbd_intr(-1)
poll = select.poll()
poll.register(sys.stdin.buffer, select.POLLIN)
sys.stdout.buffer.write(b"ready")
buf = bytearray(6)
while not poll.poll(1000):
    pass
sys.stdin.buffer.readinto(buf)
sys.stdout.buffer.write(buf)
"""


def test_a_firmware_that_wants_it_gets_byte_3_as_data_and_all_it_asked_for(blank):
    blank.put("main.py", ECHO)
    blank.power_cycle()
    with blank.port() as talk:
        until(lambda: blank.board._direct)
        talk(b"a\x03", b"")
        time.sleep(0.05)
        assert talk(b"\x03\x04bc", b">>> ").split(b"MicroPython")[0].endswith(b"a\x03\x03\x04bc")


def test_an_error_in_main_is_told_on_the_port_and_kept(blank):
    blank.put("main.py", "1 / 0\n")
    with blank.port() as talk:
        assert b"ZeroDivisionError" in talk(b"\x04", b">>> ")
    assert "ZeroDivisionError" in (blank.folder / "stderr.log").read_text()


def test_a_watchdog_that_nobody_feeds_resets_the_board(blank):
    blank.put(
        "main.py",
        "import machine, time\n"
        "if machine.reset_cause() == 1:\n"
        "    machine.WDT(timeout=300)\n"
        "    time.sleep(60)\n",
    )
    blank.power_cycle()
    blank.await_state("prompt")
    assert blank.exec("import machine; print(machine.reset_cause())").strip() == "3"


def test_the_bootloader_keeps_a_board_off(blank):
    blank.mpremote("exec", "--no-follow", "import machine; machine.bootloader()")
    until(lambda: blank.board.process is None and blank.board.state == "bootloader")
    time.sleep(0.2)
    assert blank.board.process is None


# --- flash -----------------------------------------------------------------------------------


def test_flash_programs_ones_to_zeros_only(blank):
    said = blank.exec(
        "import flash\n"
        "chip, byte = flash.Flash(300), bytearray(1)\n"
        "chip.ioctl(6, 299)\n"
        "chip.writeblocks(299, b'\\x0f', 0)\n"
        "chip.writeblocks(299, b'\\xf3', 0)\n"
        "chip.readblocks(299, byte, 0)\n"
        "print(byte[0])\n"
    )
    assert said.strip() == "3"


CHECK = """
for name in "kept", "other":
    with open(name) as file:
        text = file.read()
    assert len(text) == 3000 and len(set(text)) == 1, name
"""

REPLACE = """
import os
with open("kept") as file:
    letter = "o" if file.read(1) == "n" else "n"
with open("new", "w") as file:
    file.write(letter * 3000)
os.rename("new", "kept")
"""


@pytest.mark.parametrize("torn", [False, True])
def test_power_cut_at_any_write_loses_nothing_that_was_closed(blank, torn):
    blank.exec(
        "for name in 'kept', 'other':\n    with open(name, 'w') as file: file.write('o' * 3000)"
    )
    blank.put("boot.py", CHECK)
    blank.put("main.py", REPLACE)
    cut_file = blank.folder / "power-cut.json"
    after = 0
    while not cut_file.exists():
        after += 1
        assert after < 100
        cut_file.write_text(json.dumps({"after": after, "torn": torn}))
        blank.power_cycle()  # main.py runs and is cut off, then boot.py looks what is left
        blank.await_state("prompt")
        assert (blank.folder / "stderr.log").read_text() == ""
    assert after > 4


# --- buses and pins --------------------------------------------------------------------------

BUS = """
import machine
from machine import I2C, Pin
def bus(timeout=2000):
    return I2C(0, scl=Pin(5), sda=Pin(4), freq=400000, timeout=timeout)
def attempt(what, *arguments):
    try:
        return what(*arguments)
    except OSError as error:
        return "error %d" % error.errno
def clock(count):
    sda, scl = Pin(4, Pin.OPEN_DRAIN, value=1), Pin(5, Pin.OPEN_DRAIN, value=1)
    for _ in range(count):
        scl(0)
        scl(1)
    return sda()
identity = bytearray(1)
"""


def faulty(blank: Bench, **faults: dict[str, str]) -> None:
    """Written in place, and looked at within 50 ms of the board's time."""
    (blank.folder / "faults.json").write_text(json.dumps(faults))


def test_a_stuck_bus_is_freed_by_nine_clocks_and_not_by_eight(blank):
    faulty(blank, buses={"i2c0": "stuck-sda"})
    said = blank.exec(
        BUS + "print(attempt(bus().readfrom_mem_into, 0x57, 0xFF, identity))\n"
        "print(clock(8), attempt(bus().readfrom_mem_into, 0x57, 0xFF, identity))\n"
        "print(clock(1), attempt(bus().readfrom_mem_into, 0x57, 0xFF, identity), identity[0])\n"
    )
    assert said.split("\n")[:3] == ["error 110", "0 error 110", f"1 None {0x15}"]


def test_a_clock_line_that_is_held_low_costs_the_timeout_until_the_fault_is_gone(blank):
    faulty(blank, buses={"i2c0": "stuck-scl"})
    said = blank.exec(
        BUS + "import time\n"
        "before = time.ticks_us()\n"
        "print(clock(9), attempt(bus(5000).readfrom_mem_into, 0x57, 0xFF, identity))\n"
        "print(time.ticks_diff(time.ticks_us(), before) >= 5000)\n"
    )
    assert said.split() == ["1", "error", "110", "True"]
    faulty(blank)
    assert blank.exec(BUS + "print(0x57 in bus().scan())").strip() == "True"


def test_an_absent_part_does_not_answer_and_one_that_refuses_does_so_in_every_fifth_transfer(
    blank,
):
    faulty(blank, parts={"pulse": "nak", "temperature": "absent"})
    said = blank.exec(
        BUS + "i2c = bus()\n"
        "for _ in range(10): print(attempt(i2c.readfrom_mem_into, 0x57, 0xFF, identity), end=',')\n"
        "print(attempt(i2c.readfrom_mem_into, 0x49, 0x0F, bytearray(2)))"
    )
    answers = said.strip().split(",")
    assert answers == ((["None"] * 4 + ["error 5"]) * 2) + ["error 5"]


def test_a_bus_on_the_wrong_pins_finds_nobody(blank):
    said = blank.exec(BUS + "print(I2C(0, scl=Pin(9), sda=Pin(8)).scan(), len(bus().scan()) > 3)")
    assert said.strip() == "[] True"


def test_a_button_pulls_its_pin_down_and_interrupts(blank):
    blank.put(
        "main.py",
        "import time\n"
        "from machine import Pin\n"
        "pin = Pin(14, Pin.IN, Pin.PULL_UP)\n"
        "levels = [pin()]\n"
        "pin.irq(lambda pin: levels.append(pin()), Pin.IRQ_FALLING | Pin.IRQ_RISING)\n"
        "print('watching')\n"
        "while len(levels) < 3:\n"
        "    time.sleep_ms(10)\n"
        "with open('levels', 'w') as file:\n"
        "    file.write(str(levels))\n",
    )
    with blank.port() as talk:
        talk(b"\x04", b"watching\n")
        (blank.folder / "buttons.json").write_text('{"wake-me": true}')
        time.sleep(0.2)
        (blank.folder / "buttons.json").write_text("{}")
        talk(b"", b">>> ")
    assert blank.exec("print(open('levels').read())").strip() == "[1, 0, 1]"


def test_what_lights_are_sent_can_be_seen(blank):
    blank.exec(
        "import machine, time\n"
        "machine.bitstream(machine.Pin(22), 0, (400, 850, 800, 450), bytes((1, 2, 3)))\n"
        "time.sleep(0.2)\n"
    )
    shown = json.loads((blank.folder / "lights.json").read_text())
    assert (shown["pin"], shown["bytes"]) == (22, "010203")


# --- the supply ------------------------------------------------------------------------------


def test_the_sim_command_tells_others_where_its_boards_are_even_when_ports_change(
    tmp_path, sleepers, monkeypatch
):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    command = [sys.executable, "-m", "dreampods", "sim", "2", "--blank", "--renumber"]
    sim = subprocess.Popen(
        [*command, "--out", str(tmp_path / "pods"), "--recordings", str(sleepers)],
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: len(registry.running()) == 2 or sim.poll() is not None)
        first, second = registry.running()
        assert (first.name, first.location) == ("pod-1", "virtual:pod-1")
        remote = [sys.executable, "-m", "mpremote", "connect"]
        ask = "import machine; print(machine.unique_id().hex())"
        done = subprocess.run(
            [*remote, second.port, "exec", ask], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == second.uid
        subprocess.run([*remote, first.port, "reset"], check=True, timeout=SECONDS)
        until(lambda: registry.running()[0].port != first.port)
        moved = registry.running()[0]
        assert moved.uid == first.uid
        done = subprocess.run(
            [*remote, moved.port, "exec", ask], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == first.uid
    finally:
        sim.send_signal(signal.SIGINT)
        sim.wait(SECONDS)
    assert registry.running() == []
