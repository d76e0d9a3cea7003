/* The own share: see share.h. */
#include "share.h"

#include <float.h>
#include <math.h>

/* The window of the levels, that of momentary loudness; the time constants with which the own level falls, and the
 * collective comes back. */
static const double MOMENT_S = 0.4, MEMORY_S = 3.0, RECOVERY_S = 1.0;
/* An own sound below this mean square, -57 dB of a full-scale sine, is silent, and needs no room. */
static const double OWN_SILENT = 1e-6;

rs_share_rule rs_share_rule_of(double block_s)
{
    return (rs_share_rule){.moment = (size_t)ceil(MOMENT_S / block_s), .kept = exp(-block_s / MEMORY_S),
                           .fall = exp(-MOMENT_S / MEMORY_S), .recovery = -expm1(-block_s / RECOVERY_S)};
}

rs_share rs_share_of(const rs_share_rule *rule, float *history)
{
    return (rs_share){.room = 1.0f, .own = history, .rest = history + rule->moment};
}

/* Mean of a history of `kept` blocks, the last of which is block `now`. */
static double mean_of(const float *history, size_t kept, size_t now)
{
    const size_t blocks = now + 1 < kept ? now + 1 : kept;
    double sum = 0.0;
    for (size_t i = 0; i < blocks; i++)
        sum += (double)history[i];
    return sum / (double)blocks;
}

float rs_share_next(const rs_share_rule *rule, rs_share *share, size_t now, float floor, double own, double rest)
{
    own = own < (double)FLT_MAX ? own : 0.0;
    rest = rest < (double)FLT_MAX ? rest : 0.0;
    share->own[now % rule->moment] = (float)own;
    share->rest[now % rule->moment] = (float)rest;
    const double own_moment = fmax(own, mean_of(share->own, rule->moment, now));
    const double rest_moment = fmax(rest, mean_of(share->rest, rule->moment, now));
    share->own_level = fmax(own_moment, share->own_level * rule->kept);
    double target = 1.0;
    if (floor > 0.0f && own_moment > OWN_SILENT) {
        /* What the own level may have come to when the last of this block leaves the window. */
        const double allowed = share->own_level * rule->fall / ((double)floor * (double)floor);
        target = allowed < rest_moment ? sqrt(allowed / rest_moment) : 1.0;
    }
    const double recovered = (double)share->room + (1.0 - (double)share->room) * rule->recovery;
    share->room = (float)fmin(target, recovered);
    return share->room;
}
