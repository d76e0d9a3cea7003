/*
 * From sums to measures: see resonance.h.
 *
 * No angle is taken. The sine of a - A, with A the direction of a sum M, is Im(u conj(M)) / |M|, and its square's sum
 * is (S w - Re(S w u^2 conj(M)^2 / |M|^2)) / 2. Values are computed for a row of pairs at a time, so that the formulae
 * are loops over neighbours.
 */
#include <math.h>
#include <stddef.h>

#include "pairs.h"

#define STRIP 64                    /* pairs at a time */
#define LINE 8                      /* values in a cache line, and in a vector */
#define LEAST_VARIATION 1e-6        /* of the sum of squares: less may be rounding */

typedef double strip[STRIP];

static uint32_t bits(rs_pair_sum first, rs_pair_sum last)
{
    return ((2u << last) - 1) & ~((1u << first) - 1);
}

uint32_t rs_pair_sums_for(rs_pair_measure measure)
{
    const uint32_t evidence = bits(RS_SUM_WEIGHT, RS_SUM_FRAMES), square = 1u << RS_SUM_SQUARE;
    const uint32_t lock = evidence | bits(RS_SUM_LOCK_RE, RS_SUM_LOCK_IM);
    const uint32_t double_angles = lock | bits(RS_SUM_TURN_RE, RS_SUM_DOUBLE_IM);
    const uint32_t lags = evidence | bits(RS_SUM_LAG, RS_SUM_LAG_SQUARE);
    switch (measure) {
    case RS_PLV: case RS_CIPLV: return lock;
    case RS_PPC: return lock | square;
    case RS_WPLI: case RS_WPLI2_DEBIASED: return lags;
    case RS_ACCORR: return double_angles;
    case RS_CCORR: return double_angles | bits(RS_SUM_MEAN_RE, RS_SUM_MEAN_IM);
    case RS_ENVELOPE_CORR: return evidence | bits(RS_SUM_ENVELOPE, RS_SUM_ENVELOPES);
    case RS_N_EFF: return evidence | square;
    case RS_PAIR_MEASURES: break;
    }
    return 0;
}

RS_INLINE double within(double value, double least, double most)
{
    return value < least ? least : value > most ? most : value;
}

RS_INLINE double at_most_1(double value)
{
    return value > 1.0 ? 1.0 : value;
}

/* |u|, and u's direction, which is 1 where u has none: a choice like another, as numpy's angle of 0. */
RS_INLINE double direction(double *re, double *im)
{
    const double size = sqrt(*re * *re + *im * *im);
    *re = size > 0.0 ? *re / size : 1.0;
    *im = size > 0.0 ? *im / size : 0.0;
    return size;
}

/* Sums of one row of pairs: those of a with b, and of b with a, which differ where a sum is not symmetric. They are
 * read where they lie if they lie side by side, or else are copied to here. */
typedef struct {
    const double *of[RS_PAIR_SUMS], *back[RS_PAIR_SUMS];
    strip copies[2 * RS_PAIR_SUMS];
    int equal_weights;
} row_of_pairs;

RS_INLINE const double *side_by_side(const double *from, size_t step, size_t count, double *copy)
{
    if (step == 1)
        return from;
    if (step == 0)
        for (size_t i = 0; i < count; i++)
            copy[i] = from[0];
    else
        for (size_t i = 0; i < count; i++)
            copy[i] = from[i * step];
    return copy;
}

#define EACH for (size_t i = 0; i < count; i++)
#define SUM(name) const double *const name = row->of[RS_SUM_##name]
#define BACK(name) const double *const name##_BACK = row->back[RS_SUM_##name]

RS_INLINE void locking(rs_pair_measure measure, const row_of_pairs *row, size_t count, double *out)
{
    SUM(WEIGHT);
    SUM(SQUARE);
    SUM(LOCK_RE);
    SUM(LOCK_IM);
    if (measure == RS_PLV && row->equal_weights) {
        const double per_weight = 1.0 / WEIGHT[0]; /* half of the time would go to dividing */
        EACH out[i] = at_most_1(sqrt(LOCK_RE[i] * LOCK_RE[i] + LOCK_IM[i] * LOCK_IM[i]) * per_weight);
    } else if (measure == RS_PLV) {
        EACH out[i] = at_most_1(sqrt(LOCK_RE[i] * LOCK_RE[i] + LOCK_IM[i] * LOCK_IM[i]) / WEIGHT[i]);
    } else if (measure == RS_CIPLV) {
        EACH {
            const double re = LOCK_RE[i] / WEIGHT[i], im = LOCK_IM[i] / WEIGHT[i];
            const double rest = 1.0 - re * re;
            out[i] = rest > LEAST_VARIATION ? at_most_1(fabs(im) / sqrt(rest)) : NAN;
        }
    } else {
        EACH {
            const double locked = LOCK_RE[i] * LOCK_RE[i] + LOCK_IM[i] * LOCK_IM[i];
            const double all = WEIGHT[i] * WEIGHT[i], pairs = all - SQUARE[i];
            out[i] = pairs > LEAST_VARIATION * all ? within((locked - SQUARE[i]) / pairs, -1.0, 1.0) : NAN;
        }
    }
}

