/* Oscillators and layers of sound: see exercise.h. */
#include <string.h>

#include "exercise.h"

static void phasors(void)
{
    double phase[19], out[2 * 19];
    for (size_t n = 1; n <= 19; n++) {
        for (size_t i = 0; i < n; i++)
            phase[i] = 1e6 * noise();
        phase[n - 1] = n % 3 ? 0.0 : (double)NAN;
        rs_phasors(n, phase, out);
        for (size_t i = 0; i < n; i++)
            REQUIRE(isnan(phase[i]) || fabs(hypot(out[2 * i], out[2 * i + 1]) - 1.0) < 1e-15);
        REQUIRE(!isnan(phase[n - 1]) || isnan(out[2 * n - 1]));
    }
}

static void kuramoto(void)
{
    enum { N = 21, STEPS = 3 };
    double start[N], natural[N], pull[N], phase[STEPS * N];
    const size_t sizes[] = {1, 17, 3}, empty[] = {1, 0}, huge[] = {SIZE_MAX, 2};
    const double coupling[9] = {0.1, 0.2, -0.1, 0.0, 0.3}, lag[9] = {0.3, -4.0, 100.0};
    for (size_t i = 0; i < N; i++) {
        start[i] = 3.0 * noise();
        natural[i] = noise();
        pull[i] = noise();
    }
    REQUIRE(rs_kuramoto_new(0, sizes, start, 0) == NULL);
    REQUIRE(rs_kuramoto_new(2, empty, start, 0) == NULL);
    REQUIRE(rs_kuramoto_new(2, huge, start, 0) == NULL);
    for (size_t groups = 1; groups <= 3; groups++) {
        rs_kuramoto *all = rs_kuramoto_new(groups, sizes, start, 7);
        REQUIRE(all != NULL);
        for (int round = 0; round < 100; round++) {
            rs_kuramoto_run(all, 1 + (size_t)round % STEPS, 0.1, natural, coupling, lag, round % 2 ? start : NULL,
                            round % 2 ? pull : NULL, round % 4 ? 0.1 : 0.0, phase);
            REQUIRE(fabs(phase[0]) <= 3.1416);
        }
        rs_kuramoto_free(all);
    }
    rs_kuramoto_free(NULL);
}

static void modes(void)
{
    enum { VOICES = 2, MODES = 3, MOST = 200 };
    const double freq[MODES] = {0.0, 440.0, 15999.0}, decay[MODES] = {0.01, 1.0, 1e-9}, bad = 16000.0;
    const float gain[2 * MODES] = {0.1f, 0.2f, 0.3f, 0.0f, -0.1f, 1.0f};
    static float drive[VOICES * MOST], out[VOICES * MOST * 2];
    float amplitude[3 * MODES * 2];
    REQUIRE(rs_modes_new(0, MODES, 32000.0, freq, decay, NULL) == NULL);
    REQUIRE(rs_modes_new(1, 1, 32000.0, &bad, decay, NULL) == NULL);
    REQUIRE(rs_modes_new(1, 1, (double)NAN, freq, decay, NULL) == NULL);
    REQUIRE(rs_modes_new(SIZE_MAX / 2, MODES, 32000.0, freq, decay, NULL) == NULL);
    for (int driven = 0; driven < 2; driven++) {
        rs_modes *bank = rs_modes_new(VOICES, MODES, 32000.0, freq, decay, driven ? gain : NULL);
        REQUIRE(bank != NULL);
        for (size_t round = 0; round < 200; round++) {
            const size_t frames = 1 + round % MOST;
            const size_t voice[3] = {round % 2, 1, 0}, frame[3] = {0, frames / 2, frames - 1};
            for (size_t i = 0; i < 6 * MODES; i++)
                amplitude[i] = (float)noise();
            for (size_t i = 0; i < VOICES * frames; i++)
                drive[i] = round % 3 ? (float)noise() : 0.0f;
            rs_modes_process(bank, frames, round % 4, voice, frame, amplitude, driven ? drive : NULL, out);
            for (size_t i = 0; i < VOICES * frames * 2; i++)
                REQUIRE(isfinite(out[i]));
        }
        rs_modes_free(bank);
    }
    rs_modes_free(NULL);
}

static void tones(void)
{
    enum { VOICES = 2, SINES = 2, MOST = 200 };
    const double turns[VOICES * SINES] = {0.0, -3.7, 1e9, 0.5}, bad = (double)INFINITY;
    static float out[VOICES * MOST * 2];
    REQUIRE(rs_tones_new(1, 0, 32000.0, turns) == NULL);
    REQUIRE(rs_tones_new(1, 1, 32000.0, &bad) == NULL);
    rs_tones *bank = rs_tones_new(VOICES, SINES, 32000.0, turns);
    REQUIRE(bank != NULL);
    for (size_t round = 0; round < 200; round++) {
        const size_t frames = 1 + round % MOST;
        double freq[VOICES * SINES], pulse[VOICES] = {2.5, 0.0};
        float gain[VOICES * SINES * 2];
        for (size_t i = 0; i < VOICES * SINES; i++)
            freq[i] = 8000.0 + 7999.0 * noise();
        for (size_t i = 0; i < VOICES * SINES * 2; i++)
            gain[i] = round % 5 ? (float)noise() : 0.0f;
        rs_tones_process(bank, frames, freq, gain, round % 2 ? pulse : NULL, out);
        for (size_t i = 0; i < VOICES * frames * 2; i++)
            REQUIRE(fabsf(out[i]) <= 2.001f);
    }
    rs_tones_process(bank, 0, turns, out, NULL, out);
    rs_tones_free(bank);
    rs_tones_free(NULL);
}

