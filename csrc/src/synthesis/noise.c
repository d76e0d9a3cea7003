/*
 * Coloured noise from filters: see resonance.h.
 *
 * A slope of 3 dB an octave is 1 / sqrt(s), which no finite filter has, but a sum of one-pole low-passes comes near:
 *
 *     1 / sqrt(s) = 1/pi * integral over v of e^{v/2} / (e^v + s)
 *
 * and the sum of that integrand at steps of two octaves differs from the integral by two thousandths at most. What lies
 * beyond the lowest and the highest pole is added to those two. With z for s as s = 1 - 1/z the poles need no
 * design either, and the half decibel that this is too bright near half the rate is taken by three taps.
 *
 * Edges, the moving low-pass, and the band-pass of each octave, of which more or less is added to make the octave
 * swell, are state variable filters with trapezoidal integrators (Zavalishin 2012), which stay calm while they are
 * moved.
 *
 * Sixteen ears are computed at once, each a lane of a vector.
 */
#include <math.h>
#include <stdlib.h>

#include "lanes.h"
#include "random.h"
#include "resonance.h"

RS_FUSED

#define MOST_POLES 10
#define EDGES 4
#define MOST_OCTAVES 12
/* Swellings are on straight lines between points so many frames apart. */
#define POINT 512
#define AT_ONCE 64
/* The first numbers of chance are the seeds of the lanes. */
#define AFTER_SEEDS ((uint64_t)1 << 32)

static const double PI = 3.14159265358979323846;
static const double LOWEST_POLE_HZ = 3.0;
static const double LOWEST_OCTAVE_HZ = 20.0;
static const double RIPPLE_HZ = 0.25;
static const double BUTTERWORTH_Q = 0.70710678118654752440;
static const double OCTAVE_Q = 1.41421356237309504880;
static const float DEEPEST = 2.0f;          /* an octave swells by e^2 at most, 17 dB */
static const float TAP = 0.03f;

/* Trapezoidal state variable filter: how much of what goes where. */
typedef struct {
    lanes a1, a2, a3;
} svf;

typedef struct {
    lanes one, two;
} integrators;

typedef struct {
    whole_lanes chance;                 /* Marsaglia's xorshift, 32 bits */
    lanes before[2];                    /* of the three taps */
    lanes brown;
    lanes pole[MOST_POLES];
    integrators octave[MOST_OCTAVES];
    lanes more[MOST_OCTAVES], change[MOST_OCTAVES];     /* of the octave is added; -1 takes it away */
    lanes swell[MOST_OCTAVES][2];       /* slow noises, filtered twice */
    integrators edge[EDGES];
    integrators bright;
    svf brightness;                     /* reached */
} ears;

struct rs_noise {
    size_t voices, groups, poles, octaves;
    double rate_hz;
    int brown, begun;
    float brown_keep;
    float keep[MOST_POLES];             /* of a low-pass, per frame */
    float colour[MOST_POLES + 1];       /* weights of the low-passes, the last of the input itself */
    float octave[MOST_OCTAVES][3];      /* a1, a2, a3 */
    float swelling, swell_size;         /* of the slow noises: gain per point, size of a unit */
    int edges;
    int edge_is_high[EDGES];            /* a high-pass */
    float edge[EDGES][3];               /* a1, a2, a3 */
    float level;
    size_t until_point;
    uint64_t seed, points;
    ears *group;                        /* [groups] */
};

static void svf_for(double corner_hz, double q, double rate_hz, float *a)
{
    const double top = 0.49 * rate_hz;
    const double g = tan(PI * (corner_hz < top ? corner_hz : top) / rate_hz);
    const double first = 1.0 / (1.0 + g * (g + 1.0 / q));
    a[0] = (float)first;
    a[1] = (float)(g * first);
    a[2] = (float)(g * g * first);
}

