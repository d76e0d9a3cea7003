"""All pairs beside HyPyP and mne-connectivity, on the EEG of two people recorded at the same time.

Their definitions are ours, but for two things. HyPyP gives the circular correlation without its
sign; ours keeps it, since opposite is not together. And where a value would be a quotient of nothing
they give 0 or 1, ours NaN; the diagonal is left out here for that reason.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.signal import butter, hilbert, sosfiltfilt

from dreampods.resonance import Pairs, pair_sums

hypyp_analyses = pytest.importorskip("hypyp.analyses", reason="HyPyP is not installed")
mne_connectivity = pytest.importorskip(
    "mne_connectivity", reason="mne-connectivity is not installed"
)

_PROJECT = Path(__file__).resolve().parents[2]
_DATA = Path(os.environ.get("DREAMPODS_DATA", _PROJECT / "../shared/data"))
_FILE = _DATA / "hyperscan_eeg_dyad_500hz.npz"

pytestmark = pytest.mark.skipif(
    not _FILE.is_file(), reason="real recordings absent; say where they are with DREAMPODS_DATA"
)

_BANDS_HZ = ((4, 7), (8, 12), (13, 25))
_CHANNELS = 6
_HYPYP = {
    "plv": "plv",
    "wpli": "wpli",
    "accorr": "accorr",
    "ccorr": "ccorr",
    "envelope": "envcorr",
}


@pytest.fixture(scope="module")
def dyad() -> NDArray[np.complex128]:
    """Analytic signals (person, epoch, channel, band, time) of both people."""
    eeg = np.load(_FILE)["eeg"][:, :, :_CHANNELS].astype(float)
    bands = [
        hilbert(sosfiltfilt(butter(2, band, "bandpass", fs=500, output="sos"), eeg))
        for band in _BANDS_HZ
    ]
    return np.stack(bands, axis=3)


def _columns(dyad: NDArray[np.complex128], epoch: int) -> NDArray[np.complex128]:
    """(frames, both people's channels, bands) of one epoch."""
    return np.concatenate(list(dyad[:, epoch])).transpose(2, 0, 1)


@pytest.mark.parametrize("measure", sorted(_HYPYP))
def test_equals_hypyp(dyad: NDArray[np.complex128], measure: str) -> None:
    theirs = hypyp_analyses.compute_sync(dyad, _HYPYP[measure], epochs_average=False)
    others = ~np.eye(2 * _CHANNELS, dtype=bool)
    for epoch in range(dyad.shape[1]):
        u = _columns(dyad, epoch)
        single = Pairs(
            2 * _CHANNELS,
            len(_BANDS_HZ),
            len(u),
            measures=measure,
            weighted=False,
            precision="float32",
        )
        single.push(u)
        for value, rtol in (
            (pair_sums(u, measures=measure).value(measure), 1e-9),
            (single.value(measure), 1e-5),
        ):
            ours = abs(value) if measure == "ccorr" else value
            assert_allclose(
                ours[:, others],
                theirs[:, epoch][:, others],
                rtol=rtol,
                atol=rtol / 10,
                err_msg=measure,
            )


@pytest.mark.parametrize("measure", ["plv", "ppc", "ciplv", "wpli", "wpli2_debiased"])
def test_equals_mne_connectivity(dyad: NDArray[np.complex128], measure: str) -> None:
    """mne-connectivity averages over epochs where ours does over frames.

    So it gets each frame as an epoch: a sinusoid at a quarter of the sampling rate, whose Fourier
    coefficient is the frame's phasor times a number that is the same for all (there the window's
    leakage is exactly nothing).
    """
    u = _columns(dyad, 3)[::5, :, 1]
    turn = np.exp(0.5j * np.pi * np.arange(256))
    theirs = mne_connectivity.spectral_connectivity_epochs(
        (u[:, :, None] * turn).real,
        method=measure,
        mode="fourier",
        sfreq=4,
        fmin=1,
        fmax=1,
        verbose="ERROR",
    ).get_data(output="dense")[:, :, 0]
    ours = pair_sums(u, measures=measure).value(measure)[0]
    below = np.tril_indices(u.shape[1], -1)
    assert_allclose(ours[below], theirs[below], rtol=1e-9, atol=1e-12, err_msg=measure)
