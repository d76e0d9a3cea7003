"""Samples from a pod: their values at their numbers, their gaps to the sample, and their times."""

from __future__ import annotations

import random
import struct
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from dreampod import _plain, sensing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dreampods.firmware.dreampod import wire
from dreampods.fleet.clock import PodClock
from dreampods.fleet.streams import HELD_S, Stream
from dreampods.link import Block

WRAP = 1 << 32


def stream(format: str = "u16", channels: int = 1, rate_hz: float = 50.0, **more: Any) -> Stream:
    entry = {
        "name": "breath",
        "unit": "V",
        "rate_hz": rate_hz,
        "format": format,
        "scale": 1.0,
        "offset": 0.0,
    }
    return Stream.from_dictionary(entry | {"channels": [f"c{i}" for i in range(channels)]} | more)


def block(first: int, values: list[int], us: int = 0) -> Block:
    return Block(0, len(values), first, first, us % WRAP, struct.pack(f"<{len(values)}H", *values))


def numbered(first: int, count: int) -> Block:
    """Samples that say their own numbers."""
    return block(
        first, [number & 0xFFFF for number in range(first, first + count)], first * 20_000
    )


@settings(max_examples=200)
@given(st.integers(0, 5000), st.lists(st.tuples(st.integers(1, 20), st.booleans()), max_size=60))
def test_received_and_lost_make_the_span_and_every_value_has_its_number(
    first: int, parts: list[tuple[int, bool]]
) -> None:
    subject, clock = stream(), PodClock()
    number, came, missing = first, [], []
    for count, arrives in parts:
        if arrives:
            values = subject.add(numbered(number, count), clock)
            came += range(number, number + count)
            expected = np.arange(number + count - len(values), number + count, dtype=float)
            np.testing.assert_array_equal(values[-count:, 0], expected[-count:])
            assert np.isnan(values[:-count]).all()
        elif came:
            missing += range(number, number + count)
        number += count
    if not came:
        assert subject.samples == subject.lost == 0
        return
    missing = [lost for lost in missing if lost < came[-1]]  # the last gap is not known yet
    assert (subject.samples, subject.lost) == (len(came), len(missing))
    assert subject.samples + subject.lost == came[-1] + 1 - came[0]
    assert [n for gap in subject.gaps for n in range(gap.first, gap.first + gap.count)] == missing
    held = subject.latest(HELD_S)[:, 0]
    numbers = np.arange(came[-1] + 1 - len(held), came[-1] + 1)
    np.testing.assert_array_equal(np.isnan(held), np.isin(numbers, missing))
    np.testing.assert_array_equal(held[~np.isnan(held)], numbers[~np.isnan(held)])


def test_a_gap_longer_than_all_that_is_held_leaves_only_what_came_after() -> None:
    subject, clock = stream(), PodClock()
    subject.add(numbered(0, 10), clock)
    values = subject.add(numbered(50_000, 10), clock)
    assert len(values) <= HELD_S * 50 + 10
    assert subject.lost == 49_990
    held = subject.latest(HELD_S)[:, 0]
    assert np.isnan(held[:-10]).all()
    np.testing.assert_array_equal(held[-10:], np.arange(50_000, 50_010))


def test_a_block_that_comes_twice_counts_once() -> None:
    subject, clock = stream(), PodClock()
    subject.add(numbered(0, 10), clock)
    assert len(subject.add(numbered(0, 10), clock)) == 0
    assert (subject.samples, subject.lost) == (10, 0)


def test_another_boot_starts_its_numbers_over_and_loses_nothing() -> None:
    subject = stream()
    subject.add(numbered(900, 10), PodClock())
    subject.restart()
    subject.add(numbered(3, 10), PodClock())
    assert (subject.samples, subject.lost, subject.gaps) == (20, 0, [])
    np.testing.assert_array_equal(subject.latest(10)[:, 0], np.arange(3, 13))


