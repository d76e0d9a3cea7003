"""From a scene file to a `Scene`, every key checked.

What is refused here, with file, line, key and reason, can't go wrong at three in the morning over
sleeping people. Beyond types and bounds four rules guard the ears: notes may not beat at a rate
between flicker and tone, nothing comes and goes faster than flicker begins, not even two ears'
tones where they meet in the air, timelines can't flicker, and all layers together stay under
`LOUDEST_SUM_DB`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import soundfile

from dreampods.dreamscape.bodies import DRIVERS, EEG_BANDS, FLICKER_HZ, RHYTHMS
from dreampods.dreamscape.modes import MATERIALS
from dreampods.dreamscape.scene import (
    LONGEST_S,
    Beats,
    Control,
    File,
    Follow,
    Group,
    Layer,
    Mix,
    Modes,
    Noise,
    Room,
    Rubbed,
    Scene,
    Source,
    Tone,
)
from dreampods.dreamscape.tables import Table, nearest
from dreampods.dreamscape.timeline import Timeline
from dreampods.errors import SceneError

SCENES_FOLDER = Path(__file__).parent.parent / "scenes"

# Together the individual layers stay under this, and so do the collective ones: the power sum of
# their gain_db. Strikes count as if they never decayed, so what is heard is always less.
LOUDEST_SUM_DB = -9.0
# Two notes nearer than this are heard as one note that beats, not as two.
_ROUGHNESS_HZ = 15.0
# Two tones further apart are heard as two, not as a beat (Licklider et al. 1950); their difference
# in phase is lost on ears above about 1 kHz.
_WIDEST_BINAURAL_HZ = 30.0
_HIGHEST_CARRIER_HZ = 1000.0


def scene_names() -> list[str]:
    """The scenes that ship with dreampods."""
    return sorted(path.stem for path in SCENES_FOLDER.glob("*.toml"))


def load_scene(name_or_path: str | Path) -> Scene:
    """A shipped scene by its name, or a scene file by its path (ending in .toml).

    Raises SceneError naming file, line where known, key, and reason.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        if str(name_or_path) not in scene_names():
            raise SceneError(
                f"no scene {str(name_or_path)!r}{nearest(str(name_or_path), scene_names())}; "
                f"there are: {', '.join(scene_names())}; or give a path ending in .toml"
            )
        path = SCENES_FOLDER / f"{name_or_path}.toml"
    if not path.is_file():
        raise SceneError(f"{path}: no such scene file; shipped ones: {', '.join(scene_names())}")
    return _scene(Table.read(path), path.stem)


def _scene(table: Table, name: str) -> Scene:
    seconds = table.number("seconds", 1, LONGEST_S)
    fade_in_s = table.number("fade_in_s", 0, seconds, 4.0)
    fade_out_s = table.number("fade_out_s", 0, seconds, 5.0)
    if fade_in_s + fade_out_s > seconds:
        table.fail("fade_out_s", f"the fades take {fade_in_s + fade_out_s:g} s of {seconds:g} s")
    layers = table.table("layer")
    if not layers.names():
        table.fail("layer", "a scene needs at least one [layer.<name>]")
    scene = Scene(
        name=name,
        title=table.text("title"),
        description=table.text("description"),
        seconds=seconds,
        fade_in_s=fade_in_s,
        fade_out_s=fade_out_s,
        mix=_mix(table.table("mix")),
        follow=_follow(table.table("follow")),
        group=_group(table.table("group")),
        room=_room(table.table("room")),
        layers=tuple(_layer(layers.table(key), key) for key in layers.names()),
    )
    table.done()
    _check_sum(layers, scene)
    return scene


def _check_sum(layers: Table, scene: Scene) -> None:
    for of in ("individual", "collective"):
        power = sum(10 ** (layer.gain_db / 10) for layer in scene.layers if layer.of == of)
        if power > 10 ** (LOUDEST_SUM_DB / 10):
            layers.fail(
                "",
                f"all {of} layers together may reach {10 * math.log10(power):.1f} "
                f"dBFS; lower their gain_db until the sum is {LOUDEST_SUM_DB:g}",
            )


