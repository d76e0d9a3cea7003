"""The pod's 30-bit ticks, told as 32 bits: the firmware's own file against whole numbers."""

from __future__ import annotations

from dreampod.clock import Clock, get_ticks, ticks_add, ticks_diff
from hypothesis import given
from hypothesis import strategies as st

TICKS = 1 << 30
EIGHT_MINUTES_US = 480_000_000

steps = st.lists(st.integers(0, EIGHT_MINUTES_US), min_size=1, max_size=40)
uptimes = st.one_of(
    st.integers(0, (1 << 33) - 1),
    st.builds(lambda wraps, near: max(0, wraps * TICKS + near), st.integers(0, 8), st.integers(-9, 9)),
)


def told(clock: Clock, us: int) -> int:
    """What goes onto the wire for a time given in whole microseconds."""
    buf = bytearray(b"\xee" * 6)
    clock.put(buf, 1, us % TICKS)
    assert buf[0] == buf[5] == 0xEE
    return int.from_bytes(buf[1:5], "little")


@given(uptimes, steps, st.integers(-EIGHT_MINUTES_US, EIGHT_MINUTES_US))
def test_any_time_near_now_is_told_with_its_two_high_bits(
    boot_us: int, steps: list[int], away_us: int
) -> None:
    now_us = boot_us
    clock = Clock(now_us % TICKS, now_us >> 30)
    for step in steps:
        now_us += step
        assert clock.now(now_us % TICKS) == now_us % TICKS
        assert told(clock, now_us) == now_us % (1 << 32)
    assert told(clock, now_us + away_us) == (now_us + away_us) % (1 << 32)


@given(st.integers(0, (1 << 32) - 1))
def test_what_the_host_sends_reads_as_what_the_ticks_will_be(pod_us: int) -> None:
    assert get_ticks(b"\xff" + pod_us.to_bytes(4, "little") + b"\xff", 1) == pod_us % TICKS


@given(uptimes, st.integers(0, 400_000_000), st.integers(0, 400_000_000))
def test_a_stamp_older_than_the_last_one_turns_nothing_back(boot_us: int, on: int, back: int) -> None:
    clock = Clock(boot_us % TICKS, boot_us >> 30)
    now_us = boot_us + on
    clock.now(now_us % TICKS)
    clock.now((now_us - back) % TICKS)  # an interrupt came between reading the ticks and noting them
    assert told(clock, now_us) == now_us % (1 << 32)


@given(st.integers(0, TICKS - 1), st.integers(-(TICKS // 2), TICKS // 2 - 1))
def test_differences_undo_sums(ticks: int, delta: int) -> None:
    assert ticks_diff(ticks_add(ticks, delta), ticks) == delta
