"""Real recordings of people, assembled into sleepers that virtual pods replay.

Everything downstream of a sensor should meet what bodies really do: drift, skipped breaths, beats
that vary with the breath. Nothing here is simulated; what is real about each sleeper, and whose
recording it is, stands in `Sleeper.credit`.
"""

from .sleepers import Signal, Sleeper, load_sleepers
from .tape import write_tape

__all__ = ["Signal", "Sleeper", "load_sleepers", "write_tape"]