@given(st.lists(st.tuples(*[st.integers(-(1 << 23), (1 << 23) - 1)] * 4), min_size=1, max_size=20))
def test_24_bit_counts_keep_their_sign(counts: list[tuple[int, ...]]) -> None:
    subject = stream("i24be", 4, 250.0, scale=0.5, offset=3.0)
    data = b"".join(value.to_bytes(3, "big", signed=True) for row in counts for value in row)
    values = subject.add(Block(0, len(counts), 0, 0, 0, data), PodClock())
    np.testing.assert_array_equal(values, np.float32(np.array(counts) * 0.5 + 3.0))


def test_a_block_that_is_no_whole_number_of_samples_is_refused() -> None:
    subject = stream("i24be", 4, 250.0)
    with pytest.raises(ValueError, match=r".+"):
        subject.add(Block(0, 1, 0, 0, 0, bytes(13)), PodClock())
    assert subject.samples == 0


def test_the_sensors_own_pace_gives_the_times_across_the_clocks_wrap() -> None:
    subject, clock = stream(rate_hz=250.0), PodClock()
    dice = random.Random(1)
    start_us, true_rate_hz = WRAP - 20_000_000, 250.0 * (1 + 300e-6)  # a sensor 300 ppm fast
    for first in range(0, 250 * 60, 10):
        if dice.random() < 0.1:
            continue
        stamp = (
            start_us + first / true_rate_hz * 1e6 + dice.uniform(0, 60)
        )  # the interrupt waits a little
        subject.add(Block(0, 10, first, first, int(stamp) % WRAP, bytes(20)), clock)
    assert subject.true_rate_hz == pytest.approx(true_rate_hz, rel=5e-6)
    last = subject.next_number - 1
    assert subject.pod_us(last) == pytest.approx(start_us + last / true_rate_hz * 1e6, abs=60)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(waits=st.lists(st.integers(0, 70), min_size=1, max_size=60), block_size=st.integers(1, 8))
def test_from_the_pods_interrupt_to_the_hosts_ring_no_sample_is_shifted(
    monkeypatch: pytest.MonkeyPatch, waits: list[int], block_size: int
) -> None:
    # A main loop that is late by more than the pod's ring holds loses samples; which, is known
    now = [WRAP - 3_000_000]
    monkeypatch.setattr(sensing, "ticks_us", lambda: now[0] % (1 << 30))
    spec = {"name": "s", "format": "u16", "channels": ["c0"], "block": block_size}
    subject, clock = stream(), PodClock()
    sent: list[bytes] = []

    def send(kind: int, length: int) -> None:
        assert kind == wire.BLOCK
        sent.append(bytes(link.tx[wire.HEADER_BYTES : wire.HEADER_BYTES + length]))

    link = SimpleNamespace(tx=bytearray(wire.MAX_FRAME), send=send)
    wrap_bits = SimpleNamespace(
        put=lambda buf, at, ticks: struct.pack_into(
            "<I", buf, at, (now[0] - (now[0] - ticks) % (1 << 30)) % WRAP
        )
    )
    pod = sensing.Stream(2, spec, _plain, link, wrap_bits)
    pod.start(True)
    number = 0
    for wait in waits:
        for _ in range(wait):
            pod.push((number & 0xFFFF).to_bytes(2, "little"), 0)
            number += 1
            now[0] += 20_000
        pod.step(0)
    for _ in range(20):
        pod.step(0)
    for payload in sent:
        head = struct.unpack_from(wire.BLOCK_HEAD, payload)
        subject.add(Block(*head, payload[wire.BLOCK_HEAD_BYTES :]), clock)
        first_us = WRAP - 3_000_000 + head[2] * 20_000
        assert head[4] == first_us % WRAP  # the stamp is that of the block's first sample
    assert subject.lost <= pod.overflows
    held = subject.latest(HELD_S)[:, 0]
    numbers = np.arange(subject.next_number - len(held), subject.next_number)
    came = ~np.isnan(held)
    np.testing.assert_array_equal(held[came], numbers[came] & 0xFFFF)
    if sent:
        first = struct.unpack_from(wire.BLOCK_HEAD, sent[0])[2]
        assert subject.samples + subject.lost == subject.next_number - first
        assert number - subject.next_number < block_size  # all that is whole has come
