/*
 * Decaying sines, struck and driven: see resonance.h.
 *
 * A mode is a complex number that turns and shrinks, z[t] = p^t z[0], and is heard as its real part. So a stretch of
 * sound is a sum of products with a table of powers, all frames at once, and no frame waits for the one before. What a
 * drive adds within a stretch is a convolution with the first frames of the bank's own response; what it leaves behind
 * are the same powers, read backwards.
 *
 * States are double, and multiplied once per stretch: a mode that rings for an hour keeps its pitch and phase.
 */
#include <math.h>
#include <stdlib.h>

#include "lanes.h"
#include "resonance.h"

RS_FUSED

/* What nobody can hear any more would soon be denormal numbers, which are slow. */
static const double SILENT = 1e-8;
static const double TWO_PI = 6.28318530717958647693;

enum { LEFT_RE, LEFT_IM, RIGHT_RE, RIGHT_IM, PARTS };

struct rs_modes {
    size_t voices, modes;
    double *state;              /* [voices, PARTS, modes]; all parts are 0 of a mode that is silent */
    unsigned char *rings;       /* [voices]: does anything? */
    float *table;               /* [modes, 2, STRETCH], real and imaginary parts of p^t */
    double *power_re, *power_im;    /* [STRETCH + 1, modes] */
    double *driven;             /* [2, modes], scratch: real and imaginary parts that a drive has struck */
    float *drive_gain;          /* [modes, 2] or NULL */
    float *response;            /* [2, 2 * STRETCH] of a drive of 1 in the frame before the middle, zeros before */
};

rs_modes *rs_modes_new(size_t voices, size_t modes, double rate_hz, const double *freq_hz, const double *decay_s,
                       const float *drive_gain)
{
    if (voices == 0 || modes == 0 || modes > 65536 || voices > ((size_t)1 << 32) / modes || !(rate_hz > 0.0)
        || !isfinite(rate_hz))
        return NULL;
    for (size_t m = 0; m < modes; m++)
        if (!(freq_hz[m] >= 0.0 && freq_hz[m] < rate_hz / 2.0 && decay_s[m] > 0.0))
            return NULL;
    rs_modes *bank = calloc(1, sizeof *bank);
    if (bank == NULL)
        return NULL;
    bank->voices = voices;
    bank->modes = modes;
    bank->state = calloc(voices * PARTS * modes, sizeof *bank->state);
    bank->rings = calloc(voices, sizeof *bank->rings);
    bank->table = calloc(2 * STRETCH * modes, sizeof *bank->table);
    bank->power_re = calloc((STRETCH + 1) * modes, sizeof *bank->power_re);
    bank->power_im = calloc((STRETCH + 1) * modes, sizeof *bank->power_im);
    bank->driven = calloc(2 * modes, sizeof *bank->driven);
    bank->response = calloc(4 * STRETCH, sizeof *bank->response);
    if (drive_gain != NULL)
        bank->drive_gain = calloc(2 * modes, sizeof *bank->drive_gain);
    if (!bank->state || !bank->rings || !bank->table || !bank->power_re || !bank->power_im
        || !bank->driven || !bank->response || (drive_gain && !bank->drive_gain)) {
        rs_modes_free(bank);
        return NULL;
    }
    for (size_t m = 0; m < modes; m++) {
        for (size_t t = 0; t <= STRETCH; t++) {
            const double size = exp(-log(1000.0) / (decay_s[m] * rate_hz) * (double)t);
            const double angle = TWO_PI * fmod(freq_hz[m] / rate_hz * (double)t, 1.0);
            bank->power_re[t * modes + m] = size * cos(angle);
            bank->power_im[t * modes + m] = size * sin(angle);
            if (t < STRETCH) {
                bank->table[2 * STRETCH * m + t] = (float)(size * cos(angle));
                bank->table[2 * STRETCH * m + STRETCH + t] = (float)(size * sin(angle));
            }
        }
    }
    if (drive_gain != NULL) {
        memcpy(bank->drive_gain, drive_gain, 2 * modes * sizeof *drive_gain);
        for (size_t ear = 0; ear < 2; ear++) {
            for (size_t t = 0; t < STRETCH; t++) {
                double sum = 0.0;
                for (size_t m = 0; m < modes; m++)
                    sum += (double)drive_gain[2 * m + ear] * bank->power_im[t * modes + m];
                bank->response[2 * STRETCH * ear + STRETCH + t] = (float)sum;
            }
        }
    }
    return bank;
}

