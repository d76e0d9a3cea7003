/*
 * A recorded voice in grains: see resonance.h.
 *
 * When a grain begins, where it reads and where it lies in space is drawn for each grain from a count, so the cloud is
 * the same however time is cut into blocks. Windows of sin^2 start and end at zero with zero slope: no grain clicks,
 * whatever it was cut from. Between frames the recording is read by Catmull and Rom's cubic, whose errors lie below a
 * voice's own breath.
 */
#include <math.h>
#include <stdlib.h>

#include "lanes.h"
#include "random.h"
#include "resonance.h"

#define SLOTS 48            /* of grains that sound at once: with 16 on average, irregular by a half, never more */
#define MARGIN 4            /* zeros around a recording, for the cubic */

typedef struct {
    size_t begins;          /* frames into this block; 0 once it sounds */
    size_t age, length;     /* frames; length 0: a free slot */
    double at, step;        /* in the recording */
    float left, right;
} grain;

typedef struct {
    float *x;               /* [MARGIN + most + MARGIN] */
    size_t frames;          /* 0: nothing to be heard */
    double until_next;      /* frames */
    uint64_t seed, drawn;
    grain slot[SLOTS];
} speaker;

struct rs_grains {
    size_t voices, most;
    double rate_hz;
    speaker *speaker;       /* [voices] */
};

rs_grains *rs_grains_new(size_t voices, size_t most_frames, double rate_hz, uint64_t seed)
{
    if (voices == 0 || voices > (size_t)1 << 24 || most_frames == 0 || most_frames > (size_t)1 << 31
        || !(rate_hz >= 1000.0) || !isfinite(rate_hz))
        return NULL;
    rs_grains *cloud = calloc(1, sizeof *cloud);
    if (cloud == NULL)
        return NULL;
    cloud->voices = voices;
    cloud->most = most_frames;
    cloud->rate_hz = rate_hz;
    cloud->speaker = calloc(voices, sizeof *cloud->speaker);
    for (size_t v = 0; cloud->speaker != NULL && v < voices; v++) {
        cloud->speaker[v].x = calloc(most_frames + 2 * MARGIN, sizeof(float));
        cloud->speaker[v].seed = rs_random(rs_random(seed, 0), v);
        if (cloud->speaker[v].x == NULL) {
            rs_grains_free(cloud);
            return NULL;
        }
    }
    if (cloud->speaker == NULL) {
        free(cloud);
        return NULL;
    }
    return cloud;
}

void rs_grains_free(rs_grains *cloud)
{
    if (cloud == NULL)
        return;
    for (size_t v = 0; v < cloud->voices; v++)
        free(cloud->speaker[v].x);
    free(cloud->speaker);
    free(cloud);
}

void rs_grains_forget(rs_grains *cloud, size_t voice)
{
    speaker *one = &cloud->speaker[voice];
    memset(one->x, 0, (cloud->most + 2 * MARGIN) * sizeof *one->x);
    memset(one->slot, 0, sizeof one->slot);
    one->frames = 0;
    one->until_next = 0.0;
}

int rs_grains_load(rs_grains *cloud, size_t voice, size_t frames, const float *x)
{
    if (frames > cloud->most)
        return -1;
    rs_grains_forget(cloud, voice);
    memcpy(cloud->speaker[voice].x + MARGIN, x, frames * sizeof *x);
    cloud->speaker[voice].frames = frames;
    return 0;
}

static double chance(speaker *one)
{
    return rs_uniform(one->seed, one->drawn++);
}

static void begin(const rs_grains *cloud, speaker *one, const rs_grain *how, size_t frame)
{
    const double wanted = how->place + how->jitter * (2.0 * chance(one) - 1.0);
    const double lies = how->spread * (2.0 * chance(one) - 1.0);
    /* A grain lies within its recording as a whole, and is as long as that lets it be. */
    const double whole = (double)one->frames;
    const double length = floor(fmin(how->seconds * cloud->rate_hz, whole / how->pitch));
    const double last = fmax(whole - 1.0 - length * how->pitch, 0.0);
    grain *slot = one->slot;
    while (slot < one->slot + SLOTS && slot->length)
        slot++;
    if (slot == one->slot + SLOTS || length < 2.0)
        return;
    const double angle = (lies + 1.0) * 0.78539816339744830962;
    /* In the middle an ear gets half of a grain's power, and the mean square of its window is 3/8. */
    const double at_once = fmax(1.0, 3.0 / 8.0 * how->per_s * how->seconds);
    const double size = how->gain * 1.41421356237309504880 / sqrt(at_once);
    *slot = (grain){
        .begins = frame,
        .length = (size_t)length,
        .at = fmin(fmax(wanted * whole, 0.0), last),
        .step = how->pitch,
        .left = (float)(size * cos(angle)),
        .right = (float)(size * sin(angle)),
    };
}

RS_INLINE void read(const speaker *one, const grain *it, size_t frames, float *restrict mono)
{
    const double turn = 3.14159265358979323846 / (double)it->length;
    const float *restrict x = one->x + MARGIN;
    for (size_t t = 0; t < frames; t++) {
        const double at = it->at + it->step * (double)(it->age + t);
        const int32_t before = (int32_t)at;
        const float f = (float)(at - (double)before);
        const float a = x[before - 1], b = x[before], c = x[before + 1], d = x[before + 2];
        const float cubic = b + 0.5f * f * (c - a + f * (2.0f * a - 5.0f * b + 4.0f * c - d
                                                         + f * (3.0f * (b - c) + d - a)));
        double sine, cosine;
        rs_sincos(turn * (double)(it->age + t), &sine, &cosine);
        mono[t] = cubic * (float)(sine * sine);
    }
}

RS_CLONES
static void grain_sound(const speaker *one, const grain *it, size_t frames, float *restrict out)
{
    float mono[STRETCH];
    read(one, it, frames, mono);
    const float left = it->left, right = it->right;
    for (size_t t = 0; t < frames; t++) {
        out[2 * t] += left * mono[t];
        out[2 * t + 1] += right * mono[t];
    }
}

/* At most a stretch, so that no more grains can begin in it than there are free slots. */
static void render(const rs_grains *cloud, speaker *one, size_t frames, const rs_grain *how, float *out)
{
    while (one->frames && how->per_s > 0.0 && one->until_next < (double)frames) {
        begin(cloud, one, how, (size_t)one->until_next);
        one->until_next += cloud->rate_hz / how->per_s * (0.5 + chance(one));
    }
    one->until_next = fmax(one->until_next - (double)frames, 0.0);
    for (grain *it = one->slot; it < one->slot + SLOTS; it++) {
        if (it->length == 0)
            continue;
        const size_t room = frames - it->begins, left = it->length - it->age;
        const size_t count = left < room ? left : room;
        grain_sound(one, it, count, out + 2 * it->begins);
        it->begins = 0;
        it->age += count;
        if (it->age == it->length)
            it->length = 0;
    }
}

void rs_grains_process(rs_grains *cloud, size_t frames, const rs_grain *how, float *out)
{
    memset(out, 0, 2 * cloud->voices * frames * sizeof *out);
    for (size_t v = 0; v < cloud->voices; v++) {
        for (size_t at = 0; at < frames; at += STRETCH) {
            const size_t count = frames - at < STRETCH ? frames - at : STRETCH;
            render(cloud, &cloud->speaker[v], count, &how[v], out + 2 * (v * frames + at));
        }
    }
}
