"""Coupled oscillators: the kernel beside numpy, numba and scipy; and sine and cosine beside numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from dreampods.resonance import Kuramoto, phasors

COUNTS = [8, 64, 512, 4096]
STEPS, DT_S, COUPLING_HZ, LAG_RAD = 50, 0.01, 0.1, 0.3
CALM = "Kuramoto-Sakaguchi, n oscillators, 50 steps of Heun"
NOISY = "Kuramoto-Sakaguchi with noise, n oscillators, 50 steps of Heun"
SOLVED = "Kuramoto-Sakaguchi, n oscillators, 10 s to within 1e-4"
TURNS = "sine and cosine of n phases"


def _start(n: int) -> tuple[np.ndarray, np.ndarray]:
    dice = np.random.default_rng(n)
    return dice.normal(0.25, 0.02, n), dice.uniform(-np.pi, np.pi, n)


def _slope(natural_hz: np.ndarray, phase: np.ndarray) -> np.ndarray:
    turning = np.exp(1j * phase)
    pull = COUPLING_HZ * turning.mean() * np.exp(-1j * LAG_RAD)
    return 2 * np.pi * (natural_hz + (pull * turning.conj()).imag)


def _numpy_run(natural_hz, phase, steps=STEPS, dt_s=DT_S, noise=0.0, dice=None):
    for _ in range(steps):
        kick = noise * np.sqrt(dt_s) * dice.standard_normal(phase.size) if noise else 0.0
        slope = _slope(natural_hz, phase)
        slope_ahead = _slope(natural_hz, phase + dt_s * slope + kick)
        phase = phase + dt_s / 2 * (slope + slope_ahead) + kick
    return np.angle(np.exp(1j * phase))


def _numba_run():
    numba = pytest.importorskip("numba")

    @numba.njit()
    def slope(natural_hz, phase, sine, cosine, out):
        re = im = 0.0
        for i in range(phase.size):
            sine[i], cosine[i] = np.sin(phase[i]), np.cos(phase[i])
            re += cosine[i]
            im += sine[i]
        turn_re, turn_im = np.cos(LAG_RAD), -np.sin(LAG_RAD)
        scale = COUPLING_HZ / phase.size
        pull_re, pull_im = scale * (re * turn_re - im * turn_im), scale * (re * turn_im + im * turn_re)
        for i in range(phase.size):
            out[i] = 2 * np.pi * (natural_hz[i] + pull_im * cosine[i] - pull_re * sine[i])

    @numba.njit()
    def run(natural_hz, phase, noise):
        phase = phase.copy()
        now, then, ahead = np.zeros_like(phase), np.zeros_like(phase), np.zeros_like(phase)
        sine, cosine, kick = np.zeros_like(phase), np.zeros_like(phase), np.zeros_like(phase)
        for _ in range(STEPS):
            if noise:
                for i in range(phase.size):
                    kick[i] = noise * np.sqrt(DT_S) * np.random.standard_normal()  # noqa: NPY002
            slope(natural_hz, phase, sine, cosine, now)
            for i in range(phase.size):
                ahead[i] = phase[i] + DT_S * now[i] + kick[i]
            slope(natural_hz, ahead, sine, cosine, then)
            for i in range(phase.size):
                p = phase[i] + DT_S / 2 * (now[i] + then[i]) + kick[i]
                phase[i] = p - 2 * np.pi * np.floor(p / (2 * np.pi) + 0.5)
        return phase

    return run


def _away(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(np.exp(1j * one) - np.exp(1j * other)).max())


@pytest.mark.parametrize("n", COUNTS)
def test_calm_ours(race, n):
    natural, start = _start(n)
    group = Kuramoto(natural, COUPLING_HZ, LAG_RAD, phase=start)
    assert _away(group.run(STEPS, DT_S)[-1], _numpy_run(natural, start)) < 1e-9
    race(CALM, "ours", lambda: group.run(STEPS, DT_S), n=n, unit="µs")


@pytest.mark.parametrize("n", COUNTS)
def test_calm_numpy(race, n):
    race(CALM, "numpy", lambda: _numpy_run(*_start(n)), n=n, unit="µs")


@pytest.mark.parametrize("n", COUNTS)
def test_calm_numba(race, n):
    natural, start = _start(n)
    run = _numba_run()
    assert _away(run(natural, start, 0.0), _numpy_run(natural, start)) < 1e-9
    race(CALM, "numba", lambda: run(natural, start, 0.0), n=n, unit="µs")


@pytest.mark.parametrize("n", COUNTS)
def test_noisy_ours(race, n):
    natural, start = _start(n)
    group = Kuramoto(natural, COUPLING_HZ, LAG_RAD, noise=0.1, phase=start)
    race(NOISY, "ours", lambda: group.run(STEPS, DT_S), n=n, unit="µs")


@pytest.mark.parametrize("n", COUNTS)
def test_noisy_numpy(race, n):
    natural, start = _start(n)
    dice = np.random.default_rng(0)
    race(NOISY, "numpy", lambda: _numpy_run(natural, start, noise=0.1, dice=dice), n=n, unit="µs")


@pytest.mark.parametrize("n", COUNTS)
def test_noisy_numba(race, n):
    natural, start = _start(n)
    run = _numba_run()
    run(natural, start, 0.1)
    race(NOISY, "numba", lambda: run(natural, start, 0.1), n=n, unit="µs")


def _solved_exactly(natural, start):
    integrate = pytest.importorskip("scipy.integrate")
    return integrate.solve_ivp(
        lambda _, p: _slope(natural, p), (0, 10), start, rtol=1e-10, atol=1e-12
    ).y[:, -1]


@pytest.mark.parametrize("n", [64, 4096])
def test_solved_ours(race, n):
    natural, start = _start(n)

    def run():
        return Kuramoto(natural, COUPLING_HZ, LAG_RAD, phase=start).run(200, 0.05)[-1]

    assert _away(run(), _solved_exactly(natural, start)) < 1e-4
    race(SOLVED, "ours", run, n=n)


@pytest.mark.parametrize("n", [64, 4096])
def test_solved_scipy(race, n):
    integrate = pytest.importorskip("scipy.integrate")
    natural, start = _start(n)

    def run():
        return integrate.solve_ivp(
            lambda _, p: _slope(natural, p), (0, 10), start, method="DOP853", rtol=1e-6, atol=1e-6
        ).y[:, -1]

    assert _away(run(), _solved_exactly(natural, start)) < 1e-4
    race(SOLVED, "scipy solve_ivp DOP853", run, n=n)


def test_turns_ours(race):
    _, phase = _start(4096)
    np.testing.assert_allclose(phasors(phase), np.exp(1j * phase), atol=1e-15)
    race(TURNS, "ours", lambda: phasors(phase), n=phase.size, unit="µs")


def test_turns_numpy(race):
    _, phase = _start(4096)
    race(TURNS, "numpy", lambda: np.exp(1j * phase), n=phase.size, unit="µs")
