"""The flash tool without a board: what it plans, what it refuses, the files it writes."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import pty
import threading
import tty
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreampods.boards import board_names
from dreampods.errors import FlashError, LinkError
from dreampods.flashing import drives, esp, finding, label, looking, plan, uf2
from dreampods.flashing.filesystem import write_filesystem
from dreampods.flashing.finding import Port
from dreampods.flashing.flash import Interrupted, Job, carry_out, flash
from dreampods.flashing.looking import Seen, board_name, look
from dreampods.flashing.plan import Survey, make_plan
from dreampods.flashing.ports import PortError, open_port
from dreampods.flashing.provision import Calibration
from dreampods.flashing.repl import Repl
from dreampods.image import Image, architecture, build_image
from dreampods.virtual.registry import Entry, Registration
from dreampods.virtual.supervisor import Supervisor

FAMILY = uf2.FAMILIES["rp2040"]
RECORD = {"uid": "e6614c311b7e6f35", "name": "pod-3", "serial": "DP-3", "hardware": "B"}


# --- UF2 -----------------------------------------------------------------------------------------


@given(image=st.binary(min_size=1, max_size=3000), sector=st.integers(0, 0xFFF))
def test_what_is_written_as_uf2_is_read_back_to_the_byte(image: bytes, sector: int) -> None:
    base = 0x10000000 + sector * 4096
    blocks = uf2.read_uf2(uf2.write_uf2(image, base, FAMILY), "x")
    whole = b"".join(block.data for block in blocks)
    assert whole.rstrip(b"\xff") == image.rstrip(b"\xff")
    assert len(whole) % uf2.PAYLOAD_BYTES == 0 and len(whole) - len(image) < uf2.PAYLOAD_BYTES
    assert [block.address for block in blocks] == [base + 256 * i for i in range(len(blocks))]
    assert uf2.family_of(blocks, "x") == "rp2040"


@given(st.binary(max_size=1100))
def test_anything_else_is_refused_as_uf2_in_one_line(content: bytes) -> None:
    with pytest.raises(FlashError) as caught:
        uf2.read_uf2(content, "x.uf2")
    assert str(caught.value).startswith("x.uf2: ") and "\n" not in str(caught.value)


@given(st.data())
def test_a_uf2_with_a_block_missing_twice_or_spoilt_is_refused(data: st.DataObject) -> None:
    content = uf2.write_uf2(bytes(256 * 5), 0x10000000, FAMILY)
    blocks = [content[i : i + 512] for i in range(0, len(content), 512)]
    which = data.draw(st.integers(0, 4))
    kind = data.draw(st.sampled_from(["missing", "twice", "begin", "end", "size", "number"]))
    if kind == "missing":
        del blocks[which]
    elif kind == "twice":
        blocks.insert(which, blocks[which])
    else:
        at = {"begin": 4, "end": 509, "size": 18, "number": 23}[kind]
        spoilt = bytearray(blocks[which])
        spoilt[at] ^= 0x40
        blocks[which] = bytes(spoilt)
    with pytest.raises(FlashError):
        uf2.read_uf2(b"".join(blocks), "x")


def test_the_block_in_front_that_the_rp2350_needs_is_no_missing_block() -> None:
    workaround = uf2.write_uf2(b"\xef" * 256, 0x10FFFF00, uf2.ABSOLUTE)
    program = uf2.write_uf2(bytes(600), 0x10000000, uf2.FAMILIES["rp2350"])
    assert uf2.family_of(uf2.read_uf2(workaround + program, "x"), "x") == "rp2350"


# --- drives --------------------------------------------------------------------------------------


def make_drive(tmp_path: Path, name: str, board_id: str, socket: str) -> str:
    """A mounted boot ROM's drive, as /proc/self/mounts and /sys tell of it; its line in mounts."""
    folder = tmp_path / "media" / name
    folder.mkdir(parents=True)
    (folder / "INFO_UF2.TXT").write_text(f"UF2 Bootloader v3.0\nModel: x\nBoard-ID: {board_id}\n")
    device = tmp_path / f"sys/devices/pci0/usb1/1-1/{socket}/{socket}:1.0/host6/block/sd{name}1"
    device.mkdir(parents=True)
    (tmp_path / "block").mkdir(exist_ok=True)
    (tmp_path / "block" / f"sd{name}1").symlink_to(device)
    return f"/dev/sd{name}1 {folder} vfat rw 0 0\n"


