/*
 * Windowed sinc at any position: see resonance.h.
 *
 * The filter is tabulated at PHASES positions between two input frames; what lies between is
 * interpolated on a straight line, whose error at the band's edge, (pi / PHASES)^2 / 8, is 94 dB
 * down and below 16 bits in the audible range of a dreamscape. Each row sums to 1, so that a
 * constant stays constant wherever it is read.
 *
 * Why it is fast. A crystal is off by parts in a million, so neighbouring output frames lie at nearly the same place
 * between input frames: for hundreds of frames both rows of the table stay the same, and only the straight line
 * between them moves on. Such a run is two filters with fixed coefficients, which vectors compute for 16 frames at
 * once, and one line. That needs a ratio of rates near a whole number (32 to 32 or 16 kHz); the sound is then split
 * into so many interleaved parts first. Any other ratio is computed frame by frame, with vectors along the taps.
 *
 * History is a plain array of twice the wanted length, per channel; when it is full its younger
 * half moves to the front. So a read always finds its frames side by side.
 */
#include "simd.h"
RS_FUSED

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kaiser.h"
#include "lanes.h"
#include "pcm.h"
#include "resampler.h"

#define PHASES 256
/* Taps come in multiples of this many; each lane sums on its own, which vectors can do. */
#define LANES 8
/* A run is computed in strides of this many frames, and may read so far behind its last one. */
#define STRIDE (2 * RS_LANES)
#define RUN 256         /* frames at most in a run */
#define LARGEST_RATIO 16
/* Room for a run's sound in interleaved parts: see run_apart. */
#define APART (LARGEST_RATIO * (RUN + STRIDE + 1 + 2 * 16))

static const double KAISER_BETA = 7.857;    /* 80 dB: 0.1102 (A - 8.7) */
static const double ZERO_CROSSINGS = 16.0;  /* of the sinc, on either side */
static const double CUTOFF = 0.98;          /* of the lower Nyquist frequency */
/* Runs shorter than this are not worth their strides. */
static const double SHORTEST_RUN = 6.0;

struct rs_sinc {
    size_t reach;       /* frames on either side, a multiple of LANES / 2 */
    float *row;         /* [PHASES + 1, 2 reach] */
};

struct rs_resampler {
    const rs_sinc *sinc;
    size_t channels, history;
    size_t room, filled;    /* of frames, per channel */
    size_t pitch;           /* floats from one channel to the next; strides may read past the room */
    int64_t written;        /* absolute index of the frame after the last in `sound` */
    uint32_t seed;
    float *sound;           /* [channels, pitch] */
};

rs_sinc *rs_sinc_new(double in_rate_hz, double out_rate_hz)
{
    if (!(in_rate_hz > 0.0) || !(out_rate_hz > 0.0) || isinf(in_rate_hz) || isinf(out_rate_hz)
        || in_rate_hz > LARGEST_RATIO * out_rate_hz)
        return NULL;
    const double widening = fmax(1.0, in_rate_hz / out_rate_hz);
    const double half_lanes = LANES / 2;
    const size_t reach = (size_t)(half_lanes * ceil(ZERO_CROSSINGS * widening / half_lanes));
    const size_t taps = 2 * reach;
    rs_sinc *sinc = malloc(sizeof *sinc);
    float *row = calloc((PHASES + 1) * taps, sizeof *row);
    double *exact = calloc(taps, sizeof *exact);
    if (sinc == NULL || row == NULL || exact == NULL) {
        free(sinc);
        free(row);
        free(exact);
        return NULL;
    }
    sinc->reach = reach;
    sinc->row = row;
    for (size_t p = 0; p <= PHASES; p++, row += taps) {
        const double between = (double)p / PHASES;
        double sum = 0.0;
        /* Tap t weighs the frame t - (reach - 1) after the one at or before the position. */
        for (size_t t = 0; t < taps; t++) {
            const double away = (double)t - (double)(reach - 1) - between;
            exact[t] = rs_windowed_sinc(away, CUTOFF / widening, (double)reach, KAISER_BETA);
            sum += exact[t];
        }
        for (size_t t = 0; t < taps; t++)
            row[t] = (float)(exact[t] / sum);
    }
    free(exact);
    return sinc;
}

void rs_sinc_free(rs_sinc *sinc)
{
    if (sinc == NULL)
        return;
    free(sinc->row);
    free(sinc);
}

size_t rs_sinc_reach(const rs_sinc *sinc)
{
    return sinc->reach;
}

