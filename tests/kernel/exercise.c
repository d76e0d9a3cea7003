/* Resonators and sound: see exercise.h. */
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

static void mixer(size_t frames, double lookahead_s, double release_s)
{
    enum { PODS = 3, MOST = 100 };
    static float own[PODS * MOST * 2], common[MOST * 2], mixes[PODS * MOST * 2], bus[MOST * 2];
    rs_mixer *mixer = rs_mixer_new(PODS, frames, 32000.0, lookahead_s, release_s);
    REQUIRE(mixer != NULL);
    for (int round = 0; round < 60; round++) {
        const float loud = round % 7 == 3 ? 1e38f : round % 5 == 0 ? 4.0f : 0.05f;
        for (size_t i = 0; i < 2 * frames; i++)
            common[i] = loud * (float)noise();
        for (size_t i = 0; i < PODS * 2 * frames; i++)
            own[i] = loud * (float)noise();
        if (round == 20)
            own[0] = NAN;
        if (round == 30)
            common[1] = INFINITY;
        const float gain[PODS] = {(float)(round % 3), 1.0f, 0.3f};
        const float ceiling[PODS] = {0.5f, round % 2 ? 0.9f : 0.1f, round == 40 ? NAN : 0.0f};
        float peak[PODS], mean_square[PODS];
        rs_mixer_process(mixer, own, common, gain, gain, gain, ceiling, mixes, bus, peak,
                         mean_square);
        for (size_t pod = 0; pod < PODS; pod++) {
            const float most = ceiling[pod] >= 0.0f ? ceiling[pod] : 0.0f;
            for (size_t i = 0; i < 2 * frames; i++)
                REQUIRE(fabsf(mixes[pod * 2 * frames + i]) <= most);
            REQUIRE(peak[pod] <= most && mean_square[pod] <= most * most * 1.00001f);
        }
        for (size_t i = 0; i < 2 * frames; i++)
            REQUIRE(fabsf(bus[i]) <= 1.0f);
    }
    rs_mixer_free(mixer);
}

static void resampler(size_t channels, double out_rate_hz)
{
    rs_sinc *sinc = rs_sinc_new(32000.0, out_rate_hz);
    REQUIRE(sinc != NULL);
    rs_resampler *pod = rs_resampler_new(sinc, channels, 200);
    REQUIRE(pod != NULL);
    static float x[2 * 700];
    static int16_t pcm[2 * 300];
    REQUIRE(rs_resampler_read(pod, 0.0, 1.0, 1, pcm) == -1);
    for (size_t round = 0; round < 60; round++) {
        const size_t frames = 1 + (round * 37) % 700;
        for (size_t i = 0; i < 2 * frames; i++)
            x[i] = round == 10 ? NAN : round == 11 ? INFINITY : 3.0f * (float)noise();
        rs_resampler_write(pod, frames, x);
        const double first = (double)rs_resampler_first(pod);
        const double last = (double)rs_resampler_last(pod);
        if (last < first)
            continue;
        REQUIRE(first == 0.0 || first <= (double)(rs_resampler_written(pod) - 200));
        REQUIRE(rs_resampler_read(pod, first, 1.0, 1, pcm) == 0);
        REQUIRE(rs_resampler_read(pod, last, 1.0, 1, pcm) == 0);
        REQUIRE(rs_resampler_read(pod, first, (last - first) / 299.5, 300, pcm) == 0);
        REQUIRE(rs_resampler_read(pod, first - 1e-3, 1.0, 1, pcm) == -1);
        REQUIRE(rs_resampler_read(pod, last + 1e-3, 1.0, 1, pcm) == -1);
        REQUIRE(rs_resampler_read(pod, (double)NAN, 1.0, 1, pcm) == -1);
        REQUIRE(rs_resampler_read(pod, first, (double)INFINITY, 2, pcm) == -1);
        REQUIRE(rs_resampler_read(pod, first, 1.0, 0, pcm) == 0);
    }
    /* Frame by frame, so that the last position is also read where the room just ends. */
    for (int frame = 0; frame < 1200; frame++) {
        rs_resampler_write(pod, 1, x);
        REQUIRE(rs_resampler_read(pod, (double)rs_resampler_last(pod), 1.0, 1, pcm) == 0);
        REQUIRE(rs_resampler_read(pod, (double)rs_resampler_first(pod), 1.0, 1, pcm) == 0);
    }
    rs_resampler_free(pod);
    rs_sinc_free(sinc);
}

static void refusals(void)
{
    REQUIRE(rs_mixer_new(0, 1, 32000.0, 0.0, 0.0) == NULL);
    REQUIRE(rs_mixer_new(1, 1, 32000.0, -1.0, 0.0) == NULL);
    REQUIRE(rs_mixer_new(1, 1, 32000.0, 0.0, (double)INFINITY) == NULL);
    REQUIRE(rs_mixer_new(1, 1, (double)NAN, 0.0, 0.0) == NULL);
    rs_mixer_free(NULL);
    REQUIRE(rs_sinc_new(32000.0, 1000.0) == NULL);
    REQUIRE(rs_sinc_new(32000.0, (double)NAN) == NULL);
    rs_sinc *sinc = rs_sinc_new(1.0, 1.0);
    REQUIRE(rs_resampler_new(sinc, 3, 100) == NULL);
    REQUIRE(rs_resampler_new(sinc, 1, 0) == NULL);
    rs_sinc_free(sinc);
    rs_sinc_free(NULL);
    rs_resampler_free(NULL);
}

static void ima(size_t frames, size_t channels)
{
    int16_t *pcm = malloc(frames * channels * sizeof *pcm);
    uint8_t *out = malloc(rs_ima_bytes(frames, channels));
    for (size_t k = 0; k < frames * channels; k++)
        pcm[k] = (int16_t)(k * 7919 % 65536 - 32768);
    rs_ima_encode(frames, channels, pcm, out);
    free(pcm);
    free(out);
}

int main(void)
{
    ima(1, 1);
    ima(1, 2);
    ima(240, 2);
    ima(481, 1);
    resonators();
    mixer(1, 0.0, 0.0);
    mixer(7, 0.0015, 0.08);
    mixer(100, 0.0015, 0.0001);
    mixer(100, 0.0, 0.08);
    for (size_t channels = 1; channels <= 2; channels++) {
        resampler(channels, 32000.0);
        resampler(channels, 16000.0);
        resampler(channels, 44100.0);
    }
    refusals();
    puts("all well");
    return 0;
}
