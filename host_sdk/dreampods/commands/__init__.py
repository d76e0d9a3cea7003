"""The commands of `dreampods`, a file for each group: `add_to` adds it to the command line."""

from . import boards, flash, fleet, report, run, scenes, selftest, sim, update

GROUPS = (run, sim, scenes, report, boards, flash, selftest, update, fleet)

__all__ = ["GROUPS"]
