/* Mix-minus over one bus, and a limiter for each pod: see resonance.h. */
#include "simd.h"
RS_FUSED

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lanes.h"
#include "limiter.h"
#include "resampler.h"
#include "resonance.h"
#include "share.h"
#include "weighting.h"

enum {
    MOST_CHANNELS = 16,
    TOGETHER = RS_LANES / 2,    /* pods whose sides fill the weighting's lanes */
    ALIGNMENT = 64,             /* bytes of a cache line */
};

typedef struct {
    float own, collective, send;
    float encode[MOST_CHANNELS][2], decode[2][MOST_CHANNELS];
} pod_gains;

typedef struct {
    pod_gains from, to;         /* of the block before; of the block to come */
    rs_share share;
} pod_state;

struct rs_mixer {
    size_t pods, frames, channels, delay, pitch;
    rs_share_rule rule;
    size_t now;             /* blocks so far */
    float *history;         /* [pods, 2, rule.moment] */
    rs_true_peak peaks;
    rs_weighting weighting;
    rs_limiter *limiter;    /* [pods + 1], the bus's own last */
    pod_state *state;       /* [pods] */
    double *weighted;       /* [groups, RS_SECTIONS, 2, RS_LANES] */
    /* Sound, planar, cut from `memory`: */
    float *memory;
    float *ramp;            /* [frames]: how far through the block */
    float *bed;             /* [2, frames]: the collective as it came */
    float *bus;             /* [channels, frames] */
    float *own, *sent, *rest;   /* [2, frames] of the pod at work */
    float *silence;         /* [frames] */
    float *scratch;         /* the limiters' */
    float *side;            /* [TOGETHER, 2, pitch]: what the limiters work on */
};

static size_t rounded_up(size_t floats)
{
    const size_t line = ALIGNMENT / sizeof(float);
    return (floats + line - 1) / line * line;
}

static float *cut(float **memory, size_t floats)
{
    float *here = *memory;
    *memory += rounded_up(floats);
    return here;
}

static int cut_memory(rs_mixer *mixer, size_t lookahead)
{
    const size_t frames = mixer->frames, scratch = rs_limiter_scratch(lookahead, frames);
    const size_t floats = (10 + mixer->channels) * rounded_up(frames) + rounded_up(scratch)
                          + TOGETHER * 2 * mixer->pitch;
    mixer->memory = aligned_alloc(ALIGNMENT, rounded_up(floats) * sizeof(float));
    if (mixer->memory == NULL)
        return -1;
    memset(mixer->memory, 0, floats * sizeof(float));
    float *memory = mixer->memory;
    mixer->ramp = cut(&memory, frames);
    mixer->bed = cut(&memory, 2 * frames);
    mixer->bus = cut(&memory, mixer->channels * frames);
    mixer->own = cut(&memory, 2 * frames);
    mixer->sent = cut(&memory, 2 * frames);
    mixer->rest = cut(&memory, 2 * frames);
    mixer->silence = cut(&memory, frames);
    mixer->scratch = cut(&memory, scratch);
    mixer->side = cut(&memory, TOGETHER * 2 * mixer->pitch);
    for (size_t k = 0; k < frames; k++)
        mixer->ramp[k] = (float)(k + 1) / (float)frames;
    return 0;
}