rs_resampler *rs_resampler_new(const rs_sinc *sinc, size_t channels, size_t history, uint32_t seed)
{
    if ((channels != 1 && channels != 2) || history == 0 || history > SIZE_MAX / 64)
        return NULL;
    rs_resampler *resampler = malloc(sizeof *resampler);
    /* Reads at the oldest position still reach back; both ends of the filter are kept. */
    const size_t kept = history + 2 * sinc->reach;
    const size_t pitch = 2 * kept + STRIDE;
    float *sound = calloc(pitch * channels, sizeof *sound);
    if (resampler == NULL || sound == NULL) {
        free(resampler);
        free(sound);
        return NULL;
    }
    *resampler = (rs_resampler){.sinc = sinc, .channels = channels, .history = kept, .room = 2 * kept,
                                .pitch = pitch, .filled = kept, .seed = seed, .sound = sound};
    return resampler;
}

void rs_resampler_free(rs_resampler *resampler)
{
    if (resampler == NULL)
        return;
    free(resampler->sound);
    free(resampler);
}

RS_INLINE void copy(size_t frames, const float *restrict x, size_t stride, float *restrict to)
{
    for (size_t k = 0; k < frames; k++)
        to[k] = x[k * stride];
}

RS_INLINE void copy_mean(size_t frames, const float *restrict left, const float *restrict right, size_t stride,
                         float *restrict to)
{
    for (size_t k = 0; k < frames; k++)
        to[k] = 0.5f * (left[k * stride] + right[k * stride]);
}

RS_CLONES static void append(rs_resampler *resampler, size_t frames, const float *left, const float *right,
                             size_t stride)
{
    float *to = resampler->sound + resampler->filled;
    if (resampler->channels == 1) {
        copy_mean(frames, left, right, stride, to);
    } else if (stride == 1) {
        memcpy(to, left, frames * sizeof *to);
        memcpy(to + resampler->pitch, right, frames * sizeof *to);
    } else {
        copy(frames, left, stride, to);
        copy(frames, right, stride, to + resampler->pitch);
    }
    resampler->filled += frames;
    resampler->written += (int64_t)frames;
}

void rs_resampler_write_sides(rs_resampler *resampler, size_t frames, const float *left, const float *right,
                              size_t stride)
{
    while (frames > 0) {
        if (resampler->filled == resampler->room) {
            for (size_t c = 0; c < resampler->channels; c++) {
                float *sound = resampler->sound + c * resampler->pitch;
                memmove(sound, sound + resampler->room - resampler->history,
                        resampler->history * sizeof *sound);
            }
            resampler->filled = resampler->history;
        }
        const size_t free_frames = resampler->room - resampler->filled;
        const size_t part = frames < free_frames ? frames : free_frames;
        append(resampler, part, left, right, stride);
        frames -= part;
        left += part * stride;
        right += part * stride;
    }
}

void rs_resampler_write(rs_resampler *resampler, size_t frames, const float *x)
{
    rs_resampler_write_sides(resampler, frames, x, x + 1, 2);
}

int64_t rs_resampler_written(const rs_resampler *resampler)
{
    return resampler->written;
}

int64_t rs_resampler_first(const rs_resampler *resampler)
{
    const int64_t oldest = resampler->written - (int64_t)resampler->filled;
    const int64_t first = oldest + (int64_t)resampler->sinc->reach - 1;
    return first > 0 ? first : 0;
}

int64_t rs_resampler_last(const rs_resampler *resampler)
{
    return resampler->written - (int64_t)resampler->sinc->reach - 1;
}

/* ---- reading ---- */

/* One stride of frames of one channel, read by two rows of the table. The sound's interleaved parts lie `pitch`
 * apart; tap t belongs to part t modulo `parts`. */
RS_INLINE void two_rows(size_t taps, size_t parts, const float *near, const float *far, const float *x, size_t pitch,
                        rs_lanes *sum)
{
    rs_lanes near0 = {0}, near1 = {0}, far0 = {0}, far1 = {0};
    for (size_t part = 0; part < parts; part++) {
        const float *at = x + part * pitch;
        for (size_t t = part; t < taps; t += parts, at++) {
            rs_lanes first, second;
            memcpy(&first, at, sizeof first);
            memcpy(&second, at + RS_LANES, sizeof second);
            near0 += near[t] * first;
            near1 += near[t] * second;
            far0 += far[t] * first;
            far1 += far[t] * second;
        }
    }
    sum[0] = near0;
    sum[1] = near1;
    sum[2] = far0;
    sum[3] = far1;
}

/* y[k] for a run: its place between the two rows is between + k rise. */
RS_INLINE void run_side(size_t frames, size_t taps, size_t parts, const float *near, const float *far, const float *x,
                        size_t pitch, float between, float rise, float *y)
{
    for (size_t k = 0; k < frames; k += STRIDE) {
        rs_lanes sum[4];
        two_rows(taps, parts, near, far, x + k, pitch, sum);
        float low[STRIDE], high[STRIDE];
        memcpy(low, &sum[0], sizeof low);
        memcpy(high, &sum[2], sizeof high);
        for (size_t i = 0; i < STRIDE; i++)
            y[k + i] = low[i] + (between + rise * (float)(k + i)) * (high[i] - low[i]);
    }
}

