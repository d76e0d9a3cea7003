/* Endpoint transform, band power, slow waves, and resonators in numbers that fill no vector: see exercise.h. */
#include "exercise.h"

static void resonators(size_t channels, size_t bands)
{
    enum { FRAMES = 7, MOST = 40 };
    double freq[MOST], width[MOST];
    for (size_t b = 0; b < bands; b++) {
        freq[b] = 1.0 + (double)b;
        width[b] = 0.5;
    }
    rs_resonators *bank = rs_resonators_new(channels, bands, 100.0, freq, width);
    REQUIRE(bank != NULL);
    double *x = malloc(FRAMES * channels * sizeof *x);
    double *out = malloc(2 * FRAMES * channels * bands * sizeof *out);
    double *confidence = malloc(channels * bands * sizeof *confidence);
    uint8_t *valid = malloc(FRAMES * channels);
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < FRAMES * channels; i++) {
            valid[i] = round > 2 && noise() > -0.5;
            x[i] = valid[i] ? noise() : (double)NAN;
        }
        rs_resonators_process(bank, FRAMES, x, valid, out, NULL);
        rs_resonators_state(bank, out, confidence);
        for (size_t i = 0; i < channels * bands; i++)
            REQUIRE(isfinite(out[2 * i]) && confidence[i] >= 0.0 && confidence[i] <= 1.0);
    }
    rs_resonators_free(bank);
    free(x);
    free(out);
    free(confidence);
    free(valid);
}

static void hilbert(size_t window, size_t frames)
{
    const double low[] = {0.2 * 100.0, 0.1 * 100.0}, high[] = {0.3 * 100.0, 0.4 * 100.0};
    rs_hilbert *transform = rs_hilbert_new(3, 2, window, 100.0, low, high);
    REQUIRE(transform != NULL);
    double phasor[2 * 3 * 2], confidence[3 * 2];
    rs_hilbert_state(transform, phasor, confidence);
    for (int i = 0; i < 6; i++)
        REQUIRE(phasor[2 * i] == 0.0 && confidence[i] == 0.0);
    double *x = malloc(3 * frames * sizeof *x), *out = malloc(2 * 3 * 2 * frames * sizeof *out);
    double *each = malloc(3 * 2 * frames * sizeof *each);
    uint8_t *valid = malloc(3 * frames);
    for (int round = 0; round < 30; round++) {
        for (size_t i = 0; i < 3 * frames; i++) {
            valid[i] = round < 20 ? noise() > -0.9 : round == 21;
            x[i] = valid[i] ? 100.0 * noise() : (double)NAN;
        }
        rs_hilbert_process(transform, frames, x, round == 5 ? NULL : valid, out, round % 2 ? each : NULL);
        if (round == 5)
            continue;  /* NaN went in as valid: whatever comes out, nothing may be read or written astray */
        rs_hilbert_state(transform, phasor, confidence);
        for (int i = 0; i < 6; i++)
            REQUIRE(!(confidence[i] < 0.0) && !(confidence[i] > 1.0));
        for (size_t i = 0; round % 2 && i < 6 * frames; i++)
            REQUIRE(!(each[i] < 0.0) && !(each[i] > 1.0));
    }
    rs_hilbert_free(transform);
    free(x);
    free(out);
    free(each);
    free(valid);
}

static void hilbert_refusals(void)
{
    const double low = 8.0, high = 12.0, beyond = 125.0;
    REQUIRE(rs_hilbert_new(0, 1, 100, 250.0, &low, &high) == NULL);
    REQUIRE(rs_hilbert_new(1, 0, 100, 250.0, &low, &high) == NULL);
    REQUIRE(rs_hilbert_new(1, 1, 7, 250.0, &low, &high) == NULL);
    REQUIRE(rs_hilbert_new(1, 1, 20, 250.0, &low, &high) == NULL);
    REQUIRE(rs_hilbert_new(1, 1, 100, 250.0, &high, &low) == NULL);
    REQUIRE(rs_hilbert_new(1, 1, 100, 250.0, &low, &beyond) == NULL);
    REQUIRE(rs_hilbert_new(1, 1, 100, (double)NAN, &low, &high) == NULL);
    REQUIRE(rs_hilbert_new(SIZE_MAX / 8, 1, 100, 250.0, &low, &high) == NULL);
    rs_hilbert_free(NULL);
}

