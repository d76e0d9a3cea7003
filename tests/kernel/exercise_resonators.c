/* Resonators: see exercise.h. */
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
    double x[3 * 20], out[2 * 3 * 20 * 2], phasor[2 * 3 * 2], confidence[3 * 2], each[20 * 3 * 2];
    uint8_t valid[3 * 20];
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 60; i++) {
            valid[i] = noise() > -0.5;
            x[i] = valid[i] ? 100.0 * noise() : (double)NAN;
        }
        rs_resonators_process(bank, 20, x, valid, out, each);
        rs_resonators_state(bank, phasor, confidence);
        for (int i = 0; i < 6; i++)
            REQUIRE(confidence[i] == each[19 * 6 + i] && confidence[i] >= 0.0 && confidence[i] <= 1.0 && isfinite(phasor[2 * i]));
        const double moved[] = {0.2, 9.0, 0.3, 11.0, 0.25, 10.5};
        rs_resonators_retune(bank, moved);
    }
    rs_resonators_free(bank);
    rs_resonators_free(NULL);
}

int main(void)
{
    resonators();
    puts("all well");
    return 0;
}
