/* Phases as points on the unit circle: see resonance.h. */
#include "resonance.h"
#include "sincos.h"

RS_FUSED

RS_CLONES
static void phasors_of(size_t n, const double *restrict phase, double *restrict phasor)
{
    for (size_t i = 0; i < n; i++)
        rs_sincos(phase[i], &phasor[2 * i + 1], &phasor[2 * i]);
}

void rs_phasors(size_t n, const double *phase, double *phasor)
{
    phasors_of(n, phase, phasor);
}
