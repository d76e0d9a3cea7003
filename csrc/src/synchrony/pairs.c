/*
 * Sums for all pairs over a sliding or a fading window: see resonance.h for what they are, pairs.h for how.
 *
 * Sums of floating point numbers that only enter and leave would collect rounding errors for ever, and a pair that
 * fell silent would show the locking of its errors. Therefore `next` sums what has entered since the ring's last
 * turn; at the turn that is the whole window, summed afresh, and replaces `now`. A push never reaches over a turn.
 * What leaves may also be far larger than what stays, as the frames before a gap or an artefact in an amplitude: then
 * its errors would be larger than the rest. Where the power of what is in the window has fallen far below the most it
 * had since it was summed afresh, it is summed afresh at once, which costs as much as its frames did when they came.
 *
 * In a fading window nothing leaves: sums are multiplied by what a frame keeps, and a frame's place in its batch is
 * put into its weights, as the square root, because a pair's weight is a product of two.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pairs.h"

enum { WEIGHTS, AMPLITUDES, POWERS }; /* each squared, and summed over the window */
static const double FALLEN = 1e-5, FALLEN_SINGLE = 0.1; /* shares of the most since it was summed afresh */

struct rs_pairs {
    pair_layout layout;
    int single;
    size_t size;                /* bytes of a number in a row */
    size_t window, slot;        /* frames, or 0; where the next frame goes and the oldest lies */
    int full;                   /* the ring has been round once */
    double keeps;               /* what a frame keeps of its weight when another comes; 1 with a window */
    void *ring;                 /* [bands, window, layout.frame] */
    void *packed;               /* [bands, MOST_FRAMES, layout.frame] */
    void *scratch;
    double *now, *next;         /* [bands, layout.band] */
    double *power, *most;       /* [bands, POWERS, pods] */
};

/* NULL rather than a small array if the product overflows. */
static void *grid(size_t a, size_t b, size_t c, size_t size)
{
    if (b != 0 && a > SIZE_MAX / b)
        return NULL;
    if (c != 0 && a * b > SIZE_MAX / c)
        return NULL;
    return calloc(a * b * c, size);
}

static void add_row(pair_layout *layout, size_t row)
{
    if (layout->row[row] == ABSENT) {
        layout->row[row] = layout->rows * layout->width;
        layout->rows++;
    }
}

/* Which row or rows each sum is made of. */
static const int ROWS_OF[RS_PAIR_SUMS][2] = {
    [RS_SUM_WEIGHT] = {ROW_WEIGHT, ROW_WEIGHT},
    [RS_SUM_FRAMES] = {ROW_FRAMES, ROW_FRAMES},
    [RS_SUM_SQUARE] = {ROW_SQUARE, ROW_SQUARE},
    [RS_SUM_LOCK_RE] = {ROW_X, ROW_Y},
    [RS_SUM_LOCK_IM] = {ROW_X, ROW_Y},
    [RS_SUM_TURN_RE] = {ROW_X, ROW_Y},
    [RS_SUM_TURN_IM] = {ROW_X, ROW_Y},
    [RS_SUM_DOUBLE_RE] = {ROW_X2, ROW_X2},
    [RS_SUM_DOUBLE_IM] = {ROW_Y2, ROW_Y2},
    [RS_SUM_MEAN_RE] = {ROW_X, ROW_X},
    [RS_SUM_MEAN_IM] = {ROW_Y, ROW_Y},
    [RS_SUM_ENVELOPE] = {ROW_ENVELOPE, ROW_ENVELOPE},
    [RS_SUM_POWER] = {ROW_POWER, ROW_POWER},
    [RS_SUM_ENVELOPES] = {ROW_ENVELOPE, ROW_ENVELOPE},
    [RS_SUM_LAG] = {ROW_RE, ROW_IM},
    [RS_SUM_LAG_SIZE] = {ROW_RE, ROW_IM},
    [RS_SUM_LAG_SQUARE] = {ROW_RE, ROW_IM},
};

