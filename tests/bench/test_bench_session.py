"""What eight sleepers cost the host: what must fit into the time it describes, with room to spare."""

from __future__ import annotations

import numpy as np
import pytest

from dreampods.dreamscape import Bodies, Synth, load_scene, scene_names
from dreampods.session.body import BREATH, PULSE, Bands, Rhythm

BLOCK_S = 0.02


@pytest.mark.benchmark(group="20 ms of sound for eight, in seconds")
@pytest.mark.parametrize("name", scene_names())
def test_a_block_of_a_scene(benchmark, name):
    synth, bodies = Synth(load_scene(name), 8), Bodies.still(8)
    blocks = iter(range(10**9))
    benchmark(lambda: synth.render(next(blocks) * BLOCK_S, bodies))


@pytest.mark.benchmark(group="following one sleeper for 1 s, in seconds")
def test_following_a_body(benchmark):
    dice = np.random.default_rng(0)
    breath, pulse = Rhythm(50, (0.1, 0.5), BREATH), Rhythm(50, (0.7, 2.2), PULSE)
    bands = {"slow": (0.5, 2.0), "theta": (4.0, 8.0), "alpha": (8.0, 12.0), "sigma": (11.0, 16.0)}
    eeg = Bands(250, 4, bands)
    volt = dice.standard_normal((5, 1)).astype(np.float32)
    brain = dice.standard_normal((10, 4)).astype(np.float32)
    seconds = iter(range(10**9))

    def second():
        now_s = next(seconds)
        for i in range(10):
            breath.add(volt, (now_s + i / 10) * 1e9)
            pulse.add(volt, (now_s + i / 10) * 1e9)
        for _ in range(25):
            eeg.add(brain)

    benchmark(second)
