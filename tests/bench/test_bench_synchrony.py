"""Who moves with whom: the kernel beside numpy."""

from __future__ import annotations

import numpy as np

from dreampods.resonance import PairwisePLV, order_parameter

PAIRS = "PLV of all pairs, n pods x 8 bands, one update of a 300-frame window"
ORDER = "order parameter, n phases"
PODS, BANDS, WINDOW = 64, 8, 300
PHASES = np.random.default_rng(4).uniform(-np.pi, np.pi, 4096)


def _phasors(frames: int) -> np.ndarray:
    dice = np.random.default_rng(1)
    steps = 0.3 + 0.2 * dice.standard_normal((frames, PODS, BANDS))
    return np.exp(1j * np.cumsum(steps, axis=0))


def _numpy_plv(u: np.ndarray) -> np.ndarray:
    """PLV of all pairs (bands, pods, pods), from the whole window."""
    by_band = u.transpose(2, 1, 0)
    return np.abs(by_band @ by_band.conj().transpose(0, 2, 1)) / len(u)


def test_pairs_ours(race):
    u = _phasors(WINDOW + 1)
    pairs = PairwisePLV(PODS, BANDS, WINDOW)
    pairs.push(u[1:])
    np.testing.assert_allclose(pairs.plv, _numpy_plv(u[1:]), rtol=1e-9, atol=1e-12)

    def update():
        pairs.push(u[:1])
        return pairs.plv

    race(PAIRS, "ours", update, n=PODS)


def test_pairs_numpy(race):
    u = _phasors(WINDOW)
    race(PAIRS, "numpy", lambda: _numpy_plv(u), n=PODS)


def test_order_ours(race):
    assert abs(order_parameter(PHASES).value - abs(np.exp(1j * PHASES).mean())) < 1e-12
    race(ORDER, "ours", lambda: order_parameter(PHASES), n=len(PHASES), unit="µs")


def test_order_numpy(race):
    race(ORDER, "numpy", lambda: abs(np.exp(1j * PHASES).mean()), n=len(PHASES), unit="µs")