void rs_modes_free(rs_modes *bank)
{
    if (bank == NULL)
        return;
    free(bank->state);
    free(bank->rings);
    free(bank->table);
    free(bank->power_re);
    free(bank->power_im);
    free(bank->driven);
    free(bank->drive_gain);
    free(bank->response);
    free(bank);
}

RS_INLINE double *state_of(const rs_modes *bank, size_t voice)
{
    return bank->state + voice * PARTS * bank->modes;
}

/* -i a: a sine, which begins at zero. */
static void strike(rs_modes *bank, size_t voice, const float *amplitude)
{
    double *left_im = state_of(bank, voice) + LEFT_IM * bank->modes;
    double *right_im = state_of(bank, voice) + RIGHT_IM * bank->modes;
    for (size_t m = 0; m < bank->modes; m++) {
        left_im[m] -= (double)amplitude[2 * m];
        right_im[m] -= (double)amplitude[2 * m + 1];
    }
    bank->rings[voice] = 1;
}

/* n modes struck with x, of which these powers are heard by now. */
RS_INLINE void struck(size_t n, double x, const double *restrict power_re, const double *restrict power_im,
                      double *restrict re, double *restrict im)
{
    for (size_t m = 0; m < n; m++) {
        re[m] += x * power_im[m];
        im[m] -= x * power_re[m];
    }
}

/* What a drive has struck in a stretch of `frames`, by its end. */
RS_INLINE void drive_on(rs_modes *bank, size_t voice, size_t frames, const float *drive)
{
    const size_t modes = bank->modes;
    double *driven_re = bank->driven, *driven_im = driven_re + modes;
    memset(bank->driven, 0, 2 * modes * sizeof *bank->driven);
    for (size_t s = 0; s < frames; s++)
        struck(modes, (double)drive[s], bank->power_re + (frames - s) * modes,
               bank->power_im + (frames - s) * modes, driven_re, driven_im);
    for (size_t ear = 0; ear < 2; ear++) {
        double *re = state_of(bank, voice) + 2 * ear * modes, *im = re + modes;
        for (size_t m = 0; m < modes; m++) {
            const double gain = (double)bank->drive_gain[2 * m + ear];
            re[m] += gain * driven_re[m];
            im[m] += gain * driven_im[m];
        }
    }
}

/* z = re + i im of n modes, times their powers. */
RS_INLINE void turn(size_t n, const double *restrict power_re, const double *restrict power_im, double *restrict re,
                    double *restrict im)
{
    for (size_t m = 0; m < n; m++) {
        const double before = re[m];
        re[m] = before * power_re[m] - im[m] * power_im[m];
        im[m] = before * power_im[m] + im[m] * power_re[m];
    }
}

/* What rings goes on by a stretch of `frames`. */
RS_INLINE void ring_on(rs_modes *bank, size_t voice, size_t frames)
{
    const size_t modes = bank->modes;
    const double *power_re = bank->power_re + frames * modes, *power_im = bank->power_im + frames * modes;
    double *state = state_of(bank, voice);
    turn(modes, power_re, power_im, state + LEFT_RE * modes, state + LEFT_IM * modes);
    turn(modes, power_re, power_im, state + RIGHT_RE * modes, state + RIGHT_IM * modes);
}

