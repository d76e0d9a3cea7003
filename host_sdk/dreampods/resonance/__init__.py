"""The kernel: how sleepers resonate, and how their sounds meet. C behind, numpy in and out.

====================  ===========================================================================
ResonatorBank         phase, amplitude and confidence of rhythms, sample by sample
phasors               phases as points on the unit circle, fast
order_parameter       how much a group moves as one, beside what chance alone would show
order_sums            the same as sums that several hosts can add up
plv, PairwisePLV      phase locking of all pairs, of a stretch or over a sliding window
plv_surrogates        what locking unrelated sleepers would show
Kuramoto              oscillators that feel the group and their own body
ModeBank, ToneBank    things that ring when struck or driven; beds of sines, beats, pulses
NoiseBank, GrainCloud pink and brown noise that moves; a recorded voice in grains
add_layer, Reverb     layers onto a bus, and a soft space around them
Mixer                 own sounds and the collective to one limited mix per pod
Resampler             a mix to PCM at the rate of a pod's own crystal
encode_ima            PCM to a quarter of its bytes, for a pod on a thin link
====================  ===========================================================================

Everything given in is converted and checked; what cannot be used (wrong shape, nothing in it, NaN
or infinity) raises ValueError, before any state has changed. Objects belong to one thread at a
time; the interpreter lock is released while C works. What happens inside is told in
csrc/include/resonance.h.
"""

from dreampods.resonance.grains import GrainCloud
from dreampods.resonance.ima import encode_ima
from dreampods.resonance.kuramoto import Kuramoto
from dreampods.resonance.mixer import Mixed, Mixer
from dreampods.resonance.modes import ModeBank
from dreampods.resonance.noise import NoiseBank
from dreampods.resonance.order import Order, OrderSums, order_parameter, order_sums
from dreampods.resonance.pairwise import PairwisePLV, plv
from dreampods.resonance.phasors import phasors
from dreampods.resonance.resampler import Resampler
from dreampods.resonance.resonators import ResonatorBank
from dreampods.resonance.room import Reverb, add_layer
from dreampods.resonance.surrogates import plv_surrogates
from dreampods.resonance.tones import ToneBank

__all__ = [
    "GrainCloud",
    "Kuramoto",
    "Mixed",
    "Mixer",
    "ModeBank",
    "NoiseBank",
    "Order",
    "OrderSums",
    "PairwisePLV",
    "Resampler",
    "ResonatorBank",
    "Reverb",
    "ToneBank",
    "add_layer",
    "encode_ima",
    "order_parameter",
    "order_sums",
    "phasors",
    "plv",
    "plv_surrogates",
]