/* Mean power of the whole chain while the low-pass is open, for white noise of power 1. */
static double power(const rs_noise *bank, double low_hz, double high_hz)
{
    enum { STEPS = 8192 };
    double sum = 0.0;
    for (int k = 0; k < STEPS; k++) {
        const double w = PI * (k + 0.5) / STEPS;
        const double z_re = cos(w), z_im = -sin(w);     /* 1 / z */
        double re = (double)bank->colour[bank->poles], im = 0.0;
        for (size_t p = 0; p < bank->poles; p++) {
            const double keep = (double)bank->keep[p];
            const double d_re = 1.0 - keep * z_re, d_im = -keep * z_im, d = d_re * d_re + d_im * d_im;
            re += (double)bank->colour[p] * (1.0 - keep) * d_re / d;
            im -= (double)bank->colour[p] * (1.0 - keep) * d_im / d;
        }
        double gain = re * re + im * im;
        const double taps = 1.0 - 2.0 * (double)TAP * (1.0 - z_re);
        gain *= taps * taps;
        if (bank->brown) {
            const double keep = (double)bank->brown_keep;
            gain *= (1.0 - keep) * (1.0 - keep) / (1.0 - 2.0 * keep * z_re + keep * keep);
        }
        /* Twice Butterworth of second order: 1 / (1 + r^4) as an amplitude, r as trapezoids bend it. */
        if (low_hz > 0.0) {
            const double r = tan(PI * low_hz / bank->rate_hz) / tan(w / 2.0);
            gain /= pow(1.0 + r * r * r * r, 2.0);
        }
        if (high_hz > 0.0) {
            const double r = tan(w / 2.0) / tan(PI * high_hz / bank->rate_hz);
            gain /= pow(1.0 + r * r * r * r, 2.0);
        }
        sum += gain;
    }
    return sum / STEPS;
}

static void set_colour(rs_noise *bank, double low_hz, double high_hz)
{
    const double lowest = low_hz > 0.0 ? fmax(low_hz / 4.0, LOWEST_POLE_HZ) : LOWEST_POLE_HZ;
    const double highest = high_hz > 0.0 ? fmin(4.0 * high_hz, bank->rate_hz / 2.0) : bank->rate_hz / 2.0;
    bank->brown_keep = (float)(1.0 / (1.0 + 2.0 * PI * lowest / bank->rate_hz));
    if (bank->brown) {
        bank->colour[0] = 1.0f;
        return;
    }
    bank->poles = 2;
    while (bank->poles < MOST_POLES && lowest * exp2(2.0 * (double)bank->poles - 2.0) < highest)
        bank->poles++;
    /* Beyond either end weights fall by half from pole to pole: together they are as much as the last. */
    const double tail = 1.0;
    for (size_t k = 0; k < bank->poles; k++) {
        const double u = 2.0 * PI * lowest * exp2(2.0 * (double)k) / bank->rate_hz;
        bank->keep[k] = (float)(1.0 / (1.0 + u));
        bank->colour[k] = (float)((k ? 1.0 : 1.0 + tail) / sqrt(u));
        if (k + 1 == bank->poles)
            bank->colour[k + 1] = (float)(tail / sqrt(u));
    }
}

static void set_edge(rs_noise *bank, int is_high_pass, double corner_hz)
{
    for (int twice = 0; twice < 2; twice++) {
        float *a = bank->edge[bank->edges];
        svf_for(corner_hz, BUTTERWORTH_Q, bank->rate_hz, a);
        bank->edge_is_high[bank->edges++] = is_high_pass;
    }
}

static void set_ripple(rs_noise *bank, double low_hz, double high_hz, double ripple_db)
{
    const double new = 1.0 - exp(-2.0 * PI * RIPPLE_HZ * POINT / bank->rate_hz);
    const double q = (1.0 - new) * (1.0 - new);
    /* Of even noise, variance 1/3, through the same one-pole twice. */
    const double variance = new * new * new * new * (1.0 + q) / ((1.0 - q) * (1.0 - q) * (1.0 - q)) / 3.0;
    const double spread = ripple_db * log(10.0) / 20.0;
    const double lowest = low_hz > 0.0 ? low_hz : LOWEST_OCTAVE_HZ;
    const double highest = high_hz > 0.0 ? high_hz : 0.45 * bank->rate_hz;
    if (ripple_db == 0.0)
        return;
    bank->swelling = (float)new;
    bank->swell_size = (float)(spread / sqrt(variance));
    /* The mean power of what swells is above the power of its mean. */
    bank->level = (float)((double)bank->level * exp(-spread * spread));
    for (double hz = lowest * sqrt(2.0); hz < highest && bank->octaves < MOST_OCTAVES; hz *= 2.0)
        svf_for(hz, OCTAVE_Q, bank->rate_hz, bank->octave[bank->octaves++]);
}

