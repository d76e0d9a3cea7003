/* Mixer, meter, resampler and IMA ADPCM: see exercise.h. */
#include "exercise.h"

static void mixer(size_t frames, size_t channels, double lookahead_s, double release_s)
{
    enum { PODS = 3, MOST = 112 };
    static float own[PODS * MOST * 2], common[MOST * 2], mixes[PODS * MOST * 2], bus[MOST * 2];
    rs_mixer *mixer = rs_mixer_new(PODS, frames, channels, 32000.0, lookahead_s, release_s);
    REQUIRE(mixer != NULL);
    rs_sinc *sinc = rs_sinc_new(32000.0, 32000.0);
    rs_resampler *feeds[PODS] = {rs_resampler_new(sinc, 2, 50, 1), NULL, rs_resampler_new(sinc, 1, 50, 2)};
    float encode[2 * 16] = {0}, decode[2 * 16] = {0};
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
        const float floor[PODS] = {0.5f, 0.0f, 1.0f};
        if (channels == RS_AMBISONIC_CHANNELS) {
            rs_ambisonic_encode(0.1 * round, 0.2, encode);
            rs_ambisonic_decode(0.3 * round, decode);
        } else {
            for (size_t i = 0; i < 2 * channels; i++)
                encode[i] = decode[i] = (float)noise();
        }
        if (round % 3 == 0)
            rs_mixer_place(mixer, (size_t)round % PODS, encode, decode);
        rs_level level[PODS];
        rs_mixer_process(mixer, own, common, gain, gain, gain, round % 4 ? floor : NULL, ceiling,
                         round % 2 ? feeds : NULL, mixes, bus, level);
        rs_mixer_process(mixer, own, common, gain, gain, gain, NULL, ceiling, NULL, NULL, bus, level);
        rs_mixer_process(mixer, own, common, gain, gain, gain, floor, ceiling, feeds, mixes, bus, level);
        for (size_t pod = 0; pod < PODS; pod++) {
            const float most = ceiling[pod] >= 0.0f ? ceiling[pod] : 0.0f;
            for (size_t i = 0; i < 2 * frames; i++)
                REQUIRE(fabsf(mixes[pod * 2 * frames + i]) <= most);
            REQUIRE(level[pod].peak <= most && level[pod].mean_square <= most * most * 1.00001f);
            REQUIRE(isfinite(level[pod].weighted_square));
        }
        for (size_t i = 0; i < 2 * frames; i++)
            REQUIRE(fabsf(bus[i]) <= 1.0f);
    }
    for (size_t pod = 0; pod < PODS; pod++)
        rs_resampler_free(feeds[pod]);
    rs_sinc_free(sinc);
    rs_mixer_free(mixer);
}

static void resampler(size_t channels, double out_rate_hz)
{
    rs_sinc *sinc = rs_sinc_new(32000.0, out_rate_hz);
    REQUIRE(sinc != NULL);
    rs_resampler *pod = rs_resampler_new(sinc, channels, 200, 7);
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
        const double step = out_rate_hz < 32000.0 ? 2.0 : 1.0;
        for (int k = -3; k <= 3; k++) {
            const double drift = step + k * 1e-4;
            const size_t most = (size_t)((last - first) / drift);
            const size_t some = most < 300 ? most : 300;
            REQUIRE(rs_resampler_read(pod, first, drift, some, pcm) == 0);
            REQUIRE(rs_resampler_read(pod, last - drift * (double)some + drift, drift, some, pcm) <= 0);
            const double start[] = {first, last + 1.0}, steps[] = {drift, drift};
            const rs_resampler *pods[] = {pod, pod};
            REQUIRE(rs_resamplers_read(2, pods, start, steps, some ? some / 2 + 1 : 1, pcm) == 1);
        }
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
    REQUIRE(rs_mixer_new(0, 16, 2, 32000.0, 0.0, 0.0) == NULL);
    REQUIRE(rs_mixer_new(1, 8, 2, 32000.0, 0.0, 0.0) == NULL);
    REQUIRE(rs_mixer_new(1, 16, 0, 32000.0, 0.0, 0.0) == NULL);
    REQUIRE(rs_mixer_new(1, 16, 17, 32000.0, 0.0, 0.0) == NULL);
    REQUIRE(rs_mixer_new(1, 16, 2, 32000.0, -1.0, 0.0) == NULL);
    REQUIRE(rs_mixer_new(1, 16, 2, 32000.0, 0.0, (double)INFINITY) == NULL);
    REQUIRE(rs_mixer_new(1, 16, 2, (double)NAN, 0.0, 0.0) == NULL);
    REQUIRE(rs_meter_new(0, 32000.0, 'A') == NULL);
    REQUIRE(rs_meter_new(1, 32000.0, 'B') == NULL);
    REQUIRE(rs_meter_new(1, 100.0, 'A') == NULL);
    rs_meter_free(NULL);
    rs_mixer_free(NULL);
    REQUIRE(rs_sinc_new(32000.0, 1000.0) == NULL);
    REQUIRE(rs_sinc_new(32000.0, (double)NAN) == NULL);
    rs_sinc *sinc = rs_sinc_new(1.0, 1.0);
    REQUIRE(rs_resampler_new(sinc, 3, 100, 0) == NULL);
    REQUIRE(rs_resampler_new(sinc, 1, 0, 0) == NULL);
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
    REQUIRE(rs_ima_frames(rs_ima_bytes(frames, channels), channels, out) == frames);
    REQUIRE(rs_ima_decode(rs_ima_bytes(frames, channels), channels, out, pcm) == frames);
    free(pcm);
    free(out);
}

