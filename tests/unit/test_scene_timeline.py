"""Timelines: a fader that never leaves its points' range, never jumps, and never flickers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreampods.dreamscape.timeline import MIN_STEP_S, Timeline

levels = st.floats(0, 1)
steps = st.floats(MIN_STEP_S, 100)


@st.composite
def timelines(draw) -> Timeline:
    gaps = draw(st.lists(steps, max_size=6))
    times = np.concatenate([[draw(st.floats(0, 50))], gaps]).cumsum()
    return Timeline(tuple((float(time), draw(levels)) for time in times))


@given(timelines(), st.floats(-10, 1000))
def test_level_stays_between_its_neighbouring_points(line: Timeline, time: float) -> None:
    before = [level for at, level in line.points if at <= time][-1:] or [line.points[0][1]]
    after = [level for at, level in line.points if at > time][:1] or [line.points[-1][1]]
    low, high = sorted(before + after)
    assert low - 1e-12 <= line.at(time) <= high + 1e-12


@given(timelines())
def test_points_are_met_and_kept_after_the_last(line: Timeline) -> None:
    for time, level in line.points:
        assert line.at(time) == pytest.approx(level, abs=1e-9)
    assert line.at(1e6) == line.points[-1][1]


@given(timelines(), st.floats(0.001, 1000))
def test_stretching_scales_time_and_stays_playable(line: Timeline, factor: float) -> None:
    stretched = line.stretched(factor)
    assert [level for _, level in stretched.points] == [level for _, level in line.points]
    if factor >= 1:
        for (time, _), (before, _) in zip(stretched.points, line.points, strict=True):
            assert time == pytest.approx(before * factor)


def test_fade_is_at_rest_at_both_ends() -> None:
    line = Timeline(((0.0, 0.0), (4.0, 1.0)))
    assert line.at(2.0) == pytest.approx(0.5)
    assert line.at(0.04) < 0.001  # a straight fade would be ten times as far
    assert line.at(3.96) > 0.999


@pytest.mark.parametrize(
    "points",
    [(), ((-1.0, 0.0),), ((0.0, 0.0), (0.1, 1.0)), ((5.0, 0.0), (1.0, 1.0)), ((0.0, 1.5),)],
)
def test_unplayable_timelines_are_refused(points) -> None:
    with pytest.raises(ValueError, match=r"session|point|rise|outside"):
        Timeline(points)
