/* Places in a first-order field: see resonance.h for what is encoded and heard. */
#include <math.h>

#include "resonance.h"

enum { W, Y, Z, X, CHANNELS };      /* ACN order */

static const double SIDE_APART = 0.17453292519943295;  /* 10 degrees: a pod's sound is as wide as a person near by */
static const double SQRT2 = 1.41421356237309505;

void rs_ambisonic_encode(double azimuth, double elevation, float *encode)
{
    for (int side = 0; side < 2; side++) {
        const double at = azimuth + (side == 0 ? SIDE_APART : -SIDE_APART);
        /* Half of each side: what is the same on both comes out once. */
        encode[2 * W + side] = 0.5f;
        encode[2 * Y + side] = (float)(0.5 * sin(at) * cos(elevation));
        encode[2 * Z + side] = (float)(0.5 * sin(elevation));
        encode[2 * X + side] = (float)(0.5 * cos(at) * cos(elevation));
    }
}

void rs_ambisonic_decode(double facing, float *decode)
{
    for (int side = 0; side < 2; side++) {
        const double sign = side == 0 ? 1.0 : -1.0;
        float *ear = decode + side * CHANNELS;
        ear[W] = (float)(SQRT2 * 0.5);
        ear[Y] = (float)(SQRT2 * 0.5 * sign * cos(facing));
        ear[Z] = 0.0f;
        ear[X] = (float)(SQRT2 * 0.5 * sign * -sin(facing));
    }
}
