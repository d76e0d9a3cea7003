/*
 * libresonance: how sleepers resonate, and how their sounds meet.
 *
 *     sensor samples -> rs_resonators -> phase, amplitude, confidence of every rhythm
 *     phases         -> rs_order, rs_pairwise -> who moves with whom
 *     phases         -> rs_kuramoto -> oscillators that a sound can follow
 *     own sounds     -> rs_mixer -> one limited mix per pod
 *     one mix        -> rs_resampler -> PCM at the rate of that pod's own crystal
 *     PCM            -> rs_ima -> a quarter of the bytes, for a pod on a thin link
 *
 * Rules that hold for every function here
 *
 *   Memory    Only the _new functions allocate, only the _free functions release. Everything
 *             between is free of allocation, locks and system calls, and may run in an audio
 *             callback.
 *   Threads   No global state. An object belongs to one thread at a time; different objects run
 *             in parallel. An rs_sinc is never written after it is made, so many may share it.
 *   Arrays    Row-major and tightly packed, dimensions in the order that the comment names. A
 *             complex number is two doubles, real part first. Input and output never overlap.
 *   Numbers   Sensor values and phases are double, sound is float with full scale at 1.0.
 *             Phases are radians, 0 at the crest of a cosine.
 *   Mistakes  A _new function returns NULL if an argument is out of its stated range or memory
 *             is short. The others trust their arguments except where they say what they return.
 *             NULL is allowed where a comment says so, and for every _free.
 *
 * Callers in Python find the same things, validated, in dreampods.resonance.
 */
#ifndef DREAMPODS_RESONANCE_H
#define DREAMPODS_RESONANCE_H

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
 * there), NULL if none is. Over a gap the mean stays and z rotates on and decays.
 * phasors: complex [frames, channels, bands]. */
void rs_resonators_process(rs_resonators *bank, size_t frames, const double *x,
                           const uint8_t *valid, double *phasors);

/* The present state. phasor: complex [channels, bands]; confidence [channels, bands]. */
void rs_resonators_state(const rs_resonators *bank, double *phasor, double *confidence);

/* ---- order: how much a group moves as one ------------------------------------------------------
 *
 * Kuramoto's order parameter is |sum w e^{ip}| / sum w. It is kept as sums, because what one host
 * adds for its sleepers can be added to what another host adds for its own.
 */
typedef struct {
    double re, im;          /* sum of w e^{ip} */
    double weight, square;  /* sums of w and of w squared */
} rs_order_sums;

/* Adds n phases to the sums; weight [n], not negative, or NULL for 1 each. */
void rs_order_add(rs_order_sums *sums, size_t n, const double *phase, const double *weight);

/* ---- pairwise: phase locking value of all pairs over a sliding window --------------------------
 *
 * PLV of pods a and b = |sum w e^{i(pa - pb)}| / sum w over the window, w = wa wb
 * (Lachaux et al. 1999, doi 10.1002/(SICI)1097-0193(1999)8:4<194::AID-HBM4>3.0.CO;2-C).
 * Each frame costs one pass over the pairs whatever the window's length: the entering frame is
 * added and the leaving one taken away. Rounding cannot pile up, because a second set of sums is
 * started at every turn of the window and takes over one turn later.
 */
typedef struct rs_pairwise rs_pairwise;

/* window: frames, at least 1. */
rs_pairwise *rs_pairwise_new(size_t pods, size_t bands, size_t window);
void rs_pairwise_free(rs_pairwise *pairs);

/* u: complex [frames, pods, bands], only its angle counts, and 0 has none (weight 0);
 * weight [frames, pods, bands], not negative, or NULL for 1 each. */
void rs_pairwise_push(rs_pairwise *pairs, size_t frames, const double *u, const double *weight);

/* plv, n_eff [bands, pods, pods]: locking value (NaN where a pair shares no evidence) and
 * (sum w)^2 / sum w^2, the number of equal frames that weigh as much. */
void rs_pairwise_values(const rs_pairwise *pairs, double *plv, double *n_eff);

/* ---- kuramoto: oscillators that feel the group and their own body ------------------------------
 *
 *     dp_i/dt = w_i + K R sin(q - p_i - lag) + D_i sin(d_i - p_i) + noise
 *
 * with R e^{iq} the mean field of all (Kuramoto 1975; Sakaguchi & Kuramoto 1986), so that a step
 * costs O(n), and D_i the pull towards a body rhythm of phase d_i. Heun's method, of second order,
 * and right for additive noise.
 */
typedef struct rs_kuramoto rs_kuramoto;

/* phase [n]: where the oscillators start. */
rs_kuramoto *rs_kuramoto_new(size_t n, const double *phase);
void rs_kuramoto_free(rs_kuramoto *group);

/* One step of dt_s. natural_hz [n]; coupling_hz = K / 2 pi; drive_phase [n] and
 * drive_hz = D / 2 pi [n], both NULL for no drive, held constant during the step; kick [n], random
 * displacement of this step in radians, or NULL. phase [n] out, in [-pi, pi). */
