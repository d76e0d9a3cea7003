/* Mix-minus over one bus, and a limiter for each pod: see resonance.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "limiter.h"
#include "resonance.h"

typedef struct {
    float own, collective, send;
} pod_gains;

struct rs_mixer {
    size_t pods, frames, lookahead;
    rs_limiter *limiter;    /* [pods + 1], the bus's own last */
    pod_gains *gain;        /* [pods] of the block before */
    float *ramp;            /* [frames, 2]: how far through the block, the same for both sides */
    float *bus;             /* [frames, 2] before its limiter */
};

rs_mixer *rs_mixer_new(size_t pods, size_t frames, double rate_hz, double lookahead_s,
                       double release_s)
{
    const double lookahead = rint(lookahead_s * rate_hz);
    if (pods == 0 || frames == 0 || pods > SIZE_MAX / 64 || frames > SIZE_MAX / 64
        || !(rate_hz > 0.0) || !(lookahead >= 0.0) || !(lookahead < 1e6)
        || !(release_s >= 0.0) || isinf(release_s * rate_hz))
        return NULL;
    rs_mixer *mixer = calloc(1, sizeof *mixer);
    if (mixer == NULL)
        return NULL;
    mixer->pods = pods;
    mixer->frames = frames;
    mixer->lookahead = (size_t)lookahead;
    mixer->limiter = calloc(pods + 1, sizeof *mixer->limiter);
    mixer->gain = calloc(pods, sizeof *mixer->gain);
    mixer->ramp = calloc(frames, 2 * sizeof *mixer->ramp);
    mixer->bus = calloc(frames, 2 * sizeof *mixer->bus);
    int complete = mixer->limiter && mixer->gain && mixer->ramp && mixer->bus;
    for (size_t i = 0; complete && i <= pods; i++)
        complete = rs_limiter_init(&mixer->limiter[i], frames, mixer->lookahead,
                                   release_s * rate_hz) == 0;
    if (!complete) {
        rs_mixer_free(mixer);
        return NULL;
    }
    for (size_t k = 0; k < 2 * frames; k++)
        mixer->ramp[k] = (float)(k / 2 + 1) / (float)frames;
    return mixer;
}

void rs_mixer_free(rs_mixer *mixer)
{
    if (mixer == NULL)
        return;
    for (size_t i = 0; mixer->limiter && i <= mixer->pods; i++)
        rs_limiter_done(&mixer->limiter[i]);
    free(mixer->limiter);
    free(mixer->gain);
    free(mixer->ramp);
    free(mixer->bus);
    free(mixer);
}

size_t rs_mixer_latency(const rs_mixer *mixer)
{
    return mixer->lookahead;
}

static void send_to_bus(const rs_mixer *mixer, const float *restrict own, float from, float to)
{
    const float *restrict ramp = mixer->ramp;
    float *restrict bus = mixer->bus;
    const float rise = to - from;
    for (size_t k = 0; k < 2 * mixer->frames; k++)
        bus[k] += (from + rise * ramp[k]) * own[k];
}

static void mix_pod(const rs_mixer *mixer, const float *restrict own, pod_gains from, pod_gains to,
                    float *restrict mix)
{
    const float *restrict ramp = mixer->ramp;
    const float *restrict bus = mixer->bus;
    const pod_gains rise = {to.own - from.own, to.collective - from.collective,
                            to.send - from.send};
    for (size_t k = 0; k < 2 * mixer->frames; k++) {
        const float others = bus[k] - (from.send + rise.send * ramp[k]) * own[k];
        mix[k] = (from.own + rise.own * ramp[k]) * own[k]
                 + (from.collective + rise.collective * ramp[k]) * others;
    }
}

void rs_mixer_process(rs_mixer *mixer, const float *own, const float *collective,
                      const float *own_gain, const float *collective_gain, const float *send,
                      const float *ceiling, float *mixes, float *bus, float *peak,
                      float *mean_square)
{
    const size_t block = 2 * mixer->frames;
    memcpy(mixer->bus, collective, block * sizeof *collective);
    for (size_t i = 0; i < mixer->pods; i++)
        if (mixer->gain[i].send != 0.0f || send[i] != 0.0f)
            send_to_bus(mixer, own + i * block, mixer->gain[i].send, send[i]);
    for (size_t i = 0; i < mixer->pods; i++) {
        const pod_gains to = {own_gain[i], collective_gain[i], send[i]};
        rs_limiter *limiter = &mixer->limiter[i];
        mix_pod(mixer, own + i * block, mixer->gain[i], to, rs_limiter_input(limiter));
        rs_limiter_run(limiter, mixer->frames, ceiling[i], mixes + i * block, &peak[i],
                       &mean_square[i]);
        mixer->gain[i] = to;
    }
    rs_limiter *limiter = &mixer->limiter[mixer->pods];
    float bus_peak, bus_mean_square;
    memcpy(rs_limiter_input(limiter), mixer->bus, block * sizeof *bus);
    rs_limiter_run(limiter, mixer->frames, 1.0f, bus, &bus_peak, &bus_mean_square);
}