static int for_all(size_t sum)
{
    return sum == RS_SUM_WEIGHT || sum == RS_SUM_FRAMES || sum == RS_SUM_SQUARE;
}

static int for_a_pod(size_t sum)
{
    return sum == RS_SUM_DOUBLE_RE || sum == RS_SUM_DOUBLE_IM || sum == RS_SUM_MEAN_RE || sum == RS_SUM_MEAN_IM
        || sum == RS_SUM_ENVELOPE || sum == RS_SUM_POWER;
}

/* Some sums are made together: whoever keeps one of them keeps all. */
static uint32_t whole_groups(uint32_t sums)
{
    const uint32_t lock = 1u << RS_SUM_LOCK_RE | 1u << RS_SUM_LOCK_IM;
    const uint32_t turn = 1u << RS_SUM_TURN_RE | 1u << RS_SUM_TURN_IM;
    const uint32_t lags = 1u << RS_SUM_LAG | 1u << RS_SUM_LAG_SIZE | 1u << RS_SUM_LAG_SQUARE;
    sums |= 1u << RS_SUM_WEIGHT | 1u << RS_SUM_FRAMES;
    if (sums & turn)
        sums |= turn | lock;
    if (sums & lock)
        sums |= lock;
    if (sums & lags)
        sums |= lags;
    return sums;
}

static void lay_out(pair_layout *layout, uint32_t sums)
{
    const size_t width = layout->width;
    for (size_t row = 0; row < ROWS; row++)
        layout->row[row] = ABSENT;
    layout->rows = 0;
    layout->band = 0;
    if (layout->weighted)
        add_row(layout, ROW_WEIGHT);
    for (size_t sum = 0; sum < RS_PAIR_SUMS; sum++) {
        layout->sum[sum] = ABSENT;
        layout->down[sum] = layout->across[sum] = 0;
        if (!(sums >> sum & 1))
            continue;
        layout->sum[sum] = layout->band;
        if (!layout->weighted && for_all(sum)) {
            layout->band += LANES_MOST;
            continue;
        }
        add_row(layout, (size_t)ROWS_OF[sum][0]);
        add_row(layout, (size_t)ROWS_OF[sum][1]);
        layout->down[sum] = !layout->weighted && for_a_pod(sum) ? 1 : width;
        layout->across[sum] = !layout->weighted && for_a_pod(sum) ? 0 : 1;
        layout->band += !layout->weighted && for_a_pod(sum) ? width : width * width;
    }
    layout->frame = layout->rows * width;
}

rs_pairs *rs_pairs_new(size_t pods, size_t bands, size_t window, double memory, uint32_t sums, int weighted,
                       int single)
{
    /* Pods beyond 2^20 would overflow sizes below, and no memory holds their pairs. */
    if (pods == 0 || pods > 1u << 20 || bands == 0 || bands > SIZE_MAX >> 24)
        return NULL;
    if (sums >> RS_PAIR_SUMS || (window == 0 && !(memory > 0.0 && isfinite(memory))))
        return NULL;
    rs_pairs *pairs = calloc(1, sizeof *pairs);
    if (pairs == NULL)
        return NULL;
    pair_layout *layout = &pairs->layout;
    layout->pods = pods;
    layout->bands = bands;
    layout->width = (pods + LANES_MOST - 1) / LANES_MOST * LANES_MOST;
    layout->weighted = weighted != 0;
    lay_out(layout, whole_groups(sums));
    pairs->single = single != 0;
    pairs->size = single ? sizeof(float) : sizeof(double);
    pairs->window = window;
    pairs->keeps = window ? 1.0 : exp(-1.0 / memory);
    pairs->ring = grid(bands, window ? window : 1, layout->frame ? layout->frame : 1, pairs->size);
    pairs->packed = grid(bands, MOST_FRAMES, layout->frame ? layout->frame : 1, pairs->size);
    pairs->scratch = grid(4, pods, bands, pairs->size);
    pairs->now = grid(bands, layout->band, 1, sizeof *pairs->now);
    pairs->next = grid(window ? bands : 1, window ? layout->band : 1, 1, sizeof *pairs->next);
    pairs->power = grid(bands, POWERS, pods, sizeof *pairs->power);
    pairs->most = grid(bands, POWERS, pods, sizeof *pairs->most);
    if (!pairs->ring || !pairs->packed || !pairs->scratch || !pairs->now || !pairs->next || !pairs->power
        || !pairs->most) {
        rs_pairs_free(pairs);
        return NULL;
    }
    return pairs;
}

