"""Self-tests of pods: what they find out about themselves, and what only a host can know."""

from .examination import examine, selftest_all
from .loopback import Heard, Loopback, judge
from .outcome import Item, Outcome

__all__ = [
    "Heard",
    "Item",
    "Loopback",
    "Outcome",
    "examine",
    "judge",
    "selftest_all",
]