void rs_kuramoto_step(rs_kuramoto *group, double dt_s, const double *natural_hz,
                      double coupling_hz, double lag_rad, const double *drive_phase,
                      const double *drive_hz, const double *kick, double *phase);

/* ---- mixer: everybody hears all others through the collective, and themselves beside it --------
 *
 *     bus   = collective + sum of send_j own_j
 *     pod i = own_gain_i own_i + collective_gain_i (bus - send_i own_i)
 *
 * A pod's own sound is taken out of the bus again (mix-minus), so that its level is own_gain
 * alone. One bus for all makes the cost linear in pods. Every mix passes a look-ahead limiter that
 * glides down before a peak arrives; the bus passes one with ceiling 1.0. Everything leaves
 * rs_mixer_latency frames late.
 *
 * No output sample is ever above its ceiling: not by rounding, not if the ceiling has just
 * fallen (what is already inside the look-ahead is clipped), not if NaN or infinity comes in
 * (they leave as silence or at the ceiling).
 */
typedef struct rs_mixer rs_mixer;

/* frames per block, at least 1; lookahead_s from 0; release_s, a time constant, from 0. */
rs_mixer *rs_mixer_new(size_t pods, size_t frames, double rate_hz, double lookahead_s,
                       double release_s);
void rs_mixer_free(rs_mixer *mixer);
size_t rs_mixer_latency(const rs_mixer *mixer);

/* One block. own [pods, frames, 2], collective [frames, 2]; the gains [pods] are reached on a
 * straight line from those of the block before (from 0 in the first); ceiling [pods] is a peak
 * and holds for the whole block.
 * mixes [pods, frames, 2]; bus [frames, 2]; peak and mean_square [pods] of what leaves. */
void rs_mixer_process(rs_mixer *mixer, const float *own, const float *collective,
                      const float *own_gain, const float *collective_gain, const float *send,
                      const float *ceiling, float *mixes, float *bus, float *peak,
                      float *mean_square);

/* ---- resampler: one engine clock, many crystals ------------------------------------------------
 *
 * Sound is written at the engine's rate and read at any position between its frames, through a
 * windowed sinc (Kaiser, 80 dB) whose coefficients are interpolated between 256 tabulated
 * positions. A pod that runs 30 ppm fast reads with a step 30 ppm smaller, and nothing else
 * changes. Where the pod's rate is lower than the engine's, the sinc is as much wider and removes
 * what would alias. Relative to the lower of both Nyquist frequencies it is flat up to 0.85, 3 dB
 * down at 0.95, and more than 60 dB down beyond 1.2.
 */
typedef struct rs_sinc rs_sinc;

/* A filter for two nominal rates; make one and share it among all pods of that rate.
 * out_rate_hz at least a sixteenth of in_rate_hz. */
rs_sinc *rs_sinc_new(double in_rate_hz, double out_rate_hz);
void rs_sinc_free(rs_sinc *sinc);

typedef struct rs_resampler rs_resampler;

/* channels 1 (the mean of both) or 2. At least history frames stay readable behind the last one
 * written; history at least 1. The filter must outlive the resampler. */
rs_resampler *rs_resampler_new(const rs_sinc *sinc, size_t channels, size_t history);
void rs_resampler_free(rs_resampler *resampler);

/* Frames that a read needs on either side of its position. */
size_t rs_sinc_reach(const rs_sinc *sinc);

/* Appends x [frames, 2]. Frames count from 0 for all its life; silence lies before. */
void rs_resampler_write(rs_resampler *resampler, size_t frames, const float *x);
int64_t rs_resampler_written(const rs_resampler *resampler);

/* Every position from the first to the last may be read; last < first until enough is written. */
int64_t rs_resampler_first(const rs_resampler *resampler);
int64_t rs_resampler_last(const rs_resampler *resampler);

/* pcm [frames, channels]: frame k is the sound at position start + k step, rounded and
 * saturated. Returns 0; or -1, touching nothing, if a position lies outside first..last. */
int rs_resampler_read(const rs_resampler *resampler, double start, double step, size_t frames,
                      int16_t *pcm);

/* ---- IMA ADPCM: 16-bit sound in 4 bits a sample ------------------------------------------------
 *
 * One chunk of sound, which decodes by itself: a chunk that is lost harms no other. For each
 * channel a head of 4 bytes (first sample i16 little-endian, step index, and in the first head 1
 * if the last nibble is none), then a nibble for each further sample, interleaved, low nibble
 * first. The step index in the head is the best of all 89 for the first 32 frames.
 */

/* Bytes of a chunk; frames at least 1, channels 1 or 2. */
size_t rs_ima_bytes(size_t frames, size_t channels);

/* pcm [frames, channels]; out [rs_ima_bytes]. */
void rs_ima_encode(size_t frames, size_t channels, const int16_t *pcm, uint8_t *out);

#endif
