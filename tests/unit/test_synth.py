"""The synth: what sleepers would hear, judged by oracles from numpy and scipy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile

from dreampods.dreamscape import Bodies, Scene, Synth, load_scene

RATE_HZ = 32000
FRAMES = 640
BLOCK_S = FRAMES / RATE_HZ
SHIPPED = ("tide", "lanterns")


def breathing(n: int = 8, together: bool = False, rates_hz: float = 0.25) -> Callable:
    """A course of bodies: breath about every four seconds, pulse about 60 a minute."""
    place = np.zeros(n) if together else np.arange(n) / n
    spread = np.ones(n) if together else 1 + 0.02 * np.arange(n)

    def bodies(t: float) -> Bodies:
        breath = 2 * np.pi * (rates_hz * spread * t + place)
        return replace(
            Bodies.still(n),
            breath_phase=breath,
            breath_depth=np.ones(n),
            breath_confidence=np.ones(n),
            pulse_phase=2 * np.pi * (spread * t + place),
            pulse_confidence=np.ones(n),
            eeg={band: np.full(n, 0.5) for band in ("slow", "theta", "alpha", "sigma")},
            kuramoto_phase=breath,
            order=float(np.abs(np.exp(1j * breath).mean())),
        )

    return bodies


def play(
    scene: Scene, bodies: Callable[[float], Bodies], seconds: float, n: int = 8, start_s: float = 0
) -> tuple[np.ndarray, np.ndarray]:
    synth = Synth(scene, n, RATE_HZ, FRAMES, seed=1)
    times = start_s + np.arange(round(seconds / BLOCK_S)) * BLOCK_S
    blocks = [synth.render(float(t), bodies(float(t))) for t in times]
    return np.concatenate([b[0] for b in blocks], axis=1), np.concatenate([b[1] for b in blocks])


def rms_db(x: np.ndarray) -> float:
    return 10 * np.log10(np.mean(np.square(x, dtype=np.float64)) + 1e-30)


def envelope_db(x: np.ndarray, per_s: float = 50) -> np.ndarray:
    step = int(RATE_HZ / per_s)
    power = np.square(x[: len(x) // step * step], dtype=np.float64).reshape(-1, step, 2)
    return 10 * np.log10(power.mean(axis=(1, 2)) + 1e-30)


@pytest.fixture(scope="module")
def minute() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {name: play(load_scene(name), breathing(), 60) for name in SHIPPED}


@pytest.fixture
def one_layer(tmp_path: Path) -> Callable[..., Scene]:
    """A scene of one plain layer without fades."""

    def make(body: str, of: str = "individual", head: str = "") -> Scene:
        path = tmp_path / "scene.toml"
        path.write_text(
            'title = "t"\ndescription = "d"\nseconds = 600\nfade_in_s = 0\nfade_out_s = 0\n'
            f'{head}\n[layer.only]\nof = "{of}"\ngain_db = -12\n{body}\n'
        )
        return load_scene(path)

    return make


# --- the shipped scenes -----------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_a_minute_is_as_loud_and_as_dark_as_sleepers_need(name: str, minute) -> None:
    own, collective = minute[name]
    assert own.dtype == collective.dtype == np.float32
    assert own.shape == (8, 60 * RATE_HZ, 2)
    whole = (own.sum(axis=0) + collective)[15 * RATE_HZ : 50 * RATE_HZ]
    assert -27 < rms_db(whole) < -21
    assert np.abs(whole).max() < 0.5
    freq_hz, power = scipy.signal.welch(whole, RATE_HZ, nperseg=16384, axis=0)
    power = power.sum(axis=1)
    heard = (freq_hz >= 60) & (freq_hz <= 5000)
    assert power[heard].sum() > 0.97 * power.sum()
    # No harshness: the octave where ears are most sensitive is well below the rest.
    assert 10 * np.log10(power[(freq_hz > 2500) & (freq_hz < 5000)].sum() / power.sum()) < -15


@pytest.mark.parametrize("name", SHIPPED)
def test_begins_and_ends_in_silence_with_fades_between(name: str, minute) -> None:
    own, collective = minute[name]
    whole = envelope_db(own.sum(axis=0) + collective, per_s=2)
    assert whole[0] < whole[20:100].mean() - 15
    assert whole[-1] < whole[20:100].mean() - 20
    assert np.abs(own[:, 0]).max() < 1e-4
    assert np.abs(own[:, -1]).max() < 1e-4


@pytest.mark.parametrize("name", SHIPPED)
def test_every_sleeper_is_heard_and_is_someone_else(name: str, minute) -> None:
    own = minute[name][0][:, 15 * RATE_HZ : 50 * RATE_HZ]
    levels = [rms_db(sleeper) for sleeper in own]
    assert max(levels) - min(levels) < 4
    likeness = np.corrcoef(own[:, :, 0]) - np.eye(8)
    assert np.abs(likeness).max() < 0.5
    # Wide, but not two unrelated ears.
    for sleeper in own:
        assert -0.2 < np.corrcoef(sleeper.T)[0, 1] < 0.9


@pytest.mark.parametrize("name", SHIPPED)
def test_block_borders_are_not_heard(name: str, minute) -> None:
    """A click is a jump in the waveform or its slope; borders must jump no more than elsewhere."""
    own, collective = minute[name]
    for sound in (own[0], own[5], collective):
        bend = np.abs(np.diff(sound, n=2, axis=0)).max(axis=1)
        border = np.zeros(len(bend), dtype=bool)
        for near in (-2, -1, 0):
            border[FRAMES + near :: FRAMES] = True
        assert bend[border].max() <= 1.05 * bend[~border].max()
        assert np.sqrt(np.mean(bend[border] ** 2)) < 1.1 * np.sqrt(np.mean(bend[~border] ** 2))


def test_tide_follows_each_sleepers_own_breath(minute) -> None:
    own, _ = minute["tide"]
    bodies = breathing()
    times = np.arange(0, 60, 1 / 50)
    breath = np.array([np.cos(bodies(t).breath_phase) for t in times])
    for sleeper in range(8):
        level = envelope_db(own[sleeper])[500:2700]
        fits = [np.corrcoef(level, breath[500:2700, other])[0, 1] for other in range(8)]
        assert fits[sleeper] > 0.85
        assert np.argmax(fits) == sleeper
        assert np.percentile(level, 95) - np.percentile(level, 5) > 8


@pytest.mark.parametrize("name", SHIPPED)
def test_the_common_sound_opens_when_the_group_is_together(name: str) -> None:
    scene = load_scene(name)
    apart = play(scene, breathing(together=False), 24)[1][12 * RATE_HZ :]
    together = play(scene, breathing(together=True), 24)[1][12 * RATE_HZ :]
    assert rms_db(together) > rms_db(apart) + 3

    def heaving(x: np.ndarray) -> float:
        """How deep the sound moves at the rate of a breath, against its mean."""
        level = 10 ** (envelope_db(x) / 20)
        turn = np.exp(-2j * np.pi * 0.25 * np.arange(len(level)) / 50)
        return float(2 * np.abs(np.mean(level * turn)) / np.mean(level))

    assert heaving(together) > 0.15
    assert heaving(together) > 1.5 * heaving(apart)


# --- bodies that go wrong ---------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_nothing_flickers_when_a_rhythm_is_too_fast_to_be_one(name: str) -> None:
    """Phases that turn 8 times a second move nothing: 3..12 Hz is as calm as with no body."""

    def fast(t: float) -> Bodies:
        phase = np.full(8, 2 * np.pi * 8 * t)
        return replace(breathing()(t), breath_phase=phase, pulse_phase=phase, kuramoto_phase=phase)

    def flicker(bodies: Callable[[float], Bodies]) -> float:
        own, collective = play(load_scene(name), bodies, 14)
        sounds = [*own[:3, 4 * RATE_HZ :], collective[4 * RATE_HZ :]]
        levels = [envelope_db(sound) for sound in sounds]
        spectra = [scipy.signal.welch(x, 50, nperseg=256) for x in levels]
        return max(float(p[(f > 3) & (f < 12)].max()) for f, p in spectra)

    assert flicker(fast) < 2.5 * flicker(lambda t: Bodies.still(8))


@pytest.mark.parametrize("source", ['"noise"\ncolour = "brown"\nband_hz = [60, 240]',
                                    '"tone"\nnotes_hz = [60, 90]\nbeat_hz = 0'])  # fmt: skip
@pytest.mark.parametrize("control", ["level_db -60 0", "brightness_hz 80 12000", "pan -1 1"])
def test_a_body_that_jumps_makes_no_click(one_layer, source: str, control: str) -> None:
    """Low smooth sounds, the fastest fader, and a breath that flips between top and bottom."""
    name, low, high = control.split()
    follow = f'{name} = {{ follow = "breath", from = {low}, to = {high}, smooth_s = 0.05 }}'
    scene = one_layer(f"source = {source}\n{follow}")

    def flip(t: float) -> Bodies:
        return replace(breathing(1)(t), breath_phase=np.full(1, np.pi * (int(t / 1.5) % 2)))

    x = play(scene, flip, 9, n=1)[0][0].astype(np.float64)
    # Above what these sounds hold there is only what a corner or a step would add.
    sharp = scipy.signal.sosfilt(
        scipy.signal.butter(6, 2000, "high", fs=RATE_HZ, output="sos"), x, axis=0
    )
    assert np.abs(sharp[RATE_HZ:]).max() < 1e-3 * np.abs(x).max()


def test_unknown_values_are_silent_not_noise(one_layer) -> None:
    tone = (
        'source = "tone"\nnotes_hz = [220]\nbeat_hz = 0\nlevel_db = { follow = "breath", '
        'from = -20, to = 0 }\npan = { follow = "eeg.slow", from = -1, to = 1 }\nroom = 1'
    )

    def lost(t: float) -> Bodies:
        if not 4 < t < 8:
            return breathing()(t)
        nan = np.full(8, np.nan)
        return Bodies(nan, nan, nan, nan, nan, nan, {"slow": nan}, nan, nan, np.nan, np.nan)

    own, collective = play(one_layer(tone), lost, 14)
    assert np.all(np.isfinite(own))
    assert np.all(np.isfinite(collective))
    level = envelope_db(own[0])
    assert np.ptp(level[300:395]) < 1.5  # lost: steady
    assert np.ptp(level[500:700]) > 12  # found again: moving


def test_wrong_shapes_are_refused_by_name() -> None:
    synth = Synth(load_scene("tide"), 8)
    with pytest.raises(ValueError, match=r"pulse_hz has shape \(3,\), must be \(8,\)"):
        synth.render(0, replace(Bodies.still(8), pulse_hz=np.ones(3)))
    with pytest.raises(ValueError, match=r"eeg\['slow'\]"):
        synth.render(0, replace(Bodies.still(8), eeg={"slow": np.ones(2)}))
    with pytest.raises(ValueError, match="not a time"):
        synth.render(float("nan"), Bodies.still(8))
    for wrong in ({"pods": 0}, {"frames": 0}, {"rate_hz": 0}):
        with pytest.raises(ValueError, match="must be"):
            Synth(load_scene("tide"), **{"pods": 1, **wrong})


@pytest.mark.parametrize(("pods", "rate_hz", "frames"), [(1, 16000, 320), (64, 32000, 640),
                                                         (3, 48000, 1024)])  # fmt: skip
def test_other_sizes_play_too(pods: int, rate_hz: int, frames: int) -> None:
    for name in SHIPPED:
        synth = Synth(load_scene(name), pods, rate_hz, frames)
        for i in range(30):
            own, collective = synth.render(5 + i * frames / rate_hz, Bodies.still(pods))
        assert own.shape == (pods, frames, 2)
        assert collective.shape == (frames, 2)
        assert 1e-4 < np.abs(own).max() < 0.5


def test_same_seed_same_sound_other_seed_other_sound() -> None:
    def sound(seed: int) -> np.ndarray:
        synth = Synth(load_scene("tide"), 2, seed=seed)
        blocks = [synth.render(i * BLOCK_S, Bodies.still(2))[0] for i in range(100)]
        return np.concatenate(blocks, axis=1)

    assert np.array_equal(sound(5), sound(5))
    assert np.abs(np.corrcoef(sound(5)[0, :, 0], sound(6)[0, :, 0])[0, 1]) < 0.5


def test_order_that_chance_explains_makes_no_sound(one_layer) -> None:
    tone = 'source = "tone"\nnotes_hz = [220]\nlevel_db = { follow = "order", from = -60, to = 0 }'
    scene = one_layer(tone, of="collective")

    def level(order: float) -> float:
        still = replace(Bodies.still(8), order=order)
        return rms_db(play(scene, lambda t: still, 3)[1][RATE_HZ:])

    chance = Bodies.still(8).order_chance
    assert level(chance) == pytest.approx(level(0.0), abs=0.1)
    assert level(1.0) > level(0.0) + 55


# --- sources against oracles ------------------------------------------------------------------


def still(t: float) -> Bodies:
    return Bodies.still(1)


def test_tone_has_its_notes_partials_and_level(one_layer) -> None:
    tone = 'source = "tone"\nnotes_hz = [200, 301.5]\npartials = 3\nroll_off_db = 6\nbeat_hz = 0.1'
    own, _ = play(one_layer(tone), still, 20, n=1)
    assert rms_db(own[0, RATE_HZ:]) == pytest.approx(-12, abs=1.5)
    freq_hz, power = scipy.signal.welch(own[0, :, 0], RATE_HZ, "blackmanharris", nperseg=65536)
    wanted = [200, 400, 600, 301.5, 603, 904.5]
    near = np.min(np.abs(freq_hz[:, None] - wanted), axis=1) < 3
    assert power[~near].sum() < 1e-6 * power.sum()
    for note in wanted:
        assert power[np.abs(freq_hz - note) < 3].sum() > 1e-3 * power.sum()


def test_pitch_glides_by_semitones_without_a_step(one_layer) -> None:
    tone = (
        'source = "tone"\nnotes_hz = [400]\npartials = 1\nbeat_hz = 0\nbrightness_hz = 12000\n'
        'pitch_semitones = { follow = "coupling", from = 0, to = 12, smooth_s = 1 }'
    )

    def jump(t: float) -> Bodies:
        return replace(Bodies.still(1), coupling=np.full(1, float(t > 2)))

    x = play(one_layer(tone), jump, 14, n=1)[0][0, RATE_HZ:, 0].astype(np.float64)
    turning = np.diff(np.unwrap(np.angle(scipy.signal.hilbert(x)))) * RATE_HZ / (2 * np.pi)
    turning = turning[500:-500]
    assert np.median(turning[:20000]) == pytest.approx(400, abs=0.5)
    assert np.median(turning[-20000:]) == pytest.approx(800, abs=0.5)
    assert np.abs(np.diff(turning)).max() < 1.0  # Hz from one frame to the next


def test_a_rubbed_glass_sings_in_time_with_the_breath(one_layer) -> None:
    glass = (
        'source = "rubbed"\nmaterial = "glass"\nnotes_hz = [300, 450]\ndecay_s = 1\n'
        'rubbed_by = "breath"'
    )
    x = play(one_layer(glass), breathing(1), 60, n=1)[0][0, 2 * RATE_HZ :].astype(np.float64)
    freq_hz, power = scipy.signal.welch(x, RATE_HZ, nperseg=32768, axis=0)
    power = power.sum(axis=1)
    sings = [np.abs(freq_hz - hz) < 15 for hz in (300, 450, 696, 1044)]
    assert sum(power[near].sum() for near in sings) > 0.9 * power.sum()
    level = envelope_db(x, per_s=5)
    breath = np.array([np.cos(breathing(1)(2 + k / 5).breath_phase[0]) for k in range(len(level))])
    fit = [np.corrcoef(level, np.roll(breath, late))[0, 1] for late in range(10)]
    assert np.argmax(fit) <= 1  # fifths of a second
    assert max(fit) > 0.8
    # At the top of a breath it is as loud as it may be.
    assert np.percentile(level, 90) == pytest.approx(-12, abs=3)


BEATS = 'source = "beats"\ncarrier_hz = 200\n'


def test_binaural_beats_flicker_in_neither_ear(one_layer) -> None:
    x = play(one_layer(BEATS + "binaural_hz = 6"), still, 8, n=1)[0][0, RATE_HZ:]
    assert rms_db(x) == pytest.approx(-12, abs=0.1)
    freq_hz, power = scipy.signal.periodogram(x.astype(np.float64), RATE_HZ, "hann", axis=0)
    assert freq_hz[np.argmax(power, axis=0)] == pytest.approx([197, 203], abs=0.2)
    for ear in (0, 1):
        level = np.abs(scipy.signal.hilbert(x[:, ear].astype(np.float64)))[RATE_HZ:-RATE_HZ]
        assert np.ptp(level) < 1e-3 * level.mean()
    both = np.abs(scipy.signal.hilbert(x.sum(axis=1).astype(np.float64)))[RATE_HZ:-RATE_HZ]
    assert np.ptp(both) > both.mean()  # only where both meet is there a beat


def test_isochronic_beats_come_and_go_without_harmonics(one_layer) -> None:
    x = play(one_layer(BEATS + "isochronic_hz = 2.5"), still, 10, n=1)[0][0, 2 * RATE_HZ :]
    level = np.abs(scipy.signal.hilbert(x[:, 0].astype(np.float64)))[:-RATE_HZ]
    level -= level.mean()
    freq_hz, power = scipy.signal.periodogram(level, RATE_HZ, "hann")
    near = np.abs(freq_hz - 2.5) < 0.5
    assert power[near].sum() > 0.999 * power.sum()
    assert np.abs(x).max() == pytest.approx(10 ** (-12 / 20) * np.sqrt(2), rel=0.01)


@pytest.mark.parametrize(("colour", "slope_db"), [("pink", -3.01), ("brown", -6.02)])
def test_noise_has_its_colour_and_brightness_its_corner(one_layer, colour, slope_db) -> None:
    noise = f'source = "noise"\ncolour = "{colour}"\nband_hz = [60, 8000]\nripple_db = 0\n'
    dull = one_layer(noise + "brightness_hz = 500")
    open_, dark = (play(s, still, 12, n=1)[0][0, RATE_HZ:, 0] for s in (one_layer(noise), dull))
    freq_hz, power = scipy.signal.welch(open_, RATE_HZ, nperseg=8192)
    fit = (freq_hz > 150) & (freq_hz < 3000)
    octaves = np.log2(freq_hz[fit])
    assert np.polyfit(octaves, 10 * np.log10(power[fit]), 1)[0] == pytest.approx(slope_db, abs=0.4)
    assert rms_db(open_) == pytest.approx(-12, abs=1)
    ratio = 10 * np.log10(scipy.signal.welch(dark, RATE_HZ, nperseg=8192)[1] / power)
    at = lambda hz: np.median(ratio[(freq_hz > 0.9 * hz) & (freq_hz < 1.1 * hz)])  # noqa: E731
    assert at(150) == pytest.approx(0, abs=1)
    assert at(500) == pytest.approx(-3, abs=1.5)
    assert at(2000) == pytest.approx(-24, abs=3)


BOWL = 'source = "modes"\nmaterial = "bowl"\nnotes_hz = [300]\ndecay_s = 2\nattack_s = 0.01\n'


def beating(pulse_hz: float, confidence: float = 1.0) -> Callable[[float], Bodies]:
    return lambda t: replace(
        Bodies.still(1),
        pulse_phase=np.full(1, 2 * np.pi * (pulse_hz * t - 0.5)),
        pulse_hz=np.full(1, pulse_hz),
        pulse_confidence=np.full(1, confidence),
    )


def test_a_bowl_rings_at_its_modes_and_dies_in_its_time(one_layer) -> None:
    struck = one_layer(BOWL + 'struck_by = "pulse"')
    x = play(struck, beating(0.2), 6.5, n=1)[0][0]
    first = np.argmax(np.abs(x).max(axis=1) > 1e-4) / RATE_HZ
    assert first == pytest.approx(2.5, abs=0.025)  # half a turn at 0.2 Hz, plus a block
    assert 0.15 * 10 ** (-12 / 20) < np.abs(x).max() <= 10 ** (-12 / 20) * np.sqrt(2)
    freq_hz, power = scipy.signal.periodogram(x[:, 0], RATE_HZ)
    peaks = [freq_hz[(freq_hz > f * 0.95) & (freq_hz < f * 1.05)]
             [np.argmax(power[(freq_hz > f * 0.95) & (freq_hz < f * 1.05)])]
             for f in (300, 840)]  # fmt: skip
    assert peaks == pytest.approx([300, 840], abs=0.6)
    level = envelope_db(x)
    seconds = np.arange(len(level)) / 50
    ring = (seconds > 3.0) & (seconds < 4.0)
    # The pair of each mode beats slowly; over a second that bends the line only a little.
    slope = np.polyfit(seconds[ring], level[ring], 1)[0]
    assert slope == pytest.approx(-30, abs=6)  # dB per second: 60 dB in two seconds


def strikes(x: np.ndarray) -> int:
    level = envelope_db(x)
    rise = level[3:] - level[:-3] > 3
    return int(np.sum(rise[1:] & ~rise[:-1]))


def test_strikes_keep_to_the_pulse_to_every_and_to_confidence(one_layer) -> None:
    short = BOWL.replace("decay_s = 2", "decay_s = 0.3")
    each = one_layer(short + 'struck_by = "pulse"')
    third = one_layer(short + 'struck_by = "pulse"\nevery = 3')
    assert strikes(play(each, beating(1.0), 12, n=1)[0][0]) == 12
    assert strikes(play(third, beating(1.0), 12, n=1)[0][0]) == 4
    assert strikes(play(each, beating(1.0, confidence=0.1), 12, n=1)[0][0]) == 0
    assert np.abs(play(each, beating(10.0), 12, n=1)[0][0][RATE_HZ:]).max() < 1e-3


def test_everyone_strikes_the_collective_from_a_place_of_their_own(one_layer) -> None:
    scene = one_layer(
        BOWL.replace("[300]", "[300, 400, 500, 600]").replace("= 2", "= 0.5")
        + 'struck_by = "kuramoto"\nmelody = "own"',
        of="collective",
    )

    def turn(t: float) -> Bodies:
        phase = 2 * np.pi * (0.2 * t - np.array([0.2, 0.4, 0.6, 0.8]))
        return replace(Bodies.still(4), kuramoto_phase=phase)

    _, sound = play(scene, turn, 6, n=4)
    notes, leans = [], []
    for second in range(1, 5):
        part = sound[second * RATE_HZ : (second + 1) * RATE_HZ].astype(np.float64)
        spectrum = np.abs(np.fft.rfft(part[:, 0] + part[:, 1]))
        notes.append(round(np.argmax(spectrum) / 100) * 100)
        leans.append(rms_db(part[:, 0]) - rms_db(part[:, 1]))
    assert notes == [300, 400, 500, 600]
    assert np.ptp(leans) > 6
    assert min(abs(a - b) for i, a in enumerate(leans) for b in leans[:i]) > 0.5


def test_a_file_plays_when_due_at_its_own_pitch_and_again(one_layer, tmp_path: Path) -> None:
    t = np.arange(44100) / 44100
    soundfile.write(tmp_path / "a.wav", 0.1 * np.sin(2 * np.pi * 1000 * t), 44100)
    file = 'source = "file"\nfile = "a.wav"\nstart_s = 2\nevery_s = 3'
    rng = np.random.default_rng(0)
    scene = one_layer(file, of="collective")
    synth = Synth(scene, 1)
    # A session clock that jitters by milliseconds must not be heard.
    times = np.arange(400) * BLOCK_S + rng.uniform(0, 0.004, 400)
    x = np.concatenate([synth.render(float(now), Bodies.still(1))[1] for now in times])
    heard = envelope_db(x, per_s=10) > -40
    assert np.flatnonzero(heard).tolist() == [*range(20, 30), *range(50, 60)]
    assert np.abs(x).max() == pytest.approx(10 ** (-12 / 20), rel=0.01)
    tone = x[int(2.1 * RATE_HZ) : int(2.9 * RATE_HZ), 0].astype(np.float64)
    freq_hz, power = scipy.signal.periodogram(tone, RATE_HZ, "blackmanharris")
    near = np.abs(freq_hz - 1000) < 10
    assert power[~near].sum() < 1e-7 * power[near].sum()  # 70 dB


def test_a_room_dies_in_its_time(one_layer, tmp_path: Path) -> None:
    click = np.zeros(3200)
    click[1000] = 0.5
    soundfile.write(tmp_path / "c.wav", click, RATE_HZ)
    scene = one_layer(
        'source = "file"\nfile = "c.wav"\nroom = 1',
        of="collective",
        head="[room]\ndecay_s = 2\nlevel_db = 0\n",
    )
    x = play(scene, still, 5, n=1)[1].astype(np.float64)[3200:]
    low = scipy.signal.sosfilt(scipy.signal.butter(4, 1500, fs=RATE_HZ, output="sos"), x, axis=0)
    left_db = 10 * np.log10(np.cumsum((low**2).sum(axis=1)[::-1])[::-1] + 1e-30)
    left_db -= left_db[0]
    seconds = np.arange(len(left_db)) / RATE_HZ
    fit = (left_db < -5) & (left_db > -45)
    assert -60 / np.polyfit(seconds[fit], left_db[fit], 1)[0] == pytest.approx(2.0, rel=0.15)


def test_timeline_and_width_and_pan_are_heard(one_layer) -> None:
    noise = 'source = "noise"\nripple_db = 0\n'
    line = play(one_layer(noise + "timeline = [[1, 0], [3, 1]]"), still, 6, n=1)[0][0]
    level = envelope_db(line, per_s=10)
    assert level[8] < -200
    assert level[20] - level[45] == pytest.approx(-6, abs=1.5)
    narrow = play(one_layer(noise + "width = 0"), still, 3, n=1)[0][0]
    assert np.corrcoef(narrow.T)[0, 1] > 0.99
    left = play(one_layer(noise + "pan = -1"), still, 3, n=1)[0][0]
    assert np.abs(left[:, 1]).max() < 1e-6
    assert rms_db(left[RATE_HZ:, 0]) == pytest.approx(-9, abs=1)