static void power(void)
{
    REQUIRE(rs_power_new(0, 100.0, 1.0) == NULL);
    REQUIRE(rs_power_new(SIZE_MAX / 8, 100.0, 1.0) == NULL);
    REQUIRE(rs_power_new(1, 100.0, 0.0) == NULL);
    REQUIRE(rs_power_new(1, (double)INFINITY, 1.0) == NULL);
    rs_power *mean = rs_power_new(5, 100.0, 0.01);
    REQUIRE(mean != NULL);
    double z[2 * 5 * 9], weight[5 * 9], values[5], evidence[5];
    rs_power_values(mean, values, evidence);
    REQUIRE(isnan(values[0]) && evidence[0] == 0.0);
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 45; i++) {
            z[2 * i] = noise();
            z[2 * i + 1] = noise();
            weight[i] = round < 20 && noise() > 0.0 ? 1.0 : 0.0;
        }
        rs_power_push(mean, 9, z, round % 7 || round > 20 ? weight : NULL);
        rs_power_values(mean, values, evidence);
        for (int i = 0; i < 5; i++)
            REQUIRE(isnan(values[i]) || (values[i] >= 0.0 && values[i] <= 1.0));
    }
    REQUIRE(isnan(values[0]));
    rs_power_free(mean);
    rs_power_free(NULL);
}

static void slow_waves(double rate_hz, double lead_s)
{
    const rs_slow_waves_settings settings = {rate_hz, 0.0, lead_s, 0.5, 2.0, 10.0, 0.0, 0.1};
    enum { CHANNELS = 3, FRAMES = 64 };
    rs_slow_waves *waves = rs_slow_waves_new(CHANNELS, &settings);
    REQUIRE(waves != NULL);
    double x[CHANNELS * FRAMES], phasor[2 * CHANNELS], confidence[CHANNELS], last[CHANNELS] = {0};
    uint8_t valid[CHANNELS * FRAMES];
    rs_slow_wave_cue cues[CHANNELS * (2 + FRAMES / 5)];
    const size_t most = CHANNELS * (size_t)(2.0 + FRAMES / (0.1 * rate_hz)), rounds = (size_t)(30.0 * rate_hz / FRAMES);
    size_t found = 0;
    for (size_t round = 0; round < rounds; round++) {
        for (size_t n = 0; n < FRAMES; n++)
            for (size_t c = 0; c < CHANNELS; c++) {
                const double t = (double)(round * FRAMES + n) / rate_hz;
                valid[n * CHANNELS + c] = (round % 40 == 39 ? c == 0 : 1) && noise() > -0.95;
                double value = 50.0 * cos(6.3 * 0.9 * t) + 20.0 * noise();
                if (c == 1 && round % 50 == 20)
                    value = 1e300 * noise();
                x[n * CHANNELS + c] = c == 2 ? 0.0 : value;
                if (!valid[n * CHANNELS + c])
                    x[n * CHANNELS + c] = (double)NAN;
            }
        const size_t some = rs_slow_waves_process(waves, FRAMES, x, valid, cues);
        REQUIRE(some <= most);
        for (size_t i = 0; i < some; i++) {
            REQUIRE(cues[i].channel < 2 && cues[i].confidence >= 0.0 && cues[i].confidence <= 1.0);
            REQUIRE(cues[i].frame > last[cues[i].channel] && isfinite(cues[i].amplitude));
            last[cues[i].channel] = cues[i].frame;
        }
        found += some;
        rs_slow_waves_state(waves, phasor, confidence);
        for (int c = 0; c < CHANNELS; c++)
            REQUIRE(isfinite(phasor[2 * c]) && confidence[c] >= 0.0 && confidence[c] <= 1.0);
    }
    REQUIRE(found > 5);
    rs_slow_waves_free(waves);
}

static void slow_wave_refusals(void)
{
    const rs_slow_waves_settings good = {100.0, 0.0, 0.0, 0.5, 2.0, 75.0, 0.5, 0.5};
    rs_slow_waves_settings bad = good;
    REQUIRE(rs_slow_waves_new(0, &good) == NULL);
    REQUIRE(rs_slow_waves_new(SIZE_MAX / 64, &good) == NULL);
    bad.rate_hz = 10.0;
    REQUIRE(rs_slow_waves_new(1, &bad) == NULL);
    bad = good;
    bad.target_rad = (double)NAN;
    REQUIRE(rs_slow_waves_new(1, &bad) == NULL);
    bad = good;
    bad.lead_s = 1.0;
    REQUIRE(rs_slow_waves_new(1, &bad) == NULL);
    bad = good;
    bad.low_hz = 3.0;
    REQUIRE(rs_slow_waves_new(1, &bad) == NULL);
    bad = good;
    bad.refractory_s = 0.01;
    REQUIRE(rs_slow_waves_new(1, &bad) == NULL);
    rs_slow_waves_free(NULL);
}

int main(void)
{
    resonators(1, 1);
    resonators(3, 5);
    resonators(4, 4);
    resonators(5, 7);
    hilbert(10, 1);
    hilbert(33, 17);
    hilbert(64, 300);
    hilbert_refusals();
    power();
    slow_waves(50.0, 0.0);
    slow_waves(250.0, 0.1);
    slow_wave_refusals();
    puts("all well");
    return 0;
}