def _mix(table: Table) -> Mix:
    mix = Mix(
        own_db=table.number("own_db", -24, 0, 0.0),
        own_floor_db=table.number("own_floor_db", -24, 0, -9.0),
        collective_db=table.number("collective_db", -40, 0, 0.0),
        send_db=table.number("send_db", -60, 0, -9.0),
    )
    if mix.own_floor_db > mix.own_db:
        table.fail("own_floor_db", f"{mix.own_floor_db:g} is above own_db = {mix.own_db:g}")
    table.done()
    return mix


def _follow(table: Table) -> Follow:
    usual = {"slow": (0.5, 1.5), "theta": (4.0, 8.0), "alpha": (8.0, 12.0), "sigma": (11.0, 16.0)}
    eeg = table.table("eeg_hz")
    follow = Follow(
        breath_hz=table.span("breath_hz", 0.03, 1.0, (0.1, 0.5)),
        pulse_hz=table.span("pulse_hz", 0.5, FLICKER_HZ, (0.7, 2.2)),
        eeg_hz={band: eeg.span(band, 0.1, 45, usual[band]) for band in EEG_BANDS},
    )
    eeg.done()
    table.done()
    return follow


def _group(table: Table) -> Group:
    group = Group(table.number("coupling_hz", 0, 2, 0.05), table.number("drive_hz", 0, 2, 0.2))
    table.done()
    return group


def _room(table: Table) -> Room:
    room = Room(table.number("decay_s", 0.2, 12, 3.0), table.number("level_db", -60, 0, -12.0))
    table.done()
    return room


def _layer(table: Table, name: str) -> Layer:
    of = table.choice("of", ("individual", "collective"))
    kind = table.choice("source", _SOURCES)
    source = _SOURCES[kind](table)
    # What a source has no use for is not read, so that `done` refuses it by name.
    brightness = (
        _constant(12000.0)
        if kind in ("file", "beats", "rubbed")
        else _control(table, "brightness_hz", 80, 12000, 12000.0)
    )
    pitch = _control(table, "pitch_semitones", -12, 12, 0.0) if kind == "tone" else _constant(0.0)
    layer = Layer(
        name=name,
        of="individual" if of == "individual" else "collective",
        source=source,
        gain_db=table.number("gain_db", -80, -6),
        level_db=_control(table, "level_db", -60, 0, 0.0),
        brightness_hz=brightness,
        pitch_semitones=pitch,
        pan=_control(table, "pan", -1, 1, 0.0),
        width=table.number("width", 0, 1, 1.0),
        room=table.number("room", 0, 1, 0.0),
        timeline=_timeline(table),
    )
    if isinstance(source, Beats) and source.binaural_hz > FLICKER_HZ:
        # Where one ear's tone reaches the other the air itself beats.
        for key, apart in (("width", layer.width == 1), ("room", layer.room == 0)):
            if not apart:
                table.fail(
                    key,
                    f"mixes the ears, so binaural_hz = {source.binaural_hz:g} would flicker in "
                    f"the air; keep it at {FLICKER_HZ:g} or less, or width = 1 and room = 0",
                )
    table.done()
    return layer


def _constant(value: float) -> Control:
    return Control(value, value)


def _control(table: Table, key: str, low: float, high: float, default: float) -> Control:
    if not table.is_table(key):
        return _constant(table.number(key, low, high, default))
    inner = table.table(key)
    follow = inner.choice("follow", DRIVERS)
    rhythm = follow in RHYTHMS
    # EEG levels and group figures have no rhythm of their own to keep, so they glide: the floor
    # of half a second is what keeps them below flicker.
    least_s, usual_s = (0.05, 0.15) if rhythm else (0.5, 1.0)
    control = Control(
        low=inner.number("from", low, high),
        high=inner.number("to", low, high),
        follow=follow,
        behind=inner.number("behind", -1, 1, 0.0) if rhythm else 0.0,
        smooth_s=inner.number("smooth_s", least_s, 60, usual_s),
    )
    inner.done()
    return control


def _timeline(table: Table) -> Timeline:
    if "timeline" not in table:
        return Timeline()
    try:
        return Timeline(table.points("timeline"))
    except ValueError as error:
        table.fail("timeline", str(error))