rs_noise *rs_noise_new(size_t voices, double rate_hz, int brown, double low_hz, double high_hz, double ripple_db,
                       uint64_t seed)
{
    const double half = rate_hz / 2.0;
    if (voices == 0 || voices > (size_t)1 << 24 || !(rate_hz >= 1000.0) || !isfinite(rate_hz)
        || !(low_hz >= 0.0 && low_hz < half) || !(high_hz >= 0.0 && high_hz < half) || (brown && low_hz == 0.0)
        || (high_hz > 0.0 && high_hz <= low_hz) || !(ripple_db >= 0.0 && ripple_db <= 12.0))
        return NULL;
    rs_noise *bank = calloc(1, sizeof *bank);
    if (bank == NULL)
        return NULL;
    bank->voices = voices;
    bank->groups = (2 * voices + LANES - 1) / LANES;
    bank->rate_hz = rate_hz;
    bank->brown = brown != 0;
    bank->seed = rs_random(seed, 0);
    bank->group = aligned_alloc(64, bank->groups * sizeof *bank->group);
    if (bank->group == NULL) {
        rs_noise_free(bank);
        return NULL;
    }
    memset(bank->group, 0, bank->groups * sizeof *bank->group);
    set_colour(bank, low_hz, high_hz);
    if (low_hz > 0.0)
        set_edge(bank, 1, low_hz);
    if (high_hz > 0.0)
        set_edge(bank, 0, high_hz);
    bank->level = (float)sqrt(3.0 / power(bank, low_hz, high_hz));  /* even noise has the power 1/3 */
    set_ripple(bank, low_hz, high_hz, ripple_db);
    for (size_t k = 0; k <= bank->poles; k++)
        bank->colour[k] *= bank->level;
    for (size_t i = 0; i < bank->groups * LANES; i++)
        bank->group[i / LANES].chance[i % LANES] = (uint32_t)(rs_random(bank->seed, i) >> 32) | 1u;
    return bank;
}

void rs_noise_free(rs_noise *bank)
{
    if (bank == NULL)
        return;
    free(bank->group);
    free(bank);
}

RS_INLINE void white(whole_lanes *state, lanes *out)
{
    whole_lanes x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    *state = x;
    *out = __builtin_convertvector((signed_lanes)x, lanes) * 4.656612873077393e-10f;
}

/* How much of each octave shall be added at the next point. */
RS_INLINE void aim(const rs_noise *bank, ears *group, int begins, uint64_t first)
{
    for (size_t k = 0; k < bank->octaves; k++) {
        lanes chance;
        for (size_t lane = 0; lane < LANES; lane++)
            chance[lane] = (float)(2.0 * rs_uniform(bank->seed, first + k * LANES + lane) - 1.0);
        lanes *slow = group->swell[k];
        slow[0] += bank->swelling * (chance - slow[0]);
        slow[1] += bank->swelling * (slow[0] - slow[1]);
        lanes y = bank->swell_size * slow[1];
        for (size_t lane = 0; lane < LANES; lane++)
            y[lane] = y[lane] > DEEPEST ? DEEPEST : y[lane] < -DEEPEST ? -DEEPEST : y[lane];
        /* e^y as the eighth power of a polynomial for |y| / 8 <= 1/4. */
        y *= 0.125f;
        lanes e = 1.0f + y * (1.0f + y * (0.5f + y * (1.0f / 6.0f + y * (1.0f / 24.0f))));
        e *= e;
        e *= e;
        /* The band-pass is Q at its middle. */
        const lanes goal = (float)(1.0 / OCTAVE_Q) * (e * e - 1.0f);
        if (begins)
            group->more[k] = goal;
        group->change[k] = (goal - group->more[k]) / (float)POINT;
    }
}

RS_INLINE void filter(const svf *at, integrators *held, const lanes *in, lanes *low, lanes *band)
{
    const lanes rest = *in - held->two;
    *band = at->a1 * held->one + at->a2 * rest;
    *low = held->two + at->a2 * held->one + at->a3 * rest;
    held->one = 2.0f * *band - held->one;
    held->two = 2.0f * *low - held->two;
}

RS_INLINE void fixed_filter(const float *a, integrators *held, const lanes *in, lanes *low, lanes *band)
{
    const lanes none = {0.0f};
    const svf at = {none + a[0], none + a[1], none + a[2]};
    filter(&at, held, in, low, band);
}

/* `frames` from the frame `at` of a block on, in which the low-pass moves by `change` each frame. What is needed in every
 * frame stays in registers; only the many filters go through memory. */