RS_INLINE void lags(rs_pair_measure measure, const row_of_pairs *row, size_t count, double *out)
{
    SUM(LAG);
    SUM(LAG_SIZE);
    SUM(LAG_SQUARE);
    if (measure == RS_WPLI) {
        EACH out[i] = LAG_SIZE[i] > 0.0 ? at_most_1(fabs(LAG[i]) / LAG_SIZE[i]) : NAN;
    } else {
        EACH {
            const double all = LAG_SIZE[i] * LAG_SIZE[i], pairs = all - LAG_SQUARE[i];
            const double value = (LAG[i] * LAG[i] - LAG_SQUARE[i]) / pairs;
            out[i] = pairs > LEAST_VARIATION * all ? within(value, -1.0, 1.0) : NAN;
        }
    }
}

RS_INLINE void adjusted_correlation(const row_of_pairs *row, size_t count, double *out)
{
    SUM(WEIGHT);
    SUM(LOCK_RE);
    SUM(LOCK_IM);
    SUM(TURN_RE);
    SUM(TURN_IM);
    SUM(DOUBLE_RE);
    SUM(DOUBLE_IM);
    BACK(DOUBLE_RE);
    BACK(DOUBLE_IM);
    EACH {
        double p = LOCK_RE[i], q = LOCK_IM[i], r = TURN_RE[i], s = TURN_IM[i];
        const double locked = direction(&p, &q), turning = direction(&r, &s);
        /* Directions of 2A = sum + difference, and of 2B = sum - difference. */
        const double a_re = r * p - s * q, a_im = r * q + s * p, b_re = r * p + s * q, b_im = s * p - r * q;
        const double of_a = 0.5 * (WEIGHT[i] - DOUBLE_RE[i] * a_re - DOUBLE_IM[i] * a_im);
        const double of_b = 0.5 * (WEIGHT[i] - DOUBLE_RE_BACK[i] * b_re - DOUBLE_IM_BACK[i] * b_im);
        const double least = LEAST_VARIATION * WEIGHT[i];
        const double value = (locked - turning) / (2.0 * sqrt(of_a * of_b));
        out[i] = ((of_a > least) & (of_b > least)) ? within(value, -1.0, 1.0) : NAN;
    }
}

RS_INLINE void circular_correlation(const row_of_pairs *row, size_t count, double *out)
{
    SUM(WEIGHT);
    SUM(LOCK_RE);
    SUM(LOCK_IM);
    SUM(TURN_RE);
    SUM(TURN_IM);
    SUM(DOUBLE_RE);
    SUM(DOUBLE_IM);
    SUM(MEAN_RE);
    SUM(MEAN_IM);
    BACK(DOUBLE_RE);
    BACK(DOUBLE_IM);
    BACK(MEAN_RE);
    BACK(MEAN_IM);
    EACH {
        double a_re = MEAN_RE[i], a_im = MEAN_IM[i], b_re = MEAN_RE_BACK[i], b_im = MEAN_IM_BACK[i];
        direction(&a_re, &a_im);
        direction(&b_re, &b_im);
        /* Of A - B and A + B; the product of sines is half the cosine of one difference less the other's. */
        const double d_re = a_re * b_re + a_im * b_im, d_im = a_im * b_re - a_re * b_im;
        const double s_re = a_re * b_re - a_im * b_im, s_im = a_im * b_re + a_re * b_im;
        const double both = 0.5 * (LOCK_RE[i] * d_re + LOCK_IM[i] * d_im - TURN_RE[i] * s_re - TURN_IM[i] * s_im);
        const double a2_re = a_re * a_re - a_im * a_im, a2_im = 2.0 * a_re * a_im;
        const double b2_re = b_re * b_re - b_im * b_im, b2_im = 2.0 * b_re * b_im;
        const double of_a = 0.5 * (WEIGHT[i] - DOUBLE_RE[i] * a2_re - DOUBLE_IM[i] * a2_im);
        const double of_b = 0.5 * (WEIGHT[i] - DOUBLE_RE_BACK[i] * b2_re - DOUBLE_IM_BACK[i] * b2_im);
        const double least = LEAST_VARIATION * WEIGHT[i];
        out[i] = ((of_a > least) & (of_b > least)) ? within(both / sqrt(of_a * of_b), -1.0, 1.0) : NAN;
    }
}

RS_INLINE void envelope_correlation(const row_of_pairs *row, size_t count, double *out)
{
    SUM(WEIGHT);
    SUM(ENVELOPE);
    SUM(POWER);
    SUM(ENVELOPES);
    BACK(ENVELOPE);
    BACK(POWER);
    EACH {
        const double w = WEIGHT[i], a = ENVELOPE[i], b = ENVELOPE_BACK[i];
        const double of_a = w * POWER[i] - a * a, of_b = w * POWER_BACK[i] - b * b;
        const int vary = (of_a > LEAST_VARIATION * w * POWER[i]) & (of_b > LEAST_VARIATION * w * POWER_BACK[i]);
        const double value = (w * ENVELOPES[i] - a * b) / (sqrt(of_a) * sqrt(of_b));
        out[i] = vary ? within(value, -1.0, 1.0) : NAN;
    }
}

