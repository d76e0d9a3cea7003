/*
 * Sines whose frequency glides: see resonance.h.
 *
 * Within a stretch a phase is a parabola over frames, in 32-bit fractions of a turn: integers that overflow are phases
 * that wrap. sin(2 pi x) for x from -1/2 to 1/2 has its zeros at 0 and at both ends, so it is x (x^2 - 1/4) times a
 * short polynomial in x^2, without cases.
 */
#include <math.h>
#include <stdlib.h>

#include "lanes.h"
#include "resonance.h"

RS_FUSED

static const double TURN = 4294967296.0;    /* 2^32 */

struct rs_tones {
    size_t voices, sines;
    double rate_hz;
    int begun;
    double *turns;      /* [voices, sines], 0..1 */
    double *step;       /* [voices, sines], turns per frame, reached */
    float *gain;        /* [voices, sines, 2], reached */
    double *pulse;      /* [voices], turns */
};

rs_tones *rs_tones_new(size_t voices, size_t sines, double rate_hz, const double *turns)
{
    if (voices == 0 || sines == 0 || sines > 65536 || voices > ((size_t)1 << 32) / sines || !(rate_hz > 0.0)
        || !isfinite(rate_hz))
        return NULL;
    for (size_t i = 0; i < voices * sines; i++)
        if (!isfinite(turns[i]))
            return NULL;
    rs_tones *bank = calloc(1, sizeof *bank);
    if (bank == NULL)
        return NULL;
    bank->voices = voices;
    bank->sines = sines;
    bank->rate_hz = rate_hz;
    bank->turns = calloc(voices * sines, sizeof *bank->turns);
    bank->step = calloc(voices * sines, sizeof *bank->step);
    bank->gain = calloc(voices * sines, 2 * sizeof *bank->gain);
    bank->pulse = calloc(voices, sizeof *bank->pulse);
    if (!bank->turns || !bank->step || !bank->gain || !bank->pulse) {
        rs_tones_free(bank);
        return NULL;
    }
    for (size_t i = 0; i < voices * sines; i++)
        bank->turns[i] = turns[i] - floor(turns[i]);
    return bank;
}

void rs_tones_free(rs_tones *bank)
{
    if (bank == NULL)
        return;
    free(bank->turns);
    free(bank->step);
    free(bank->gain);
    free(bank->pulse);
    free(bank);
}

/* A fraction of a turn, any sign, as an integer that wraps. */
RS_INLINE uint32_t fraction(double turns)
{
    return (uint32_t)(int64_t)((turns - floor(turns)) * TURN);
}

/* sin 2 pi x of `count` turns in 32 bits, within 3e-7. */
RS_INLINE void sine(const whole_lanes *count, lanes *out)
{
    const lanes x = __builtin_convertvector((signed_lanes)*count, lanes) * 2.3283064365386963e-10f;
    const lanes z = x * x;
    /* Interpolated at Chebyshev's nodes: within 4e-9, the rest is rounding. */
    lanes p = 3.161249876022339f * z - 14.049443244934082f;
    p = p * z + 38.49583053588867f;
    p = p * z - 67.07662200927734f;
    p = p * z + 64.83582305908203f;
    p = p * z - 25.132741928100586f;
    *out = x * (z - 0.25f) * p;
}

/* Phases of the frames from `at`, of a sine that starts the block at `turns` and goes from `step` to `step + change`
 * over `frames`. */
typedef struct {
    uint32_t start, step, bend;
} parabola;

RS_INLINE parabola course(double turns, double step, double change, size_t frames, size_t at)
{
    const double t = (double)at, each = change / (double)frames;
    return (parabola){fraction(turns + step * t + 0.5 * each * t * t), fraction(step + each * t), fraction(0.5 * each)};
}

RS_INLINE void follow(parabola curve, int vector, lanes *out)
{
    whole_lanes t;
    for (uint32_t k = 0; k < LANES; k++)
        t[k] = (uint32_t)vector * LANES + k;
    const whole_lanes count = curve.start + t * (curve.step + curve.bend * t);
    sine(&count, out);
}