void rs_pairs_free(rs_pairs *pairs)
{
    if (pairs == NULL)
        return;
    free(pairs->ring);
    free(pairs->packed);
    free(pairs->scratch);
    free(pairs->now);
    free(pairs->next);
    free(pairs->power);
    free(pairs->most);
    free(pairs);
}

/* Without weights: the sums that are the same for all pairs. */
static void add_for_all(const pair_batch *batch)
{
    const pair_layout *layout = batch->layout;
    double weight = 0.0, square = 0.0;
    for (size_t t = 0; t < batch->entering; t++) {
        const double w = batch->fade[t] * batch->fade[t];
        weight += w;
        square += w * w;
    }
    const double by[] = {weight, (double)batch->entering, square};
    for (size_t sum = RS_SUM_WEIGHT; sum <= RS_SUM_SQUARE; sum++)
        if (layout->sum[sum] != ABSENT) {
            batch->now[layout->sum[sum]] += by[sum] - (double)batch->leaving;
            if (batch->next != NULL)
                batch->next[layout->sum[sum]] += by[sum];
        }
}

/* Sums of w fade once for each frame that comes, sums of squares of w twice, counts never. */
static void fade_sums(rs_pairs *pairs, size_t frames)
{
    const pair_layout *layout = &pairs->layout;
    const double once = pow(pairs->keeps, (double)frames);
    for (size_t band = 0; band < layout->bands; band++)
        for (size_t sum = 0; sum < RS_PAIR_SUMS; sum++) {
            if (layout->sum[sum] == ABSENT || sum == RS_SUM_FRAMES)
                continue;
            const int twice = sum == RS_SUM_SQUARE || sum == RS_SUM_LAG_SQUARE;
            const double by = twice ? once * once : once;
            double *numbers = pairs->now + band * layout->band + layout->sum[sum];
            const size_t count = layout->across[sum] ? layout->width * layout->width
                               : layout->down[sum] ? layout->width : 1;
            for (size_t i = 0; i < count; i++)
                numbers[i] *= by;
        }
}

static void add_batch(const rs_pairs *pairs, const pair_batch *batch)
{
    if (!pairs->layout.weighted)
        add_for_all(batch);
    if (pairs->single) {
        rs_pairs_products_float(batch);
        rs_pairs_lags_float(batch);
    } else {
        rs_pairs_products_double(batch);
        rs_pairs_lags_double(batch);
    }
}

/* power += sign * the squares of one row of packed frames. */
static void weigh_row(const rs_pairs *pairs, int row, size_t frames, const char *packed, double sign, double *power)
{
    const pair_layout *layout = &pairs->layout;
    if (layout->row[row] == ABSENT)
        return;
    for (size_t t = 0; t < frames; t++) {
        const char *at = packed + (t * layout->frame + layout->row[row]) * pairs->size;
        for (size_t p = 0; p < layout->pods; p++) {
            const double x = pairs->single ? (double)((const float *)(const void *)at)[p]
                                           : ((const double *)(const void *)at)[p];
            power[p] += sign * x * x;
        }
    }
}

static void weigh(const rs_pairs *pairs, size_t frames, const char *packed, double sign, double *power)
{
    weigh_row(pairs, ROW_WEIGHT, frames, packed, sign, power + WEIGHTS * pairs->layout.pods);
    weigh_row(pairs, ROW_ENVELOPE, frames, packed, sign, power + AMPLITUDES * pairs->layout.pods);
    weigh_row(pairs, ROW_RE, frames, packed, sign, power + AMPLITUDES * pairs->layout.pods);
    weigh_row(pairs, ROW_IM, frames, packed, sign, power + AMPLITUDES * pairs->layout.pods);
}

