/*
 * The own share of one pod: how far the collective steps back for the sleeper's own sound. Not of the ABI.
 *
 * The rule is told in resonance/sound.h. It compares mean squares block by block, and gives the collective's gain at
 * the end of each.
 */
#ifndef DREAMPODS_SHARE_H
#define DREAMPODS_SHARE_H

#include <stddef.h>

/* The same for all pods of a mixer. */
typedef struct {
    size_t moment;          /* blocks in 0.4 s */
    double kept, fall;      /* what is left of the own level after a block, and after 0.4 s */
    double recovery;        /* share of the way back to 1 that is made in a block */
} rs_share_rule;

typedef struct {
    float room;             /* gain of the collective */
    double own_level;
    float *own, *rest;      /* [moment]: mean squares of the last blocks as heard, without the rule */
} rs_share;

rs_share_rule rs_share_rule_of(double block_s);

/* history [2, moment], zeros, which must outlive the share. */
rs_share rs_share_of(const rs_share_rule *rule, float *history);

/* The gain at the end of block `now`, whose own sound and rest have these mean squares; floor linear, 0 for none. What
 * is no number, or too large for a float, counts as 0. */
float rs_share_next(const rs_share_rule *rule, rs_share *share, size_t now, float floor, double own, double rest);

#endif
