/* The phase that only the future could tell, as well as the past can tell it. Part of resonance.h. */
#ifndef DREAMPODS_RESONANCE_WIENER_H
#define DREAMPODS_RESONANCE_WIENER_H

#include <stddef.h>
#include <stdint.h>

/* ---- wiener: the best causal estimate of a band's phasor ---------------------------------------
 *
 * Afterwards, a band's phasor z(t) is what a zero-phase band-pass (Butterworth of order 2, forwards and backwards)
 * and the Hilbert transform show. While it happens half of what they need is still to come. Among all weighted sums
 * of the past, Wiener's (1949) has the least mean square error:
 *
 *     z(t + lead) ~ sum over k of h[k] x(t - k),    R h = c
 *
 * with R the autocovariance of x, and c[k] the covariance of z(t + lead) with x(t - k). Both follow from the spectrum
 * of x and the band alone. The spectrum is learned from the signal itself: a memory of windowed periodograms, which
 * begins with the 1 / (f^2 + corner^2) of any EEG. So the estimate knows how regular this sleeper's waves are, and
 * how they usually go on.
 *
 * The error is known too, as a root mean square, and the confidence, 0..1: the share of the band's variance that the
 * estimate is expected to explain. What missing samples take from it is in both.
 *
 * Samples are averaged to steps, some 12 in the shortest period of the band; there is one estimate per step.
 */
typedef struct rs_wiener rs_wiener;

/* low_hz above 0, high_hz 1.2 to 20 times as high and at most rate_hz / 10; lead_s from 0, at most 1 / high_hz;
 * memory_s, a time constant, at least 4 / low_hz and 12 / (high_hz - low_hz); largest: beyond it, on either side, a
 * sample is an artefact, and counts as missing. */
rs_wiener *rs_wiener_new(size_t channels, double rate_hz, double low_hz, double high_hz, double lead_s,
                         double memory_s, double largest);
void rs_wiener_free(rs_wiener *wiener);

/* Samples per step. */
size_t rs_wiener_hop(const rs_wiener *wiener);

/* x [frames, channels]; valid [frames, channels] is 0 where a sample is missing (x is not read there), NULL if none
 * is. phasors, complex [frames / hop + 1, channels], and as large confidence and error get one row for each step
 * that these samples completed, as of `lead` after its last sample. Returns how many. The error is infinite until
 * the first periodogram, after the least memory_s there may be. */
size_t rs_wiener_process(rs_wiener *wiener, size_t frames, const double *x, const uint8_t *valid, double *phasors,
                         double *confidence, double *error);

/* ---- slow waves: when will the next up-state be? -----------------------------------------------
 *
 * A cue is given for the moment when the phasor of 0.5 to 2 Hz is expected to pass the target phase (0 is the crest
 * of the surface-positive half-wave), if it is as large as asked for and its phase known to 30 degrees: the error of
 * a phasor of amplitude A turns it by error / (A sqrt 2), as a standard deviation. The estimates are for `lead`
 * ahead, and what remains to the target is counted with their own frequency: so a cue is known at least `lead`
 * before its time.
 */
typedef struct {
    double at;                      /* in samples since the beginning */
    double amplitude, sigma_rad;
    size_t channel;
} rs_cue;

typedef struct rs_slow_waves rs_slow_waves;

/* rate_hz at least 20; lead_s from 0 to 0.5; least and largest in the unit of x: amplitude of a wave (half of peak
 * to peak), and of an artefact. */
rs_slow_waves *rs_slow_waves_new(size_t channels, double rate_hz, double target_rad, double lead_s, double least,
                                 double largest);
void rs_slow_waves_free(rs_slow_waves *waves);

/* x and valid as above. cues has room for channels * (frames / hop + 1); returns how many there are, in the order
 * in which they became known. */
size_t rs_slow_waves_process(rs_slow_waves *waves, size_t frames, const double *x, const uint8_t *valid,
                             rs_cue *cues);
size_t rs_slow_waves_hop(const rs_slow_waves *waves);

#endif
