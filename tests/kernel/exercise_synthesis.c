/* Oscillators and layers of sound: see exercise.h. */
#include <string.h>

#include "exercise.h"

static void phasors(void)
{
    double phase[19], out[2 * 19];
    for (size_t n = 1; n <= 19; n++) {
        for (size_t i = 0; i < n; i++)
            phase[i] = 1e6 * noise();
        phase[n - 1] = n % 3 ? 0.0 : (double)NAN;
        rs_phasors(n, phase, out);
        for (size_t i = 0; i < n; i++)
            REQUIRE(isnan(phase[i]) || fabs(hypot(out[2 * i], out[2 * i + 1]) - 1.0) < 1e-15);
        REQUIRE(!isnan(phase[n - 1]) || isnan(out[2 * n - 1]));
    }
}

static void kuramoto(void)
{
    enum { N = 21, STEPS = 3 };
    double start[N], natural[N], pull[N], phase[STEPS * N];
    const size_t sizes[] = {1, 17, 3}, empty[] = {1, 0}, huge[] = {SIZE_MAX, 2};
    const double coupling[9] = {0.1, 0.2, -0.1, 0.0, 0.3}, lag[9] = {0.3, -4.0, 100.0};
    for (size_t i = 0; i < N; i++) {
        start[i] = 3.0 * noise();
        natural[i] = noise();
        pull[i] = noise();
    }
    REQUIRE(rs_kuramoto_new(0, sizes, start, 0) == NULL);
    REQUIRE(rs_kuramoto_new(2, empty, start, 0) == NULL);
    REQUIRE(rs_kuramoto_new(2, huge, start, 0) == NULL);
    for (size_t groups = 1; groups <= 3; groups++) {
        rs_kuramoto *all = rs_kuramoto_new(groups, sizes, start, 7);
        REQUIRE(all != NULL);
        for (int round = 0; round < 100; round++) {
            rs_kuramoto_run(all, 1 + (size_t)round % STEPS, 0.1, natural, coupling, lag, round % 2 ? start : NULL,
                            round % 2 ? pull : NULL, round % 4 ? 0.1 : 0.0, phase);
            REQUIRE(fabs(phase[0]) <= 3.1416);
        }
        rs_kuramoto_free(all);
    }
    rs_kuramoto_free(NULL);
}

int main(void)
{
    phasors();
    kuramoto();
    puts("all well");
    return 0;
}
