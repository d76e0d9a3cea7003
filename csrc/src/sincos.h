/*
 * Sine and cosine of many doubles at once. Not of the ABI.
 *
 * The C library's own take one number at a time, with tables and branches. Here the argument is brought to the
 * nearest quarter turn, -pi/4 to pi/4, where seven terms of each series are enough, and the two results are swapped
 * and negated by the bits of the count of quarter turns. Nothing branches, so a compiler turns a loop of these into
 * vectors (simd.h), also on a plain x86-64.
 *
 * Off by less than 3e-16 for |x| up to 1e6, which tests compare with numpy; beyond that the quarter turns can no longer
 * be taken away exactly. NaN and infinity give NaN.
 */
#ifndef DREAMPODS_SINCOS_H
#define DREAMPODS_SINCOS_H

#include <stdint.h>
#include <string.h>

#include "simd.h"

/* Added and taken away again it leaves the nearest whole number, which is then in the lowest bits of the sum. */
#define RS_WHOLE_ 6755399441055744.0    /* 1.5 * 2^52 */

/* The whole number next to x, |x| < 2^51. */
RS_INLINE double rs_nearest(double x)
{
    return (x + RS_WHOLE_) - RS_WHOLE_;
}

/* x without its full turns, in [-pi, pi). */
RS_INLINE double rs_wrapped(double x)
{
    const double turn = 6.28318530717958647693, half = 3.14159265358979323846;
    const double y = x - turn * rs_nearest(x * 0.15915494309189533577);
    return y >= half ? y - turn : y < -half ? y + turn : y;
}

RS_INLINE uint64_t rs_bits_(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

RS_INLINE double rs_double_(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

RS_INLINE void rs_sincos(double x, double *sine, double *cosine)
{
    const double shifted = x * 0.63661977236758134308 + RS_WHOLE_;
    const double quarters = shifted - RS_WHOLE_;
    /* pi/2 in three parts. The first two have 33 bits, so that their products with a count are exact. */
    double r = x - quarters * 1.5707963267341256;
    r -= quarters * 6.077100506303966e-11;
    r -= quarters * 2.0222662487959506e-21;

    /* (sin r - r) / r^3 and (cos r - 1 + r^2 / 2) / r^4 over z = r^2, interpolated at Chebyshev's nodes of
     * 0..(pi/4)^2: within 2.1e-17 and 1.3e-18. */
    const double z = r * r;
    double s = 1.591805913698281e-10;
    s = s * z - 2.5051130870968297e-08;
    s = s * z + 2.755731609787775e-06;
    s = s * z - 0.0001984126983674956;
    s = s * z + 0.008333333333330943;
    s = s * z - 0.16666666666666666;
    s = r + r * z * s;
    double c = -1.1382588535352522e-11;
    c = c * z + 2.0876145659059344e-09;
    c = c * z - 2.755731726880539e-07;
    c = c * z + 2.4801587298760048e-05;
    c = c * z - 0.0013888888888887393;
    c = c * z + 0.041666666666666664;
    c = 1.0 - 0.5 * z + z * z * c;

    const uint64_t count = rs_bits_(shifted);
    const uint64_t odd = 0 - (count & 1);   /* all ones after an odd number of quarter turns */
    const uint64_t s_bits = rs_bits_(s), c_bits = rs_bits_(c);
    const uint64_t either = (s_bits ^ c_bits) & odd;
    *sine = rs_double_(s_bits ^ either ^ (count & 2) << 62);
    *cosine = rs_double_(c_bits ^ either ^ ((count + 1) & 2) << 62);
}

#endif
