"""Places in a first-order ambisonic field: AmbiX, channels W, Y, Z, X with SN3D norm.

Angles are radians; azimuth and facing count to the left of the room's front, elevation upwards.
"""

import numpy as np
from numpy.typing import NDArray

from dreampods.resonance._kernel import lib, number, pointer


def encode_matrix(azimuth: float, elevation: float = 0.0) -> NDArray[np.float32]:
    """(4, 2): what the left and the right side of a pod's sound add to the four channels.

    The sides lie 10 degrees to the left and right of the pod's place, and count half each.
    """
    matrix = np.empty((int(lib.RS_AMBISONIC_CHANNELS), 2), np.float32)
    at, up = number("azimuth", azimuth), number("elevation", elevation)
    lib.rs_ambisonic_encode(at, up, pointer(matrix))
    return matrix


def decode_matrix(facing: float) -> NDArray[np.float32]:
    """(2, 4): what the left and the right ear of somebody who faces there hear of the channels.

    Two cardioids along the axis of the ears: their sum is √2 W, whatever the direction. A sound
    from the front comes from both at 1/√2, one beside an ear from that ear alone at √2.
    """
    matrix = np.empty((2, int(lib.RS_AMBISONIC_CHANNELS)), np.float32)
    lib.rs_ambisonic_decode(number("facing", facing), pointer(matrix))
    return matrix
