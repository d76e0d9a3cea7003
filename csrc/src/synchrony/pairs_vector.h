/* Vectors of one precision, and how they enter sums: included with REAL and NAME(x) defined. */

#undef VECTOR
#undef LANES
#undef EIGHT
#define VECTOR NAME(vector)
#define LANES (64 / sizeof(REAL))
#define EIGHT 8     /* sums that fit a vector */

typedef REAL NAME(vector) __attribute__((vector_size(64)));
typedef REAL NAME(eight) __attribute__((vector_size(EIGHT * sizeof(REAL))));
typedef double NAME(eight_sums) __attribute__((vector_size(EIGHT * sizeof(double))));

RS_INLINE void NAME(put)(double *sums, const VECTOR *tile)
{
    for (size_t i = 0; i < LANES; i += EIGHT) {
        NAME(eight) part;
        NAME(eight_sums) sum;
        memcpy(&part, (const REAL *)tile + i, sizeof part);
        memcpy(&sum, sums + i, sizeof sum);
        sum += __builtin_convertvector(part, NAME(eight_sums));
        memcpy(sums + i, &sum, sizeof sum);
    }
}
