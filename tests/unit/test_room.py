"""The room: who breathes together is shown to, who does not is not, and who is unknown has no say."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from dreampods.dreamscape import load_scene
from dreampods.dreamscape.bodies import EEG_BANDS
from dreampods.session.body import BREATH, PULSE, Bands, Body, Rhythm
from dreampods.session.room import MOMENT_S, Room

_SCENE = load_scene("tide")
_RATE = 50
_BLOCK = 5

Floats = NDArray[np.float64]


def _body(*sensors: str) -> Body:
    """A sleeper with these sensors."""
    body = Body(_SCENE.follow)
    if "breath" in sensors:
        body.breath = Rhythm(_RATE, _SCENE.follow.breath_hz, BREATH)
    if "pulse" in sensors:
        body.pulse = Rhythm(_RATE, _SCENE.follow.pulse_hz, PULSE)
    if "eeg" in sensors:
        body.bands = Bands(250, 1, dict(_SCENE.follow.eeg_hz))
    return body


def _breathing(phases: Floats) -> tuple[Room, Floats]:
    """Sleepers whose breath has these true phases (samples, N), and the orders there were."""
    samples, count = phases.shape
    bodies = [_body("breath") for _ in range(count)]
    room = Room(_SCENE, bodies, samples / _RATE)
    volt = (1.6 + 0.5 * np.cos(phases)).astype(np.float32)
    orders = []
    for end in range(_BLOCK, samples + 1, _BLOCK):
        now_ns = (end - 1) / _RATE * 1e9
        for i, body in enumerate(bodies):
            assert body.breath is not None
            body.breath.add(volt[end - _BLOCK : end, i : i + 1], now_ns)
        room.step(now_ns)
        orders.append((room.order.value, room.order.chance))
    return room, np.array(orders)


def _phases(seed: int, seconds: float, count: int, together: bool) -> Floats:
    """Breaths with a rate that wanders, each with its own wandering or all with one."""
    rng = np.random.default_rng(seed)
    samples = int(seconds * _RATE)
    of = 1 if together else count
    wander = np.cumsum(rng.standard_normal((samples, of)), axis=0) * 0.002
    hz = rng.uniform(0.2, 0.3, of) + 0.03 * np.tanh(wander)
    phase = 2 * np.pi * np.cumsum(hz, axis=0) / _RATE + rng.uniform(0, 2 * np.pi, of)
    return np.broadcast_to(phase, (samples, count))


def test_blocks_of_samples_and_moments_agree() -> None:
    assert pytest.approx(MOMENT_S) == _BLOCK / _RATE


def test_who_breathes_together_is_in_order() -> None:
    room, orders = _breathing(_phases(0, 60, 8, together=True))
    late = orders[200:]
    assert late[:, 0].min() > 0.95
    assert (late[:, 0] > late[:, 1]).all()
    assert room.coupling.min() > 0.9
    pairs = room.pairs()()
    others = ~np.eye(8, dtype=bool)
    assert pairs.plv[others].min() > 0.9


def test_coupling_needs_a_steady_relation_not_the_same_moment() -> None:
    phases = _phases(1, 60, 4, together=True) + np.array([0.0, 0.0, 0.0, 2.0])
    room, _ = _breathing(phases)
    assert room.coupling.min() > 0.9


def test_strangers_are_as_much_in_order_as_chance_has_it() -> None:
    """Over ten rooms of eight: order at its chance level [0.33, 0.31], coupling low [0.50], and
    few pairs above the level that 5 of 100 unrelated ones pass [0.03]."""
    values, coupling, above = [], [], []
    for seed in range(10):
        room, orders = _breathing(_phases(seed, 60, 8, together=False))
        values.append(orders[150:].mean(axis=0))
        coupling.append(room.coupling.mean())
        pairs = room.pairs()()
        above.append((pairs.plv > pairs.chance)[np.triu_indices(8, 1)].mean())
    order, chance = np.mean(values, axis=0)
    assert order == pytest.approx(chance, rel=0.15)
    assert np.mean(coupling) < 0.65
    assert np.mean(above) < 0.1


def test_one_stranger_among_friends_is_coupled_least() -> None:
    phases = np.array(_phases(3, 60, 5, together=True))
    phases[:, 4] = 2 * np.pi * 0.17 * np.arange(len(phases)) / _RATE
    room, _ = _breathing(phases)
    assert room.coupling.argmin() == 4
    assert room.coupling[4] < room.coupling[:4].min() - 0.2


def test_who_is_unknown_has_no_say() -> None:
    """One sleeper without a sensor, one whose pod fell silent: the order is that of the others."""
    bodies = [_body("breath", "pulse", "eeg"), _body("breath"), _body("breath"), _body()]
    room = Room(_SCENE, bodies, 60)
    t = np.arange(30 * _RATE) / _RATE
    volt = (1.6 + 0.5 * np.cos(2 * np.pi * 0.25 * t))[:, None].astype(np.float32)
    for end in range(_BLOCK, len(t) + 1, _BLOCK):
        for i in (0, 1, 2):
            breath = bodies[i].breath
            assert breath is not None
            if i < 2 or end < 10 * _RATE:
                breath.add(volt[end - _BLOCK : end], t[end - 1] * 1e9)
        room.step(t[end - 1] * 1e9)
    assert room.order.n_eff == pytest.approx(2, abs=0.01)
    assert room.order.value > 0.99
    seen = room.bodies(t[-1] * 1e9 + 0.5e9)
    seen.check(4)
    assert np.isfinite(seen.breath_phase).tolist() == [True, True, False, False]
    assert seen.breath_confidence[2:].tolist() == [0, 0]
    assert seen.pulse_confidence.tolist() == [0, 0, 0, 0]
    assert math.isnan(seen.pulse_hz[3])
    assert all(np.isfinite(seen.eeg[band]).all() for band in EEG_BANDS)


def test_an_empty_room_has_no_order() -> None:
    room = Room(_SCENE, [_body(), _body()], 60)
    room.step(0)
    room.step(1e8)
    assert room.order.n_eff == 0
    assert (room.coupling == 0).all()
    room.bodies(0).check(2)
    assert np.isnan(room.pairs()().chance).all()


def test_a_pair_that_breathes_as_one_is_found_among_strangers() -> None:
    """As irregularly as people breathe: two clocks of one pace look locked at any time."""
    rng = np.random.default_rng(4)
    samples, memory = 240 * _RATE, 6 * _RATE
    wander = rng.standard_normal((samples + memory, 5)).cumsum(axis=0)
    wander = (wander[memory:] - wander[:-memory]) / math.sqrt(memory)
    phases = 2 * np.pi * np.cumsum(0.25 + 0.05 * np.tanh(wander), axis=0) / _RATE
    phases[:, 1] = phases[:, 0] + 1.0  # a steady relation, whatever it is
    room, _ = _breathing(phases)
    pairs = room.pairs()()
    assert pairs.plv[0, 1] > max(0.95, pairs.chance[0, 1])
    others = [(i, j) for i in range(5) for j in range(i + 1, 5) if (i, j) != (0, 1)]
    assert np.mean([pairs.plv[pair] > pairs.chance[pair] for pair in others]) < 0.35


def test_bodies_are_told_as_they_will_be_when_heard() -> None:
    room, _ = _breathing(_phases(5, 20, 2, together=True))
    now_ns = (20 - 1 / _RATE) * 1e9
    now, later = room.bodies(now_ns), room.bodies(now_ns + 0.7e9)
    turned = np.mod(later.breath_phase - now.breath_phase, 2 * np.pi)
    assert turned == pytest.approx(np.full(2, turned[0]), abs=0.05)
    assert 0.7 * 0.15 < turned[0] / (2 * np.pi) < 0.7 * 0.35


def test_eeg_levels_have_their_names() -> None:
    body = _body("eeg")
    assert body.bands is not None
    t = np.arange(10 * 250) / 250
    alpha = np.where(t < 5, 30 * np.sin(2 * np.pi * 10 * t), np.sin(2 * np.pi * 10 * t))
    for start in range(0, len(t), 10):
        body.bands.add(alpha[start : start + 10, None].astype(np.float32))
    seen = Room(_SCENE, [body, _body()], 60).bodies(0)
    assert seen.eeg["alpha"][0] < 0.2
    assert seen.eeg["alpha"][1] == 0
    assert seen.eeg.keys() == set(EEG_BANDS)
