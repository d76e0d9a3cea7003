"""The fleet: whose pods they are, and by which keys and certificates they and the host know each other."""

from .folder import FleetFolder
from .record import PodRecord

__all__ = ["FleetFolder", "PodRecord"]
