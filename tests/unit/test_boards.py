"""A board that cannot be built is refused in one line; one that can is told and drawn in full."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dreampods.boards import Board, board_names, load_board, sheet
from dreampods.boards.chips import CHIPS
from dreampods.boards.drivers import drivers
from dreampods.boards.headers import HEADERS
from dreampods.boards.layout import BOX_MM, clearance, lay_out
from dreampods.boards.rules import claims, first_conflict
from dreampods.boards.wiring import markdown, rails, wires
from dreampods.commands import boards as command
from dreampods.errors import BoardError

FOLDER = Path(__file__).parents[2] / "firmware" / "boards"
REAL = ("ESP32_GENERIC_S3", "RPI_PICO", "RPI_PICO2", "RPI_PICO2_W", "RPI_PICO_W")
SHIPPED = (*REAL, "virtual", "virtual-full", "virtual-wifi")

# The Raspberry Pi Pico's pins 1 to 40, as its pinout card prints them
PICO_PINS = (
    "GP0 GP1 GND GP2 GP3 GP4 GP5 GND GP6 GP7 GP8 GP9 GND GP10 GP11 GP12 GP13 GND GP14 GP15 "
    "GP16 GP17 GND GP18 GP19 GP20 GP21 GND GP22 RUN GP26 GP27 AGND GP28 ADC_VREF 3V3(OUT) 3V3_EN "
    "GND VSYS VBUS"
)

PICO_COMPILED = {
    "name": "RPI_PICO",
    "chip": "rp2040",
    "link": "usb",
    "buses": {
        "i2c0": {"kind": "i2c", "id": 0, "sda": 4, "scl": 5, "freq_hz": 400000},
        "spi0": {"kind": "spi", "id": 0, "sck": 18, "mosi": 19, "miso": 16, "freq_hz": 4000000},
    },
    "parts": [
        {"name": "eeg", "driver": "ads1299", "bus": "spi0", "pins": {"cs": 17, "drdy": 20},
         "rate_hz": 250, "block": 10, "channels": ["eeg-1", "eeg-2", "eeg-3", "eeg-4"]},
        {"name": "pulse", "driver": "max30102", "bus": "i2c0", "address": 87, "rate_hz": 100,
         "block": 10},
        {"name": "adc", "driver": "ads1115", "bus": "i2c0", "address": 72, "rate_hz": 25, "block": 3,
         "inputs": [
             {"stream": "breath", "input": 0, "unit": "V", "scale": 1.0, "offset": 0.0},
             {"stream": "skin-conductance", "input": 1, "unit": "uS", "scale": 10.0, "offset": 0.0},
         ]},
        {"name": "motion", "driver": "lsm6dso", "bus": "i2c0", "address": 106, "rate_hz": 52,
         "block": 4},
        {"name": "temperature", "driver": "tmp117", "bus": "i2c0", "address": 73, "rate_hz": 1,
         "block": 1},
        {"name": "haptics", "driver": "drv2605l", "bus": "i2c0", "address": 90,
         "pins": {"enable": 21}},
        {"name": "light", "driver": "ws2812", "pins": {"data": 22}, "count": 8},
        {"name": "wake-me", "driver": "button", "pins": {"button": 14}, "event": "wake"},
        {"name": "stop", "driver": "button", "pins": {"button": 15}, "event": "stop"},
        {"name": "microphone", "driver": "inmp441", "i2s": 1, "pins": {"sck": 6, "ws": 7, "sd": 8}},
        {"name": "supply", "driver": "supply", "pins": {"adc": 29}, "divider": 3.0},
    ],
    "sound": {
        "driver": "max98357a", "i2s": 0, "pins": {"sck": 10, "ws": 11, "sd": 12, "enable": 13},
        "rate_hz": 16000, "channels": 1, "ring_frames": 1280, "dma_frames": 64,
        "chunk_frames": 480, "slots": 32,
    },
    "limits": {"full_scale_dba": 80.0, "ceiling_dba": 60.0, "hard_dba": 75.0},
}  # fmt: skip


def written(folder: Path, text: str, like: str = "RPI_PICO") -> Path:
    file = folder / "own.toml"
    file.write_text(f'like = "{like}"\n{text}', encoding="utf-8")
    return file


# --- shipped boards --------------------------------------------------------------------------


def test_the_boards_that_ship_are_these() -> None:
    assert tuple(board_names()) == tuple(sorted(SHIPPED))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_board_compiles_to_plain_data(name: str) -> None:
    compiled = load_board(name).compiled()
    assert json.loads(json.dumps(compiled)) == compiled
    assert compiled["name"] == name
    drivers_here = [part["driver"] for part in compiled["parts"]]
    everywhere = ["ads1299", "max30102", "ads1115", "button", "button"]
    assert [name for name in drivers_here if name in everywhere] == everywhere
    if name not in ("virtual", "virtual-wifi"):
        assert {"lsm6dso", "tmp117", "drv2605l", "ws2812", "inmp441"} <= set(drivers_here)


def test_the_pico_compiles_to_exactly_what_the_pod_expects() -> None:
    assert load_board("RPI_PICO").compiled() == PICO_COMPILED


def test_the_full_virtual_board_is_a_pico_with_stereo_and_no_supply_to_measure() -> None:
    parts = [part for part in PICO_COMPILED["parts"] if part["name"] != "supply"]  # type: ignore[index,attr-defined]
    sound = PICO_COMPILED["sound"] | {"channels": 2, "chunk_frames": 240, "slots": 24}  # type: ignore[operator]
    assert load_board("virtual-full").compiled() == {
        **PICO_COMPILED, "name": "virtual-full", "chip": "virtual", "parts": parts, "sound": sound,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kib", "end"),
    [
        ("RPI_PICO", 1408, 0x10200000),
        ("RPI_PICO_W", 848, 0x10200000),
        ("RPI_PICO2", 3072, 0x10400000),
        ("RPI_PICO2_W", 2560, 0x10400000),
        ("ESP32_GENERIC_S3", 6144, 0x800000),
    ],
)
def test_the_filesystem_ends_where_the_flash_ends(name: str, kib: int, end: int) -> None:
    flash = load_board(name).flash
    assert flash.bytes == kib * 1024
    assert flash.base + flash.bytes == end


@pytest.mark.parametrize("name", ["RPI_PICO_W", "RPI_PICO2_W"])
def test_boards_with_wifi_leave_the_wireless_chip_its_pins(name: str) -> None:
    assert {claim.pin for claim in claims(load_board(name))}.isdisjoint({23, 24, 25, 29})


def test_the_s3_keeps_off_strapping_usb_and_flash_pins() -> None:
    taken = {claim.pin for claim in claims(load_board("ESP32_GENERIC_S3"))}
    assert taken.isdisjoint({0, 3, 45, 46, 19, 20, *range(26, 38)})


def test_the_picos_forty_pins_are_where_its_card_says() -> None:
    pins = {int(pin.number): pin for pin in HEADERS["pico"].pins}
    assert [pins[number].name for number in range(1, 41)] == PICO_PINS.split()
    assert [pins[number].side for number in (1, 20, 21, 40)] == ["left", "left", "right", "right"]
    assert [pins[number].row for number in (1, 20, 21, 40)] == [0, 19, 19, 0]


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_has_each_gpio_once_and_only_gpios_its_chips_have(name: str) -> None:
    header = HEADERS[name]
    gpios = [pin.gpio for pin in header.pins if pin.gpio is not None]
    assert len(set(gpios)) == len(gpios)
    for chip in header.chips:
        assert set(gpios) <= CHIPS[chip].pins


def test_every_driver_wires_all_of_its_pins() -> None:
    for driver in drivers().values():
        assert set(driver.pins) <= set(driver.wires.values()), driver.name


# --- conflicts -------------------------------------------------------------------------------

CONFLICTS = [
    ("[part.light.pins]\ndata = 14", None, "part.wake-me.pins.button", "light data and wake-me button"),
    ("[part.light.pins]\ndata = 4", 3, "part.light.pins.data", "i2c0 sda and light data"),
    ("[part.light.pins]\ndata = 31", 3, "part.light.pins.data", "no pin 31"),
    ("[part.light.pins]\ndata = 25", 3, "part.light.pins.data", "the board's own light"),
    ("[part.light.pins]\ndata = -1", 3, "part.light.pins.data", "outside 0 to 99"),
    ("[part.light.pins]\ndata = 1.5", 3, "part.light.pins.data", "whole number"),
    ("[part.light.pins]\nclock = 2", 3, "part.light.pins.clock", "no such key"),
    ("[bus.i2c0]\nsda = 2", 3, "bus.i2c0.sda", "pin 2 is i2c1 sda, not sda of i2c 0; take 0, 4, 8"),
    ("[bus.i2c0]\nsda = 9", 3, "bus.i2c0.sda", "i2c0 scl, not sda"),
    ("[bus.spi0]\nmosi = 2", 3, "bus.spi0.mosi", "spi0 sck, not mosi"),
    ("[bus.spi0]\nid = 2", 3, "bus.spi0.id", "has spi 0 and 1, not 2"),
    ("[bus.i2c1]\nkind = 'i2c'\nid = 0\nsda = 0\nscl = 1\nfreq_hz = 100000", 4, "bus.i2c1.id",
     "i2c0 already"),
    ("[bus.i2c0]\nkind = 'can'", 3, "bus.i2c0.kind", "not one of i2c, soft_i2c, spi"),
    ("[sound.pins]\nws = 9", 3, "sound.pins.ws", "11 beside 10, not 9"),
    ("[sound]\ni2s = 1", 3, "sound.i2s", "microphone's already"),
    ("[part.extra]\ndriver = 'analog'\npins = {adc = 2}\nrate_hz = 50\nblock = 5\nunit = 'V'", 4,
     "part.extra.pins.adc", "those that can: 26, 27, 28, 29"),
    ("[part.temperature]\naddress = 0x48", 3, "part.temperature.address", "both answer to 0x48"),
    ("[part.temperature]\naddress = 0x50", 3, "part.temperature.address", "no address of tmp117"),
    ("[part.pulse]\nbus = 'i2c1'", 3, "part.pulse.bus", "there is no bus 'i2c1'"),
    ("[part.pulse]\nbus = 'spi0'", 3, "part.pulse.bus", "max30102 needs i2c; spi0 is spi"),
    ("[part.pulse]\ndriver = 'max30101'", 3, "part.pulse.driver", 'did you mean "max30102"'),
    ("[part.pulse]\nrate_hz = 60", 3, "part.pulse.rate_hz", "it can at 50, 100"),
    ("[part.pulse]\nblock = 500", 3, "part.pulse.block", "168 do"),
    ("[part.new]\ndriver = 'max30102'\nrate_hz = 50\nblock = 1", 2, "part.new.bus", "is missing"),
    ("[part.new]\ndriver = 'button'\nevent = 'wake'", 2, "part.new.pins", "needs a pin 'button'"),
    ("[part.new]\ndriver = 'max98357a'", 3, "part.new.driver", "stands under [sound]"),
    ("[part.Bad_Name]\ndriver = 'button'", 2, "part.Bad_Name", "small letters"),
    (f"[part.eeg]\nchannels = {list('abcdefghi')}", 3, "part.eeg.channels", "8 channels, not 9"),
    ("[part.eeg]\nchannels = ['a', 'a']", 3, "part.eeg.channels", "name of its own"),
    ("[part.adc.inputs.breath]\ninput = 1", None, "part.adc.inputs.skin-conductance.input", "taken"),
    ("[part.adc.inputs.breath]\nscale = 0", 3, "part.adc.inputs.breath.scale", "the same"),
    ("[part.light]\ncount = 65", 3, "part.light.count", "outside 1 to 64"),
    ("[part.light]\nbrightness = 65", 3, "part.light.brightness", "outside 1 to 64"),
    ("[part.haptics]\nmotor = 'big'", 3, "part.haptics.motor", "not one of lra, erm"),
    ("[part.microphone]\nblock = 500\nrate = 3", 4, "part.microphone.rate", "no such key"),
    ("[supply]\nregulator_ma = 20", 3, "supply.regulator_ma", "take 86 mA at 3.3 V"),
    ("[sound]\nrate_hz = 44100", 3, "sound.rate_hz", "not exact"),
    ("[sound]\nchunk_frames = 511", 3, "sound.chunk_frames", "510 do with 1 channels"),
    ("[sound]\nring_frames = 128", 3, "sound.ring_frames", "at least 256"),
    ("[limits]\nceiling_dba = 61", 3, "limits.ceiling_dba", "outside 0 to 60"),
    ("[limits]\nhard_dba = 50", None, "limits.ceiling_dba", "above hard_dba"),
    ("[flash]\nbytes = 70000", 3, "flash.bytes", "multiples of 4096"),
    ("[reserved]\nx = 'y'", 3, "reserved.x", "number of a pin"),
    ("colour = 'red'", 2, "colour", "no such key"),
    ("chip = 'esp32s3'", None, "header", "has rp2040 or rp2350 or virtual, not esp32s3"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "key", "said"), CONFLICTS)
def test_each_conflict_is_one_line_with_file_line_and_key(
    tmp_path: Path, text: str, line: int | None, key: str, said: str
) -> None:
    file = written(tmp_path, text)
    with pytest.raises(BoardError) as caught:
        load_board(file)
    told = str(caught.value)
    assert "\n" not in told
    assert said in told
    assert f": {key}: " in told
    # Where two values do not go together, the one complained about may be inherited
    assert told.startswith(f"{file}:{line}: ") if line else "RPI_PICO.toml:" in told


def test_a_complaint_about_an_inherited_value_names_the_file_it_stands_in(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match=r"RPI_PICO\.toml:\d+: part\.wake-me\.pins\.button"):
        load_board(written(tmp_path, "[part.light.pins]\ndata = 14"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sound]\nring_frames = 256", "at least 512 and a multiple of 256"),
        ("[sound]\nring_frames = 1280\nrate_hz = 22050", "not exact"),
        ("[sound]\nring_frames = 1000", "a multiple of 256"),
        ("[part.light.pins]\ndata = 0", "how the chip starts"),
        ("[part.light.pins]\ndata = 19", "line of the USB port"),
        ("[part.light.pins]\ndata = 30", "line of the flash"),
        ("[part.light.pins]\ndata = 22", "no pin 22"),
        ("[bus.spi1]\nid = 0", "has spi 1 and 2, not 0"),
    ],
)
def test_what_an_s3_cannot_do_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BoardError) as caught:
        load_board(written(tmp_path, text, like="ESP32_GENERIC_S3"))
    assert said in str(caught.value)


def test_an_s3_may_have_any_signal_on_any_free_pin(tmp_path: Path) -> None:
    text = "[bus.i2c0]\nsda = 21\nscl = 14\n[sound.pins]\nws = 11"
    assert load_board(written(tmp_path, text, like="ESP32_GENERIC_S3")).sound.pins["ws"] == 11


def test_a_pin_that_only_reads_cannot_drive(tmp_path: Path) -> None:
    text = """
        chip = "esp32"
        header = "esp32-devkitc"
        bus.i2c0 = {sda = 21, scl = 22}
        bus.spi1 = {sck = 18, mosi = 23, miso = 19}
        part.light = false
        part.eeg.pins = {cs = 4, drdy = 36}
        part.haptics.pins = {enable = %d}
        part.wake-me.pins = {button = 26}
        part.stop.pins = {button = 27}
        part.microphone.pins = {sck = 14, ws = 32, sd = 39}
        sound.pins = {sck = 16, ws = 17, sd = 33, enable = 13}
    """
    load_board(written(tmp_path, text % 25, "ESP32_GENERIC_S3"))
    with pytest.raises(BoardError, match=r"part\.haptics\.pins.*: pin 35 is an input only"):
        load_board(written(tmp_path, text % 35, "ESP32_GENERIC_S3"))


def test_a_part_that_puts_five_volts_on_our_pins_is_refused() -> None:
    board = load_board("RPI_PICO")
    loud = tuple(
        dataclasses.replace(part, driver=dataclasses.replace(part.driver, volts=5.0))
        if part.name == "pulse"
        else part
        for part in board.parts
    )
    conflict = first_conflict(dataclasses.replace(board, parts=loud))
    assert conflict is not None
    assert conflict[0] == ("part", "pulse", "driver")
    assert "5 V on pins that bear 3.3 V" in conflict[1]


def test_i2c_by_hand_may_use_any_pins(tmp_path: Path) -> None:
    board = load_board(written(tmp_path, "[bus.i2c0]\nkind = 'soft_i2c'\nsda = 9\nscl = 2"))
    assert board.compiled()["buses"]["i2c0"]["kind"] == "soft_i2c"


def test_what_a_board_may_say_is_told_to_the_pod_only_if_it_is_said(tmp_path: Path) -> None:
    text = "[part.haptics]\nmotor = 'erm'\nrated_volts = 3\n[part.light]\nbrightness = 20"
    parts = {
        part["name"]: part for part in load_board(written(tmp_path, text)).compiled()["parts"]
    }
    assert (parts["haptics"]["motor"], parts["haptics"]["rated_volts"]) == ("erm", 3.0)
    assert "resonance_hz" not in parts["haptics"]
    assert parts["light"]["brightness"] == 20


def test_a_part_can_be_left_out(tmp_path: Path) -> None:
    board = load_board(written(tmp_path, "[part]\neeg = false"))
    assert "eeg" not in [part.name for part in board.parts]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("RPI_PIKO", 'did you mean "RPI_PICO"'),
        ("none.toml", "no such board file"),
        ("", "no board ''"),
    ],
)
def test_a_board_that_is_not_there_is_told_with_what_there_is(name: str, said: str) -> None:
    with pytest.raises(BoardError) as caught:
        load_board(name)
    assert said in str(caught.value)
    assert "virtual" in str(caught.value)


def test_a_board_like_no_other_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match=r"own\.toml:1: like: 'RPI_PIC' is no shipped board"):
        load_board(written(tmp_path, "", like="RPI_PIC"))


def test_boards_that_are_like_each_other_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.toml").write_text('like = "b"\n')
    (tmp_path / "b.toml").write_text('like = "a"\n')
    monkeypatch.setattr(sheet, "BOARDS_FOLDER", tmp_path)
    with pytest.raises(BoardError, match="like this board itself"):
        load_board("a")


VALUES = st.sampled_from(
    ["0", "-1", "1e400", "nan", "inf", "99999999999999999999", "true", "false", '""', '"x"', "[]",
     "[[1]]", "{}", "{a = 1}", "1979-05-27", '"i2c0"', "4", "29", "0x48", "0.5", "!", "[", '"\\n"',
     '["a\\nb"]', '{"a\\nb" = 1}', '{pins = 3}']
)  # fmt: skip


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), values=st.lists(VALUES, min_size=1, max_size=3))
def test_a_damaged_file_gives_a_board_or_one_line(
    tmp_path: Path, seed: int, values: list[str]
) -> None:
    chance = random.Random(seed)
    lines = (FOLDER / "RPI_PICO.toml").read_text().splitlines()
    for value in values:
        place = chance.randrange(len(lines))
        damage = chance.randrange(4)
        key = lines[place].split("=")[0]
        if damage == 0:
            del lines[place]
        elif damage == 1:
            lines.insert(place, lines[chance.randrange(len(lines))])
        else:
            lines[place] = f"{key} = {value}" if "=" in lines[place] else value
    check_never_a_traceback(tmp_path, "\n".join(lines).encode())


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    where=st.sampled_from(
        ["flash", "supply", "reserved", "bus", "bus.i2c0", "part", "part.adc", "part.adc.inputs",
         "part.eeg", "part.eeg.pins", "part.light", "sound", "sound.pins", "limits", '"a\\nb"']
    ),
    key=st.sampled_from(
        ["base", "bytes", "kind", "id", "sda", "pins", "address", "rate_hz", "block", "inputs", "cs",
         "channels", "driver", "bus", "i2s", "ws", "count", "29", "breath", '"\\n"', "title"]
    ),
    value=VALUES,
)  # fmt: skip
def test_any_value_anywhere_gives_a_board_or_one_line(
    tmp_path: Path, where: str, key: str, value: str
) -> None:
    text = f'like = "RPI_PICO"\n[{where}]\n{key} = {value}\n'
    check_never_a_traceback(tmp_path, text.encode())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_noise_is_no_board(tmp_path: Path, noise: bytes) -> None:
    check_never_a_traceback(tmp_path, noise)


def check_never_a_traceback(folder: Path, content: bytes) -> None:
    file = folder / "garbage.toml"
    file.write_bytes(content)
    try:
        board = load_board(file)
    except BoardError as error:
        assert len(str(error).splitlines()) == 1
        assert "garbage.toml" in str(error) or "RPI_PICO.toml" in str(error)
    else:
        assert first_conflict(board) is None
        json.dumps(board.compiled(), allow_nan=False)
        wires(board)


# --- wiring ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_every_pin_of_the_data_is_in_the_wiring(name: str) -> None:
    board = load_board(name)
    wired = {wire.pin.gpio for wire in wires(board) if wire.pin.gpio is not None}
    assert wired == {claim.pin for claim in claims(board) if not claim.onboard}
    for part in board.all_parts:
        mine = {wire.net for wire in wires(board) if wire.part == part.name}
        assert part.onboard or "GND" in mine


def test_a_wire_says_the_physical_pin() -> None:
    found = {(wire.part, wire.signal): wire for wire in wires(load_board("RPI_PICO"))}
    assert found["pulse", "SDA"].target == "GP4 (pin 6)"
    assert found["pulse", "VIN"].target == "3V3(OUT) (pin 36)"
    assert found["light", "5V"].target == "VBUS (pin 40)"
    assert found["pulse", "GND"].colour == "black"
    devkit = {(wire.part, wire.signal): wire for wire in wires(load_board("ESP32_GENERIC_S3"))}
    assert devkit["sound", "BCLK"].target == "GPIO16 (pin J1-9)"


@pytest.mark.parametrize("name", SHIPPED)
def test_a_parts_wires_can_be_told_apart_by_colour(name: str) -> None:
    board = load_board(name)
    for part in board.all_parts:
        colours = [wire.colour for wire in wires(board) if wire.part == part.name]
        assert len(set(colours)) == len(colours), part.name


@pytest.mark.parametrize("name", SHIPPED)
def test_the_drawing_has_every_wire_from_its_part_to_its_pin_or_rail(name: str) -> None:
    pytest.importorskip("matplotlib")
    from dreampods.boards.drawing import draw

    board = load_board(name)
    drawn = {line.get_gid(): line for line in draw(board).axes[0].lines if line.get_gid()}
    expected = [f"{wire.part} {wire.signal}" for wire in wires(board)]
    assert sorted(drawn) == sorted(expected)
    layout = lay_out(board)
    spines = {line.net: line for line in layout.lines if not line.wire and not line.dot}
    assert set(spines) == set(rails(board))
    for line in layout.lines:
        if line.wire and line.net not in spines:
            assert line.points[-1] == layout.pin_at(line.wire.pin)
        elif line.dot:
            xs = {x for x, _ in spines[line.net].points}
            assert line.dot[0] in xs


@pytest.mark.parametrize("name", SHIPPED)
def test_no_two_wires_lie_on_each_other_and_no_text_leaves_its_box(name: str) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from dreampods.boards.drawing import draw

    board = load_board(name)
    layout = lay_out(board)
    assert clearance(layout.lines) >= 1.3
    figure = draw(board)
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    to_mm = axes.transData.inverted()
    spans = [(text.get_text(), text.get_window_extent().transformed(to_mm)) for text in axes.texts]
    for (one, a), (other, b) in itertools.combinations(spans, 2):
        assert not (a.x0 < b.x1 and b.x0 < a.x1 and a.ymin < b.ymax and b.ymin < a.ymax), (
            f"{one!r} lies on {other!r}"
        )
    for text, span in spans:
        assert span.x0 >= 5 and span.x1 <= 292 and span.ymin >= 5 and span.ymax <= 208, text
        for box in layout.boxes:
            if box.left < (span.x0 + span.x1) / 2 < box.left + BOX_MM and box.top < (
                span.ymin + span.ymax
            ) / 2 < (box.top + box.height):
                assert span.x0 >= box.left and span.x1 <= box.left + BOX_MM, text
                assert span.ymin >= box.top and span.ymax <= box.top + box.height, text


def test_a_wire_to_the_far_side_goes_round_the_board(tmp_path: Path) -> None:
    board = load_board(written(tmp_path, "[part.eeg.pins]\ndrdy = 3"))
    layout = lay_out(board)
    line = next(one for one in layout.lines if one.wire and one.wire.net == "eeg drdy")
    lowest_pin = max(layout.pin_at(pin)[1] for pin in board.pin_map.pins)
    assert max(y for _, y in line.points) > lowest_pin
    assert line.points[-1] == layout.pin_at(line.wire.pin)  # type: ignore[union-attr]
    assert clearance(layout.lines) > 1.0


def test_more_parts_than_a_sheet_holds_are_told(tmp_path: Path) -> None:
    many = "".join(
        f"[part.tmp-{n}]\ndriver = 'drv2605l'\nbus = 'soft-{n}'\npins = {{enable = {pin}}}\n"
        f"[bus.soft-{n}]\nkind = 'soft_i2c'\nid = 0\nsda = {sda}\nscl = {scl}\nfreq_hz = 100000\n"
        for n, (pin, sda, scl) in enumerate([(0, 1, 2), (26, 27, 28)])
    )
    with pytest.raises(BoardError, match="too many parts for one sheet"):
        for extra in range(1, 8):
            text = many + "".join(
                f"[part.adc-{n}]\ndriver = 'ads1115'\nbus = 'soft-{n % 2}'\n"
                f"address = {0x48 + n // 2}\nrate_hz = 5\nblock = 1\n"
                f"[part.adc-{n}.inputs.in-{n}]\ninput = 0\nunit = 'V'\n"
                for n in range(extra)
            )
            lay_out(load_board(written(tmp_path, text)))


# --- the command -----------------------------------------------------------------------------


def run(*arguments: str) -> None:
    parser = argparse.ArgumentParser()
    command.add_to(parser.add_subparsers())
    options = parser.parse_args(["boards", *arguments])
    options.command(options)


def test_the_command_lists_prints_and_checks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    listed = capsys.readouterr().out
    assert all(name in listed for name in SHIPPED)
    run("RPI_PICO")
    printed = capsys.readouterr().out
    assert all(wire.target in printed for wire in wires(load_board("RPI_PICO")))
    run("virtual", "--json")
    assert json.loads(capsys.readouterr().out) == load_board("virtual").compiled()
    run(str(written(tmp_path, "title = 'Mine'\n")))
    assert "Mine" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf", "md"])
def test_the_command_writes_a_drawing_and_says_where(
    tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / f"wiring.{suffix}"
    run("RPI_PICO_W", "--out", str(file))
    assert str(file) in capsys.readouterr().out
    start = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF", "md": b"# Raspberry"}[suffix]
    assert file.read_bytes().startswith(start)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("RPI_PICO", "--out", "x.gif"), "ends in .svg, .png, .pdf or .md"),
        (("RPI_PICO", "--out", "/no/such/x.svg"), "cannot be written"),
        (("RPI_PICO", "--out", "/no/such/x.md"), "cannot be written"),
        (("--json",), "say which board"),
        (("nothing",), "no board 'nothing'"),
    ],
)
def test_what_the_command_cannot_do_is_one_line(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(BoardError) as caught:
        run(*arguments)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_page_has_every_wire() -> None:
    board: Board = load_board("ESP32_GENERIC_S3")
    page = markdown(board)
    for wire in wires(board):
        assert f"| {wire.part} | {wire.signal} | {wire.colour} | {wire.target} |" in page
