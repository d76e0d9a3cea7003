"""The order parameter of a group, beside its chance level."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from dreampods.resonance import OrderSums, order_parameter, order_sums


def test_equals_numpy() -> None:
    rng = np.random.default_rng(0)
    phase, weight = rng.uniform(-10, 10, 64), rng.random(64)
    mean = np.sum(weight * np.exp(1j * phase)) / weight.sum()
    order = order_parameter(phase, weight)
    assert_allclose([order.value, order.angle], [abs(mean), np.angle(mean)], rtol=1e-9)
    assert order.n_eff == pytest.approx(weight.sum() ** 2 / np.sum(weight**2))


def test_one_when_all_agree() -> None:
    order = order_parameter(np.full(8, 2.0))
    assert order.value == pytest.approx(1.0)
    assert order.angle == pytest.approx(2.0)
    assert order.n_eff == 8


@pytest.mark.parametrize("n", [8, 16, 64])
def test_independent_phases_reach_the_chance_level(n: int) -> None:
    rng = np.random.default_rng(n)
    orders = [order_parameter(rng.uniform(-np.pi, np.pi, n)) for _ in range(4000)]
    assert np.mean([order.value for order in orders]) == pytest.approx(orders[0].chance, rel=0.03)


def test_a_weightless_phase_might_as_well_be_absent() -> None:
    assert order_parameter([0.3, 1.0, 2.0], [1, 0.5, 0]) == order_parameter([0.3, 1.0], [1, 0.5])


def test_no_weight_at_all_is_no_order() -> None:
    order = order_parameter([0.1, 0.2], [0, 0])
    assert (order.value, order.n_eff, order.chance) == (0, 0, 1)
    assert OrderSums().order() == order


@given(
    phases=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20),
    cut=st.integers(1, 19),
)
def test_sums_of_hosts_add_up(phases: list[float], cut: int) -> None:
    cut = min(cut, len(phases) - 1)
    together = (order_sums(phases[:cut]) + order_sums(phases[cut:])).order()
    alone = order_parameter(phases)
    assert_allclose(together.value, alone.value, atol=1e-12)
    assert together.n_eff == alone.n_eff
    assert 0 <= together.value <= 1


def test_unusable_input_is_refused() -> None:
    for phase, weight, why in (
        ([], None, "holds nothing"),
        ([[1.0]], None, "shape"),
        ([np.nan], None, "NaN"),
        ([1.0], [1.0, 2.0], "shape"),
        ([1.0], [-1.0], "below 0"),
        (["a"], None, "could not convert"),
    ):
        with pytest.raises(ValueError, match=why):
            order_parameter(phase, weight)
