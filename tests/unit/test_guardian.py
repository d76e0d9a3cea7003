"""The guardian: consent files that say what they mean, and a gate that nothing too loud passes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pod_in_time import BOARD

from dreampods.errors import ConsentError
from dreampods.firmware.dreampod import level
from dreampods.guardian import USES, Consent, Gate, Limits, load_consent
from dreampods.guardian.gate import CEILING_DBA, HARD_DBA
from dreampods.resonance import Mixer

BLOCK_S = 0.02
LIMITS = Limits.of(BOARD["limits"])


def written(folder: Path, text: str) -> Path:
    path = folder / "consent.toml"
    path.write_text(text, encoding="utf-8")
    return path


def gate(limits: Limits = LIMITS) -> Gate:
    return Gate(Consent.of_recordings({"pod-1": "recording"}), {"pod-1": limits})


# --- consent -----------------------------------------------------------------------------------


def test_what_the_file_says_is_allowed_and_nothing_else(tmp_path: Path) -> None:
    consent = load_consent(
        written(
            tmp_path,
            '[participant.pod-1]\nname = "Ada"\nuses = ["sense", "share"]\n'
            '[participant.pod-2]\nname = "Ben"\nuses = []\n',
        )
    )
    consent.require(["pod-1", "pod-2"])
    allowed = {use for use in USES if consent.allows("pod-1", use)}
    assert allowed == {"sense", "share"}
    assert not any(consent.allows(pod, use) for pod in ("pod-2", "pod-3") for use in USES)
    assert consent.participant("pod-1") == "Ada"


def test_what_is_taken_back_ends_at_once(tmp_path: Path) -> None:
    consent = Consent.of_recordings({"pod-1": "recording"})
    assert consent.allows("pod-1", "share")
    consent.revoke("pod-1", "share")
    assert not consent.allows("pod-1", "share")
    assert consent.allows("pod-1", "sense")


def test_a_pod_nobody_is_named_for_is_told_with_what_to_write(tmp_path: Path) -> None:
    consent = load_consent(written(tmp_path, '[participant.pod-1]\nname = "Ada"\nuses = []\n'))
    with pytest.raises(ConsentError, match=r"pod-2, pod-3.*\[participant\.pod-2\]"):
        consent.require(["pod-1", "pod-2", "pod-3"])


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[participant.pod-1]\nuses = ["sense"]\n', r"participant\.pod-1\.name"),
        ('[participant.pod-1]\nname = ""\nuses = []\n', r"participant\.pod-1\.name"),
        ('[participant.pod-1]\nname = 3\nuses = []\n', r"participant\.pod-1\.name"),
        ('[participant.pod-1]\nname = "Ada"\n', r"participant\.pod-1\.uses"),
        ('[participant.pod-1]\nname = "Ada"\nuses = "sense"\n', r"participant\.pod-1\.uses"),
        ('[participant.pod-1]\nname = "Ada"\nuses = [1]\n', r"participant\.pod-1\.uses"),
        ('[participant.pod-1]\nname = "Ada"\nuses = ["sleep"]\n', r"pod-1.*'sleep'.*sense"),
        ('[participant.pod-1]\nname = "Ada"\nuses = []\nage = 9\n', r"participant\.pod-1\.age"),
        ('[participants.pod-1]\nname = "Ada"\nuses = []\n', r"participants: unknown key"),
        ("participant = 5\n", r"participant: must be tables"),
        ("[participant]\npod-1 = 5\n", r"participant\.pod-1: must be a table"),
        ("[participant.pod-1\n", r"not TOML.*line 1"),
    ],
)
def test_a_mistake_in_the_file_is_named_in_one_line(tmp_path: Path, text: str, key: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConsentError, match=key) as caught:
        load_consent(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConsentError, match="no such consent file"):
        load_consent(tmp_path / "none.toml")
    with pytest.raises(ConsentError, match="cannot be read"):
        load_consent(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConsentError, match="cannot be read"):
        load_consent(tmp_path / "bytes.toml")


def test_a_use_that_is_none_can_be_neither_agreed_to_nor_taken_back() -> None:
    consent = Consent.of_recordings({"pod-1": "recording"})
    with pytest.raises(ConsentError, match="'dream'"):
        consent.agree("pod-1", "Ada", ["dream"])
    with pytest.raises(ConsentError, match="'dream'"):
        consent.revoke("pod-1", "dream")


# --- the gate ----------------------------------------------------------------------------------


def test_the_lower_of_the_pods_limits_and_the_policys_holds() -> None:
    loud = Limits.of({"full_scale_dba": 90.0, "ceiling_dba": 85.0, "hard_dba": 95.0})
    assert (loud.ceiling_dba, loud.hard_dba) == (CEILING_DBA, HARD_DBA)
    assert loud.peak == pytest.approx(10 ** ((-15 - 3.0103) / 20))
    quiet = Limits.of({"full_scale_dba": 60.0, "ceiling_dba": 40.0, "hard_dba": 50.0})
    assert (quiet.ceiling_dba, quiet.hard_dba) == (40.0, 50.0)
    weak = Limits.of({"full_scale_dba": 50.0, "ceiling_dba": 60.0, "hard_dba": 75.0})
    assert weak.peak == 1.0


def test_the_virtual_boards_own_peak_is_its_hard_limit() -> None:
    assert int(LIMITS.peak * 32767) == level.peak_of(BOARD["limits"], {})


@given(
    hnp.arrays(np.int16, st.tuples(st.integers(0, 50), st.integers(1, 2))),
    st.floats(40.0, 120.0),
)
def test_no_sample_passes_the_hard_limit(pcm: np.ndarray, full_scale_dba: float) -> None:
    limits = Limits(full_scale_dba, CEILING_DBA, HARD_DBA)
    subject = gate(limits)
    most = int(limits.peak * 32767)
    passed = subject.admit("pod-1", pcm)
    assert passed is not None
    assert passed.dtype == np.int16
    wide = pcm.astype(int)
    np.testing.assert_array_equal(passed, np.clip(wide, -most, most))
    assert subject.held_samples == np.count_nonzero(np.abs(wide) > most)


def test_after_a_stop_nothing_passes_and_the_first_reason_stays() -> None:
    subject = gate()
    pcm = np.ones((4, 2), np.int16)
    assert subject.admit("pod-1", pcm) is not None
    subject.stop("a person said so")
    subject.stop("the session ended")
    assert subject.admit("pod-1", pcm) is None
    assert subject.stopped == "a person said so"


def play(subject: Gate, level_dbfs: float, seconds: float) -> list[float]:
    """Sound of a constant level before the trim; returns the weighted mean square of each block."""
    out = []
    for _ in range(round(seconds / BLOCK_S)):
        gain = subject.trim("pod-1", BLOCK_S)
        out.append(10 ** (level_dbfs / 10) / 2 * gain**2)
        subject.measure("pod-1", out[-1], BLOCK_S)
    return out


def level_dba(weighted_squares: list[float]) -> float:
    return LIMITS.full_scale_dba + 10 * math.log10(2 * float(np.mean(weighted_squares)))


@pytest.mark.parametrize("level_dbfs", [-21.0, -15.0, -6.0, 0.0])
def test_a_sound_over_the_ceiling_is_turned_down_to_it(level_dbfs: float) -> None:
    subject = gate()
    out = play(subject, level_dbfs, 180)
    blocks = round(10 / BLOCK_S)
    levels = [level_dba(out[at : at + blocks]) for at in range(0, len(out) - blocks, 50)]
    assert max(levels) < LIMITS.ceiling_dba + 5  # in the first ten seconds, of a sound 20 dB too loud
    assert max(levels[10:]) <= LIMITS.ceiling_dba
    assert min(levels) > LIMITS.ceiling_dba - 2  # turned down, not off
    assert np.abs(np.diff(10 * np.log10(out))).max() <= 1.0 + 1e-9  # dB a block: no step is heard


def test_a_sound_well_under_the_ceiling_is_left_alone() -> None:
    subject = gate()
    out = play(subject, -24.0, 60)
    assert out == [out[0]] * len(out)


def test_after_something_loud_the_trim_is_given_back_slowly() -> None:
    subject = gate()
    play(subject, 0.0, 30)
    held = subject.trim("pod-1", BLOCK_S)
    out = play(subject, -40.0, 120)
    assert held < 0.2
    assert out[-1] == pytest.approx(10 ** (-40 / 10) / 2)
    assert np.diff(10 * np.log10(out)).max() <= 1.0 * BLOCK_S + 1e-9  # 1 dB a second


@pytest.mark.parametrize("hz", [63.0, 1000.0, 3150.0])
def test_what_is_limited_is_what_an_ear_hears_of_it(hz: float) -> None:
    """A tone of -12 dBFS through the mixer, and its weight by IEC 61672-1, table 3."""
    subject, mixer = gate(), Mixer(1, 640)
    turn = np.arange(640) * 2 * np.pi * hz / 32000
    peak, weight_db = 10 ** (-12 / 20), {63.0: -26.2, 1000.0: 0.0, 3150.0: 1.2}[hz]
    heard = []
    for block in range(50 * 60):
        tone = peak * np.sin(turn + block * 640 * 2 * np.pi * hz / 32000)
        trim, ceiling = subject.trim("pod-1", BLOCK_S), subject.mixer_ceiling("pod-1")
        own = np.repeat(tone[:, None], 2, axis=1)
        mixed = mixer.process(own[None], 0 * own, [trim], [0.0], [0.0], [ceiling])
        subject.measure("pod-1", float(mixed.weighted_square[0]), BLOCK_S)
        heard.append(float(np.mean(np.square(mixed.pods[0], dtype=np.float64))))
    plain_dba = LIMITS.full_scale_dba + 10 * math.log10(2 * np.mean(heard[-500:])) + weight_db
    untouched_dba = LIMITS.full_scale_dba - 12 + weight_db
    assert plain_dba == pytest.approx(min(untouched_dba, LIMITS.ceiling_dba), abs=1.2)
    assert plain_dba <= LIMITS.ceiling_dba + 0.1
    assert subject.level_dbfs("pod-1") + LIMITS.full_scale_dba == pytest.approx(plain_dba, abs=0.3)