rs_mixer *rs_mixer_new(size_t pods, size_t frames, size_t channels, double rate_hz, double lookahead_s,
                       double release_s)
{
    const double lookahead = rint(lookahead_s * rate_hz);
    if (pods == 0 || pods > SIZE_MAX / 65536 || frames == 0 || frames % RS_MIXER_STEP || frames > SIZE_MAX / 65536
        || channels == 0 || channels > MOST_CHANNELS || !(rate_hz >= RS_METER_LEAST_HZ) || rate_hz > RS_METER_MOST_HZ
        || !(lookahead_s >= 0.0) || !(lookahead < 1e6) || !(release_s >= 0.0) || isinf(release_s * rate_hz))
        return NULL;
    rs_mixer *mixer = calloc(1, sizeof *mixer);
    if (mixer == NULL)
        return NULL;
    mixer->pods = pods;
    mixer->frames = frames;
    mixer->channels = channels;
    mixer->delay = rs_limiter_delay((size_t)lookahead);
    mixer->pitch = rounded_up(mixer->delay + frames);
    const double block_s = (double)frames / rate_hz;
    mixer->rule = rs_share_rule_of(block_s);
    rs_true_peak_init(&mixer->peaks);
    rs_weighting_init(&mixer->weighting, 'A', rate_hz);
    const size_t groups = (pods + TOGETHER - 1) / TOGETHER;
    mixer->limiter = calloc(pods + 1, sizeof *mixer->limiter);
    mixer->state = calloc(pods, sizeof *mixer->state);
    mixer->weighted = calloc(groups, RS_SECTIONS * 2 * RS_LANES * sizeof *mixer->weighted);
    mixer->history = calloc(pods, 2 * mixer->rule.moment * sizeof *mixer->history);
    int complete = mixer->limiter && mixer->state && mixer->weighted && mixer->history
                   && cut_memory(mixer, (size_t)lookahead) == 0;
    for (size_t i = 0; complete && i <= pods; i++)
        complete = rs_limiter_init(&mixer->limiter[i], (size_t)lookahead, release_s * rate_hz) == 0;
    if (!complete) {
        rs_mixer_free(mixer);
        return NULL;
    }
    for (size_t i = 0; i < pods; i++) {
        pod_state *state = &mixer->state[i];
        state->share = rs_share_of(&mixer->rule, mixer->history + 2 * i * mixer->rule.moment);
        for (size_t c = 0; channels == 2 && c < 2; c++)
            state->to.encode[c][c] = state->to.decode[c][c] = 1.0f;
        state->from = state->to;
    }
    return mixer;
}

void rs_mixer_free(rs_mixer *mixer)
{
    if (mixer == NULL)
        return;
    for (size_t i = 0; mixer->limiter && i <= mixer->pods; i++)
        rs_limiter_done(&mixer->limiter[i]);
    free(mixer->limiter);
    free(mixer->state);
    free(mixer->weighted);
    free(mixer->history);
    free(mixer->memory);
    free(mixer);
}

size_t rs_mixer_latency(const rs_mixer *mixer)
{
    return mixer->delay;
}

void rs_mixer_place(rs_mixer *mixer, size_t pod, const float *encode, const float *decode)
{
    pod_gains *to = &mixer->state[pod].to;
    for (size_t c = 0; c < mixer->channels; c++)
        for (size_t side = 0; side < 2; side++) {
            to->encode[c][side] = encode[2 * c + side];
            to->decode[side][c] = decode[side * mixer->channels + c];
        }
}

/* ---- what is done with sound; each a loop that fills vectors ---- */

RS_CLONES static void split(size_t frames, const float *restrict x, float *restrict left, float *restrict right)
{
    for (size_t k = 0; k < frames; k++) {
        left[k] = x[2 * k];
        right[k] = x[2 * k + 1];
    }
}

RS_CLONES static void join(size_t frames, const float *restrict left, const float *restrict right, float *restrict x)
{
    for (size_t k = 0; k < frames; k++) {
        x[2 * k] = left[k];
        x[2 * k + 1] = right[k];
    }
}

/* y = x, its gain going from one value to another */
RS_CLONES static void scale(size_t frames, const float *restrict ramp, float from, float to, const float *restrict x,
                            float *restrict y)
{
    const float rise = to - from;
    for (size_t k = 0; k < frames; k++)
        y[k] = (from + rise * ramp[k]) * x[k];
}

RS_INLINE float encoded(const float *from, const float *rise, float ramp, float left, float right)
{
    return (from[0] + rise[0] * ramp) * left + (from[1] + rise[1] * ramp) * right;
}

/* One channel of the bus takes what a pod sends. */
RS_CLONES static void add_to_bus(size_t frames, const float *restrict ramp, const float *from, const float *to,
                                 const float *restrict sent, float *restrict bus)
{
    const float first[2] = {from[0], from[1]}, rise[2] = {to[0] - from[0], to[1] - from[1]};
    const float *right = sent + frames;
    for (size_t k = 0; k < frames; k++)
        bus[k] += encoded(first, rise, ramp[k], sent[k], right[k]);
}