/* One band's window, `frames` of it there, from its first sum on. */
static void sum_afresh(rs_pairs *pairs, size_t band, size_t frames)
{
    const pair_layout *layout = &pairs->layout;
    const size_t powers = POWERS * layout->pods;
    double *now = pairs->now + band * layout->band, *power = pairs->power + band * powers;
    double fade[MOST_FRAMES];
    for (size_t t = 0; t < MOST_FRAMES; t++)
        fade[t] = 1.0;
    memset(now, 0, layout->band * sizeof *now);
    memset(power, 0, powers * sizeof *power);
    for (size_t at = 0, some; at < frames; at += some) {
        some = frames - at < MOST_FRAMES ? frames - at : MOST_FRAMES;
        const char *rows = (const char *)pairs->ring + (band * pairs->window + at) * layout->frame * pairs->size;
        const pair_batch batch = {.layout = layout, .fresh = rows, .old = rows, .entering = some, .fade = fade, .now = now};
        add_batch(pairs, &batch);
        weigh(pairs, some, rows, 1.0, power);
    }
    memcpy(pairs->most + band * powers, power, powers * sizeof *power);
}

/* All weights are 1, and no amplitude counts: then nothing falls. */
static int watched(const pair_layout *layout)
{
    return layout->weighted || layout->row[ROW_ENVELOPE] != ABSENT || layout->row[ROW_RE] != ABSENT;
}

/* Takes note of the powers of one band; tells whether one has fallen so far that its sums may be rounding. */
static int has_fallen(rs_pairs *pairs, size_t band)
{
    const size_t powers = POWERS * pairs->layout.pods;
    const double *power = pairs->power + band * powers;
    double *most = pairs->most + band * powers;
    const double share = pairs->single ? FALLEN_SINGLE : FALLEN;
    int fallen = 0;
    for (size_t i = 0; i < powers; i++) {
        most[i] = power[i] > most[i] ? power[i] : most[i];
        fallen |= power[i] < share * most[i];
    }
    return fallen;
}

static void push_some(rs_pairs *pairs, size_t frames, const void *z, const void *weight)
{
    const pair_layout *layout = &pairs->layout;
    const size_t size = pairs->size;
    double fade[MOST_FRAMES];
    for (size_t t = 0; t < frames; t++)
        fade[t] = pairs->window ? 1.0 : pow(pairs->keeps, 0.5 * (double)(frames - 1 - t));
    if (!pairs->window)
        fade_sums(pairs, frames);
    if (pairs->single)
        rs_pairs_pack_float(layout, frames, z, weight, fade, pairs->scratch, pairs->packed);
    else
        rs_pairs_pack_double(layout, frames, z, weight, fade, pairs->scratch, pairs->packed);

    for (size_t band = 0; band < layout->bands; band++) {
        char *fresh = (char *)pairs->packed + band * MOST_FRAMES * layout->frame * size;
        char *old = pairs->window
            ? (char *)pairs->ring + (band * pairs->window + pairs->slot) * layout->frame * size : fresh;
        const pair_batch batch = {
            .layout = layout, .fresh = fresh, .old = old, .entering = frames,
            .leaving = pairs->full ? frames : 0, .fade = fade,
            .now = pairs->now + band * layout->band,
            .next = pairs->window ? pairs->next + band * layout->band : NULL,
        };
        add_batch(pairs, &batch);
        if (!pairs->window)
            continue;
        if (watched(layout)) {
            double *power = pairs->power + band * POWERS * layout->pods;
            weigh(pairs, frames, fresh, 1.0, power);
            weigh(pairs, batch.leaving, old, -1.0, power);
        }
        memcpy(old, fresh, frames * layout->frame * size);
        if (watched(layout) && has_fallen(pairs, band))
            sum_afresh(pairs, band, pairs->full ? pairs->window : pairs->slot + frames);
    }

    if (!pairs->window)
        return;
    pairs->slot += frames;
    if (pairs->slot == pairs->window) {
        pairs->slot = 0;
        pairs->full = 1;
        double *whole = pairs->next;
        pairs->next = pairs->now;
        pairs->now = whole;
        memset(pairs->next, 0, layout->bands * layout->band * sizeof *pairs->next);
        memcpy(pairs->most, pairs->power, layout->bands * POWERS * layout->pods * sizeof *pairs->most);
    }
}

