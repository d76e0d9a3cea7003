/*
 * How high a sound rises between its samples. Not of the ABI.
 *
 * Why this is an upper bound. A sound is read at 8 positions a frame by a windowed sinc of 16 taps (ITU-R BS.1770-4,
 * Annex 2, asks for at least 4 positions of 12). What is band-limited and stays below P at `rho` positions a frame
 * stays below P / cos(pi / (2 rho)) everywhere (Ehlich and Zeller's bound for entire functions): 0.17 dB more at 8,
 * and that is added. Left over is the error of a sinc with 16 taps: it is flat to 0.8 of the Nyquist frequency, and
 * above 0.85 lets images through, which makes steady tones look higher than they are, by up to 3 dB. Only what jumps
 * (clicks, white noise at the full band) can rise above the bound, and in filters that pass the last tenth of the band.
 *
 * Taps that lie opposite each other about the middle of a gap are used as their sum and difference. Position p and
 * its mirror image 1 - p then are even + odd and even - odd, and the larger of both magnitudes is |even| + |odd|:
 * half the multiplications, and no comparison.
 */
#ifndef DREAMPODS_TRUE_PEAK_H
#define DREAMPODS_TRUE_PEAK_H

#include <stddef.h>

#define RS_PEAK_REACH 8     /* taps on either side of a gap */
#define RS_PEAK_PAIRS 4     /* positions 1/8 .. 4/8 of a gap; the others are their mirror images */

typedef struct {
    float even[RS_PEAK_PAIRS][RS_PEAK_REACH], odd[RS_PEAK_PAIRS][RS_PEAK_REACH];
    float rise;             /* what the theorem adds: 1 / cos(pi / 16) */
    float bound;            /* no true peak is higher than the highest sample times this */
} rs_true_peak;

void rs_true_peak_init(rs_true_peak *filter);

/* The largest magnitude of sounds left and right from frame k to frame k + 1, for each of `frames` frames, a multiple
 * of RS_LANES. RS_PEAK_REACH - 1 frames before the first and RS_PEAK_REACH after the last are read as well.
 * NaN where there is NaN or infinity near. */
void rs_true_peak_run(const rs_true_peak *filter, size_t frames, const float *left, const float *right, float *top);

#endif
