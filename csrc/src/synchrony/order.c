/* Sums behind the order parameter: see resonance.h. */
#include <math.h>

#include "resonance.h"

void rs_order_add(rs_order_sums *sums, size_t n, const double *phase, const double *weight)
{
    for (size_t i = 0; i < n; i++) {
        const double w = weight == NULL ? 1.0 : weight[i];
        sums->re += w * cos(phase[i]);
        sums->im += w * sin(phase[i]);
        sums->weight += w;
        sums->square += w * w;
    }
}
