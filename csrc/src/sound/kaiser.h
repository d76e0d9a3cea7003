/* The windowed sinc behind the resampler and the true-peak filter. Not of the ABI. */
#ifndef DREAMPODS_KAISER_H
#define DREAMPODS_KAISER_H

#define RS_PI 3.14159265358979323846

/* sinc(cutoff frames) within a Kaiser window of the given reach on either side; 0 outside. cutoff in units of the
 * Nyquist frequency. */
double rs_windowed_sinc(double frames, double cutoff, double reach, double beta);

#endif
