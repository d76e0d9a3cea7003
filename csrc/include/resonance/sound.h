/* From own sounds to the PCM of every pod. Part of resonance.h. */
#ifndef DREAMPODS_RESONANCE_SOUND_H
#define DREAMPODS_RESONANCE_SOUND_H

#include <stddef.h>
#include <stdint.h>

/* ---- places: a first-order ambisonic field in which each pod hears the others around it ----------
 *
 * Four channels in ACN order (W, Y, Z, X) with SN3D norm, as in AmbiX. A sound at an azimuth (radians, to the left of
 * the front) and an elevation adds itself times 1, sin(az) cos(el), sin(el), cos(az) cos(el). A listener hears the
 * field by two cardioids back to back along the axis of their ears: left and right together are the W channel, so
 * that nobody is fainter for lying behind; a sound in front comes from both sides at 1 / sqrt(2), one beside the left
 * ear from the left alone at sqrt(2).
 */
enum { RS_AMBISONIC_CHANNELS = 4 };

/* encode [4, 2]: a pod's sides as sounds 10 degrees to the left and right of its place, half each. */
void rs_ambisonic_encode(double azimuth, double elevation, float *encode);

/* decode [2, 4]: the ears of somebody who faces that azimuth. */
void rs_ambisonic_decode(double facing, float *decode);

/* ---- mixer: everybody hears all others through the collective, and themselves beside it --------
 *
 *     bus   = sum of send_j encode_j own_j
 *     pod i = own_gain_i own_i
 *             + room_i collective_gain_i (collective + decode_i (bus - send_i encode_i own_i))
 *
 * A pod's own sound is taken out of the bus again (mix-minus), so that its level is own_gain alone. One bus for all
 * makes the cost linear in pods. A bus of two channels is plain stereo, with encode and decode the identity until
 * rs_mixer_place says otherwise. One of four is ambisonic; nobody is in it before they are placed.
 *
 * The own share. room_i is 1, unless the rest would be too loud beside the own sound. Levels are mean squares over
 * both sides, after the gains and before room:
 *     own    the larger of this block's and of the last 0.4 s'; what it was falls no faster than exp(-t / 3 s), so that
 *            a pause between words does not count
 *     rest   the larger of this block's and of the last 0.4 s'
 * (0.4 s is the window of momentary loudness; whole blocks, rounded up.) If the own sound of the last 0.4 s is above
 * 1e-6, -57 dB of a full-scale sine, and not silent, room_i is at most sqrt(0.875 own / rest) / floor at the end of the
 * block; 0.875 is by how much own may fall in 0.4 s. It comes back to 1 with a time constant of 1 s. So the rest's
 * mean over any 0.4 s stays below own / floor^2, but for what the first block of a jump brings before the gain is
 * down. The limiter turns both down alike.
 *
 * Every mix passes a look-ahead limiter that glides down before a peak arrives, counting what rises between samples
 * (ITU-R BS.1770-4, Annex 2, at 8 positions a frame); the bus passes one with ceiling 1.0. Everything leaves
 * rs_mixer_latency frames late. No output sample is ever above its ceiling: not by rounding, not if the ceiling has
 * just fallen (what is already inside the look-ahead is clipped), not if NaN or infinity comes in: they leave as
 * silence or at the ceiling, in every mix that they are part of, which then comes back with the release time. Squares
 * of what is before the limiter are NaN in that block. Who cannot trust the sounds asks rs_numbers_within first.
 */
enum { RS_MIXER_STEP = 16, RS_METER_LEAST_HZ = 8000, RS_METER_MOST_HZ = 1000000 };

typedef struct {
    float peak, mean_square;            /* of what leaves; mean squares over both sides */
    float weighted_square;              /* of the same, A-weighted */
    float own_square, rest_square;      /* of the own sound and of the rest before the limiter, the rule applied */
} rs_level;

typedef struct rs_mixer rs_mixer;
typedef struct rs_resampler rs_resampler;

/* frames per block, a multiple of RS_MIXER_STEP; channels of the bus 1 to 16; rate_hz from RS_METER_LEAST_HZ
 * to RS_METER_MOST_HZ; lookahead_s from 0 to below 1e6 frames; release_s, a time constant, from 0. */
rs_mixer *rs_mixer_new(size_t pods, size_t frames, size_t channels, double rate_hz, double lookahead_s,
                       double release_s);
void rs_mixer_free(rs_mixer *mixer);
size_t rs_mixer_latency(const rs_mixer *mixer);

/* encode [channels, 2], decode [2, channels]; reached on a straight line through the next block. */
void rs_mixer_place(rs_mixer *mixer, size_t pod, const float *encode, const float *decode);