/* Whatever bytes come: the decoder keeps to what rs_ima_frames says, and to the bytes there are. */
static void any_bytes(void)
{
    for (int round = 0; round < 3000; round++) {
        const size_t bytes = (size_t)(20.0 * (noise() + 1.0)), channels = round % 2 ? 2 : 1;
        uint8_t *in = malloc(bytes ? bytes : 1);
        for (size_t i = 0; i < bytes; i++)
            in[i] = (uint8_t)(128.0 * (noise() + 1.0));
        if (bytes > 3 && round % 3)
            in[3] = (uint8_t)(round % 5 == 0), in[2] = (uint8_t)(in[2] % 90);
        if (bytes > 7 && round % 4)
            in[7] = 0, in[6] = (uint8_t)(in[6] % 90);
        const size_t frames = rs_ima_frames(bytes, channels, in);
        int16_t *pcm = malloc((frames ? frames : 1) * channels * sizeof *pcm);
        REQUIRE(rs_ima_decode(bytes, channels, in, pcm) == frames);
        REQUIRE(rs_ima_decode(bytes, 3, in, pcm) == 0);
        free(pcm);
        free(in);
    }
}

static void meter(void)
{
    static float x[9 * 100 * 2];
    for (size_t sounds = 1; sounds <= 9; sounds += 4)
        for (size_t frames = 1; frames <= 100; frames += 33) {
            rs_meter *meter = rs_meter_new(sounds, 8000.0, frames == 1 ? 'K' : 'A');
            REQUIRE(meter != NULL);
            double energy[9];
            for (int round = 0; round < 5; round++) {
                for (size_t i = 0; i < sounds * frames * 2; i++)
                    x[i] = round == 2 && i % 7 == 0 ? NAN : round == 3 && i % 5 == 0 ? INFINITY : (float)noise();
                rs_meter_process(meter, frames, x, energy);
                for (size_t i = 0; i < sounds; i++)
                    REQUIRE(isfinite(energy[i]) && energy[i] >= 0.0);
            }
            rs_meter_free(meter);
        }
}

int main(void)
{
    ima(1, 1);
    ima(1, 2);
    ima(240, 2);
    ima(481, 1);
    any_bytes();
    mixer(16, 2, 0.0, 0.0);
    mixer(16, 4, 0.0015, 0.08);
    mixer(112, 4, 0.0015, 0.0001);
    mixer(112, 16, 0.0, 0.08);
    mixer(48, 1, 0.05, 0.08);
    meter();
    for (size_t channels = 1; channels <= 2; channels++) {
        resampler(channels, 32000.0);
        resampler(channels, 16000.0);
        resampler(channels, 2000.0);
        resampler(channels, 44100.0);
    }
    refusals();
    puts("all well");
    return 0;
}
