"""Virtual pods: the real firmware on the real MicroPython, on a pty, its sensors playing recordings."""

from .board import BOARD, VIRTUAL_BOARDS
from .processes import MOST_PODS, VirtualPods

__all__ = ["BOARD", "MOST_PODS", "VIRTUAL_BOARDS", "VirtualPods"]
