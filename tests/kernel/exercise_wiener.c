/* The causal phasor and the cues on slow waves: see exercise.h. */
#include "exercise.h"

static void refusals(void)
{
    REQUIRE(rs_wiener_new(0, 100.0, 0.5, 2.0, 0.0, 60.0, 500.0) == NULL);
    REQUIRE(rs_wiener_new(1, (double)NAN, 0.5, 2.0, 0.0, 60.0, 500.0) == NULL);
    REQUIRE(rs_wiener_new(1, 100.0, 2.0, 2.0, 0.0, 60.0, 500.0) == NULL);
    REQUIRE(rs_wiener_new(1, 100.0, 0.5, 11.0, 0.0, 60.0, 500.0) == NULL);
    REQUIRE(rs_wiener_new(1, 100.0, 0.5, 2.0, 0.6, 60.0, 500.0) == NULL);
    REQUIRE(rs_wiener_new(1, 100.0, 0.5, 2.0, 0.0, 7.0, 500.0) == NULL);
    REQUIRE(rs_wiener_new(1, 100.0, 0.5, 2.0, 0.0, 60.0, 0.0) == NULL);
    REQUIRE(rs_wiener_new(SIZE_MAX / 8, 100.0, 0.5, 2.0, 0.0, 60.0, 1.0) == NULL);
    REQUIRE(rs_slow_waves_new(1, 10.0, 0.0, 0.0, 20.0, 500.0) == NULL);
    REQUIRE(rs_slow_waves_new(1, 100.0, (double)INFINITY, 0.0, 20.0, 500.0) == NULL);
    REQUIRE(rs_slow_waves_new(0, 100.0, 0.0, 0.0, 20.0, 500.0) == NULL);
    rs_wiener_free(NULL);
    rs_slow_waves_free(NULL);
}

/* Noise, gaps, artefacts, NaN where nothing is valid, and rates at both ends. */
static void anything(double rate_hz)
{
    enum { FRAMES = 37, CHANNELS = 3, ROUNDS = 400 };
    rs_wiener *wiener = rs_wiener_new(CHANNELS, rate_hz, 0.5, 2.0, 0.1, 60.0, 2.0);
    rs_slow_waves *waves = rs_slow_waves_new(CHANNELS, rate_hz, 1.0, 0.1, 0.1, 2.0);
    REQUIRE(wiener != NULL && waves != NULL);
    double x[FRAMES * CHANNELS], z[2 * (FRAMES + 1) * CHANNELS];
    double confidence[(FRAMES + 1) * CHANNELS], error[(FRAMES + 1) * CHANNELS];
    uint8_t valid[FRAMES * CHANNELS];
    rs_cue cues[(FRAMES + 1) * CHANNELS];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < FRAMES * CHANNELS; i++) {
            valid[i] = round % 50 || noise() > 0.0;
            x[i] = valid[i] ? noise() * (noise() > 0.999 ? 100.0 : 1.0) : (double)NAN;
        }
        const uint8_t *mask = round % 50 ? NULL : valid;
        const size_t steps = rs_wiener_process(wiener, FRAMES, x, mask, z, confidence, error);
        REQUIRE(steps <= FRAMES / rs_wiener_hop(wiener) + 1);
        for (size_t i = 0; i < steps * CHANNELS; i++) {
            REQUIRE(isfinite(z[2 * i]) && isfinite(z[2 * i + 1]));
            REQUIRE(confidence[i] >= 0.0 && confidence[i] <= 1.0 && error[i] >= 0.0);
        }
        const size_t given = rs_slow_waves_process(waves, FRAMES, x, mask, cues);
        REQUIRE(given <= CHANNELS * (FRAMES / rs_slow_waves_hop(waves) + 1));
        for (size_t i = 0; i < given; i++)
            REQUIRE(cues[i].channel < CHANNELS && isfinite(cues[i].at) && cues[i].sigma_rad >= 0.0);
    }
    rs_wiener_free(wiener);
    rs_slow_waves_free(waves);
}

int main(void)
{
    refusals();
    anything(20.0);
    anything(100.0);
    anything(999.0);
    puts("all well");
    return 0;
}
