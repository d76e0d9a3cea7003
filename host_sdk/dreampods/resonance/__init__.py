"""The kernel: how sleepers resonate, and how their sounds meet. C behind, numpy in and out.

====================  ===========================================================================
ResonatorBank         phase, amplitude and confidence of rhythms, sample by sample
order_parameter       how much a group moves as one, beside what chance alone would show
order_sums            the same as sums that several hosts can add up
plv, PairwisePLV      phase locking of all pairs, of a stretch or over a sliding window
plv_surrogates        what locking unrelated sleepers would show
Kuramoto              oscillators that feel the group and their own body
Mixer                 own sounds and the collective to one limited mix per pod
Meter, Loudness       how loud a sound is to an ear
Exposure              what an ear has taken in, as energy that adds up over a week
Resampler             a mix to PCM at the rate of a pod's own crystal
read_chunks           the same for many pods in one call
encode_ima            PCM to a quarter of its bytes, for a pod on a thin link; and decode_ima
====================  ===========================================================================

Everything given in is converted and checked; what cannot be used (wrong shape, nothing in it, NaN
or infinity) raises ValueError, before any state has changed. Objects belong to one thread at a
time; the interpreter lock is released while C works. What happens inside is told in
csrc/include/resonance.h.
"""

from dreampods.resonance.ambisonics import decode_matrix, encode_matrix
from dreampods.resonance.ima import decode_ima, encode_ima
from dreampods.resonance.kuramoto import Kuramoto
from dreampods.resonance.loudness import Exposure, Loudness, Meter
from dreampods.resonance.mixer import Mixed, Mixer
from dreampods.resonance.order import Order, OrderSums, order_parameter, order_sums
from dreampods.resonance.pairwise import PairwisePLV, plv
from dreampods.resonance.resampler import Resampler, read_chunks
from dreampods.resonance.resonators import ResonatorBank
from dreampods.resonance.surrogates import plv_surrogates

__all__ = [
    "Exposure",
    "Kuramoto",
    "Loudness",
    "Meter",
    "Mixed",
    "Mixer",
    "Order",
    "OrderSums",
    "PairwisePLV",
    "Resampler",
    "ResonatorBank",
    "decode_ima",
    "decode_matrix",
    "encode_ima",
    "encode_matrix",
    "order_parameter",
    "order_sums",
    "plv",
    "plv_surrogates",
    "read_chunks",
]
