"""Tables that the inner loops look up, in their fast and their plain form alike."""

from array import array
from math import atan, pi, sin

# Interactive Multimedia Association, "Recommended Practices for Enhancing Digital Audio
# Compatibility in Multimedia Systems", revision 3.00, 1992: the step sizes of its ADPCM
IMA_STEPS = array(
    "H",
    (
        7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66,
        73, 80, 88, 97, 107, 118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449,
        494, 544, 598, 658, 724, 796, 876, 963, 1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272,
        2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894, 6484, 7132, 7845, 8630, 9493,
        10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794, 32767,
    ),
)  # fmt: skip

# A quarter of a sine, both ends included, and one more so that one can look at the next
QUARTER_SINE = array("h", [round(32767 * sin(pi * i / 512)) for i in range(257)] + [32767])

# atan(2**-i) in turns of 2**20
ANGLES = array("i", [round(atan(0.5**i) / pi * 524288) for i in range(15)])
