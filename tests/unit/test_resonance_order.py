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


def test_phasors_say_the_same_as_their_phases() -> None:
    rng = np.random.default_rng(1)
    for n in (1, 7, 64, 65, 1000):
        phase, weight = rng.uniform(-3, 3, n), rng.random(n)
        by_phase = order_parameter(phase, weight)
        by_phasor = order_parameter(10.0 ** rng.uniform(-200, 29, n) * np.exp(1j * phase), weight)
        assert_allclose(by_phasor.value, by_phase.value, rtol=1e-9)
        assert_allclose(by_phasor.n_eff, by_phase.n_eff, rtol=1e-9)
    assert order_parameter([1j, 0, 1j]) == order_parameter([1j, 1j]), "0 has no angle"


def test_sines_are_those_of_numpy_near_and_far() -> None:
    """Every phase by itself: all quarters, their edges, and far beyond them."""
    rng = np.random.default_rng(2)
    edges = np.arange(-40, 41) * np.pi / 4
    near = np.concatenate([edges, np.nextafter(edges, 99), np.nextafter(edges, -99)])
    wide = [rng.uniform(-span, span, 300) for span in (4, 1e3, 9e5, 1e7, 1e15)]
    for phase in np.concatenate([near, *wide]):
        sums = order_sums([phase])
        assert abs(sums.phasor - np.exp(1j * phase)) < 4e-16


@pytest.mark.parametrize("n", [2, 5, 8, 64])
def test_the_corrected_value_is_zero_on_average_by_chance(n: int) -> None:
    rng = np.random.default_rng(n)
    for weighted in (False, True):
        values = [
            order_parameter(
                rng.uniform(-np.pi, np.pi, n), 0.1 + rng.random(n) if weighted else None
            ).corrected
            for _ in range(4000)
        ]
        assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(4000)
    assert order_parameter(np.full(n, 1.0)).corrected == pytest.approx(1)


def test_the_corrected_value_is_the_mean_cosine_of_all_pairs() -> None:
    rng = np.random.default_rng(3)
    phase, weight = rng.uniform(-3, 3, 9), rng.random(9)
    a, b = np.triu_indices(9, 1)
    wanted = np.average(np.cos(phase[a] - phase[b]), weights=weight[a] * weight[b])
    assert order_parameter(phase, weight).corrected == pytest.approx(wanted, rel=1e-9)
    n, value = 9, order_parameter(phase).value
    wanted = (n * value**2 - 1) / (n - 1)
    assert order_parameter(phase).corrected == pytest.approx(wanted, rel=1e-9)
    assert np.isnan(order_parameter([0.3]).corrected)
    assert np.isnan(order_parameter([0.3, 1.0], [2.0, 0.0]).corrected)


def test_weighted_chance_is_what_weighted_phases_give() -> None:
    rng = np.random.default_rng(4)
    weight = rng.random(24)
    orders = [order_parameter(rng.uniform(-np.pi, np.pi, 24), weight) for _ in range(4000)]
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
        (["a"], None, "must hold numbers"),
    ):
        with pytest.raises(ValueError, match=why):
            order_parameter(phase, weight)