RS_CLONES static void run_together(size_t frames, size_t taps, const float *near, const float *far, const float *x,
                                   float between, float rise, float *y)
{
    run_side(frames, taps, 1, near, far, x, 0, between, rise, y);
}

/* The same where the input goes `parts` frames on for each of the output. */
RS_CLONES static void run_apart(size_t frames, size_t taps, size_t parts, const float *near, const float *far,
                                const float *x, float *apart, float between, float rise, float *y)
{
    const size_t pitch = RUN + STRIDE + taps / parts + 1;
    const size_t each = frames + (taps - 1) / parts;
    for (size_t part = 0; part < parts; part++)
        for (size_t k = 0; k < each; k++)
            apart[part * pitch + k] = x[part + k * parts];
    run_side(frames, taps, parts, near, far, apart, pitch, between, rise, y);
}

RS_INLINE float total(const float *lane)
{
    return ((lane[0] + lane[4]) + (lane[2] + lane[6]))
           + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

RS_CLONES static float one_frame(size_t taps, const float *restrict near, const float *restrict far, float between,
                                 const float *restrict x)
{
    float lane[LANES] = {0};
    for (size_t t = 0; t < taps; t += LANES)
        for (size_t l = 0; l < LANES; l++)
            lane[l] += (near[t + l] + between * (far[t + l] - near[t + l])) * x[t + l];
    return total(lane);
}

/* Frames from a place in the table on that use the same two rows. */
static size_t run_length(double between, double rise, size_t most)
{
    if (rise == 0.0)
        return most;
    const double left = (rise > 0.0 ? 1.0 - between : between) / fabs(rise);
    return left < (double)(most - 1) ? (size_t)left + 1 : most;
}

int rs_resampler_read(const rs_resampler *resampler, double start, double step, size_t frames,
                      int16_t *pcm)
{
    if (frames == 0)
        return 0;
    const double end = start + (double)(frames - 1) * step;
    const double low = fmin(start, end), high = fmax(start, end);
    if (!(low >= (double)rs_resampler_first(resampler))
        || !(high <= (double)rs_resampler_last(resampler)))
        return -1;

    const size_t reach = resampler->sinc->reach, taps = 2 * reach, channels = resampler->channels;
    const int64_t oldest = resampler->written - (int64_t)resampler->filled;
    const double nearest = rint(step);
    const size_t parts = nearest >= 1.0 && nearest <= LARGEST_RATIO ? (size_t)nearest : 0;
    const double rise = (step - nearest) * PHASES;
    const int in_runs = parts > 0 && parts <= taps && fabs(rise) * SHORTEST_RUN < 1.0;
    const int64_t index = step != 0.0 && fabs(start / step) < 9e18 ? (int64_t)rint(start / step) : 0;
    float y[2 * (RUN + STRIDE)], apart[APART];

    for (size_t done = 0, filled = 0; done < frames;) {
        const size_t most = frames - done - filled < RUN - filled ? frames - done - filled : RUN - filled;
        const double position = start + (double)(done + filled) * step;
        const double whole = floor(position);
        const double fine = (position - whole) * PHASES;
        const size_t phase = (size_t)fine;
        const double between = fine - (double)phase;
        const float *near = resampler->sinc->row + phase * taps, *far = near + taps;
        const float *x = resampler->sound + ((int64_t)whole - oldest) - (int64_t)(reach - 1);
        const size_t run = in_runs ? run_length(between, rise, most) : 1;
        for (size_t c = 0; c < channels; c++, x += resampler->pitch) {
            float *to = y + c * (RUN + STRIDE) + filled;
            if (!in_runs)
                *to = one_frame(taps, near, far, (float)between, x);
            else if (parts == 1)
                run_together(run, taps, near, far, x, (float)between, (float)rise, to);
            else
                run_apart(run, taps, parts, near, far, x, apart, (float)between, (float)rise, to);
        }
        filled += run;
        if (filled == RUN || done + filled == frames) {
            rs_pcm_round(resampler->seed, index + (int64_t)done, filled, channels, y, RUN + STRIDE,
                         pcm + done * channels);
            done += filled;
            filled = 0;
        }
    }
    return 0;
}

size_t rs_resamplers_read(size_t n, const rs_resampler *const *resamplers, const double *start, const double *step,
                          size_t frames, int16_t *pcm)
{
    for (size_t i = 0; i < n; i++) {
        const rs_resampler *one = resamplers[i];
        if (rs_resampler_read(one, start[i], step[i], frames, pcm))
            return i;
        pcm += frames * one->channels;
    }
    return n;
}
