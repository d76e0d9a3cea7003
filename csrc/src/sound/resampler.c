/*
 * Windowed sinc at any position: see resonance.h.
 *
 * The filter is tabulated at PHASES positions between two input frames; what lies between is
 * interpolated on a straight line, whose error at the band's edge, (pi / PHASES)^2 / 8, is 94 dB
 * down and below 16 bits in the audible range of a dreamscape. Each row sums to 1, so that a
 * constant stays constant wherever it is read.
 *
 * History is a plain array of twice the wanted length, per channel; when it is full its younger
 * half moves to the front. So a read always finds its frames side by side.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "resonance.h"

#define PHASES 256
/* Taps come in multiples of this many; each lane sums on its own, which vectors can do. */
#define LANES 8

static const double PI = 3.14159265358979323846;
static const double KAISER_BETA = 7.857;    /* 80 dB: 0.1102 (A - 8.7) */
static const double ZERO_CROSSINGS = 16.0;  /* of the sinc, on either side */
static const double CUTOFF = 0.98;          /* of the lower Nyquist frequency */
static const double LARGEST_RATIO = 16.0;

struct rs_sinc {
    size_t reach;       /* frames on either side, a multiple of LANES / 2 */
    float *row;         /* [PHASES + 1, 2 reach] */
};

struct rs_resampler {
    const rs_sinc *sinc;
    size_t channels, history;
    size_t room, filled;    /* of frames, per channel */
    int64_t written;        /* absolute index of the frame after the last in `sound` */
    float *sound;           /* [channels, room] */
};

/* Modified Bessel function of the first kind, order 0, by its power series. */
static double bessel_i0(double x)
{
    double term = 1.0, sum = 1.0;
    for (int k = 1; term > 1e-17 * sum; k++) {
        term *= (x / (2 * k)) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

static double windowed_sinc(double frames, double cutoff, double reach)
{
    const double t = frames / reach;
    if (!(fabs(t) < 1.0))
        return 0.0;
    const double window = bessel_i0(KAISER_BETA * sqrt(1.0 - t * t)) / bessel_i0(KAISER_BETA);
    const double x = PI * cutoff * frames;
    return window * (fabs(x) < 1e-12 ? 1.0 : sin(x) / x);
}

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
    if (sinc == NULL || row == NULL) {
        free(sinc);
        free(row);
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
            sum += windowed_sinc(away, CUTOFF / widening, (double)reach);
        }
        for (size_t t = 0; t < taps; t++) {
            const double away = (double)t - (double)(reach - 1) - between;
            row[t] = (float)(windowed_sinc(away, CUTOFF / widening, (double)reach) / sum);
        }
    }
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

rs_resampler *rs_resampler_new(const rs_sinc *sinc, size_t channels, size_t history)
{
    if ((channels != 1 && channels != 2) || history == 0 || history > SIZE_MAX / 64)
        return NULL;
    rs_resampler *resampler = malloc(sizeof *resampler);
    /* Reads at the oldest position still reach back; both ends of the filter are kept. */
    const size_t kept = history + 2 * sinc->reach;
    float *sound = calloc(2 * kept * channels, sizeof *sound);
    if (resampler == NULL || sound == NULL) {
        free(resampler);
        free(sound);
        return NULL;
    }
    *resampler = (rs_resampler){.sinc = sinc, .channels = channels, .history = kept,
                                .room = 2 * kept, .filled = kept, .sound = sound};
    return resampler;
}

void rs_resampler_free(rs_resampler *resampler)
{
    if (resampler == NULL)
        return;
    free(resampler->sound);
    free(resampler);
}

static void append(rs_resampler *resampler, size_t frames, const float *x)
{
    float *left = resampler->sound + resampler->filled;
    if (resampler->channels == 1) {
        for (size_t k = 0; k < frames; k++)
            left[k] = 0.5f * (x[2 * k] + x[2 * k + 1]);
    } else {
        float *right = left + resampler->room;
        for (size_t k = 0; k < frames; k++) {
            left[k] = x[2 * k];
            right[k] = x[2 * k + 1];
        }
    }
    resampler->filled += frames;
    resampler->written += (int64_t)frames;
}

void rs_resampler_write(rs_resampler *resampler, size_t frames, const float *x)
{
    while (frames > 0) {
        if (resampler->filled == resampler->room) {
            for (size_t c = 0; c < resampler->channels; c++) {
                float *sound = resampler->sound + c * resampler->room;
                memmove(sound, sound + resampler->room - resampler->history,
                        resampler->history * sizeof *sound);
            }
            resampler->filled = resampler->history;
        }
        const size_t free_frames = resampler->room - resampler->filled;
        const size_t part = frames < free_frames ? frames : free_frames;
        append(resampler, part, x);
        frames -= part;
        x += 2 * part;
    }
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

static int16_t pcm16(float x)
{
    const float scaled = x * 32767.0f;
    if (!(scaled > -32767.0f))
        return -32767;
    return (int16_t)lrintf(scaled < 32767.0f ? scaled : 32767.0f);
}

static float total(const float *lane)
{
    return ((lane[0] + lane[4]) + (lane[2] + lane[6]))
           + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
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

    const size_t reach = resampler->sinc->reach, taps = 2 * reach;
    const int64_t oldest = resampler->written - (int64_t)resampler->filled;
    for (size_t k = 0; k < frames; k++) {
        const double position = start + (double)k * step;
        const double whole = floor(position);
        const double fine = (position - whole) * PHASES;
        const size_t phase = (size_t)fine;
        const float between = (float)(fine - (double)phase);
        const float *restrict near = resampler->sinc->row + phase * taps;
        const float *restrict far = near + taps;
        const float *restrict left =
            resampler->sound + ((int64_t)whole - oldest) - (int64_t)(reach - 1);
        float left_lane[LANES] = {0};
        if (resampler->channels == 1) {
            for (size_t t = 0; t < taps; t += LANES)
                for (size_t l = 0; l < LANES; l++)
                    left_lane[l] += (near[t + l] + between * (far[t + l] - near[t + l]))
                                    * left[t + l];
            pcm[k] = pcm16(total(left_lane));
        } else {
            const float *restrict right = left + resampler->room;
            float right_lane[LANES] = {0};
            for (size_t t = 0; t < taps; t += LANES)
                for (size_t l = 0; l < LANES; l++) {
                    const float tap = near[t + l] + between * (far[t + l] - near[t + l]);
                    left_lane[l] += tap * left[t + l];
                    right_lane[l] += tap * right[t + l];
                }
            pcm[2 * k] = pcm16(total(left_lane));
            pcm[2 * k + 1] = pcm16(total(right_lane));
        }
    }
    return 0;
}
