"""How loud a layer is over the session: points that a fader passes through.

Between two points the fader moves along half a cosine: it starts and ends at rest, so a fade has
no corner to hear. Points at least `MIN_STEP_S` apart keep a timeline from ever being a flicker
(design: nothing isochronic above 3 Hz): up and down again takes two steps, 2.5 times a second.
"""

from __future__ import annotations

import bisect
import itertools
import math
from dataclasses import dataclass

MIN_STEP_S = 0.2


def ease(x: float) -> float:
    """0 at 0, 1 at 1, at rest at both ends; clipped outside."""
    return 0.5 - 0.5 * math.cos(math.pi * min(max(x, 0.0), 1.0))


@dataclass(frozen=True, slots=True)
class Timeline:
    """`points` (session_s, level): times rising, level 0 (silent) to 1 (the layer's own gain).

    Before the first point and after the last the level stays. Raises ValueError with a reason
    that fits after the name of a key.
    """

    points: tuple[tuple[float, float], ...] = ((0.0, 1.0),)

    def __post_init__(self) -> None:
        times = [time for time, _ in self.points]
        if not times:
            raise ValueError("needs at least one point [session_s, level]")
        if times[0] < 0:
            raise ValueError(f"starts at {times[0]:g} s; a session starts at 0")
        for before, after in itertools.pairwise(times):
            if after - before < MIN_STEP_S - 1e-9:
                raise ValueError(
                    f"goes from {before:g} s to {after:g} s; points must rise in time and be at "
                    f"least {MIN_STEP_S:g} s apart, so that no layer flickers"
                )
        for time, level in self.points:
            if not 0 <= level <= 1:
                raise ValueError(f"level {level:g} at {time:g} s is outside 0 to 1")

    def at(self, session_s: float) -> float:
        """The level 0..1 at a time."""
        index = bisect.bisect_right(self.points, (session_s, math.inf))
        if index == 0:
            return self.points[0][1]
        if index == len(self.points):
            return self.points[-1][1]
        (start, low), (end, high) = self.points[index - 1 : index + 1]
        return low + (high - low) * ease((session_s - start) / (end - start))

    def stretched(self, factor: float) -> Timeline:
        """The same course over `factor` times the time. Never denser than MIN_STEP_S allows."""
        points = [(self.points[0][0] * factor, self.points[0][1])]
        for time, level in self.points[1:]:
            points.append((max(time * factor, points[-1][0] + MIN_STEP_S), level))
        return Timeline(tuple(points))
