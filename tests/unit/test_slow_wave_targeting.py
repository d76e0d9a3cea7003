"""Cues on the slow waves of real sleep, against what turned out to be their phase."""

from __future__ import annotations

import math

import numpy as np
import pytest
from slow_wave_targeting import N1, N2, N3, WAKE, data, nights, ours, score

pytestmark = pytest.mark.skipif(
    not (data() / "sleep_nap_suj29_100hz.npz").exists(),
    reason="real recordings absent; say where they are with DREAMPODS_DATA",
)


@pytest.mark.parametrize("index", range(7))
def test_up_states_of_real_slow_waves_are_met(index: int) -> None:
    night = nights()[index]
    found = score(night, ours(night.uv))
    print(night.name, found.waves, found.targeted, found.mean, found.sd, found.cues_a_minute)
    assert found.targeted >= 0.7
    assert found.sd <= 30
    assert abs(found.mean) <= 5
    for stage in (WAKE, N1):
        assert found.cues_a_minute.get(stage, 0.0) < 0.5


def test_over_all_real_waves_the_cue_is_within_five_degrees() -> None:
    errors = np.concatenate([score(night, ours(night.uv), (N2, N3)).errors for night in nights()])
    together = np.exp(1j * np.radians(errors)).mean()
    assert abs(math.degrees(np.angle(together))) <= 5
    assert math.degrees(math.sqrt(-2 * math.log(abs(together)))) <= 30
