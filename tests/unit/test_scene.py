"""Scene files: what ships loads, and every mistake is told with file, line, key and reason."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dreampods.dreamscape import Scene, load_scene, scene_names
from dreampods.dreamscape.scene import Beats, File, Rubbed
from dreampods.dreamscape.tables import line_of
from dreampods.errors import SceneError

GOOD = """\
title = "Test"
description = "A scene for tests."
seconds = 60

[mix]
own_floor_db = -6

[layer.sea]
of = "individual"
source = "noise"
band_hz = [80, 2000]
gain_db = -30
level_db = { follow = "breath", from = -12, to = 0, behind = 0.2 }
timeline = [[0, 0], [10, 1]]

[layer.chord]
of = "collective"
source = "tone"
notes_hz = [110, 165, 220]
gain_db = -30
pitch_semitones = { follow = "order", from = 0, to = 2 }

[layer.bowls]
of = "individual"
source = "modes"
material = "bowl"
struck_by = "pulse"
notes_hz = [220, 330]
gain_db = -20
"""


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def complaint(path: Path) -> str:
    with pytest.raises(SceneError) as caught:
        load_scene(path)
    text = str(caught.value)
    assert "\n" not in text
    assert "mine.toml" in text
    return text


@pytest.mark.parametrize("name", ["tide", "lanterns"])
def test_shipped_scene_loads_by_name(name: str) -> None:
    scene = load_scene(name)
    assert name in scene_names()
    assert (scene.name, scene.seconds, scene.fade_in_s, scene.fade_out_s) == (name, 60, 4, 5)
    assert {layer.of for layer in scene.layers} == {"individual", "collective"}
    assert scene.mix.own_floor_db <= scene.mix.own_db
    assert set(scene.follow.eeg_hz) == {"slow", "theta", "alpha", "sigma"}


def test_unknown_scene_names_those_that_exist() -> None:
    with pytest.raises(SceneError, match=r"'tyde'.*did you mean \"tide\".*lanterns, tide"):
        load_scene("tyde")
    with pytest.raises(SceneError, match=r"nowhere\.toml: no such scene file"):
        load_scene("nowhere.toml")


def test_own_scene_loads_with_its_values(write) -> None:
    scene = load_scene(write(GOOD))
    sea, chord, _ = scene.layers
    assert (sea.name, chord.name) == ("sea", "chord")
    assert (sea.level_db.low, sea.level_db.high, sea.level_db.behind) == (-12, 0, 0.2)
    assert chord.level_db.follow is None
    assert sea.timeline.at(10) == 1


# (what to replace, by what, words of the complaint, words of the line it must point to)
MISTAKES = {
    "misspelt key": ("own_floor_db", "own_flor_db", 'did you mean "own_floor_db"', "own_flor_db"),
    "misspelt root key": ("seconds = 60", "seconds = 60\nfad_in_s = 1", "fade_in_s", "fad_in_s"),
    "missing key": ("gain_db = -30\nlevel_db", "level_db", "layer.sea.gain_db: is missing", "sea"),
    "text for number": ("seconds = 60", 'seconds = "60"', "must be a number", "seconds"),
    "bool for number": ("seconds = 60", "seconds = true", "must be a number", "seconds"),
    "not finite": ("seconds = 60", "seconds = nan", "outside", "seconds"),
    "too loud": ("gain_db = -20", "gain_db = 3", "3 is outside -80 to -6", "gain_db = 3"),
    "unknown driver": ('"breath"', '"breth"', 'did you mean "breath"', "breth"),
    "unknown driver key": ("behind", "after", "level_db.after", "after"),
    "steady has no phase": ('"order", from', '"order", behind = 0.1, from', "behind", '"order"'),
    "unknown source": ('"noise"', '"nose"', "noise, tone, modes, file, rubbed, beats", "nose"),
    "unknown material": ('"bowl"', '"bowls"', 'did you mean "bowl"', '"bowls"'),
    "unknown owner": ('"collective"', '"all"', "individual, collective", '"all"'),
    "key of another source": ("band_hz", "notes_hz = [99]\nband_hz", "no such key", "[99]"),
    "falling band": ("[80, 2000]", "[2000, 80]", "rising pair", "2000, 80"),
    "whistling band": ("[80, 2000]", "[80, 100]", "narrower than an octave", "80, 100"),
    "timeline goes back": ("[10, 1]", "[10, 1], [5, 0]", "rise in time", "timeline"),
    "timeline flickers": ("[10, 1]", "[10, 1], [10.1, 0]", "flickers", "timeline"),
    "timeline too loud": ("[10, 1]", "[10, 2]", "outside 0 to 1", "timeline"),
    "timeline not pairs": ("[10, 1]", "[10]", "not a pair", "timeline"),
    "notes beat": ("[110, 165, 220]", "[110, 116]", "beat 6.0 times a second", "116"),
    "notes empty": ("[110, 165, 220]", "[]", "list of numbers", "notes_hz = []"),
    "floor above own": ("own_floor_db = -6", "own_floor_db = -6\nown_db = -9", "above", "-6"),
    "fades too long": ("seconds = 60", "seconds = 5", "the fades take 9 s of 5 s", None),
    "table wanted": ("[mix]\nown_floor_db = -6", "mix = 3", "must be a table", "mix = 3"),
    "sum too loud": ("gain_db = -20", "gain_db = -6", "all individual layers together", None),
    "syntax": ("seconds = 60", "seconds =", "not valid TOML", None),
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_mistake_is_told_with_its_line(write, mistake: str) -> None:
    old, new, words, line_words = MISTAKES[mistake]
    assert GOOD.count(old) >= 1
    text = GOOD.replace(old, new, 1)
    said = complaint(write(text))
    assert words in said
    if line_words:
        number = int(re.search(r"mine\.toml:(\d+):", said)[1])
        assert line_words in text.splitlines()[number - 1]


def test_scene_without_layers_and_unreadable_files(write, tmp_path: Path) -> None:
    assert "at least one" in complaint(write(GOOD.split("[layer")[0]))
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert "text file" in complaint(path)


@settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_edit_of_a_scene_ends_in_anything_but_a_scene_or_a_complaint(data, write) -> None:
    """One line replaced, dropped, doubled, or given another value."""
    lines = GOOD.splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    key = lines[at].split("=")[0]
    value = data.draw(
        st.sampled_from(
            ["", "0", "-1", "1e400", "nan", "-inf", "true", '""', '"breath"', "[]", "[[]]", "{}"]
        )
        | st.sampled_from(
            ["[[0, 0], [1, true]]", "[1, 1]", "1979-05-27", "{ follow = 3 }", "[[1, 2, 3]]"]
        )
        | st.sampled_from(["1" + 400 * "0", 5000 * "[", "[[0, 0], [1e300, 1]]"])
        | st.text(max_size=8)
        | st.floats(-100, 100).map(str)
    )
    edit = data.draw(st.sampled_from(["value", "line", "drop", "double"]))
    lines[at : at + 1] = {
        "value": [f"{key}= {value}"], "line": [value], "drop": [], "double": [lines[at]] * 2,
    }[edit]  # fmt: skip
    path = write("\n".join(lines))
    try:
        assert isinstance(load_scene(path), Scene)
    except SceneError as error:
        assert "mine.toml" in str(error)
        assert "\n" not in str(error)


@given(st.text(max_size=200))
def test_finding_a_line_never_fails(text: str) -> None:
    line_of(text, ("layer", "sea", "gain_db"))


def test_lasting_stretches_the_course_and_keeps_the_fades(write) -> None:
    scene = load_scene(write(GOOD))
    long = scene.lasting(600)
    assert (long.seconds, long.fade_in_s, long.fade_out_s) == (600, 4, 5)
    sea = long.layers[0].timeline
    assert sea.at(100) == 1
    assert sea.at(50) == pytest.approx(scene.layers[0].timeline.at(5))
    assert long.fade(0) == 0
    assert long.fade(300) == 1
    assert long.fade(597.5) == pytest.approx(0.5)
    short = scene.lasting(3)
    assert short.fade_in_s + short.fade_out_s == pytest.approx(3)
    with pytest.raises(SceneError, match="cannot last"):
        scene.lasting(0)


BEATS = (
    '\n[layer.beat]\nof = "individual"\nsource = "beats"\ncarrier_hz = 200\ngain_db = -30\n'
)


def test_beats_are_read_and_their_rules_told_with_the_line(write) -> None:
    assert load_scene(write(GOOD + BEATS + "binaural_hz = 6\n")).layers[-1].source == Beats(
        200, 6, 0
    )
    assert load_scene(write(GOOD + BEATS + "isochronic_hz = 3\nroom = 1")).layers[-1].source == (
        Beats(200, 0, 3)
    )
    load_scene(write(GOOD + BEATS + "binaural_hz = 3\nwidth = 0\nroom = 1"))
    for body, words, line_words in (
        ("isochronic_hz = 8", "8 Hz would flicker; nothing may come and go more than 3", "= 8"),
        ("isochronic_hz = nan", "outside", "nan"),
        ("binaural_hz = 40", "40 is outside 0.1 to 30", "= 40"),
        ("binaural_hz = 4\nwidth = 0.5", "mixes the ears, so binaural_hz = 4", "width"),
        ("binaural_hz = 4\nroom = 0.1", "mixes the ears, so binaural_hz = 4", "room"),
        ("binaural_hz = 4\nisochronic_hz = 1", "give one of them", None),
        ("", "give one of them", None),
        ("binaural_hz = 4\nbrightness_hz = 900", "no such key", "brightness"),
    ):
        text = GOOD + BEATS + body
        said = complaint(write(text))
        assert words in said
        if line_words:
            number = int(re.search(r"mine\.toml:(\d+):", said)[1])
            assert line_words in text.splitlines()[number - 1]


def test_rubbed_things_are_read(write) -> None:
    body = '\n[layer.rim]\nof = "individual"\nsource = "rubbed"\nmaterial = "glass"\ngain_db = -30\n'
    scene = load_scene(write(GOOD + body + 'notes_hz = [440]\nrubbed_by = "breath"'))
    assert scene.layers[-1].source == Rubbed("glass", (440,), 3.0, "breath")
    assert "no such key" in complaint(
        write(GOOD + body + 'notes_hz = [440]\nrubbed_by = "breath"\nstruck_by = "pulse"')
    )


VOICE = '\n[layer.voice]\nof = "collective"\nsource = "file"\nfile = "{}"\ngain_db = -20\n'


def test_sound_files_are_found_beside_the_scene_and_checked(write, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "voice.wav", np.zeros(32000), 16000)
    scene = load_scene(write(GOOD + VOICE.format("voice.wav") + "every_s = 5\n"))
    source = scene.layers[-1].source
    assert isinstance(source, File)
    assert source.path == tmp_path / "voice.wav"
    said = complaint(write(GOOD + VOICE.format("voice.wav") + "every_s = 1\n"))
    assert "shorter than the file, 2.0 s" in said
    assert "there is no" in complaint(write(GOOD + VOICE.format("gone.wav")))
    soundfile.write(tmp_path / "wide.wav", np.zeros((100, 3)), 16000)
    assert "3 channels" in complaint(write(GOOD + VOICE.format("wide.wav")))
    (tmp_path / "noise.wav").write_bytes(b"not sound")
    assert "cannot be read as sound" in complaint(write(GOOD + VOICE.format("noise.wav")))
    bright = VOICE.format("voice.wav") + "brightness_hz = 900\n"
    assert "no such key" in complaint(write(GOOD + bright))