RS_INLINE void effective_frames(const row_of_pairs *row, size_t count, double *out)
{
    SUM(WEIGHT);
    SUM(SQUARE);
    EACH out[i] = WEIGHT[i] * WEIGHT[i] / SQUARE[i];
}

/* Fills the lower half from LINE rows of the upper one from row `a` on, a cache line at a time. */
RS_INLINE void mirror(size_t pods, size_t a, double *out)
{
    const size_t most = pods - a < LINE ? pods - a : LINE;
    for (size_t b = a + 1; b < pods; b++) {
        double *to = out + b * pods + a;
        const double *from = out + a * pods + b;
        if (b >= a + LINE)
            for (size_t i = 0; i < LINE; i++)
                to[i] = from[i * pods];
        else
            for (size_t i = 0; i < most && a + i < b; i++)
                to[i] = from[i * pods];
    }
}

RS_CLONES
static void pairs_measure(rs_pair_measure measure, size_t pods, const double *const *sums, const size_t *down,
                          const size_t *across, double *out)
{
    const uint32_t needed_bits = rs_pair_sums_for(measure);
    size_t needed[RS_PAIR_SUMS], count_needed = 0;
    for (size_t sum = 0; sum < RS_PAIR_SUMS; sum++)
        if (needed_bits >> sum & 1)
            needed[count_needed++] = sum;
    const uint32_t one_sided = bits(RS_SUM_DOUBLE_RE, RS_SUM_POWER);
    row_of_pairs rows, *const row = &rows;
    row->equal_weights = across[RS_SUM_WEIGHT] == 0;
    const double nothing = measure == RS_N_EFF ? 0.0 : (double)NAN;
    for (size_t a = 0; a < pods; a++) {
        for (size_t start = a / LINE * LINE; start < pods; start += STRIP) { /* whole vectors; mirrored over later */
            const size_t count = pods - start < STRIP ? pods - start : STRIP;
            for (size_t k = 0; k < count_needed; k++) {
                const size_t sum = needed[k];
                if (across[sum] == 0 && down[sum] == 0 && (a || start))
                    continue; /* the same for all, and copied with the first strip */
                row->of[sum] = side_by_side(sums[sum] + a * down[sum] + start * across[sum], across[sum], count,
                                            row->copies[2 * sum]);
                if (one_sided >> sum & 1)
                    row->back[sum] = side_by_side(sums[sum] + start * down[sum] + a * across[sum], down[sum], count,
                                                  row->copies[2 * sum + 1]);
            }
            double *const to = out + a * pods + start;
            switch (measure) {
            case RS_PLV: case RS_CIPLV: case RS_PPC: locking(measure, row, count, to); break;
            case RS_WPLI: case RS_WPLI2_DEBIASED: lags(measure, row, count, to); break;
            case RS_ACCORR: adjusted_correlation(row, count, to); break;
            case RS_CCORR: circular_correlation(row, count, to); break;
            case RS_ENVELOPE_CORR: envelope_correlation(row, count, to); break;
            case RS_N_EFF: effective_frames(row, count, to); break;
            case RS_PAIR_MEASURES: return;
            }
            /* Taking away leaves rounding errors; the count, which is exact, tells whether they are all. */
            SUM(WEIGHT);
            SUM(FRAMES);
            if (!row->equal_weights)
                EACH to[i] = ((FRAMES[i] > 0.5) & (WEIGHT[i] > 0.0)) ? to[i] : nothing;
            else if (!(FRAMES[0] > 0.5 && WEIGHT[0] > 0.0))
                EACH to[i] = nothing;
            if ((measure == RS_WPLI || measure == RS_WPLI2_DEBIASED) && start <= a)
                to[a - start] = NAN;
        }
        if ((a + 1) % LINE == 0 || a + 1 == pods) /* while these rows are in the cache */
            mirror(pods, a / LINE * LINE, out);
    }
}

void rs_pairs_measure(rs_pair_measure measure, size_t pods, const double *const *sums, const size_t *down,
                      const size_t *across, double *out)
{
    pairs_measure(measure, pods, sums, down, across, out);
}

void rs_pair_values(rs_pair_measure measure, uint32_t kept, size_t pods, size_t bands, const double *sums,
                    double *out)
{
    const size_t square = pods * pods;
    size_t down[RS_PAIR_SUMS], across[RS_PAIR_SUMS];
    for (size_t sum = 0; sum < RS_PAIR_SUMS; sum++) {
        down[sum] = pods;
        across[sum] = 1;
    }
    for (size_t band = 0; band < bands; band++) {
        const double *of[RS_PAIR_SUMS] = {NULL};
        const double *at = sums + band * square;
        for (size_t sum = 0; sum < RS_PAIR_SUMS; sum++)
            if (kept >> sum & 1) {
                of[sum] = at;
                at += bands * square;
            }
        rs_pairs_measure(measure, pods, of, down, across, out + band * square);
    }
}
