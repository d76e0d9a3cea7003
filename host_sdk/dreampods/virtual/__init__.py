"""Virtual pods: the real firmware on the real MicroPython, on a pty, its sensors playing recordings."""

from .processes import MOST_PODS, VirtualPods

__all__ = ["MOST_PODS", "VirtualPods"]
