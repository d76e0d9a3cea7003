/* Resonators, synchrony and oscillators: see exercise.h. */
#include "exercise.h"

static void resonators(void)
{
    const double freq[] = {0.25, 10.0}, width[] = {0.1, 2.0}, high = 125.0;
    REQUIRE(rs_resonators_new(0, 2, 250.0, freq, width) == NULL);
    REQUIRE(rs_resonators_new(1, 1, 250.0, &high, width) == NULL);
    REQUIRE(rs_resonators_new(1, 1, (double)NAN, freq, width) == NULL);
    REQUIRE(rs_resonators_new(SIZE_MAX / 2, 2, 250.0, freq, width) == NULL);

    rs_resonators *bank = rs_resonators_new(3, 2, 250.0, freq, width);
    REQUIRE(bank != NULL);
    double x[3 * 20], out[2 * 3 * 20 * 2], phasor[2 * 3 * 2], confidence[3 * 2];
    uint8_t valid[3 * 20];
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 60; i++) {
            valid[i] = noise() > -0.5;
            x[i] = valid[i] ? 100.0 * noise() : (double)NAN;
        }
        rs_resonators_process(bank, 20, x, valid, out);
        rs_resonators_state(bank, phasor, confidence);
        for (int i = 0; i < 6; i++)
            REQUIRE(confidence[i] >= 0.0 && confidence[i] <= 1.0 && isfinite(phasor[2 * i]));
        const double moved[] = {0.2, 9.0, 0.3, 11.0, 0.25, 10.5};
        rs_resonators_retune(bank, moved);
    }
    rs_resonators_free(bank);
    rs_resonators_free(NULL);
}

static void order_and_pairs(void)
{
    rs_order_sums sums = {0};
    const double phase[] = {0.0, 1.0, 2.0}, weight[] = {1.0, 0.0, 0.5};
    rs_order_add(&sums, 3, phase, weight);
    rs_order_add(&sums, 1, phase, NULL);
    REQUIRE(fabs(sums.weight - 2.5) < 1e-12);

    REQUIRE(rs_pairwise_new(0, 1, 1) == NULL);
    REQUIRE(rs_pairwise_new(1, 1, 0) == NULL);
    REQUIRE(rs_pairwise_new(SIZE_MAX / 2, 3, 3) == NULL);
    for (size_t window = 1; window < 9; window += 3) {
        rs_pairwise *pairs = rs_pairwise_new(4, 2, window);
        REQUIRE(pairs != NULL);
        double u[2 * 5 * 4 * 2], w[5 * 4 * 2], plv[2 * 16], n_eff[2 * 16];
        for (int round = 0; round < 20; round++) {
            for (int i = 0; i < 40; i++) {
                u[2 * i] = i == 7 ? 0.0 : noise();
                u[2 * i + 1] = i == 7 ? 0.0 : noise();
                w[i] = noise() > 0.0 ? 0.5 + 0.4 * noise() : 0.0;
            }
            rs_pairwise_push(pairs, 5, u, round % 3 ? w : NULL);
            rs_pairwise_values(pairs, plv, n_eff);
            for (int i = 0; i < 32; i++) {
                REQUIRE(isnan(plv[i]) || (plv[i] >= 0.0 && plv[i] <= 1.0));
                REQUIRE(n_eff[i] >= 0.0 && n_eff[i] <= (double)window);
            }
        }
        rs_pairwise_free(pairs);
    }
    rs_pairwise_free(NULL);
}

static void kuramoto(void)
{
    const double start[] = {0.0, 2.0, -3.0}, natural[] = {0.2, 0.25, 0.3}, pull[] = {1, 0, 1};
    double kick[3], phase[3];
    REQUIRE(rs_kuramoto_new(0, start) == NULL);
    rs_kuramoto *group = rs_kuramoto_new(3, start);
    REQUIRE(group != NULL);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 3; i++)
            kick[i] = 0.1 * noise();
        rs_kuramoto_step(group, 0.1, natural, 0.1, 0.3, round % 2 ? start : NULL, pull,
                         round % 4 ? kick : NULL, phase);
        for (int i = 0; i < 3; i++)
            REQUIRE(phase[i] >= -3.1416 && phase[i] <= 3.1416);
    }
    rs_kuramoto_free(group);
    rs_kuramoto_free(NULL);
}

int main(void)
{
    resonators();
    order_and_pairs();
    kuramoto();
    puts("all well");
    return 0;
}