def test_drives_of_boot_roms_are_found_with_the_socket_they_hang_on(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        make_drive(tmp_path, "a", "RPI-RP2", "1-1.4")
        + make_drive(tmp_path, "b", "RP2350", "1-1.3.2")
        + make_drive(tmp_path, "c", "nRF52840", "1-1.1")  # another maker's UF2 drive
        + f"/dev/sdd1 {tmp_path} vfat rw 0 0\ntmpfs /run tmpfs rw 0 0\n"  # somebody's stick
    )
    found = drives.find_drives(mounts, tmp_path / "block")
    assert [(d.chip, d.location) for d in found] == [("rp2040", "1-1.4"), ("rp2350", "1-1.3.2")]
    with pytest.raises(FlashError, match="several"):
        drives.choose_drive(found, None)
    assert drives.choose_drive(found, "1-1.3.2") is found[1]
    assert drives.choose_drive(found, str(found[0].folder)) is found[0]
    with pytest.raises(FlashError, match="BOOTSEL"):
        drives.choose_drive([], None)


def test_a_uf2_goes_to_a_board_of_its_chip_only(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(make_drive(tmp_path, "a", "RPI-RP2", "1-1.4"))
    (drive,) = drives.find_drives(mounts, tmp_path / "block")
    file = tmp_path / "micropython.uf2"
    file.write_bytes(uf2.write_uf2(bytes(70_000), 0x10000000, uf2.FAMILIES["rp2350"]))
    with pytest.raises(FlashError, match="rp2350"):
        drives.copy_uf2(file, drive)
    assert not (drive.folder / file.name).exists()
    file.write_bytes(uf2.write_uf2(bytes(70_000), 0x10000000, FAMILY))
    drives.copy_uf2(file, drive)
    assert (drive.folder / file.name).read_bytes() == file.read_bytes()


# --- plan ----------------------------------------------------------------------------------------


def make_image(files: dict[str, bytes]) -> Image:
    root = dict.fromkeys(looking.ROOT_FILES, b"#")
    return Image("virtual", "x64", slot_files=files, root_files=root)


def sizes(files: dict[str, bytes]) -> dict[str, tuple[int, str]]:
    return {path: (len(c), hashlib.sha256(c).hexdigest()) for path, c in files.items()}


def survey_of(files: dict[str, bytes], free_blocks: int = 100) -> Survey:
    record = files.get("/boot.json")
    return Survey(sizes(files), 4096, free_blocks * 4096, record.decode() if record else None)


def carried_out(files: dict[str, bytes], steps: int, image: Image) -> dict[str, bytes]:
    """The flash after the first `steps` steps of the plan for it."""
    made = make_plan(survey_of(files), image)
    after = dict(files)
    for step in [*((path, None) for path in made.remove), *made.write][:steps]:
        path, content = step
        if content is None:
            del after[path]
        else:
            after[path] = content
    return after


def starts(files: dict[str, bytes]) -> dict[str, bytes] | None:
    """What the board would start, or None: the slot of the record, if it is whole."""
    if "/boot.json" not in files:
        return None
    slot = json.loads(files["/boot.json"])["slot"]
    manifest = files.get(f"/{slot}/manifest.json")
    if manifest is None:
        return None
    return {
        name: files[f"/{slot}/{name}"]
        for name, size, digest in json.loads(manifest)["files"]
        if sizes(files).get(f"/{slot}/{name}") == (size, digest)
    }


def is_whole_or_none(files: dict[str, bytes], slot: str) -> bool:
    """A slot with a manifest is what the manifest says: it may be rolled back to."""
    manifest = files.get(f"/{slot}/manifest.json")
    return manifest is None or all(
        sizes(files).get(f"/{slot}/{name}") == (size, digest)
        for name, size, digest in json.loads(manifest)["files"]
    )


NAMES = st.sampled_from(["board.json", "dreampod/a.mpy", "dreampod/b.mpy", "dreampod/c.mpy"])
IMAGES = st.dictionaries(NAMES, st.binary(max_size=3), min_size=1).map(make_image)


@given(old=IMAGES, new=IMAGES, older=IMAGES, stop=st.integers(0, 20))
def test_broken_off_anywhere_the_old_or_the_new_starts_and_the_next_flash_ends_it(
    old: Image, new: Image, older: Image, stop: int
) -> None:
    identity = {"/provision/pod.json": b"{}"}
    files = carried_out(identity, 99, older)
    assert starts(files) == older.slot_files
    files = carried_out(files, 99, old)
    broken_off = carried_out(files, stop, new)
    assert starts(broken_off) in (old.slot_files, new.slot_files)
    assert all(is_whole_or_none(broken_off, slot) for slot in looking.SLOTS)
    done = carried_out(broken_off, 99, new)
    assert starts(done) == new.slot_files
    assert done["/provision/pod.json"] == b"{}"
    assert make_plan(survey_of(done), new).nothing


@given(image=IMAGES, stop=st.integers(0, 12))
def test_a_first_flash_broken_off_goes_on_with_what_is_missing(image: Image, stop: int) -> None:
    whole = make_plan(survey_of({}), image)
    rest = make_plan(survey_of(carried_out({}, stop, image)), image)
    assert rest.write == whole.write[stop:]
    assert whole.write[-1][0] == "/boot.json"


def test_the_slot_that_runs_is_not_touched_by_another_image() -> None:
    old, new = make_image({"x.mpy": b"old"}), make_image({"x.mpy": b"new"})
    made = make_plan(survey_of(carried_out({}, 99, old)), new)
    assert made.slot == "b"
    assert not [p for p in (*made.remove, *(p for p, _ in made.write)) if p.startswith("/a/")]


def test_a_file_that_is_not_the_images_is_removed_for_it_could_hide_one_that_is() -> None:
    image = make_image({"dreampod/pod.mpy": b"x"})
    files = carried_out({}, 99, image) | {"/a/dreampod/pod.py": b"somebody's"}
    made = make_plan(survey_of(files), image)
    assert made.remove == ["/a/dreampod/pod.py"] and not made.write


def test_what_does_not_fit_is_refused_before_anything_is_removed() -> None:
    image = make_image({"x.mpy": bytes(9000)})
    with pytest.raises(FlashError, match="room"):
        make_plan(survey_of({}, free_blocks=4), image)


def test_the_files_of_the_root_are_those_the_image_has() -> None:
    image = build_image("virtual", "x64")
    assert set(image.root_files) == set(plan.ROOT_FILES)
    # By this they are known for ours
    assert b"dreampod" in image.root_files["main.py"]
    assert looking._stock_or_ours(image.root_files["boot.py"])
    for board in board_names():
        assert architecture(board) in looking._ARCHITECTURES


def test_code_for_another_processor_or_bytecode_is_refused() -> None:
    image = build_image("virtual", "x64")
    port = Port("/dev/p")
    good = Seen(port, looking.BLANK, arch="x64", bytecode=6 | 3 << 8)
    plan.check_fits(good, image)
    for change, says in (
        ({"arch": "armv6m"}, "--board"),
        ({"bytecode": 6 | 1 << 8}, "6.1"),
        ({"bytecode": 5}, "5.0"),
    ):
        seen = Seen(port, looking.BLANK, arch="x64", bytecode=good.bytecode)
        for key, value in change.items():
            setattr(seen, key, value)
        with pytest.raises(FlashError, match=says):
            plan.check_fits(seen, image)


@pytest.mark.parametrize(
    ("machine", "build", "board"),
    [
        ("Raspberry Pi Pico with RP2040", "", "RPI_PICO"),
        ("Raspberry Pi Pico W with RP2040", "RPI_PICO_W", "RPI_PICO_W"),
        ("Generic ESP32S3 module with ESP32S3", "ESP32_GENERIC_S3-SPIRAM_OCT", "ESP32_GENERIC_S3"),
        ("linux [GCC 14.2.1] version", "standard", "virtual"),
        ("PYBv1.1 with STM32F405RG", "", ""),
    ],
)
def test_a_board_is_called_as_micropython_calls_it(machine: str, build: str, board: str) -> None:
    assert board_name(machine, build) == board


def test_a_boot_py_of_comments_is_nobodys() -> None:
    stock = b"# This file is executed on every boot\n#import esp\n\n#import webrepl\n"
    assert looking._stock_or_ours(stock) and looking._stock_or_ours(None)
    assert not looking._stock_or_ours(stock + b"import webrepl\n")


# --- ports ---------------------------------------------------------------------------------------


def test_boards_of_two_programs_are_told_apart_though_they_have_one_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    told = tmp_path / "dreampods"
    told.mkdir()
    for number, pid in enumerate((os.getpid(), os.getppid())):
        entry = Entry("pod-1", f"/dev/pts/{number}", "d7", f"/pods-{number}", "virtual:pod-1")
        (told / f"virtual-{pid}.json").write_text(json.dumps([asdict(entry)]))
    for name in ("virtual-x.json", "virtual-1.json"):
        (told / name).write_text("noise")
    for number in (0, 1):
        port = finding.named_port(f"/dev/pts/{number}")
        found = finding.find_again(port, 0)
        assert found is not None and found.path == f"/dev/pts/{number}"
    with pytest.raises(FlashError, match="there are several, name one by its port: /dev/pts/"):
        finding.named_port("virtual:pod-1")


@pytest.mark.parametrize(
    ("name", "state", "says"),
    [
        ("/dev/nowhere", "absent", "no such port"),
        ("/etc/passwd", "other", "not a serial port"),
        ("/tmp", "other", "not a serial port"),
        ("/dev/null", "other", "not a serial port"),
        ("a\0b", "other", "check the name"),
    ],
)
def test_what_is_no_port_is_told_in_one_line(name: str, state: str, says: str) -> None:
    seen = look(finding.named_port(name))
    assert seen.state == state
    assert says in seen.note and "\n" not in seen.note


def test_a_port_in_use_is_busy_and_one_that_says_nothing_silent() -> None:
    board, port = pty.openpty()
    tty.setraw(port)
    try:
        name = os.ttyname(port)
        assert look(Port(name)).state == "silent"
        with looking.open_port(name, 0.1):
            assert look(Port(name)).state == "busy"
    finally:
        os.close(board)
        os.close(port)


@pytest.mark.parametrize(
    "noise", [b"$GPGGA,1,2*00\r\n", bytes(range(256)), b"raw REPL; CTRL-B to exit\r\n>"]
)
def test_what_talks_without_being_asked_is_no_board(noise: bytes) -> None:
    board, port = pty.openpty()
    tty.setraw(port)
    over = threading.Event()

    def echo() -> None:
        while not over.is_set():
            os.read(board, 4096)
            os.write(board, noise)

    thread = threading.Thread(target=echo, daemon=True)
    thread.start()
    assert look(Port(os.ttyname(port))).state in ("silent", "other")
    over.set()
    os.write(port, b"x")
    thread.join()
    os.close(board)
    os.close(port)


def test_a_hello_does_no_harm_at_a_prompt() -> None:
    frame = looking.build_frame(looking.wire.HELLO, looking._NONCE.to_bytes(4, "little"))
    # Ctrl-A and Ctrl-D stand in its head; behind them no other control character may come
    assert min(frame[7:]) >= 0x20


# --- ESP32, image, calibration, label ------------------------------------------------------------


def test_esptool_takes_our_command_line_and_its_complaint_becomes_one_line(tmp_path: Path) -> None:
    pytest.importorskip("esptool")
    file = tmp_path / "micropython.bin"
    with pytest.raises(FlashError, match="no such file"):
        esp.write_micropython("/dev/nowhere", file)
    file.write_bytes(b"\xe9" + bytes(4095))
    with pytest.raises(FlashError, match=r"esptool: .*/dev/nowhere") as caught:
        esp.write_micropython("/dev/nowhere", file)
    assert "\n" not in str(caught.value)


def test_an_image_as_uf2_lies_where_the_board_has_its_file_system(tmp_path: Path) -> None:
    littlefs = pytest.importorskip("littlefs")
    out = tmp_path / "pico.uf2"
    write_filesystem("RPI_PICO", out, None)
    blocks = uf2.read_uf2(out.read_bytes(), "x")
    assert blocks[0].address == 0x100A0000 and len(blocks) * 256 == 1408 * 1024
    system = littlefs.LittleFS(block_size=4096, block_count=352, mount=False)
    system.context.buffer = bytearray(b"".join(block.data for block in blocks))
    system.mount()
    with system.open("/a/manifest.json", "rb") as file:
        assert json.loads(file.read())["board"] == "RPI_PICO"


def test_micropython_and_image_stand_in_one_uf2_unless_they_overlap(tmp_path: Path) -> None:
    micropython, out = tmp_path / "m.uf2", tmp_path / "pico.uf2"
    micropython.write_bytes(uf2.write_uf2(bytes(5000), 0x10000000, FAMILY))
    write_filesystem("RPI_PICO", out, micropython)
    blocks = uf2.read_uf2(out.read_bytes(), "x")
    assert blocks[0].address == 0x10000000 and blocks[20].address == 0x100A0000
    micropython.write_bytes(uf2.write_uf2(bytes(700_000), 0x10000000, FAMILY))
    with pytest.raises(FlashError, match="reaches into"):
        write_filesystem("RPI_PICO", out, micropython)


def test_a_calibration_that_cannot_be_is_refused() -> None:
    today = datetime.date.today()
    Calibration(82.5, today.isoformat(), "rig")
    for level, date in (
        (float("nan"), today.isoformat()),
        (200.0, today.isoformat()),
        (82.5, "31.3.2026"),
        (82.5, "20260331"),
        (82.5, "2026-W13-2"),
        (82.5, (today + datetime.timedelta(days=2)).isoformat()),
    ):
        with pytest.raises(FlashError):
            Calibration(level, date, "rig")
    for rig in ("two\nlines", "\udcff", "x" * 65):
        with pytest.raises(FlashError, match="--rig"):
            Calibration(82.5, today.isoformat(), rig)


def test_a_label_shows_the_code_that_was_meant_and_says_the_same_in_letters(
    tmp_path: Path,
) -> None:
    segno = pytest.importorskip("segno")
    from matplotlib.image import imread

    label.write_label(RECORD, tmp_path / "l.svg")
    drawn = (tmp_path / "l.svg").read_text()
    assert all(f">{text}<" in drawn for text in RECORD.values())

    label.write_label(RECORD, tmp_path / "l.png")
    picture = imread(tmp_path / "l.png")[..., 0]
    assert picture.shape == (342, 732)  # 29 x 62 mm at 300 dpi
    matrix = segno.make_qr(label.code_text(RECORD), error="m").matrix
    dots = 342 // (len(matrix) + 8)
    first = (342 - len(matrix) * dots) / 2
    for row, line in enumerate(matrix):
        for column, dark in enumerate(line):
            y, x = (int(first + (at + 0.5) * dots) for at in (row, column))
            assert (picture[y, x] < 0.5) == bool(dark), (row, column)
    with pytest.raises(FlashError, match="svg"):
        label.write_label(RECORD, tmp_path / "l.gif")


# --- on virtual boards ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Port]]:
    """Three blank virtual boards, that no other program finds."""
    folder = tmp_path_factory.mktemp("boards")
    over = threading.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        try:
            supervisor = Supervisor(3, folder, None, blank=True)
        except LinkError as error:
            pytest.skip(str(error))
        registration = Registration()

        def keep() -> None:
            while not over.is_set():
                supervisor.watch(0.1)
                registration.tell(supervisor.entries())

        registration.tell(supervisor.entries())
        thread = threading.Thread(target=keep)
        thread.start()
        try:
            yield finding.find_ports()
        finally:
            over.set()
            thread.join()
            registration.end()
            supervisor.close()


def test_a_flash_that_is_broken_off_goes_on_with_what_is_missing(boards: list[Port]) -> None:
    port = next(port for port in boards if port.location == "virtual:pod-1")
    image = build_image("virtual", "x64")
    seen = look(port)
    assert (seen.state, seen.board, seen.arch) == (looking.BLANK, "virtual", "x64")

    stop = threading.Event()
    with looking.at_prompt(seen) as (repl, _):
        whole = make_plan(plan.survey(repl), image)
    half = whole.bytes // 2
    with pytest.raises(Interrupted), looking.at_prompt(seen) as (repl, _):
        carry_out(whole, repl, stop, lambda done, _: stop.set() if done > half else None)

    seen = look(port)
    assert seen.state == looking.STOPPED and "not flashed to the end" in seen.note
    with looking.at_prompt(seen) as (repl, _):
        rest = make_plan(plan.survey(repl), image)
        assert rest.write == whole.write[-len(rest.write) :]
        assert 0 < rest.bytes < whole.bytes - half
        carry_out(rest, repl, threading.Event(), lambda done, total: None)
        assert make_plan(plan.survey(repl), image).nothing
        assert repl.read_file("/main.py") == image.root_files["main.py"]


def test_somebody_elses_board_is_left_alone_and_its_program_goes_on(boards: list[Port]) -> None:
    port = next(port for port in boards if port.location == "virtual:pod-2")
    program = b"f=open('/count','a');f.write('x');f.close()\nimport time\nwhile True:\n time.sleep_ms(50)\n"
    with looking.at_prompt(look(port)) as (repl, _):
        repl.write_file("/main.py", program)
        repl.leave(run=True)
    outcome = flash(port, Job(), lambda text: None, lambda done, total: None)
    assert outcome.result == "failed" and "left alone" in outcome.error
    with Repl(port.path) as repl:
        repl.enter()
        assert repl.read_file("/main.py") == program
        assert repl.read_file("/count") == b"xx"  # by us, and again after it was looked at


def test_a_full_flash_and_a_board_that_goes_are_told_in_one_line(boards: list[Port]) -> None:
    port = next(port for port in boards if port.location == "virtual:pod-3")
    with looking.at_prompt(look(port)) as (repl, _):
        repl.write_file("/a/x", b"before")
        repl.run("f=open('/a/big','wb')\nfor i in range(340):f.write(bytes(4096))\nf.close()", "x")
        with pytest.raises(FlashError, match="its flash is full"):
            repl.write_file("/a/x", bytes(100_000))
        assert repl.read_file("/a/x") == b"before"
        with pytest.raises(FlashError, match="ValueError: 17"):
            repl.run("raise ValueError(17)", "x")


def test_a_lock_that_is_given_back_at_once_is_waited_for() -> None:
    near, far = pty.openpty()
    path = os.ttyname(far)
    holder = open_port(path, 0.1)
    release = threading.Timer(0.1, holder.close)
    release.start()
    open_port(path, 0.1).close()
    with open_port(path, 0.1), pytest.raises(PortError, match="in use by another program"):
        open_port(path, 0.1)
    os.close(near)
    os.close(far)
