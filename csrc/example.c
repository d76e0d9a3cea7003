/* Eight sleepers whose breath drifts together: the group's order, as one would use libresonance alone. */
#include <math.h>
#include <stdio.h>

#include <resonance.h>

enum { SLEEPERS = 8, RATE_HZ = 25, SECONDS = 120 };

int main(void)
{
    const double centre_hz = 0.25, width_hz = 0.1, two_pi = 6.283185307179586;
    rs_resonators *breath = rs_resonators_new(SLEEPERS, 1, RATE_HZ, &centre_hz, &width_hz);
    if (!breath)
        return 1;
    for (int frame = 0; frame < SECONDS * RATE_HZ; frame++) {
        const double t = (double)frame / RATE_HZ;
        double belt[SLEEPERS], phasor[2 * SLEEPERS], phase[SLEEPERS];
        for (int i = 0; i < SLEEPERS; i++) /* apart at first, together in the end */
            belt[i] = cos(two_pi * (0.25 * t + i * (1.0 - t / SECONDS) / SLEEPERS));
        rs_resonators_process(breath, 1, belt, NULL, phasor, NULL);
        if (frame % (20 * RATE_HZ) == 0 && frame) {
            rs_order_sums sums = {0};
            for (int i = 0; i < SLEEPERS; i++)
                phase[i] = atan2(phasor[2 * i + 1], phasor[2 * i]);
            rs_order_add(&sums, SLEEPERS, phase, NULL);
            printf("after %3.0f s the order is %.2f\n", t, hypot(sums.re, sums.im) / sums.weight);
        }
    }
    rs_resonators_free(breath);
    return 0;
}
