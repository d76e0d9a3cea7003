"""Phasors against numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreampods.resonance import phasors


@pytest.mark.parametrize("reach", [1e-9, 1.0, 10.0, 1e3, 1e6])
def test_phasors_are_those_of_numpy(reach: float) -> None:
    phase = np.random.default_rng(1).uniform(-reach, reach, 200_000)
    away = phasors(phase) - np.exp(1j * phase)
    assert np.abs(away.real).max() < 5e-16  # numpy's own last bit included
    assert np.abs(away.imag).max() < 5e-16


@given(st.floats(-1e6, 1e6))
def test_any_phase_beside_any_quarter_turn(phase: float) -> None:
    near = np.rint(phase / (np.pi / 4)) * (np.pi / 4)
    for angle in (phase, near, np.nextafter(near, np.inf), np.nextafter(near, -np.inf)):
        assert abs(phasors(angle) - np.exp(1j * angle)) < 5e-16


def test_every_shape_and_every_length() -> None:
    for n in range(1, 40):
        phase = np.linspace(-7, 7, n)
        assert np.abs(phasors(phase) - np.exp(1j * phase)).max() < 5e-16
    grid = np.arange(24.0).reshape(2, 3, 4)
    assert phasors(grid).shape == (2, 3, 4)
    assert np.abs(phasors(grid[:, ::2, 1:]) - np.exp(1j * grid[:, ::2, 1:])).max() < 5e-16
    assert phasors(0.0) == 1.0


def test_unusable_phases_are_refused() -> None:
    for phase, why in (([], "holds nothing"), ([np.nan], "NaN"), (np.inf, "NaN"), ([1j], "real")):
        with pytest.raises(ValueError, match=why):
            phasors(phase)
