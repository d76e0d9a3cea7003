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

typedef struct {
    double re[2], im[2];        /* both ears */
} mode;

struct rs_modes {
    size_t voices, modes;
    mode *state;                /* [voices, modes] */
    unsigned char *rings;       /* [voices, modes] */
    size_t *ringing;            /* [voices], how many */
    float *table;               /* [modes, 2, STRETCH], real and imaginary parts of p^t */
    double *power_re, *power_im;    /* [STRETCH + 1, modes] */
    double *left_re, *left_im;  /* [modes], scratch: what a drive leaves behind */
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
    bank->state = calloc(voices * modes, sizeof *bank->state);
    bank->rings = calloc(voices * modes, sizeof *bank->rings);
    bank->ringing = calloc(voices, sizeof *bank->ringing);
    bank->table = calloc(2 * STRETCH * modes, sizeof *bank->table);
    bank->power_re = calloc((STRETCH + 1) * modes, sizeof *bank->power_re);
    bank->power_im = calloc((STRETCH + 1) * modes, sizeof *bank->power_im);
    bank->left_re = calloc(modes, sizeof *bank->left_re);
    bank->left_im = calloc(modes, sizeof *bank->left_im);
    bank->response = calloc(4 * STRETCH, sizeof *bank->response);
    if (drive_gain != NULL)
        bank->drive_gain = calloc(2 * modes, sizeof *bank->drive_gain);
    if (!bank->state || !bank->rings || !bank->ringing || !bank->table || !bank->power_re || !bank->power_im
        || !bank->left_re || !bank->left_im || !bank->response || (drive_gain && !bank->drive_gain)) {
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
    free(bank->ringing);
    free(bank->table);
    free(bank->power_re);
    free(bank->power_im);
    free(bank->left_re);
    free(bank->left_im);
    free(bank->drive_gain);
    free(bank->response);
    free(bank);
}

/* -i a: a sine, which begins at zero. */
static void strike(rs_modes *bank, size_t voice, const float *amplitude)
{
    for (size_t m = 0; m < bank->modes; m++) {
        const float left = amplitude[2 * m], right = amplitude[2 * m + 1];
        if (left == 0.0f && right == 0.0f)
            continue;
        const size_t i = voice * bank->modes + m;
        bank->ringing[voice] += !bank->rings[i];
        bank->rings[i] = 1;
        bank->state[i].im[0] -= (double)left;
        bank->state[i].im[1] -= (double)right;
    }
}

/* What rings goes on, and what a drive in a stretch of `frames` has struck rings too. */
RS_INLINE void advance(rs_modes *bank, size_t voice, size_t frames, const float *drive)
{
    const size_t modes = bank->modes;
    const double *restrict power_re = bank->power_re + frames * modes;
    const double *restrict power_im = bank->power_im + frames * modes;
    mode *restrict state = bank->state + voice * modes;
    unsigned char *restrict rings = bank->rings + voice * modes;
    double *restrict left_re = bank->left_re, *restrict left_im = bank->left_im;
    if (drive != NULL) {
        memset(left_re, 0, modes * sizeof *left_re);
        memset(left_im, 0, modes * sizeof *left_im);
        for (size_t s = 0; s < frames; s++) {
            const double x = (double)drive[s];
            const double *restrict re = bank->power_re + (frames - s) * modes;
            const double *restrict im = bank->power_im + (frames - s) * modes;
            for (size_t m = 0; m < modes; m++) {
                left_re[m] += x * re[m];
                left_im[m] += x * im[m];
            }
        }
    }
    size_t ringing = 0;
    for (size_t m = 0; m < modes; m++) {
        if (!rings[m] && drive == NULL)
            continue;
        mode one = state[m];
        double loudest = 0.0;
        for (int ear = 0; ear < 2; ear++) {
            const double re = one.re[ear] * power_re[m] - one.im[ear] * power_im[m];
            one.im[ear] = one.re[ear] * power_im[m] + one.im[ear] * power_re[m];
            one.re[ear] = re;
            if (drive != NULL) {
                const double gain = (double)bank->drive_gain[2 * m + (size_t)ear];
                one.re[ear] += gain * left_im[m];
                one.im[ear] -= gain * left_re[m];
            }
            loudest = fmax(loudest, fabs(one.re[ear]) + fabs(one.im[ear]));
        }
        rings[m] = loudest > SILENT;
        state[m] = rings[m] ? one : (mode){{0.0, 0.0}, {0.0, 0.0}};
        ringing += rings[m];
    }
    bank->ringing[voice] = ringing;
}

RS_INLINE void sound(const rs_modes *bank, size_t voice, size_t frames, const float *drive, float *out)
{
    lanes left[VECTORS] = {{0.0f}}, right[VECTORS] = {{0.0f}};
    if (bank->ringing[voice]) {
        for (size_t m = 0; m < bank->modes; m++) {
            if (!bank->rings[voice * bank->modes + m])
                continue;
            const mode one = bank->state[voice * bank->modes + m];
            const float left_re = (float)one.re[0], left_im = (float)one.im[0];
            const float right_re = (float)one.re[1], right_im = (float)one.im[1];
            const float *table = bank->table + 2 * STRETCH * m;
            for (int v = 0; v < VECTORS; v++) {
                lanes re, im;
                memcpy(&re, table + v * LANES, sizeof re);
                memcpy(&im, table + STRETCH + v * LANES, sizeof im);
                left[v] += left_re * re - left_im * im;
                right[v] += right_re * re - right_im * im;
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
    if (drive == NULL && !bank->ringing[voice]) {
        memset(out, 0, 2 * frames * sizeof *out);
        return;
    }
    sound(bank, voice, frames, drive, out);
    advance(bank, voice, frames, drive);
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
