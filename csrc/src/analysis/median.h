/* The last few values, and what is usual among them. Not of the ABI. */
#ifndef DREAMPODS_MEDIAN_H
#define DREAMPODS_MEDIAN_H

#include "simd.h"

enum { PAST_MOST = 9 };

typedef struct {
    double value[PAST_MOST];
    int count, next, most;   /* most: how many are remembered, up to PAST_MOST */
} past_values;

RS_INLINE void past_add(past_values *past, double value)
{
    past->value[past->next] = value;
    past->next = (past->next + 1) % past->most;
    if (past->count < past->most)
        past->count++;
}

RS_INLINE void past_forget(past_values *past)
{
    past->count = past->next = 0;
}

/* The value of which a share `quantile` of the others is not above; 0 if there is none. */
RS_INLINE double past_usual(const past_values *past, double quantile)
{
    double sorted[PAST_MOST] = {0.0};
    for (int i = 0; i < past->count; i++) {
        int k = i;
        for (; k > 0 && sorted[k - 1] > past->value[i]; k--)
            sorted[k] = sorted[k - 1];
        sorted[k] = past->value[i];
    }
    return past->count ? sorted[(int)(quantile * (past->count - 1) + 0.5)] : 0.0;
}

/* The i-th value, oldest first. */
RS_INLINE double past_at(const past_values *past, int i)
{
    return past->value[(past->count < past->most ? i : past->next + i) % past->most];
}

/* 0 at `none`, 1 at `full`, straight between. */
RS_INLINE double ramp(double x, double none, double full)
{
    const double y = (x - none) / (full - none);
    return y < 0.0 ? 0.0 : y > 1.0 ? 1.0 : y;
}

#endif