RS_INLINE void run(const rs_noise *bank, ears *now, size_t at, size_t frames, const svf *change, lanes *restrict out)
{
    const float *keep = bank->keep, *colour = bank->colour;
    const size_t poles = bank->poles, octaves = bank->octaves;
    const int edges = bank->edges;
    whole_lanes chance = now->chance;
    lanes before = now->before[0], before_that = now->before[1], brown = now->brown;
    integrators bright = now->bright;
    for (size_t t = 0; t < frames; t++) {
        lanes fresh, low, band;
        white(&chance, &fresh);
        lanes x = (1.0f - 2.0f * TAP) * before + TAP * (fresh + before_that);
        before_that = before;
        before = fresh;
        if (bank->brown) {
            brown = x + bank->brown_keep * (brown - x);
            x = brown;
        }
        lanes sum = colour[poles] * x;
        for (size_t k = 0; k < poles; k++) {
            now->pole[k] = x + keep[k] * (now->pole[k] - x);
            sum += colour[k] * now->pole[k];
        }
        lanes swollen = sum;
        const float passed = (float)(int32_t)t;
        for (size_t k = 0; k < octaves; k++) {
            fixed_filter(bank->octave[k], &now->octave[k], &sum, &low, &band);
            swollen += (now->more[k] + passed * now->change[k]) * band;
        }
        for (int e = 0; e < edges; e++) {
            fixed_filter(bank->edge[e], &now->edge[e], &swollen, &low, &band);
            swollen = bank->edge_is_high[e] ? swollen - (float)(1.0 / BUTTERWORTH_Q) * band - low : low;
        }
        const float along = (float)(int32_t)(at + t + 1);
        const svf moving = {now->brightness.a1 + along * change->a1, now->brightness.a2 + along * change->a2,
                            now->brightness.a3 + along * change->a3};
        filter(&moving, &bright, &swollen, &out[t], &band);
    }
    for (size_t k = 0; k < octaves; k++)
        now->more[k] += (float)(int32_t)frames * now->change[k];
    now->chance = chance;
    now->before[0] = before;
    now->before[1] = before_that;
    now->brown = brown;
    now->bright = bright;
}

RS_CLONES
static void noise_render(rs_noise *bank, size_t index, size_t frames, const svf *change, const svf *goal, float *out)
{
    ears *group = &bank->group[index];
    const size_t first = index * LANES / 2;
    const size_t voices = bank->voices - first < LANES / 2 ? bank->voices - first : LANES / 2;
    size_t until_point = bank->until_point, at = 0;
    uint64_t points = bank->points;
    while (at < frames) {
        if (until_point == 0) {
            until_point = POINT;
            const uint64_t drawn = (points * bank->groups + index) * LANES * MOST_OCTAVES;
            aim(bank, group, points == 0, AFTER_SEEDS + drawn);
            points++;
        }
        size_t count = frames - at < until_point ? frames - at : until_point;
        count = count < AT_ONCE ? count : AT_ONCE;
        lanes sound[AT_ONCE];
        run(bank, group, at, count, change, sound);
        for (size_t t = 0; t < count; t++) {
            float row[LANES];
            memcpy(row, &sound[t], sizeof row);
            for (size_t v = 0; v < voices; v++)
                memcpy(out + 2 * ((first + v) * frames + at + t), row + 2 * v, 2 * sizeof *row);
        }
        at += count;
        until_point -= count;
    }
    group->brightness = *goal;
}

void rs_noise_process(rs_noise *bank, size_t frames, const double *brightness_hz, float *out)
{
    if (frames == 0)
        return;
    for (size_t g = 0; g < bank->groups; g++) {
        svf goal = {{0.0f}, {0.0f}, {0.0f}}, change;
        for (size_t lane = 0; lane < LANES; lane++) {
            const size_t voice = (g * LANES + lane) / 2;
            float a[3];
            svf_for(brightness_hz[voice < bank->voices ? voice : 0], BUTTERWORTH_Q, bank->rate_hz, a);
            goal.a1[lane] = a[0];
            goal.a2[lane] = a[1];
            goal.a3[lane] = a[2];
        }
        if (!bank->begun)
            bank->group[g].brightness = goal;
        const svf *from = &bank->group[g].brightness;
        change.a1 = (goal.a1 - from->a1) / (float)frames;
        change.a2 = (goal.a2 - from->a2) / (float)frames;
        change.a3 = (goal.a3 - from->a3) / (float)frames;
        noise_render(bank, g, frames, &change, &goal, out);
    }
    bank->begun = 1;
    /* All groups pass their points together. */
    size_t left = frames;
    while (left > bank->until_point) {
        left -= bank->until_point;
        bank->until_point = POINT;
        bank->points++;
    }
    bank->until_point -= left;
}
