"""Boards on USB: find them, look at them, put the firmware on them, tell them who they are."""

from .finding import Port, find_again, find_ports, named_port
from .looking import Seen, look

__all__ = ["Port", "Seen", "find_again", "find_ports", "look", "named_port"]
