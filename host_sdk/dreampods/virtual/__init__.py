"""Virtual pods: the real firmware on the real MicroPython, on a pty, its sensors playing recordings."""

from .processes import VirtualPods

__all__ = ["VirtualPods"]