/* Of z, complex [n]. What says so is as wide as a number, or compilers spend their time on widening. */
RS_CLONES static int any_zero(size_t n, const double *z)
{
    uint64_t any = 0;
    for (size_t i = 0; i < n; i++)
        any |= (z[2 * i] == 0.0) & (z[2 * i + 1] == 0.0);
    return any != 0;
}

RS_CLONES static int any_zero_single(size_t n, const float *z)
{
    uint32_t any = 0;
    for (size_t i = 0; i < n; i++)
        any |= (z[2 * i] == 0.0f) & (z[2 * i + 1] == 0.0f);
    return any != 0;
}

static int push(rs_pairs *pairs, size_t frames, const char *z, const char *weight)
{
    const size_t count = pairs->layout.pods * pairs->layout.bands, step = count * pairs->size;
    if (!pairs->layout.weighted
        && (weight != NULL || (pairs->single ? any_zero_single(frames * count, (const float *)(const void *)z)
                                             : any_zero(frames * count, (const double *)(const void *)z))))
        return -1;
    while (frames) {
        size_t some = frames < MOST_FRAMES ? frames : MOST_FRAMES;
        if (pairs->window && some > pairs->window - pairs->slot)
            some = pairs->window - pairs->slot;
        push_some(pairs, some, z, weight);
        frames -= some;
        z += 2 * some * step;
        if (weight != NULL)
            weight += some * step;
    }
    return 0;
}

int rs_pairs_push(rs_pairs *pairs, size_t frames, const double *z, const double *weight)
{
    return push(pairs, frames, (const char *)z, (const char *)weight);
}

int rs_pairs_push_single(rs_pairs *pairs, size_t frames, const float *z, const float *weight)
{
    return push(pairs, frames, (const char *)z, (const char *)weight);
}

void rs_pairs_values(const rs_pairs *pairs, rs_pair_measure measure, double *out)
{
    const pair_layout *layout = &pairs->layout;
    const double *sums[RS_PAIR_SUMS];
    for (size_t band = 0; band < layout->bands; band++) {
        for (size_t sum = 0; sum < RS_PAIR_SUMS; sum++)
            sums[sum] = layout->sum[sum] == ABSENT ? NULL : pairs->now + band * layout->band + layout->sum[sum];
        rs_pairs_measure(measure, layout->pods, sums, layout->down, layout->across,
                         out + band * layout->pods * layout->pods);
    }
}

void rs_pairs_sums(const rs_pairs *pairs, double *out)
{
    const pair_layout *layout = &pairs->layout;
    const size_t pods = layout->pods;
    for (size_t sum = 0; sum < RS_PAIR_SUMS; sum++) {
        if (layout->sum[sum] == ABSENT)
            continue;
        /* One half was summed, and the other follows from it; or both were. */
        const int mirrored = !for_a_pod(sum);
        const double sign = sum == RS_SUM_LOCK_IM || sum == RS_SUM_LAG ? -1.0 : 1.0;
        for (size_t band = 0; band < layout->bands; band++) {
            const double *from = pairs->now + band * layout->band + layout->sum[sum];
            for (size_t a = 0; a < pods; a++)
                for (size_t b = 0; b < pods; b++)
                    *out++ = mirrored && b < a ? sign * from[b * layout->down[sum] + a * layout->across[sum]]
                                               : from[a * layout->down[sum] + b * layout->across[sum]];
        }
    }
}