/* Frames `at` and on of the block, as many as a stretch has. */
RS_INLINE void stretch(const rs_tones *bank, size_t voice, size_t frames, size_t at, const double *freq_hz,
                       const float *gain, lanes *left, lanes *right)
{
    const double per_frame = 1.0 / bank->rate_hz;
    const float part = 1.0f / (float)frames;
    for (size_t s = 0; s < bank->sines; s++) {
        const size_t i = voice * bank->sines + s;
        const float left_from = bank->gain[2 * i], right_from = bank->gain[2 * i + 1];
        const float left_rise = (gain[2 * i] - left_from) * part, right_rise = (gain[2 * i + 1] - right_from) * part;
        if (left_from == 0.0f && right_from == 0.0f && left_rise == 0.0f && right_rise == 0.0f)
            continue;
        const parabola curve =
            course(bank->turns[i], bank->step[i], freq_hz[i] * per_frame - bank->step[i], frames, at);
        for (int v = 0; v < VECTORS; v++) {
            lanes wave, t;
            follow(curve, v, &wave);
            for (size_t k = 0; k < LANES; k++)
                t[k] = (float)(at + (size_t)v * LANES + k + 1);
            left[v] += (left_from + left_rise * t) * wave;
            right[v] += (right_from + right_rise * t) * wave;
        }
    }
}

/* sin^2 of half a turn is (1 - cos) / 2 of a whole one, and cos is a quarter turn before sin. */
RS_INLINE void pulse(double turns, double step, size_t frames, size_t at, lanes *left, lanes *right)
{
    const parabola curve = course(turns + 0.25, step, 0.0, frames, at);
    for (int v = 0; v < VECTORS; v++) {
        lanes wave;
        follow(curve, v, &wave);
        left[v] *= 0.5f - 0.5f * wave;
        right[v] *= 0.5f - 0.5f * wave;
    }
}

RS_CLONES
static void tones_render(const rs_tones *bank, size_t voice, size_t frames, const double *freq_hz, const float *gain,
                   double pulse_hz, float *out)
{
    for (size_t at = 0; at < frames; at += STRETCH) {
        const size_t count = frames - at < STRETCH ? frames - at : STRETCH;
        lanes left[VECTORS] = {{0.0f}}, right[VECTORS] = {{0.0f}};
        stretch(bank, voice, frames, at, freq_hz, gain, left, right);
        if (pulse_hz > 0.0)
            pulse(bank->pulse[voice], pulse_hz / bank->rate_hz, frames, at, left, right);
        interleave(left, right, count, out + 2 * at);
    }
}

void rs_tones_process(rs_tones *bank, size_t frames, const double *freq_hz, const float *gain, const double *pulse_hz,
                      float *out)
{
    const size_t all = bank->voices * bank->sines;
    const double length = (double)frames;
    if (frames == 0)
        return;
    if (!bank->begun) {
        for (size_t i = 0; i < all; i++)
            bank->step[i] = freq_hz[i] / bank->rate_hz;
        memcpy(bank->gain, gain, 2 * all * sizeof *gain);
        bank->begun = 1;
    }
    for (size_t v = 0; v < bank->voices; v++) {
        const double pulses = pulse_hz == NULL ? 0.0 : pulse_hz[v];
        tones_render(bank, v, frames, freq_hz, gain, pulses, out + 2 * v * frames);
        const double turns = bank->pulse[v] + pulses / bank->rate_hz * length;
        bank->pulse[v] = turns - floor(turns);
    }
    for (size_t i = 0; i < all; i++) {
        const double step = freq_hz[i] / bank->rate_hz;
        const double turns = bank->turns[i] + 0.5 * (bank->step[i] + step) * length;
        bank->turns[i] = turns - floor(turns);
        bank->step[i] = step;
    }
    memcpy(bank->gain, gain, 2 * all * sizeof *gain);
}
