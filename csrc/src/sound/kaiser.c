/* Kaiser's window (1974) on a sinc: see kaiser.h. */
#include "kaiser.h"

#include <math.h>

/* Modified Bessel function of the first kind, order 0, by its power series. */
static double bessel_i0(double x)
{
    double term = 1.0, sum = 1.0;
    for (int k = 1; term > 1e-17 * sum; k++) {
        term *= (x / (2 * k)) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

double rs_windowed_sinc(double frames, double cutoff, double reach, double beta)
{
    const double t = frames / reach;
    if (!(fabs(t) < 1.0))
        return 0.0;
    const double window = bessel_i0(beta * sqrt(1.0 - t * t)) / bessel_i0(beta);
    const double x = RS_PI * cutoff * frames;
    return window * (fabs(x) < 1e-12 ? 1.0 : sin(x) / x);
}
