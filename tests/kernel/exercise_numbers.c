/* Every kind of unusable number, at every place of rows of every length. */
#include "exercise.h"

#include <float.h>

int main(void)
{
    const double strange[] = {NAN, INFINITY, -INFINITY, -1.5, 2e30};
    for (size_t n = 0; n < 70; n++) {
        double *x = malloc((n + 1) * sizeof *x);
        float *y = malloc((n + 1) * sizeof *y);
        for (size_t i = 0; i < n; i++)
            y[i] = (float)(x[i] = i % 3 ? -1.0 : 1e30);
        REQUIRE(rs_numbers_within(n, x, -1.0, 1e30) && rs_numbers_within_single(n, y, -1.0f, 1e30f));
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < sizeof strange / sizeof *strange; k++) {
                const double was = x[i];
                y[i] = (float)(x[i] = strange[k]);
                REQUIRE(!rs_numbers_within(n, x, -1.0, 1e30) && !rs_numbers_within_single(n, y, -1.0f, 1e30f));
                const int finite = k >= 3;
                REQUIRE(rs_numbers_within(n, x, -DBL_MAX, DBL_MAX) == finite);
                REQUIRE(rs_numbers_within_single(n, y, -FLT_MAX, FLT_MAX) == finite);
                y[i] = (float)(x[i] = was);
            }
        free(x);
        free(y);
    }
    puts("all well");
    return 0;
}
