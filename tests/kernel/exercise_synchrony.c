/* Groups and pairs: see exercise.h. */
#include "exercise.h"

#define EVERY ((1u << RS_PAIR_SUMS) - 1)

static void order(void)
{
    for (size_t n = 1; n < 200; n += 33) {
        double *phase = malloc(n * sizeof *phase), *u = malloc(2 * n * sizeof *u), *weight = malloc(n * sizeof *weight);
        for (size_t i = 0; i < n; i++) {
            phase[i] = i % 5 == 4 ? 1e12 * noise() : 10.0 * noise();
            u[2 * i] = i % 7 == 6 ? 0.0 : noise();
            u[2 * i + 1] = i % 7 == 6 ? 0.0 : 1e-300 * noise();
            weight[i] = 1.0 + noise();
        }
        rs_order_sums sums = {0};
        rs_order_add(&sums, n, phase, NULL);
        REQUIRE(sums.weight == (double)n && sums.square == (double)n);
        REQUIRE(hypot(sums.re, sums.im) <= (double)n * 1.0000001);
        rs_order_add(&sums, n, phase, weight);
        rs_order_add_phasors(&sums, n, u, NULL);
        rs_order_add_phasors(&sums, n, u, weight);
        REQUIRE(hypot(sums.re, sums.im) <= sums.weight * 1.0000001);
        free(phase);
        free(u);
        free(weight);
    }
}

static void refusals(void)
{
    REQUIRE(rs_pairs_new(0, 1, 1, 0.0, EVERY, 1, 0) == NULL);
    REQUIRE(rs_pairs_new(1, 0, 1, 0.0, EVERY, 1, 0) == NULL);
    REQUIRE(rs_pairs_new(1, 1, 0, 0.0, EVERY, 1, 0) == NULL);
    REQUIRE(rs_pairs_new(1, 1, 0, (double)NAN, EVERY, 1, 0) == NULL);
    REQUIRE(rs_pairs_new(1, 1, 0, (double)INFINITY, EVERY, 1, 0) == NULL);
    REQUIRE(rs_pairs_new(1, 1, 1, 0.0, EVERY + 1, 1, 0) == NULL);
    REQUIRE(rs_pairs_new(SIZE_MAX / 2, 3, 3, 0.0, EVERY, 1, 0) == NULL);
    REQUIRE(rs_pairs_new(3, SIZE_MAX / 2, 3, 0.0, EVERY, 1, 0) == NULL);
    REQUIRE(rs_pairs_new(3, 3, SIZE_MAX / 2, 0.0, EVERY, 1, 0) == NULL);
    REQUIRE(rs_pair_sums_for(RS_PAIR_MEASURES) == 0);
    rs_pairs_free(NULL);
}

static void limits(rs_pair_measure measure, double value, size_t window)
{
    if (measure == RS_N_EFF)
        REQUIRE(value >= 0.0 && (window == 0 || value <= (double)window * 1.00001));
    else
        REQUIRE(isnan(value) || (value >= -1.0 && value <= 1.0));
}

static void pairs(size_t pods, size_t window, uint32_t sums, int weighted, int single)
{
    enum { BANDS = 2, MOST = 40 };
    const size_t count = MOST * pods * BANDS, square = BANDS * pods * pods;
    rs_pairs *made = rs_pairs_new(pods, BANDS, window, 12.0, sums, weighted, single);
    REQUIRE(made != NULL);
    double *u = malloc(2 * count * sizeof *u), *w = malloc(count * sizeof *w);
    float *small = malloc(2 * count * sizeof *small), *light = malloc(count * sizeof *light);
    double *values = malloc(square * sizeof *values), *all = malloc(RS_PAIR_SUMS * square * sizeof *all);
    for (size_t round = 0; round < 12; round++) {
        const double size = round % 4 == 3 ? 1e-6 : 1.0; /* what leaves is far larger than what stays */
        for (size_t i = 0; i < 2 * count; i++) {
            u[i] = weighted && i / 2 % 11 == 3 ? 0.0 : size * noise();
            small[i] = (float)u[i];
        }
        for (size_t i = 0; i < count; i++) {
            w[i] = noise() > 0.0 ? 0.5 + 0.4 * noise() : 0.0;
            light[i] = (float)w[i];
        }
        const size_t frames = 1 + round * 7 % MOST;
        const int weighs = weighted && round % 3;
        if (single)
            rs_pairs_push_single(made, frames, small, weighs ? light : NULL);
        else
            rs_pairs_push(made, frames, u, weighs ? w : NULL);
        for (rs_pair_measure measure = RS_PLV; measure < RS_PAIR_MEASURES; measure++) {
            if ((rs_pair_sums_for(measure) & sums) != rs_pair_sums_for(measure))
                continue;
            rs_pairs_values(made, measure, values);
            for (size_t i = 0; i < square; i++)
                limits(measure, values[i], window);
            if (sums == EVERY) {
                rs_pairs_sums(made, all);
                rs_pair_values(measure, sums, pods, BANDS, all, values);
                for (size_t i = 0; i < square; i++)
                    limits(measure, values[i], window);
            }
        }
    }
    free(u);
    free(w);
    free(small);
    free(light);
    free(values);
    free(all);
    rs_pairs_free(made);
}

int main(void)
{
    order();
    refusals();
    const size_t pods[] = {1, 4, 16, 19, 70}, windows[] = {0, 1, 33, 64};
    for (size_t p = 0; p < 5; p++)
        for (size_t n = 0; n < 4; n++)
            for (int kind = 0; kind < 4; kind++) {
                pairs(pods[p], windows[n], EVERY, kind & 1, kind >> 1);
                pairs(pods[p], windows[n], rs_pair_sums_for((rs_pair_measure)(p + n)), kind & 1, kind >> 1);
            }
    puts("all well");
    return 0;
}
