"""Take our firmware off a board again. MicroPython stays, and who the board is, unless that is asked for."""

from __future__ import annotations

from dreampods.image.provision import FOLDER

from .finding import Port, find_after_reset
from .looking import ROOT_FILES, SLOTS, at_prompt, look

_ERASE = """
import os
n=0
def _r(p):
 global n
 try:
  if os.stat(p)[0]&0x4000:
   for e in list(os.ilistdir(p)):_r(p+'/'+e[0])
   os.rmdir(p)
  else:
   os.remove(p)
   n+=1
 except OSError as e:
  if e.errno!=2:raise
for p in %r:_r(p)
for p in %r:_r(p)
print(n)
"""


def erase(port: Port, *, provisioning: bool) -> int:
    """Remove our files from the board on `port`; its MicroPython stays.

    Args:
        provisioning: also who it is, its keys and its calibration.

    Returns:
        How many files were removed.

    Raises:
        FlashError: it is not ours, or cannot be written.
    """
    with at_prompt(look(port, patient=True)) as (repl, _):
        # What boots first: from then on it is a board that starts nothing
        files = [f"/{name}{end}" for name in reversed(ROOT_FILES) for end in ("", ".new")]
        folders = [f"/{slot}" for slot in SLOTS] + [f"/{FOLDER}"] * provisioning
        removed = repl.parse(repl.run(_ERASE % (files, folders), "erasing"), "erasing")
        assert isinstance(removed, int)
        repl.reset()  # which also ends the watchdog: nobody feeds it any more
    find_after_reset(port)
    return removed
