/* What a body does: the rhythms in sensor samples, with phase, amplitude and confidence. Part of resonance.h. */
#ifndef DREAMPODS_RESONANCE_ANALYSIS_H
#define DREAMPODS_RESONANCE_ANALYSIS_H

#include <stddef.h>
#include <stdint.h>

/* ---- resonators: the phase of a rhythm, sample by sample ---------------------------------------
 *
 * A complex one-pole resonator per channel and band, fed with what differs from the recent mean m:
 *
 *     d    = x[n] - m[n-1]
 *     m[n] = m[n-1] + (1 - r) d
 *     z[n] = r e^{iw} z[n-1] + g d
 *
 * It projects the recent input on a rotating phasor, forgetting with r^k, in about
 * 1 / (pi bandwidth) seconds. The phasor given out belongs to the sinusoid at the band's centre
 * that, together with a constant, fits this recent input best in the sense of least squares. So a
 * cosine c + A cos(p) at the centre gives exactly A e^{ip} once the memory is full: no lag, no
 * ripple, whatever the offset c.
 *
 * The confidence, 0..1, is the share of the recent variance, in the same memory, that this
 * sinusoid explains, where missing samples count as unexplained: 1 for a clean sine at the centre,
 * near 0 for noise, half if half of the samples were missing.
 */
typedef struct rs_resonators rs_resonators;

/* freq_hz [bands], in (0, rate/2); bandwidth_hz [bands], -3 dB full width, in (0, rate/2);
 * the width is exact for bands that are narrow against their centre. */
rs_resonators *rs_resonators_new(size_t channels, size_t bands, double rate_hz,
                                 const double *freq_hz, const double *bandwidth_hz);
void rs_resonators_free(rs_resonators *bank);

/* New centres, freq_hz [channels, bands] in (0, rate/2). The state stays: the phase goes on. */
void rs_resonators_retune(rs_resonators *bank, const double *freq_hz);

/* x [frames, channels]; valid [frames, channels] is 0 where a sample is missing (x is not read
 * there), NULL if none is. Over a gap the mean stays and z rotates on and decays; where samples are
 * missing here and there, the amplitude is about their share smaller. A NaN that is not marked as
 * missing stays in the state: rs_numbers_within tells beforehand.
 * phasors: complex [frames, channels, bands]; confidence [frames, channels, bands], or NULL. */
void rs_resonators_process(rs_resonators *bank, size_t frames, const double *x,
                           const uint8_t *valid, double *phasors, double *confidence);

/* The present state. phasor: complex [channels, bands]; confidence [channels, bands]. */
void rs_resonators_state(const rs_resonators *bank, double *phasor, double *confidence);

/* ---- hilbert: the phase at the newest sample of a window ---------------------------------------
 *
 * The endpoint-corrected Hilbert transform (Schreglmann et al. 2021, doi 10.1038/s41467-020-20581-7):
 * a window's analytic signal, of which a causal band-pass (Butterworth, order 2) has taken the
 * break between its ends; of that, the last sample. It is calibrated (after arXiv 2601.13962), here
 * with the mirror image too: a cosine c + A cos(p) at the centre, the geometric mean of both edges
 * as the bilinear transform bends them, gives exactly A e^{ip} in any full window. Away from the
 * centre the phase leads or lags, and ripples with the leakage of the mirror image.
 *
 * Missing samples are left out, and what is there is calibrated anew. If less than a quarter of the
 * window's weight is there, the phasor is 0. The start is a window of which nothing is there.
 *
 * The confidence, 0..1, is the share of the window's variance, weighted as the transform weighs it,
 * that the tone explains, times the share of that weight that is there.
 */
typedef struct rs_hilbert rs_hilbert;

enum { RS_HILBERT_MOST = 16384 };

/* window: frames, 8 to RS_HILBERT_MOST, and at least one cycle of the band's middle; the time to make it grows with
 * the window's square, 5 s for the longest and each band. low_hz, high_hz [bands],
 * 0 < low < high < rate / 2. */
rs_hilbert *rs_hilbert_new(size_t channels, size_t bands, size_t window, double rate_hz,
                           const double *low_hz, const double *high_hz);
void rs_hilbert_free(rs_hilbert *hilbert);

/* As for the resonators: x, valid [frames, channels]; phasors complex, confidence or NULL, [frames, channels,
 * bands]. Where nothing is missing, a confidence costs some three times as much as a phasor. */
