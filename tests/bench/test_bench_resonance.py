"""The kernel beside numpy doing the same: same data, same process, results compared first.

`make bench` prints a table and writes bench.json. Each pair of rows is a group; the ratio of the medians
is what counts, for machines differ. One thread each: numpy's parts used here are not threaded.
"""

from __future__ import annotations

import numpy as np
import pytest

from dreampods.resonance import Mixer, PairwisePLV, ResonatorBank, order_parameter

RATE_HZ = 32000
FRAMES = 640


def _phasors(frames: int, pods: int, bands: int) -> np.ndarray:
    dice = np.random.default_rng(1)
    steps = 0.3 + 0.2 * dice.standard_normal((frames, pods, bands))
    return np.exp(1j * np.cumsum(steps, axis=0))


def _numpy_plv(u: np.ndarray) -> np.ndarray:
    """PLV of all pairs (bands, pods, pods), from the whole window."""
    by_band = u.transpose(2, 1, 0)
    return np.abs(by_band @ by_band.conj().transpose(0, 2, 1)) / len(u)


@pytest.mark.benchmark(group="all pairs, 64 pods x 8 bands, one update of a 300-frame window")
class TestPairs:
    pods, bands, window = 64, 8, 300

    def test_ours(self, benchmark):
        u = _phasors(self.window + 1, self.pods, self.bands)
        pairs = PairwisePLV(self.pods, self.bands, self.window)
        pairs.push(u[1:])
        np.testing.assert_allclose(pairs.plv, _numpy_plv(u[1:]), rtol=1e-9, atol=1e-12)

        def update():
            pairs.push(u[:1])
            return pairs.plv

        benchmark(update)

    def test_numpy(self, benchmark):
        u = _phasors(self.window, self.pods, self.bands)
        benchmark(_numpy_plv, u)


@pytest.mark.benchmark(group="mix, 64 pods, 20 ms of stereo at 32 kHz, gains ramped")
class TestMix:
    pods = 64

    def _block(self):
        dice = np.random.default_rng(2)
        own = (0.02 * dice.standard_normal((self.pods, FRAMES, 2))).astype(np.float32)
        collective = (0.02 * dice.standard_normal((FRAMES, 2))).astype(np.float32)
        gains = [np.full(self.pods, gain, np.float32) for gain in (0.8, 0.5, 0.25)]
        return own, collective, gains

    @staticmethod
    def _numpy_mix(own, collective, gains):
        """The same mix without its limiter, which does nothing at these levels."""
        own_gain, collective_gain, send = (gain[:, None, None] for gain in gains)
        sent = send * own
        bus = collective + sent.sum(axis=0)
        return own_gain * own + collective_gain * (bus - sent)

    def test_ours(self, benchmark):
        own, collective, gains = self._block()
        mixer = Mixer(self.pods, FRAMES, RATE_HZ)
        ceiling = np.ones(self.pods, np.float32)
        mixer.process(own, collective, *gains, ceiling)
        mixed = mixer.process(own, collective, *gains, ceiling).pods
        late = mixer.latency_frames
        expected = self._numpy_mix(own, collective, gains)
        np.testing.assert_allclose(mixed[:, late:], expected[:, :-late], rtol=1e-4, atol=1e-6)
        benchmark(mixer.process, own, collective, *gains, ceiling)

    def test_numpy(self, benchmark):
        own, collective, gains = self._block()
        benchmark(self._numpy_mix, own, collective, gains)


@pytest.mark.benchmark(group="resonators, 64 channels x 8 bands, 1 s at 250 Hz")
class TestResonators:
    channels, rate_hz = 64, 250.0
    freq_hz = np.array([0.9, 2, 4, 6, 8, 10, 13, 20])

    def _signal(self):
        return np.random.default_rng(3).standard_normal((250, self.channels))

    def test_ours(self, benchmark):
        bank = ResonatorBank(self.channels, self.freq_hz, self.freq_hz / 5, self.rate_hz)
        benchmark(bank.process, self._signal())

    def test_scipy(self, benchmark):
        """The bare recursion z[n] = a z[n-1] + b x[n], without phase correction or confidence."""
        from scipy.signal import lfilter

        x = self._signal()
        a = np.exp((2j * self.freq_hz - self.freq_hz / 5) * np.pi / self.rate_hz)

        def process():
            return [lfilter([1 - abs(pole)], [1, -pole], x, axis=0) for pole in a]

        benchmark(process)


@pytest.mark.benchmark(group="order parameter, 4096 phases")
class TestOrder:
    phases = np.random.default_rng(4).uniform(-np.pi, np.pi, 4096)

    def test_ours(self, benchmark):
        assert (
            abs(order_parameter(self.phases).value - abs(np.exp(1j * self.phases).mean())) < 1e-12
        )
        benchmark(order_parameter, self.phases)

    def test_numpy(self, benchmark):
        benchmark(lambda: abs(np.exp(1j * self.phases).mean()))
