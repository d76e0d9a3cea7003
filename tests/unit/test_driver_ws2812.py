"""Lights, and the guard against flashes, against the virtual board's own model, in simulated time."""

from __future__ import annotations

import itertools

import pytest
from driver_bench import LIGHT, Bench
from hypothesis import given, settings
from hypothesis import strategies as st


def colours(bench: Bench) -> list[tuple[int, int, int, int]]:
    """When the strip changed, and to which red, green and blue."""
    return [(us, bits[1], bits[0], bits[2]) for us, bits in bench.lights]


def most_flashes(times: list[int], values: list[float], threshold: float) -> int:
    """Brute force: in each second that begins with a change, count anew by the rule's own words."""
    most = 0
    for first in range(len(times)):
        low = high = values[first]
        direction = changes = 0
        for us, value in zip(times[first:], values[first:], strict=True):
            if us - times[first] > 1_000_000:
                break
            low, high = min(low, value), max(high, value)
            if direction <= 0 and value - low >= threshold:
                direction, changes, low, high = 1, changes + 1, value, value
            elif direction >= 0 and high - value >= threshold:
                direction, changes, low, high = -1, changes + 1, value, value
        most = max(most, changes)
    return (most + 1) // 2  # rounded up: a pair that has half begun counts


REQUEST = st.tuples(
    st.sampled_from([0, 20_000, 40_000, 100_000, 170_000, 250_000, 1_000_000]),
    st.sampled_from(
        [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 0, 255), (90, 0, 0), (60, 60, 60)]
    )
    | st.tuples(*[st.integers(0, 255)] * 3),
    st.sampled_from([0, 10, 50, 200, 1000]),
)


# Two colours in turn, as whoever wanted to flash would ask for
STROBE = st.builds(
    lambda one, other, times: [one, other] * times, REQUEST, REQUEST, st.integers(1, 20)
)


@given(st.lists(STROBE, max_size=4).map(lambda strobes: list(itertools.chain(*strobes))))
@settings(max_examples=120, deadline=None)
def test_no_requests_make_more_than_three_flashes_in_any_second(
    requests: list[tuple[int, tuple[int, int, int], int]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        bench = Bench(patch)
        part, _, _ = bench.fit(LIGHT)
        for pause_us, colour, fade_ms in requests:
            part.set(*colour, fade_ms)
            bench.run(pause_us)
        bench.run(2_000_000)
        shown = colours(bench)
        times = [us for us, *_ in shown]
        light = [0.2126 * r + 0.7152 * g + 0.0722 * b for _, r, g, b in shown]
        redness = [max(0, r - g - b) for _, r, g, b in shown]
        most = 64
        assert all(max(colour) <= most for _, *colour in shown)
        assert most_flashes(times, light, 0.1013 * most) <= 3  # coefficients are rounded to 1/256
        assert most_flashes(times, [float(r) for r in redness], most * 20 / 320) <= 3
        if requests:  # and what was asked for last is reached
            assert list(shown[-1][1:]) == [value * most // 255 for value in requests[-1][1]]


@pytest.mark.parametrize("colour", [(255, 255, 255), (255, 0, 0)])
def test_a_strobe_is_held_and_counted_and_a_slow_beat_is_not(
    bench: Bench, colour: tuple[int, int, int]
) -> None:
    part, _, _ = bench.fit(LIGHT)
    for _ in range(4):  # 2 Hz
        for one in (colour, (0, 0, 0)):
            part.set(*one, 0)
            bench.run(252_000)
    assert part.held == 0
    bench.run(2_000_000)
    before = len(bench.lights)
    for _ in range(10):  # 10 Hz for a second
        for one in (colour, (0, 0, 0)):
            part.set(*one, 0)
            bench.run(52_000)
    assert part.held > 0
    assert len(bench.lights) - before <= 6
    assert f"{part.held} requests held" in part.test()


def test_the_guard_still_knows_after_a_night_of_rest(bench: Bench) -> None:
    part, _, _ = bench.fit(LIGHT)
    for value in (255, 0, 255, 0, 255):
        part.set(value, value, value, 0)
        bench.run(40_000)
    for _ in range(int(700e6 // 1e6)):  # past half the ticks' range
        bench.us += 1_000_000
        part.step(bench.ticks())
    part.set(0, 0, 0, 0)
    bench.run(100_000)
    assert colours(bench)[-1][1:] == (0, 0, 0)
    assert part.held == 0


def test_a_fade_takes_its_time_and_arrives(bench: Bench) -> None:
    part, _, _ = bench.fit(LIGHT | {"brightness": 100})
    part.set(255, 128, 0, 1000)
    began = bench.us
    bench.run(500_000)
    _, red, green, blue = colours(bench)[-1]
    assert red == pytest.approx(50, abs=3)
    assert green == pytest.approx(25, abs=2)
    assert blue == 0
    bench.run(600_000)
    assert colours(bench)[-1][1:] == (100, 50, 0)
    assert bench.lights[-1][0] - began == pytest.approx(1_000_000, abs=30_000)
    assert len(bench.lights[-1][1]) == 3 * 8
    count = len(bench.lights)
    bench.run(2_000_000)
    assert len(bench.lights) == count  # a light at rest needs no interrupts switched off
    part.end()
    assert colours(bench)[-1][1:] == (0, 0, 0)
