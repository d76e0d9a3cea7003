"""Counts the samples that an interrupt missed, from the times at which it came.

A chip without a memory of its own overwrites a sample that nobody fetched and says nothing. But it
keeps its pace, so an interrupt that comes two periods after the last one tells of one that is gone.
The chip's clock is not the pod's, so the pace is followed: at once where an interrupt came early, for it
can be late but never early, and slowly where it came late. It may be late by up to three quarters of a
period before it is taken for a loss.
"""

from dreampod.clock import ticks_add, ticks_diff, ticks_us

_SLOWNESS = 8  # with each period an eighth of the lateness goes into the pace


class Pace:
    """Runs in interrupts: nothing here allocates."""

    def __init__(self, rate_hz):
        self._period_us = 1_000_000 // rate_hz
        self._next = ticks_us()  # when the next interrupt is expected
        self._known = False
        self._numbered = False  # samples came before the chip began anew

    def restart(self, last=None):
        """The chip begins anew, and the next interrupt says when; `last` is its newest sample, if any.

        What would have come from then on until that interrupt is missed.
        """
        self._known = False
        self._numbered = last is not None
        if last is not None:
            self._next = ticks_add(last, self._period_us)

    def missed(self, now):
        """How many samples came between the last interrupt and this one."""
        period_us = self._period_us
        late_us = ticks_diff(now, self._next)
        if not self._known:
            self._known = True
            self._next = ticks_add(now, period_us)
            return max(0, (late_us + period_us // 2) // period_us) if self._numbered else 0
        count = 0
        if late_us > 0:
            count = (late_us + period_us // 4) // period_us
            late_us -= count * period_us
        periods = count + 1
        if late_us > 0:
            late_us = late_us * min(periods, _SLOWNESS) // _SLOWNESS
        self._next = ticks_add(self._next, periods * period_us + late_us)
        return count