void rs_hilbert_process(rs_hilbert *hilbert, size_t frames, const double *x, const uint8_t *valid,
                        double *phasors, double *confidence);

/* Of the newest window. phasor: complex [channels, bands]; confidence [channels, bands]. */
void rs_hilbert_state(const rs_hilbert *hilbert, double *phasor, double *confidence);

/* ---- power: how strong rhythms have been --------------------------------------------------------
 *
 * The mean of |phasor|^2 / 2 with a memory that fades as e^{-t / memory}: the mean square of the
 * rhythm, in the signal's unit squared. A sine of amplitude A at a band's centre has A^2 / 2; noise of
 * density S per Hz has S times the noise bandwidth, which is pi / 2 of a resonator's bandwidth.
 */
typedef struct rs_power rs_power;

rs_power *rs_power_new(size_t lanes, double rate_hz, double memory_s);
void rs_power_free(rs_power *power);

/* phasors: complex [frames, lanes]; weight [frames, lanes], from 0, or NULL for 1 each. */
void rs_power_push(rs_power *power, size_t frames, const double *phasors, const double *weight);

/* values [lanes], NaN where nothing has weight; evidence [lanes]: the fading mean of the weights,
 * which rises from 0 towards 1 for weights of 1. */
void rs_power_values(const rs_power *power, double *values, double *evidence);

/* ---- slow waves: a cue at the phase of deep sleep's waves, foretold ----------------------------
 *
 * The wave is what an analysis would find afterwards: the signal in a band (Butterworth, order 2,
 * run forwards and backwards) and its Hilbert transform. It is foretold from the last 5 s by the
 * weights that come nearest to it in the mean square (Wiener's filter), given the autocovariance of
 * the signal in the last minutes (a memory of 100 s). So no spectrum of sleep is assumed, and each
 * sleeper, electrode and amplifier gets its own weights, renewed every 4 s.
 *
 * A cue is given once a wave, when the foretold phase passes the target, if the wave is large from
 * trough to crest, of which either half has a quarter, and confidence is not small. Its moment, a fraction of a frame, is known no later
 * than lead_s before it comes, and mostly up to a fiftieth of a second earlier.
 *
 * The signal is in microvolts, with the positive half-wave of a surface electrode as the up-state.
 * What lies beyond 500 uV of its own level counts as missing, and so does 1 s after it. Where values
 * are missing (more than half of the samples of a fiftieth of a second), what the sleeper's own
 * spectrum foretells takes their place, and confidence falls with its share in the reading.
 */
typedef struct rs_slow_waves rs_slow_waves;

typedef struct {
    double frame;       /* where the target phase is, in frames since the first, which was 0 */
    double phase;       /* foretold there, in radians; not the target if that came too late */
    double amplitude;   /* foretold, in uV */
    double confidence;  /* a^2 / (a^2 + error^2), times the share that was not missing; 0..1 */
    size_t channel;
} rs_slow_wave_cue;

typedef struct {
    double rate_hz;                      /* of the samples, from 50 to 20000 */
    double target_rad;                   /* 0 is the crest of the up-state */
    double lead_s;                       /* 0 to 0.5 */
    double low_hz, high_hz;              /* 0.2 <= low < high <= 5 */
    double least_uv;                     /* from trough to crest, from 0 */
    double least_confidence;             /* 0 to 1 */
    double refractory_s;                 /* between cues of a channel, at least 0.1 */
} rs_slow_waves_settings;

rs_slow_waves *rs_slow_waves_new(size_t channels, const rs_slow_waves_settings *settings);
void rs_slow_waves_free(rs_slow_waves *waves);

/* x [frames, channels]; valid as for the resonators, or NULL. Writes the cues, at most
 * channels * (2 + frames / (0.1 s * rate)), and returns how many. */
size_t rs_slow_waves_process(rs_slow_waves *waves, size_t frames, const double *x,
                             const uint8_t *valid, rs_slow_wave_cue *cues);

/* What was foretold last, for lead_s after the newest whole step: phasor complex [channels], uV, and
 * its confidence [channels]. Both 0 in the first 12 s, and where nothing was heard. */
void rs_slow_waves_state(const rs_slow_waves *waves, double *phasor, double *confidence);

#endif
