"""From layers to pods: `rendering` makes each pod's mix, `feed` brings it to the pod in its own time."""

from .feed import Feed
from .rendering import BLOCK_FRAMES, BLOCK_S, ENGINE_RATE_HZ, Gains, Rendering

__all__ = ["BLOCK_FRAMES", "BLOCK_S", "ENGINE_RATE_HZ", "Feed", "Gains", "Rendering"]