/* Lets go of what nobody can hear. */
RS_INLINE void fall_silent(rs_modes *bank, size_t voice)
{
    const size_t modes = bank->modes;
    double *const state = state_of(bank, voice);
    double *restrict left_re = state, *restrict left_im = state + LEFT_IM * modes;
    double *restrict right_re = state + RIGHT_RE * modes, *restrict right_im = state + RIGHT_IM * modes;
    double ringing = 0.0;
    for (size_t m = 0; m < modes; m++) {
        const double left = fabs(left_re[m]) + fabs(left_im[m]), right = fabs(right_re[m]) + fabs(right_im[m]);
        const int heard = left > SILENT || right > SILENT;
        left_re[m] = heard ? left_re[m] : 0.0;
        left_im[m] = heard ? left_im[m] : 0.0;
        right_re[m] = heard ? right_re[m] : 0.0;
        right_im[m] = heard ? right_im[m] : 0.0;
        ringing = heard ? 1.0 : ringing;
    }
    bank->rings[voice] = ringing > 0.0;
}

RS_INLINE void sound(const rs_modes *bank, size_t voice, size_t frames, const float *drive, float *out)
{
    lanes left[VECTORS] = {{0.0f}}, right[VECTORS] = {{0.0f}};
    if (bank->rings[voice]) {
        const size_t modes = bank->modes;
        const double *state = state_of(bank, voice);
        for (size_t m = 0; m < modes; m++) {
            const float left_re = (float)state[m], left_im = (float)state[LEFT_IM * modes + m];
            const float right_re = (float)state[RIGHT_RE * modes + m];
            const float right_im = (float)state[RIGHT_IM * modes + m];
            if (left_re == 0.0f && left_im == 0.0f && right_re == 0.0f && right_im == 0.0f)
                continue;
            const float *table = bank->table + 2 * STRETCH * m;
            for (int v = 0; v < VECTORS; v++) {
                lanes re, im;
                memcpy(&re, table + v * LANES, sizeof re);
                memcpy(&im, table + STRETCH + v * LANES, sizeof im);
                left[v] += left_re * re;
                right[v] += right_re * re;
                left[v] -= left_im * im;
                right[v] -= right_im * im;
            }
        }
    }
    for (size_t s = 0; drive != NULL && s < frames; s++) {
        const float *response = bank->response + STRETCH - s;
        for (int v = 0; v < VECTORS; v++) {
            lanes one, other;
            memcpy(&one, response + v * LANES, sizeof one);
            memcpy(&other, response + 2 * STRETCH + v * LANES, sizeof other);
            left[v] += drive[s] * one;
            right[v] += drive[s] * other;
        }
    }
    interleave(left, right, frames, out);
}

static int quiet(const float *x, size_t frames)
{
    for (size_t t = 0; t < frames; t++)
        if (x[t] != 0.0f)
            return 0;
    return 1;
}

RS_CLONES
static void modes_stretch(rs_modes *bank, size_t voice, size_t frames, const float *drive, float *out)
{
    if (drive != NULL && quiet(drive, frames))
        drive = NULL;
    if (drive == NULL && !bank->rings[voice]) {
        memset(out, 0, 2 * frames * sizeof *out);
        return;
    }
    sound(bank, voice, frames, drive, out);
    ring_on(bank, voice, frames);
    if (drive != NULL)
        drive_on(bank, voice, frames, drive);
    fall_silent(bank, voice);
}

void rs_modes_process(rs_modes *bank, size_t frames, size_t strikes, const size_t *voice, const size_t *frame,
                      const float *amplitude, const float *drive, float *out)
{
    for (size_t v = 0; v < bank->voices; v++) {
        const float *driven = drive == NULL || bank->drive_gain == NULL ? NULL : drive + v * frames;
        size_t at = 0, next = 0;
        while (at < frames) {
            while (next < strikes && (voice[next] != v || frame[next] <= at)) {
                if (voice[next] == v)
                    strike(bank, v, amplitude + 2 * bank->modes * next);
                next++;
            }
            size_t end = next < strikes && frame[next] < frames ? frame[next] : frames;
            end = end - at > STRETCH ? at + STRETCH : end;
            modes_stretch(bank, v, end - at, driven == NULL ? NULL : driven + at, out + 2 * (v * frames + at));
            at = end;
        }
    }
}
