"""No more than three flashes a second, whatever is asked for: light can make people seize.

WCAG 2.3.1 and ITU-R BT.1702: a general flash is a pair of opposing changes of relative luminance of
10 % or more, a red flash a pair of opposing changes of redness; no more than three of either may fall
into any one second. Here each opposing change is counted when it has become large enough, and more
than five of them in a second are not let pass: with the change that may be under way when the second
begins these are six, three flashes.

It is stricter than the rule in three ways, because eyes in the dark see more: the full scale is the
most this pod may show and not the most its lights could, bright light is not exempted, and any red counts
and not only a saturated one.
"""

from dreampod.clock import ticks_diff

_SECOND_US = 1_000_000
_CHANGES = 5  # in any second
_RED, _GREEN, _BLUE = 54, 183, 19  # relative luminance of ITU-R BT.709, in 1/256
_RED_SHARE = 16  # WCAG's 20 of 320


class _Swings:
    """The opposing changes of one quantity, and when they were."""

    def __init__(self, threshold):
        self._threshold = threshold
        self._extreme = 0  # the lights begin dark
        self._rising = False
        self._times = [0] * _CHANGES
        self._next = 0
        self._count = 0

    def forget(self, now):
        """Must be called at least every 9 minutes, or the ticks wrap unseen."""
        while self._count and (
            ticks_diff(now, self._times[self._next - self._count]) > _SECOND_US
        ):
            self._count -= 1

    def opposes(self, value):
        """Whether showing `value` completes a change against the last one."""
        if self._rising:
            return self._extreme - value >= self._threshold
        return value - self._extreme >= self._threshold

    def allows(self, value):
        return self._count < _CHANGES or not self.opposes(value)

    def show(self, now, value):
        if self.opposes(value):
            self._rising = not self._rising
            self._extreme = value
            self._times[self._next] = now
            self._next = (self._next + 1) % _CHANGES
            self._count += 1
        elif self._rising == (value > self._extreme):
            self._extreme = value


class FlashGuard:
    """Asked before each change of the light. Colours are 0..`most`, linear in light."""

    def __init__(self, most):
        self._light = _Swings(max(1, 256 * most // 10))
        self._red = _Swings(max(1, most // _RED_SHARE))

    def allows(self, now, red, green, blue):
        """True if this colour may be shown at `now`, and then it must be."""
        light = _RED * red + _GREEN * green + _BLUE * blue
        redness = max(0, red - green - blue)
        self._light.forget(now)
        self._red.forget(now)
        if not (self._light.allows(light) and self._red.allows(redness)):
            return False
        self._light.show(now, light)
        self._red.show(now, redness)
        return True
