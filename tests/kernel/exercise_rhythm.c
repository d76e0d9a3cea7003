/* Heartbeats and breaths: see exercise.h. */
#include "exercise.h"

enum { CHANNELS = 3, FRAMES = 700 };

static double x[FRAMES * CHANNELS], phase[FRAMES * CHANNELS], confidence[FRAMES * CHANNELS];
static uint8_t valid[FRAMES * CHANNELS];

/* A pulse, a flat line and noise; with gaps, jumps, and numbers that no sensor sends. */
static void fill(int round, double rate_hz)
{
    for (int i = 0; i < FRAMES; i++) {
        const double t = (round * FRAMES + i) / rate_hz;
        const int hit = round % 5 == 3 && i % 97 == 0;
        for (int c = 0; c < CHANNELS; c++) {
            const int at = i * CHANNELS + c;
            valid[at] = !(round % 4 == 2 && i > 100 && i < 400) && noise() > -0.98;
            x[at] = c == 0 ? pow(sin(4.0 * t), 9.0) : c == 1 ? 7.0 : 1e3 * noise();
            if (hit)
                x[at] = round % 2 ? 1e90 : -1e300;
            if (!valid[at])
                x[at] = (double)NAN;
        }
    }
}

static void beats(double rate_hz, int32_t listen)
{
    rs_beats *detector = rs_beats_new(CHANNELS, rate_hz, listen);
    REQUIRE(detector != NULL);
    const double latency = (double)rs_beats_latency(detector);
    for (int round = 0; round < 40; round++) {
        const size_t frames = round % 3 ? FRAMES : 1 + (size_t)round;
        const size_t most = rs_beats_most(detector, frames);
        rs_beat *found = malloc(most * sizeof *found);
        fill(round, rate_hz);
        const size_t count = rs_beats_process(detector, frames, x, valid, found);
        REQUIRE(count <= most);
        for (size_t i = 0; i < count; i++) {
            REQUIRE(found[i].quality >= 0.0 && found[i].quality <= 1.0);
            REQUIRE((double)found[i].told - found[i].at <= latency);
            REQUIRE(found[i].verdict >= RS_BEAT_STEADY && found[i].verdict <= RS_BEAT_GAP);
            REQUIRE(isnan(found[i].interval_s) == (found[i].verdict == RS_BEAT_GAP));
            REQUIRE(found[i].channel >= 0 && found[i].channel < CHANNELS);
            REQUIRE(found[i].channel != 1 || round > 2);
        }
        free(found);
    }
    rs_beats_free(detector);
}

static void breaths(double rate_hz)
{
    rs_breaths *follower = rs_breaths_new(CHANNELS, rate_hz);
    REQUIRE(follower != NULL);
    for (int round = 0; round < 40; round++) {
        const size_t frames = round % 3 ? FRAMES : 1 + (size_t)round;
        const size_t most = rs_breaths_most(follower, frames);
        rs_breath *found = malloc(most * sizeof *found);
        fill(round, rate_hz);
        const size_t count = rs_breaths_process(follower, frames, x, valid, phase, confidence, found);
        REQUIRE(count <= most);
        for (size_t i = 0; i < count; i++) {
            REQUIRE(found[i].quality >= 0.0 && found[i].quality <= 1.0);
            REQUIRE(found[i].at <= (double)found[i].told);
            REQUIRE(isnan(found[i].interval_s) == (found[i].verdict == RS_BREATH_GAP));
        }
        for (size_t i = 0; i < frames * CHANNELS; i++) {
            REQUIRE(confidence[i] >= 0.0 && confidence[i] <= 1.0);
            REQUIRE(isnan(phase[i]) || fabs(phase[i]) <= 3.1416);
        }
        double hz[CHANNELS];
        rs_breaths_rate(follower, hz);
        free(found);
    }
    rs_breaths_free(follower);
}

static void refusals(void)
{
    REQUIRE(rs_beats_new(0, 100.0, RS_ECG) == NULL);
    REQUIRE(rs_beats_new(1, 24.9, RS_ECG) == NULL);
    REQUIRE(rs_beats_new(1, 1000.1, RS_PULSE) == NULL);
    REQUIRE(rs_beats_new(1, (double)NAN, RS_PULSE) == NULL);
    REQUIRE(rs_beats_new(1, 100.0, 2) == NULL);
    REQUIRE(rs_beats_new(1, 100.0, -1) == NULL);
    REQUIRE(rs_beats_new(SIZE_MAX / 2, 100.0, RS_PULSE) == NULL);
    REQUIRE(rs_breaths_new(0, 100.0) == NULL);
    REQUIRE(rs_breaths_new(1, 9.9) == NULL);
    REQUIRE(rs_breaths_new(1, (double)INFINITY) == NULL);
    REQUIRE(rs_breaths_new(SIZE_MAX / 2, 100.0) == NULL);
    rs_beats_free(NULL);
    rs_breaths_free(NULL);
}

int main(void)
{
    const double rates[] = {25.0, 33.3, 50.0, 128.0, 1000.0};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        beats(rates[i], RS_PULSE);
        beats(rates[i], RS_ECG);
        breaths(rates[i]);
    }
    breaths(10.0);
    refusals();
    puts("all well");
    return 0;
}
