/* A layer's sound onto the buses, in one pass: see resonance.h. */
#include "lanes.h"
#include "resonance.h"

RS_FUSED

RS_CLONES
static void layer_add(size_t frames, const float *restrict sound, float straight, float across, const float *from,
                const float *to, float send, float *restrict dry, float *restrict to_room)
{
    const float left_rise = (to[0] - from[0]) / (float)frames, right_rise = (to[1] - from[1]) / (float)frames;
    const float left_from = from[0], right_from = from[1];
    for (size_t t = 0; t < frames; t++) {
        const float left = sound[2 * t], right = sound[2 * t + 1], part = (float)(int32_t)(t + 1);
        const float one = (straight * left + across * right) * (left_from + left_rise * part);
        const float other = (straight * right + across * left) * (right_from + right_rise * part);
        dry[2 * t] += one;
        dry[2 * t + 1] += other;
        if (to_room != NULL) {
            to_room[2 * t] += send * one;
            to_room[2 * t + 1] += send * other;
        }
    }
}

void rs_layer_add(size_t voices, size_t frames, const float *sound, float straight, float across, const float *from,
                  const float *to, float send, float *dry, float *to_room)
{
    for (size_t v = 0; v < voices; v++) {
        const size_t at = 2 * v * frames;
        layer_add(frames, sound + at, straight, across, from + 2 * v, to + 2 * v, send, dry + at,
            to_room == NULL ? NULL : to_room + at);
    }
}