/* A pod hears one channel of the bus, without what it sent there itself. */
RS_CLONES static void hear(size_t frames, const float *restrict ramp, const pod_gains *from, const pod_gains *to,
                           size_t channel, const float *restrict sent, const float *restrict bus,
                           float *restrict rest)
{
    const float *in_from = from->encode[channel], *in_to = to->encode[channel];
    const float first[2] = {in_from[0], in_from[1]}, rise[2] = {in_to[0] - in_from[0], in_to[1] - in_from[1]};
    const float left = from->decode[0][channel], right = from->decode[1][channel];
    const float left_rise = to->decode[0][channel] - left, right_rise = to->decode[1][channel] - right;
    const float *sent_right = sent + frames;
    float *rest_right = rest + frames;
    for (size_t k = 0; k < frames; k++) {
        const float others = bus[k] - encoded(first, rise, ramp[k], sent[k], sent_right[k]);
        rest[k] += (left + left_rise * ramp[k]) * others;
        rest_right[k] += (right + right_rise * ramp[k]) * others;
    }
}

/* mix += rest, its gain going from one value to another; the sum of squares of what was added. */
RS_CLONES static double add_rest(size_t frames, const float *restrict ramp, float from, float to,
                                 float *restrict rest, float *restrict mix)
{
    const float rise = to - from;
    for (size_t k = 0; k < frames; k++) {
        rest[k] *= from + rise * ramp[k];
        mix[k] += rest[k];
    }
    return rs_sum_of_squares(rest, frames);
}

RS_CLONES static double sum_of_squares(size_t frames, const float *x)
{
    return rs_sum_of_squares(x, frames);
}

RS_CLONES static float magnitude(size_t frames, const float *x)
{
    return rs_magnitude(x, frames);
}

/* ---- one pod ---- */

static void send(rs_mixer *mixer, size_t pod, const float *own, float gain)
{
    pod_state *state = &mixer->state[pod];
    state->to.send = gain;
    if (state->from.send == 0.0f && gain == 0.0f)
        return;
    const size_t frames = mixer->frames;
    split(frames, own, mixer->own, mixer->own + frames);
    for (size_t side = 0; side < 2; side++)
        scale(frames, mixer->ramp, state->from.send, gain, mixer->own + side * frames, mixer->sent + side * frames);
    for (size_t c = 0; c < mixer->channels; c++)
        add_to_bus(frames, mixer->ramp, state->from.encode[c], state->to.encode[c], mixer->sent,
                   mixer->bus + c * frames);
}

static void mix(rs_mixer *mixer, size_t pod, const float *own, float floor, float *side, rs_level *level)
{
    const size_t frames = mixer->frames;
    const float *ramp = mixer->ramp;
    pod_state *state = &mixer->state[pod];
    const pod_gains *from = &state->from, *to = &state->to;
    split(frames, own, mixer->own, mixer->own + frames);
    memcpy(mixer->rest, mixer->bed, 2 * frames * sizeof *mixer->rest);
    for (size_t s = 0; s < 2; s++)
        scale(frames, ramp, from->send, to->send, mixer->own + s * frames, mixer->sent + s * frames);
    for (size_t c = 0; c < mixer->channels; c++)
        hear(frames, ramp, from, to, c, mixer->sent, mixer->bus + c * frames, mixer->rest);

    double own_sum = 0.0, rest_sum = 0.0, added = 0.0;
    for (size_t s = 0; s < 2; s++) {
        float *input = side + s * mixer->pitch + mixer->delay, *heard = mixer->sent + s * frames;
        scale(frames, ramp, from->own, to->own, mixer->own + s * frames, input);
        scale(frames, ramp, from->collective, to->collective, mixer->rest + s * frames, heard);
        own_sum += sum_of_squares(frames, input);
        rest_sum += sum_of_squares(frames, heard);
    }
    const double count = 2.0 * (double)frames;
    const float before = state->share.room;
    const float after =
        rs_share_next(&mixer->rule, &state->share, mixer->now, floor, own_sum / count, rest_sum / count);
    for (size_t s = 0; s < 2; s++)
        added += add_rest(frames, ramp, before, after, mixer->sent + s * frames,
                          side + s * mixer->pitch + mixer->delay);
    level->own_square = (float)(own_sum / count);
    level->rest_square = (float)(added / count);
    state->from = state->to;
}