/* One block. own [pods, frames, 2], collective [frames, 2]; the gains [pods] are reached on a
 * straight line from those of the block before (from 0 in the first); own_floor [pods], linear, 0 for none, or NULL;
 * ceiling [pods] is a peak and holds for the whole block.
 * feeds [pods]: where each pod's mix is written, each may be NULL, or NULL for none; they belong to this thread until
 * the call is done. mixes [pods, frames, 2] or NULL. bus [frames, 2]: the collective with all pods, as heard in the
 * middle facing 0. levels [pods]. */
void rs_mixer_process(rs_mixer *mixer, const float *own, const float *collective,
                      const float *own_gain, const float *collective_gain, const float *send,
                      const float *own_floor, const float *ceiling, rs_resampler *const *feeds, float *mixes,
                      float *bus, rs_level *levels);

/* ---- meter: how loud a sound is to an ear ------------------------------------------------------
 *
 * Sums of squares of the weighted sound over both sides. Energies add: over blocks, over hosts, over days.
 *     A   IEC 61672-1; at 32 kHz within 0.4 dB of its table from 20 Hz to 10 kHz and 0.7 dB at 12.5 kHz, where
 *         class 1 allows +2 and -5
 *     K   ITU-R BS.1770-4
 */
typedef struct rs_meter rs_meter;

/* weighting 'A' or 'K'; rate_hz from RS_METER_LEAST_HZ to RS_METER_MOST_HZ. */
rs_meter *rs_meter_new(size_t sounds, double rate_hz, char weighting);
void rs_meter_free(rs_meter *meter);

/* The next frames of all sounds, x [sounds, frames, 2], to energy [sounds]. What is no number counts as 0. */
void rs_meter_process(rs_meter *meter, size_t frames, const float *x, double *energy);

/* ---- resampler: one engine clock, many crystals ------------------------------------------------
 *
 * Sound is written at the engine's rate and read at any position between its frames, through a
 * windowed sinc (Kaiser, 80 dB) whose coefficients are interpolated between 256 tabulated
 * positions. A pod that runs 30 ppm fast reads with a step 30 ppm smaller, and nothing else
 * changes. Where the pod's rate is lower than the engine's, the sinc is as much wider and removes
 * what would alias. Relative to the lower of both Nyquist frequencies it is flat up to 0.85, 3 dB
 * down at 0.95, and more than 60 dB down beyond 1.2.
 *
 * PCM is rounded with TPDF dither, which makes the error a steady hiss 96 dB below full scale, whatever the sound.
 * It follows from the seed and from the place in the stream, so that every run is the same. Silence stays 0.
 */
typedef struct rs_sinc rs_sinc;

/* A filter for two nominal rates; make one and share it among all pods of that rate.
 * out_rate_hz at least a sixteenth of in_rate_hz. */
rs_sinc *rs_sinc_new(double in_rate_hz, double out_rate_hz);
void rs_sinc_free(rs_sinc *sinc);

/* channels 1 (the mean of both) or 2. At least history frames stay readable behind the last one
 * written; history at least 1. seed of the dither. The filter must outlive the resampler. */
rs_resampler *rs_resampler_new(const rs_sinc *sinc, size_t channels, size_t history, uint32_t seed);
void rs_resampler_free(rs_resampler *resampler);

/* Frames that a read needs on either side of its position. */
size_t rs_sinc_reach(const rs_sinc *sinc);

/* Appends x [frames, 2]. Frames count from 0 for all its life; silence lies before. */
void rs_resampler_write(rs_resampler *resampler, size_t frames, const float *x);
int64_t rs_resampler_written(const rs_resampler *resampler);

/* Every position from the first to the last may be read; last < first until enough is written. */
int64_t rs_resampler_first(const rs_resampler *resampler);
int64_t rs_resampler_last(const rs_resampler *resampler);

/* pcm [frames, channels]: frame k is the sound at position start + k step, dithered, rounded and
 * saturated. Returns 0; or -1, touching nothing, if a position lies outside first..last. */
int rs_resampler_read(const rs_resampler *resampler, double start, double step, size_t frames,
                      int16_t *pcm);

/* A chunk for each of n pods, one behind the other in pcm; start [n], step [n]. Returns n; or the first that cannot
 * be read, with all before it done. */
size_t rs_resamplers_read(size_t n, const rs_resampler *const *resamplers, const double *start, const double *step,
                          size_t frames, int16_t *pcm);

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

/* Frames in a chunk, whatever bytes it is made of; 0 if it cannot be one: channels not 1 or 2, too short, an index
 * above 88, a flag above 1, nibbles left over. */
size_t rs_ima_frames(size_t bytes, size_t channels, const uint8_t *in);

/* in [bytes] to pcm [rs_ima_frames, channels]. Returns the frames; or 0, touching nothing, if there are none. */
size_t rs_ima_decode(size_t bytes, size_t channels, const uint8_t *in, int16_t *pcm);

#endif
