"""The pods of one host: their links, clocks and streams, and that they come and go."""

from .asked import Cue, Follow
from .clock import ClockMap, PodClock
from .fleet import Fleet, open_pods
from .pod import News, Pod
from .streams import Gap, Stream

__all__ = [
    "ClockMap",
    "Cue",
    "Fleet",
    "Follow",
    "Gap",
    "News",
    "Pod",
    "PodClock",
    "Stream",
    "open_pods",
]