/* A limited mix goes where it is wanted, and is measured. */
static void deliver(const rs_mixer *mixer, const float *side, rs_resampler *feed, float *mixes, rs_level *level)
{
    const size_t frames = mixer->frames;
    const float *left = side, *right = side + mixer->pitch;
    const float high_left = magnitude(frames, left), high_right = magnitude(frames, right);
    level->peak = high_left > high_right ? high_left : high_right;
    const double sum = sum_of_squares(frames, left) + sum_of_squares(frames, right);
    level->mean_square = (float)(sum / (2.0 * (double)frames));
    if (feed)
        rs_resampler_write_sides(feed, frames, left, right, 1);
    if (mixes)
        join(frames, left, right, mixes);
}

/* The bus for a recording: as somebody in the middle hears it, who has sent nothing. */
static void record(rs_mixer *mixer, float *bus)
{
    const size_t frames = mixer->frames;
    pod_gains middle = {.own = 0.0f};
    if (mixer->channels == 2)
        middle.decode[0][0] = middle.decode[1][1] = 1.0f;
    else if (mixer->channels == RS_AMBISONIC_CHANNELS) {
        float decode[2 * RS_AMBISONIC_CHANNELS];
        rs_ambisonic_decode(0.0, decode);
        for (size_t s = 0; s < 2; s++)
            memcpy(middle.decode[s], decode + s * RS_AMBISONIC_CHANNELS, RS_AMBISONIC_CHANNELS * sizeof *decode);
    }
    memcpy(mixer->rest, mixer->bed, 2 * frames * sizeof *mixer->rest);
    memset(mixer->sent, 0, 2 * frames * sizeof *mixer->sent);
    for (size_t c = 0; c < mixer->channels; c++)
        hear(frames, mixer->ramp, &middle, &middle, c, mixer->sent, mixer->bus + c * frames, mixer->rest);
    for (size_t s = 0; s < 2; s++)
        memcpy(mixer->side + s * mixer->pitch + mixer->delay, mixer->rest + s * frames,
               frames * sizeof *mixer->rest);
    rs_limiter_run(&mixer->limiter[mixer->pods], &mixer->peaks, frames, 1.0f, mixer->side, mixer->pitch,
                   mixer->scratch);
    join(frames, mixer->side, mixer->side + mixer->pitch, bus);
}

void rs_mixer_process(rs_mixer *mixer, const float *own, const float *collective, const float *own_gain,
                      const float *collective_gain, const float *send_gain, const float *own_floor,
                      const float *ceiling, rs_resampler *const *feeds, float *mixes, float *bus, rs_level *levels)
{
    const size_t frames = mixer->frames, block = 2 * frames;
    split(frames, collective, mixer->bed, mixer->bed + frames);
    memset(mixer->bus, 0, mixer->channels * frames * sizeof *mixer->bus);
    for (size_t i = 0; i < mixer->pods; i++)
        send(mixer, i, own + i * block, send_gain[i]);

    for (size_t first = 0; first < mixer->pods; first += TOGETHER) {
        const size_t here = mixer->pods - first < TOGETHER ? mixer->pods - first : TOGETHER;
        const float *sides[RS_LANES];
        for (size_t l = 0; l < RS_LANES; l++)
            sides[l] = l < 2 * here ? mixer->side + l * mixer->pitch : mixer->silence;
        for (size_t i = first; i < first + here; i++) {
            float *side = mixer->side + 2 * (i - first) * mixer->pitch;
            pod_state *state = &mixer->state[i];
            state->to.own = own_gain[i];
            state->to.collective = collective_gain[i];
            mix(mixer, i, own + i * block, own_floor ? own_floor[i] : 0.0f, side, &levels[i]);
            rs_limiter_run(&mixer->limiter[i], &mixer->peaks, frames, ceiling[i], side, mixer->pitch,
                           mixer->scratch);
            deliver(mixer, side, feeds ? feeds[i] : NULL, mixes ? mixes + i * block : NULL, &levels[i]);
        }
        double sum[RS_LANES];
        rs_weighting_run(&mixer->weighting, frames, sides,
                         mixer->weighted + first / TOGETHER * (RS_SECTIONS * 2 * RS_LANES), sum);
        for (size_t i = 0; i < here; i++)
            levels[first + i].weighted_square = (float)((sum[2 * i] + sum[2 * i + 1]) / (double)block);
    }
    record(mixer, bus);
    mixer->now++;
}