def _notes(table: Table) -> tuple[float, ...]:
    notes = table.numbers("notes_hz", 30, 4000)
    for one, other in itertools.combinations(sorted(notes), 2):
        if FLICKER_HZ < other - one < _ROUGHNESS_HZ:
            table.fail(
                "notes_hz",
                f"{one:g} and {other:g} Hz beat {other - one:.1f} times a "
                f"second; keep them under {FLICKER_HZ:g} or over "
                f"{_ROUGHNESS_HZ:g} Hz apart",
            )
    return notes


def _noise(table: Table) -> Noise:
    low, high = table.span("band_hz", 30, 12000, (60.0, 5000.0))
    if high < 2 * low:
        table.fail(
            "band_hz",
            f"{low:g} to {high:g} Hz is narrower than an octave: it would whistle, not rush",
        )
    colour = table.choice("colour", ("pink", "brown"), "pink")
    return Noise(
        "brown" if colour == "brown" else "pink", low, high, table.number("ripple_db", 0, 6, 2.0)
    )


def _tone(table: Table) -> Tone:
    return Tone(
        notes_hz=_notes(table),
        partials=table.whole("partials", 1, 12, 4),
        roll_off_db=table.number("roll_off_db", 0, 48, 9.0),
        beat_hz=table.number("beat_hz", 0, 1, 0.15),
        one_each=table.flag("one_each", False),
    )


def _modes(table: Table) -> Modes:
    melody = table.choice("melody", ("own", "stepwise"), "own")
    return Modes(
        material=table.choice("material", MATERIALS),
        notes_hz=_notes(table),
        decay_s=table.number("decay_s", 0.1, 20, 4.0),
        attack_s=table.number("attack_s", 0.002, 0.5, 0.012),
        struck_by=table.choice("struck_by", RHYTHMS),
        every=table.whole("every", 1, 64, 1),
        melody="own" if melody == "own" else "stepwise",
    )


def _rubbed(table: Table) -> Rubbed:
    return Rubbed(
        material=table.choice("material", MATERIALS),
        notes_hz=_notes(table),
        decay_s=table.number("decay_s", 0.1, 20, 3.0),
        rubbed_by=table.choice("rubbed_by", RHYTHMS),
    )


def _beats(table: Table) -> Beats:
    carrier_hz = table.number("carrier_hz", 60, _HIGHEST_CARRIER_HZ)
    binaural, isochronic = ("binaural_hz" in table), ("isochronic_hz" in table)
    if binaural == isochronic:
        table.fail("", "beats are either binaural_hz or isochronic_hz; give one of them")
    if binaural:
        return Beats(carrier_hz, table.number("binaural_hz", 0.1, _WIDEST_BINAURAL_HZ), 0.0)
    rate_hz = table.number("isochronic_hz", 0.05, math.inf)
    if rate_hz > FLICKER_HZ:
        table.fail(
            "isochronic_hz",
            f"{rate_hz:g} Hz would flicker; nothing may come and go more than {FLICKER_HZ:g} "
            "times a second",
        )
    return Beats(carrier_hz, 0.0, rate_hz)


def _file(table: Table) -> File:
    path = table.folder / table.text("file")
    if not path.is_file():
        table.fail("file", f"there is no {path}")
    try:
        info = soundfile.info(str(path))
    except (soundfile.SoundFileError, OSError) as error:
        table.fail("file", f"{path} cannot be read as sound: {error}")
    if info.channels > 2 or info.frames == 0:
        table.fail(
            "file",
            f"{path} has {info.channels} channels and {info.frames} frames; give "
            "it one or two channels, and sound",
        )
    every_s = None
    if "every_s" in table:
        every_s = table.number("every_s", 1, LONGEST_S)
        if every_s < info.duration:
            table.fail("every_s", f"{every_s:g} s is shorter than the file, {info.duration:.1f} s")
    return File(path, table.number("start_s", 0, LONGEST_S, 0.0), every_s)


_SOURCES: dict[str, Callable[[Table], Source]] = {
    "noise": _noise,
    "tone": _tone,
    "modes": _modes,
    "file": _file,
    "rubbed": _rubbed,
    "beats": _beats,
}
