/* Layers of sound: things that ring, tones, noise, grains, and the room around them. Part of resonance.h. */
#ifndef DREAMPODS_RESONANCE_SYNTHESIS_H
#define DREAMPODS_RESONANCE_SYNTHESIS_H

#include <stddef.h>
#include <stdint.h>

/* A bank has voices, for example one per sleeper, that share nothing but what _new is told. Sound comes out as
 * out [voices, frames, 2]. Blocks may be of any length, and cutting the time otherwise changes nothing but rounding. */

/* ---- modes: things that ring when they are struck, or while they are driven ---------------------
 *
 * Each voice has the same `modes`, decaying sines. A strike of amplitude a adds a e^{-t/tau} sin(2 pi f t) from its
 * very frame on. A driving signal is many small strikes, one in each frame.
 */
typedef struct rs_modes rs_modes;

/* freq_hz [modes], from 0 to below half of rate_hz; decay_s [modes], time to fall by 60 dB; drive_gain [modes, 2], amplitude
 * in each ear of a strike by a driving signal of 1, or NULL. */
rs_modes *rs_modes_new(size_t voices, size_t modes, double rate_hz, const double *freq_hz, const double *decay_s,
                       const float *drive_gain);
void rs_modes_free(rs_modes *bank);

/* strikes: voice, frame and amplitude [strikes, modes, 2 ears], in the order of frames, each within this block. drive
 * [voices, frames] or NULL. What has fallen below 1e-8 is silent from then on, and costs nothing. */
void rs_modes_process(rs_modes *bank, size_t frames, size_t strikes, const size_t *voice, const size_t *frame,
                      const float *amplitude, const float *drive, float *out);

/* ---- tones: beds of sines ----------------------------------------------------------------------
 *
 * Phases are counted in turns in double, and become 32-bit fractions of a turn for each stretch of 64 frames: after a
 * night of sound they are as exact as after a second.
 */
typedef struct rs_tones rs_tones;

/* turns [voices, sines]: where each starts. */
rs_tones *rs_tones_new(size_t voices, size_t sines, double rate_hz, const double *turns);
void rs_tones_free(rs_tones *bank);

/* freq_hz [voices, sines] and gain [voices, sines, 2 ears] are reached at the block's end on a straight line, and are
 * there from the beginning in the first block. pulse_hz [voices] or NULL: the voice comes in pulses of the shape
 * sin^2, so often a second, from silence; 0 for none. */
void rs_tones_process(rs_tones *bank, size_t frames, const double *freq_hz, const float *gain, const double *pulse_hz,
                      float *out);

/* ---- noise: pink or brown, within edges, under a low-pass that moves ---------------------------
 *
 * Pink is 3 dB an octave down to within 0.25 dB, 20 Hz to 12 kHz or 0.75 of the way to half the rate. RMS 1 in each ear
 * while the low-pass is open. Ears and voices are independent.
 */
typedef struct rs_noise rs_noise;

/* rate_hz from 1000; edges below half of it (from 0.45 of it on the level is not held), the high one above the low one;
 * ripple_db up to 12. brown: 0 for pink, 1 for 6 dB an octave, which needs a low edge. low_hz, high_hz: edges of 24 dB
 * an octave, down 6 dB at that frequency; 0 for none. ripple_db: how much, standard deviation, each octave swells by
 * itself, slower than 1 Hz. */
rs_noise *rs_noise_new(size_t voices, double rate_hz, int brown, double low_hz, double high_hz, double ripple_db,
                       uint64_t seed);
void rs_noise_free(rs_noise *bank);

/* brightness_hz [voices]: corner of 12 dB an octave (Butterworth), reached at the block's end. */
void rs_noise_process(rs_noise *bank, size_t frames, const double *brightness_hz, float *out);

/* ---- grains: a recorded voice, scattered -------------------------------------------------------
 *
 * Short stretches of a recording, each under a window of sin^2, read at a pitch, from about a place. Nothing of a
 * recording stays after rs_grains_forget, and nothing of it is heard any more.
 */
typedef struct rs_grains rs_grains;

typedef struct {
    double place;           /* in the recording, 0 its beginning, 1 its end */
    double jitter;          /* grains begin so far from there at most, as a part of the recording */
    double seconds;         /* length of a grain */
    double per_s;           /* grains a second; per_s * seconds at most 16 */
    double pitch;           /* 1 as recorded, 2 an octave up; 0.25 to 4 */
    double spread;          /* grains lie so far from the middle at most, 0..1 */
    double gain;            /* of a grain at its middle; of many that overlap, in RMS in an ear, from the middle */
} rs_grain;

/* most_frames: the longest recording. rate_hz from 1000. */
rs_grains *rs_grains_new(size_t voices, size_t most_frames, double rate_hz, uint64_t seed);
void rs_grains_free(rs_grains *cloud);

/* Copies a recording, x [frames] at the bank's rate; what was there is forgotten. -1 if it is too long. */
int rs_grains_load(rs_grains *cloud, size_t voice, size_t frames, const float *x);

/* Wipes the recording of a voice, and ends its grains at once. */
void rs_grains_forget(rs_grains *cloud, size_t voice);

/* how [voices]: for grains that begin in this block. */
void rs_grains_process(rs_grains *cloud, size_t frames, const rs_grain *how, float *out);

/* ---- room: a soft space around dry sounds ------------------------------------------------------
 *
 * Eight delay lines that feed one another (Jot & Chaigne 1991). A voice without sound costs nothing once its echoes
 * have fallen below 1e-9.
 */
typedef struct rs_room rs_room;

/* rate_hz from 4000 to 1e6; decay_s above 0: until an echo of low frequency has fallen by 60 dB (of 2 to 6 kHz in two
 * thirds of that, above in less); level from 0: of the echoes, linear. */
rs_room *rs_room_new(size_t voices, double rate_hz, double decay_s, double level);
void rs_room_free(rs_room *room);

/* wet = what the room answers to dry, both [voices, frames, 2], without dry. */
void rs_room_process(rs_room *room, size_t frames, const float *dry, float *wet);

/* ---- layers on a bus ---------------------------------------------------------------------------
 *
 * dry [voices, frames, 2] += y and to_room += send y, which may be NULL, for y = (straight x + across x') g: x sound
 * [voices, frames, 2], x' the same with its ears exchanged, g from `from` to `to` [voices, 2], reached at the end.
 */
void rs_layer_add(size_t voices, size_t frames, const float *sound, float straight, float across, const float *from,
                  const float *to, float send, float *dry, float *to_room);

#endif
