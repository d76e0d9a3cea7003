"""Each one with all others, and who follows whom."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import pearsonr

from dreampods.resonance import (
    cluster_phase,
    fisher_z,
    leave_one_out,
    windowed_cross_correlation,
)


def test_cluster_phase_equals_its_definition() -> None:
    rng = np.random.default_rng(0)
    phase = np.cumsum(rng.normal(0.2, 0.3, (400, 5)), 0)
    group = np.angle(np.exp(1j * phase).mean(1))
    relative = phase - group[:, None]
    of_people = np.exp(1j * relative).mean(0)
    over_time = abs(np.exp(1j * (relative - np.angle(of_people))).mean(1))
    found = cluster_phase(phase)
    assert_allclose(found.person, abs(of_people), rtol=1e-9)
    assert_allclose(found.relative, np.angle(of_people), rtol=1e-9)
    assert_allclose(found.over_time, over_time, rtol=1e-9)
    assert found.group == pytest.approx(over_time.mean(), rel=1e-9)
    assert_allclose(cluster_phase(7 * np.exp(1j * phase)).person, found.person)


def test_a_steady_relation_is_one_whatever_it_is() -> None:
    turn = 0.1 * np.arange(500)
    rng = np.random.default_rng(1)
    phase = np.stack([turn, turn + 0.5, turn + 1.2, rng.uniform(-4, 4, 500)], 1)
    weight = np.ones(phase.shape)
    weight[:, 3] = 0
    found = cluster_phase(phase, weight)
    assert_allclose(found.person[:3], 1)
    assert_allclose(np.diff(found.relative[:3]), [0.5, 0.7])
    assert np.isnan(found.person[3])
    assert found.group == pytest.approx(1)
    stranger = cluster_phase(phase)
    assert stranger.person[3] < 0.5 < stranger.person[:3].min()


def test_a_gap_in_a_group_is_no_phase() -> None:
    rng = np.random.default_rng(2)
    phase = np.cumsum(rng.normal(0.2, 0.1, (300, 4)), 0)
    weight = np.ones(phase.shape)
    weight[100:150] = 0
    known = weight[:, 0] > 0
    found = cluster_phase(np.where(weight > 0, phase, 9.0), weight)
    assert_allclose(found.person, cluster_phase(phase[known]).person)
    assert np.isnan(found.over_time[100:150]).all()
    assert np.isfinite(found.group)
    assert np.isnan(cluster_phase(phase, 0 * weight).group)


def test_leave_one_out_equals_pearson() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(60, 5, (240, 4)) + np.cumsum(rng.normal(0, 1, 240))[:, None]
    found = leave_one_out(x)
    assert found.shape == (1, 4)
    for k in range(4):
        others = np.delete(x, k, 1).mean(1)
        assert found[0, k] == pytest.approx(pearsonr(x[:, k], others)[0], rel=1e-9)
    windows = leave_one_out(x, window=60, step=45)
    assert windows.shape == (5, 4)
    assert_allclose(windows[2], leave_one_out(x[90:150])[0], rtol=1e-9)


def test_who_is_missing_does_not_move_the_mean_of_the_others() -> None:
    rng = np.random.default_rng(4)
    common = np.cumsum(rng.normal(0, 1, 300))
    x = common[:, None] + rng.normal(0, 0.1, (300, 4)) + [0, 100, -300, 1000]
    weight = np.ones(x.shape)
    for k in range(1, 4):
        weight[60 * k : 60 * k + 60, k] = 0
    garbage = np.where(weight > 0, x, 1e5)
    assert (leave_one_out(garbage, weight)[0] > 0.8).all()
    weight[:, 1:] = 0
    assert np.isnan(leave_one_out(x, weight)).all(), "nobody else is there"
    x[:, 0] = 0.1
    assert np.isnan(leave_one_out(x)[0, 0])


def test_fisher_z() -> None:
    assert_allclose(fisher_z([[0.5, -0.5]]), np.arctanh([[0.5, -0.5]]))
    assert np.isfinite(fisher_z([1.0, -1.0])).all()
    assert np.isnan(fisher_z([np.nan])).all()
    with pytest.raises(ValueError, match="between -1 and 1"):
        fisher_z([1.1])


def test_windowed_cross_correlation_equals_pearson() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(70, 3, (2, 200))
    found = windowed_cross_correlation(x, y, window=30, max_lag=6, step=7)
    assert found.r.shape == (len(found.starts), 13)
    assert found.starts[0] == 6
    assert found.starts[-1] + 30 + 6 <= 200
    for i, start in enumerate(found.starts):
        for j, lag in enumerate(found.lags):
            wanted = pearsonr(x[start : start + 30], y[start + lag : start + lag + 30])[0]
            assert found.r[i, j] == pytest.approx(wanted, rel=1e-9, abs=1e-12)


def test_who_follows_is_found() -> None:
    rng = np.random.default_rng(6)
    x = np.convolve(rng.standard_normal(900), np.hanning(20), "same")
    y = np.roll(x, 9) + 0.1 * rng.standard_normal(900)
    found = windowed_cross_correlation(x, y, window=120, max_lag=20, step=10)
    assert np.median(found.peak_lag) == 9, "y comes nine frames after x"
    assert np.median(found.peak) > 0.9


def test_gaps_are_left_out_of_the_cross_correlation() -> None:
    rng = np.random.default_rng(7)
    x, y = rng.normal(70, 3, (2, 120))
    here_x, here_y = (rng.random((2, 120)) > 0.3).astype(float)
    found = windowed_cross_correlation(
        np.where(here_x > 0, x, 1e4), y, window=50, max_lag=3, weight_x=here_x, weight_y=here_y
    )
    for i, start in enumerate(found.starts):
        for j, lag in enumerate(found.lags):
            at = np.arange(start, start + 50)
            both = at[(here_x[at] > 0) & (here_y[at + lag] > 0)]
            wanted = pearsonr(x[both], y[both + lag])[0]
            assert found.r[i, j] == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    still = windowed_cross_correlation(x, np.full(120, 5.0), window=50, max_lag=3)
    assert np.isnan(still.r).all()
    assert np.isnan(still.peak).all()
    assert np.isnan(still.peak_lag).all()
    silent = windowed_cross_correlation(x, y, window=50, max_lag=3, weight_y=np.zeros(120))
    assert np.isnan(silent.r).all()


def test_unusable_input_is_refused() -> None:
    for phase, weight, why in (
        (np.ones(4), None, "shape"),
        (np.ones((0, 3)), None, "holds nothing"),
        (np.full((2, 2), np.inf), None, "infinity"),
        (np.full((2, 2), 1j * np.nan), None, "NaN"),
        (np.ones((2, 2)), np.ones((2, 3)), "shape"),
        (np.ones((2, 2)), -np.ones((2, 2)), "below 0"),
    ):
        with pytest.raises(ValueError, match=why):
            cluster_phase(phase, weight)
        if np.asarray(phase).dtype.kind != "c":
            with pytest.raises(ValueError, match=why):
                leave_one_out(phase, weight)
    with pytest.raises(ValueError, match="two people"):
        leave_one_out(np.ones((5, 1)))
    with pytest.raises(ValueError, match="exceed the 5 frames"):
        leave_one_out(np.ones((5, 2)), window=6)
    with pytest.raises(ValueError, match="step must be at least 1"):
        leave_one_out(np.ones((5, 2)), window=2, step=0)
    x = np.arange(20.0)
    for change, why in (
        ({"y": x[1:]}, "y must have the shape"),
        ({"x": x * np.nan}, "x holds NaN"),
        ({"weight_x": -x}, "weight_x must not be below 0"),
        ({"window": 0}, "window must be at least 1"),
        ({"max_lag": -1}, "max_lag must be at least 1"),
        ({"step": 0}, "step must be at least 1"),
        ({"window": 18}, "needs 22 frames"),
    ):
        arguments = {"x": x, "y": x, "window": 5, "max_lag": 2} | change
        with pytest.raises(ValueError, match=why):
            windowed_cross_correlation(**arguments)  # type: ignore[arg-type]
