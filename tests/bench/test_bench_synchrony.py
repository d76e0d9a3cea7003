"""Who moves with whom: the kernel beside numpy, numba, HyPyP, mne-connectivity and BLAS.

One update of all pairs takes in a hop of frames and gives the phase locking values of the last
window. Peers keep no sums, so they compute the window anew; numpy and numba are given unit phasors
as they like them best, and pay nothing for bringing them there. "Matrices alone" is what BLAS takes
for the complex multiply-adds of the frames that enter and leave, without anything else (and without
using that half of the result follows from the other).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dreampods.resonance import Pairs, order_parameter

BANDS = 8
# Frames a second times 10 s, and a tenth of a second: signals at 100 and at 250 Hz
RATES = {100: (1000, 10), 250: (2500, 25)}
PODS = 64
THREADS = (1, 2)
SINGLE = "PLV of all pairs, n pods x 8 bands, float32, update of 10 s at {} Hz"
DOUBLE = "PLV of all pairs, n pods x 8 bands, float64, update of 10 s at {} Hz"
EVERY = "PLV, wPLI, ACCorr, envelopes of all pairs, float32, weighted, update of 10 s at 100 Hz"
SCALING = "PLV of all pairs, float32, update of 10 s at 100 Hz, by n"
ORDER = "order parameter, n phases"
ORDERED = (8, 64, 512, 4096)


def _phasors(frames: int, pods: int = PODS) -> np.ndarray:
    dice = np.random.default_rng(1)
    steps = 0.3 + 0.2 * dice.standard_normal((frames, pods, BANDS))
    return np.exp(1j * np.cumsum(steps, axis=0))


def _by_band(u: np.ndarray, dtype: type) -> np.ndarray:
    """(bands, pods, frames), as BLAS likes it."""
    return np.ascontiguousarray(u.transpose(2, 1, 0)).astype(dtype)


def _numpy_plv(by_band: np.ndarray) -> np.ndarray:
    return np.abs(by_band @ by_band.conj().transpose(0, 2, 1)) / by_band.shape[2]


def _ours(u: np.ndarray, window: int, hop: int, precision: str) -> Callable[[], np.ndarray]:
    pairs = Pairs(u.shape[1], BANDS, window, measures="plv", weighted=False, precision=precision)
    fresh = u.astype(np.complex64 if precision == "float32" else np.complex128)
    pairs.push(fresh[:window])
    rtol = 1e-5 if precision == "float32" else 1e-9
    np.testing.assert_allclose(
        pairs.plv, _numpy_plv(_by_band(u[:window], np.complex128)), rtol=rtol, atol=rtol / 10
    )
    entering = fresh[:hop]

    def update() -> np.ndarray:
        pairs.push(entering)
        return pairs.plv

    return update


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("name", "precision"), [(SINGLE, "float32"), (DOUBLE, "float64")])
def test_pairs_ours(race, name, precision, rate, threads):
    window, hop = RATES[rate]
    update = _ours(_phasors(window), window, hop, precision)
    race(name.format(rate), "ours", update, n=PODS, unit="µs", threads=threads)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("name", "dtype"), [(SINGLE, np.complex64), (DOUBLE, np.complex128)])
def test_pairs_numpy(race, name, dtype, rate, threads):
    window, _ = RATES[rate]
    by_band = _by_band(_phasors(window), dtype)
    race(
        name.format(rate), "numpy", lambda: _numpy_plv(by_band), n=PODS, unit="µs", threads=threads
    )


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("name", "dtype"), [(SINGLE, np.complex64), (DOUBLE, np.complex128)])
def test_pairs_matrices_alone(race, name, dtype, rate, threads):
    _, hop = RATES[rate]
    moving = _by_band(_phasors(2 * hop), dtype)
    other = np.ascontiguousarray(moving.conj().transpose(0, 2, 1))
    out = np.empty((BANDS, PODS, PODS), dtype)
    race(
        name.format(rate),
        "matrices alone (BLAS)",
        lambda: np.matmul(moving, other, out=out),
        n=PODS,
        unit="µs",
        threads=threads,
    )


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("name", "dtype"), [(SINGLE, np.float32), (DOUBLE, np.float64)])
def test_pairs_numba(race, name, dtype, rate, threads):
    numba = pytest.importorskip("numba")

    @numba.njit(parallel=True, fastmath=True)
    def plv_of_all(cosine, sine, out):
        bands, pods, frames = cosine.shape
        for row in numba.prange(bands * pods):
            band, a = row // pods, row % pods
            for b in range(a, pods):
                re = im = out.dtype.type(0)
                for t in range(frames):
                    xa, ya = cosine[band, a, t], sine[band, a, t]
                    xb, yb = cosine[band, b, t], sine[band, b, t]
                    re += xa * xb + ya * yb
                    im += ya * xb - xa * yb
                out[band, a, b] = out[band, b, a] = np.sqrt(re * re + im * im) / frames

    window, _ = RATES[rate]
    by_band = _by_band(_phasors(window), np.complex128)
    cosine, sine = by_band.real.astype(dtype), by_band.imag.astype(dtype)
    out = np.empty((BANDS, PODS, PODS), dtype)
    if threads > numba.config.NUMBA_NUM_THREADS:
        pytest.skip("numba has fewer threads")
    numba.set_num_threads(threads)
    plv_of_all(cosine, sine, out)
    np.testing.assert_allclose(out, _numpy_plv(by_band), rtol=1e-4, atol=1e-6)
    race(
        name.format(rate),
        "numba",
        lambda: plv_of_all(cosine, sine, out),
        n=PODS,
        unit="µs",
        threads=threads,
    )


@pytest.mark.parametrize("threads", THREADS)
def test_pairs_hypyp(race, threads):
    sync = pytest.importorskip("hypyp.sync")
    window, _ = RATES[100]
    u = _phasors(window)
    # Two halves of the group, as its two people with their channels
    signals = u.transpose(2, 1, 0)[np.newaxis]
    metric = sync.get_metric("plv")
    axes = (0, 1, 3, 2)
    theirs = metric.compute(signals, window, axes)
    np.testing.assert_allclose(
        theirs[0], _numpy_plv(_by_band(u, np.complex128)), rtol=1e-9, atol=1e-12
    )
    race(
        DOUBLE.format(100),
        "HyPyP",
        lambda: metric.compute(signals, window, axes),
        n=PODS,
        unit="µs",
        threads=threads,
    )


@pytest.mark.parametrize("threads", THREADS)
def test_pairs_mne_connectivity(race, threads):
    """All frequencies of one window at once: its own, quicker way, that has no phasors given."""
    connectivity = pytest.importorskip("mne_connectivity")
    window, _ = RATES[100]
    x = _phasors(window).real[:, :, 0].T[np.newaxis]

    def all_bands() -> object:
        return connectivity.spectral_connectivity_time(
            x,
            freqs=np.linspace(5, 25, BANDS),
            method="plv",
            sfreq=100,
            mode="cwt_morlet",
            n_cycles=3,
            faverage=False,
            average=False,
            verbose="ERROR",
        )

    race(DOUBLE.format(100), "mne-connectivity", all_bands, n=PODS, unit="µs", threads=threads)


def test_every_ours(race):
    window, hop = RATES[100]
    u = _phasors(window).astype(np.complex64)
    weight = np.random.default_rng(2).random(u.shape).astype(np.float32)
    measures = ("plv", "wpli", "accorr", "envelope")
    pairs = Pairs(PODS, BANDS, window, measures=measures, precision="float32")
    pairs.push(u, weight)

    def update() -> list[np.ndarray]:
        pairs.push(u[:hop], weight[:hop])
        return [pairs.value(measure) for measure in measures]

    race(EVERY, "ours", update, n=PODS, unit="µs")


@pytest.mark.parametrize("pods", [8, 16, 32, 64, 128, 256, 512])
def test_scaling_of_pairs(race, pods):
    window, hop = RATES[100]
    u = _phasors(window, pods)
    race(SCALING, "ours", _ours(u, window, hop, "float32"), n=pods, unit="µs")


@pytest.mark.parametrize("n", ORDERED)
def test_order_ours(race, n):
    phases = np.random.default_rng(4).uniform(-np.pi, np.pi, n)
    assert abs(order_parameter(phases).value - abs(np.exp(1j * phases).mean())) < 1e-12
    race(ORDER, "ours", lambda: order_parameter(phases), n=n, unit="µs")


@pytest.mark.parametrize("n", ORDERED)
def test_order_numpy(race, n):
    phases = np.random.default_rng(4).uniform(-np.pi, np.pi, n)
    race(ORDER, "numpy", lambda: abs(np.exp(1j * phases).mean()), n=n, unit="µs")
