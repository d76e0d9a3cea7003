/* From own sounds to the PCM of every pod. Part of resonance.h. */
#ifndef DREAMPODS_RESONANCE_SOUND_H
#define DREAMPODS_RESONANCE_SOUND_H

#include <stddef.h>
#include <stdint.h>

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
