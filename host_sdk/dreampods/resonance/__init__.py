"""The kernel: how sleepers resonate, and how their sounds meet. C behind, numpy in and out.

Three breaths, the first two of one pace, as they would come live, a tenth of a second at a time:

    >>> import numpy as np
    >>> from dreampods.resonance import Pairs, ResonatorBank, order_parameter
    >>> t = np.arange(0, 120, 1 / 50)[:, np.newaxis]
    >>> belts = np.cos(2 * np.pi * t * [0.25, 0.25, 0.21])
    >>> bank = ResonatorBank(3, freq_hz=[0.25], bandwidth_hz=[0.1], rate_hz=50)
    >>> pairs = Pairs(3, bands=1, window=60 * 50, measures="plv")
    >>> for block in np.split(belts, len(belts) // 5):
    ...     phasors, confidence = bank.process_with_confidence(block)
    ...     pairs.push(phasors, confidence)
    >>> print(pairs.plv[0].round(1))
    [[1.  1.  0.1]
     [1.  1.  0.1]
     [0.1 0.1 1. ]]
    >>> order = order_parameter(phasors[-1, :, 0], confidence[-1, :, 0])
    >>> print(f"{order.value:.2f}, {order.chance:.2f} by chance")
    0.74, 0.53 by chance

====================  ===========================================================================
ResonatorBank         phase, amplitude and confidence of rhythms, sample by sample
EndpointHilbert       the same from a window, more exact, for the host
BandPower             how strong rhythms have been
SlowWaves             cues at a phase of deep sleep's waves, foretold: SlowWaveCues
phasors               phases as points on the unit circle, fast
order_parameter       how much a group moves as one, beside what chance alone would show
order_sums            the same as sums that several hosts can add up
Pairs                 PLV, PPC, ciPLV, wPLI, ACCorr, CCorr, envelopes of all pairs, live: MEASURES
pair_sums, plv        the same over a whole stretch, as sums that add up; PLV alone
nm_plv, raised        n:m phase locking, as of heartbeats to breaths
cluster_phase         each one's steadiness towards the group, and the group's: ClusterPhase
leave_one_out         each one's correlation with the mean of the others; fisher_z to average them
windowed_cross_...    who follows whom in slow signals, and how much later
plv_surrogates        what locking unrelated sleepers would show
plv_p_values          how often they would be locked as much as each pair is; order_p_value: as
                      much in order; shift_p_values: the same for any statistic of a stretch
Kuramoto              oscillators that feel the group and their own body
ModeBank, ToneBank    things that ring when struck or driven; beds of sines, beats, pulses
NoiseBank, GrainCloud pink and brown noise that moves; a recorded voice in grains
add_layer, Reverb     layers onto a bus, and a soft space around them
Mixer                 own sounds and the collective to one limited mix per pod: Mixed
encode_matrix         a place in the ambisonic bus, and decode_matrix: the ears of who listens
Meter, Loudness       how loud a sound is to an ear
Exposure              what an ear has taken in, as energy that adds up over a week
Resampler             a mix to PCM at the rate of a pod's own crystal
read_chunks           the same for many pods in one call
encode_ima            PCM to a quarter of its bytes, for a pod on a thin link; and decode_ima
BeatDetector          heartbeats of a pulse wave or an electrocardiogram, and what to think of them:
                      Beats, each with its Verdict
heart_rate            a regular series of the heart rate, and where it is valid
BreathFollower        the phase of a breath at every sample, and each breath with its quality:
                      Breathing, Breaths, BreathVerdict
breath_phase          the same phase, afterwards and exactly
FrameDecoder          bytes of many pods to their Frames, wherever reads have cut them
encode_frames         frames to bytes for the wire; new_frames describes them, each a FRAME
decode_samples        packed sensor values to physical units
====================  ===========================================================================

Everything given in is converted and checked; what cannot be used (wrong shape, nothing in it, NaN
or infinity, beyond 1e30, or 1e9 where C works in single precision) raises ValueError, before any
state has changed. Where a weight is 0, or `valid` False, there may be anything. The interpreter
lock is released while C works, so that threads with an object each run in parallel; in one object
they take turns. What happens inside is told in csrc/include/resonance.h.
"""

from dreampods.resonance.ambisonics import decode_matrix, encode_matrix
from dreampods.resonance.band_power import BandPower
from dreampods.resonance.beats import BeatDetector, Beats, Verdict, heart_rate
from dreampods.resonance.breath import (
    BreathFollower,
    Breathing,
    Breaths,
    BreathVerdict,
    breath_phase,
)
from dreampods.resonance.crosscorrelation import WindowedCorrelation, windowed_cross_correlation
from dreampods.resonance.frames import (
    FRAME,
    FrameDecoder,
    Frames,
    decode_samples,
    encode_frames,
    new_frames,
)
from dreampods.resonance.grains import GrainCloud
from dreampods.resonance.group import ClusterPhase, cluster_phase, fisher_z, leave_one_out
from dreampods.resonance.hilbert import EndpointHilbert
from dreampods.resonance.ima import decode_ima, encode_ima
from dreampods.resonance.kuramoto import Kuramoto
from dreampods.resonance.loudness import Exposure, Loudness, Meter
from dreampods.resonance.mixer import Mixed, Mixer
from dreampods.resonance.modes import ModeBank
from dreampods.resonance.noise import NoiseBank
from dreampods.resonance.order import Order, OrderSums, order_parameter, order_sums
from dreampods.resonance.pairs import MEASURES, Pairs, PairSums, nm_plv, pair_sums, plv, raised
from dreampods.resonance.phasors import phasors
from dreampods.resonance.resampler import Resampler, read_chunks
from dreampods.resonance.resonators import ResonatorBank
from dreampods.resonance.room import Reverb, add_layer
from dreampods.resonance.slow_waves import SlowWaveCues, SlowWaves
from dreampods.resonance.surrogates import (
    order_p_value,
    plv_p_values,
    plv_surrogates,
    shift_p_values,
)
from dreampods.resonance.tones import ToneBank

__all__ = [
    "FRAME",
    "MEASURES",
    "BandPower",
    "BeatDetector",
    "Beats",
    "BreathFollower",
    "BreathVerdict",
    "Breathing",
    "Breaths",
    "ClusterPhase",
    "EndpointHilbert",
    "Exposure",
    "FrameDecoder",
    "Frames",
    "GrainCloud",
    "Kuramoto",
    "Loudness",
    "Meter",
    "Mixed",
    "Mixer",
    "ModeBank",
    "NoiseBank",
    "Order",
    "OrderSums",
    "PairSums",
    "Pairs",
    "Resampler",
    "ResonatorBank",
    "Reverb",
    "SlowWaveCues",
    "SlowWaves",
    "ToneBank",
    "Verdict",
    "WindowedCorrelation",
    "add_layer",
    "breath_phase",
    "cluster_phase",
    "decode_ima",
    "decode_matrix",
    "decode_samples",
    "encode_frames",
    "encode_ima",
    "encode_matrix",
    "fisher_z",
    "heart_rate",
    "leave_one_out",
    "new_frames",
    "nm_plv",
    "order_p_value",
    "order_parameter",
    "order_sums",
    "pair_sums",
    "phasors",
    "plv",
    "plv_p_values",
    "plv_surrogates",
    "raised",
    "read_chunks",
    "shift_p_values",
    "windowed_cross_correlation",
]