static void noises(size_t voices, int brown, double low_hz, double high_hz, double ripple_db)
{
    enum { MOST = 1300 };
    static float out[9 * MOST * 2];
    rs_noise *bank = rs_noise_new(voices, 32000.0, brown, low_hz, high_hz, ripple_db, 3);
    REQUIRE(bank != NULL);
    for (size_t round = 0; round < 40; round++) {
        const size_t frames = round * 37 % (MOST + 1);
        double corner[9];
        for (size_t v = 0; v < voices; v++)
            corner[v] = round % 2 ? 1e-3 : 1e12;
        rs_noise_process(bank, frames, corner, out);
        for (size_t i = 0; i < voices * frames * 2; i++)
            REQUIRE(fabsf(out[i]) < 100.0f);
    }
    rs_noise_free(bank);
}

static void noise_refuses(void)
{
    REQUIRE(rs_noise_new(0, 32000.0, 0, 0.0, 0.0, 0.0, 0) == NULL);
    REQUIRE(rs_noise_new(1, (double)NAN, 0, 0.0, 0.0, 0.0, 0) == NULL);
    REQUIRE(rs_noise_new(1, 32000.0, 1, 0.0, 0.0, 0.0, 0) == NULL);
    REQUIRE(rs_noise_new(1, 32000.0, 0, 0.0, 16000.0, 0.0, 0) == NULL);
    REQUIRE(rs_noise_new(1, 32000.0, 0, 200.0, 100.0, 0.0, 0) == NULL);
    REQUIRE(rs_noise_new(1, 32000.0, 0, 0.0, 0.0, (double)NAN, 0) == NULL);
    rs_noise_free(NULL);
}

static void grains(void)
{
    enum { MOST = 3000, FRAMES = 2000 };
    static float x[MOST], out[3 * FRAMES * 2];
    REQUIRE(rs_grains_new(0, MOST, 32000.0, 0) == NULL);
    REQUIRE(rs_grains_new(1, 0, 32000.0, 0) == NULL);
    REQUIRE(rs_grains_new(1, MOST, (double)INFINITY, 0) == NULL);
    rs_grains *cloud = rs_grains_new(3, MOST, 32000.0, 1);
    REQUIRE(cloud != NULL);
    REQUIRE(rs_grains_load(cloud, 0, MOST + 1, x) == -1);
    for (size_t i = 0; i < MOST; i++)
        x[i] = (float)noise();
    for (size_t round = 0; round < 60; round++) {
        const rs_grain how[3] = {
            {0.5 + 0.5 * noise(), 1.0, 0.005, 2000.0, 4.0, 1.0, 1.0},
            {1.0, 0.0, 2.0, 8.0, 0.25, 0.0, 1.0},
            {0.0, 1.0, 0.1, round % 2 ? 0.0 : 150.0, 1.0, 0.5, 1.0},
        };
        if (round % 10 == 0)
            for (size_t v = 0; v < 3; v++)
                REQUIRE(rs_grains_load(cloud, v, v == 2 ? 1 + round : MOST, x) == 0);
        if (round % 10 == 7)
            rs_grains_forget(cloud, round % 3);
        rs_grains_process(cloud, 1 + round * 331 % FRAMES, how, out);
        for (size_t i = 0; i < 3 * (1 + round * 331 % FRAMES) * 2; i++)
            REQUIRE(isfinite(out[i]));
    }
    rs_grains_free(cloud);
    rs_grains_free(NULL);
}

static void room(double rate_hz)
{
    enum { MOST = 700 };
    static float dry[2 * MOST * 2], wet[2 * MOST * 2], bus[2 * MOST * 2];
    const float from[4] = {0.0f, 1.0f, 0.5f, 0.0f}, to[4] = {1.0f, 0.0f, 0.5f, 0.0f};
    REQUIRE(rs_room_new(0, rate_hz, 1.0, 1.0) == NULL);
    REQUIRE(rs_room_new(1, 100.0, 1.0, 1.0) == NULL);
    REQUIRE(rs_room_new(1, rate_hz, 0.0, 1.0) == NULL);
    REQUIRE(rs_room_new(1, rate_hz, 1.0, (double)NAN) == NULL);
    rs_room *space = rs_room_new(2, rate_hz, 0.05, 1.0);
    REQUIRE(space != NULL);
    for (size_t round = 0; round < 300; round++) {
        const size_t frames = 1 + round * 37 % MOST;
        for (size_t i = 0; i < 4 * frames; i++)
            dry[i] = round % 100 < 20 && i < 2 * frames ? (float)noise() : 0.0f;
        rs_room_process(space, frames, dry, wet);
        for (size_t i = 0; i < 4 * frames; i++)
            REQUIRE(fabsf(wet[i]) < 10.0f && (i < 2 * frames || wet[i] == 0.0f));
        rs_layer_add(2, frames, wet, 1.0f, 0.1f, from, to, 0.5f, dry, round % 2 ? bus : NULL);
    }
    rs_room_free(space);
    rs_room_free(NULL);
}

int main(void)
{
    phasors();
    kuramoto();
    modes();
    tones();
    noises(1, 0, 0.0, 0.0, 0.0);
    noises(9, 1, 30.0, 0.0, 6.0);
    noises(8, 0, 60.0, 5000.0, 12.0);
    noise_refuses();
    grains();
    room(4000.0);
    room(32000.0);
    puts("all well");
    return 0;
}
