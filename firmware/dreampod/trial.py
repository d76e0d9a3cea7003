"""The proof of an update: a firmware that has run well for some seconds is good, another is not.

Until then it is on trial, and every start uses up a try. A firmware that hangs is reset by the
watchdog, one that fails by `main.py`; one that runs but cannot play or sense never confirms.
"""

import json

from dreampod.clock import ticks_diff

_WELL_FOR_US = 5_000_000


class Trial:
    """Steps with the rest of the pod.

    `healthy(ill)` says whether all runs but the parts in `ill`, which were broken before; `busy()` whether
    somebody listens or is measured.
    """

    def __init__(self, flash, link, healthy, busy, now):
        self._flash = flash
        self._link = link
        self._healthy = healthy
        self._busy = busy
        self._ill = now  # when the pod was last seen unwell
        self._excused = flash.ill()
        self.running = flash.on_trial()

    def step(self, now):
        """Confirm once the pod has been well for long enough, and nobody hears the flash being written."""
        if not self.running:
            return
        if not self._healthy(self._excused):
            self._ill = now
        elif ticks_diff(now, self._ill) > _WELL_FOR_US and not self._busy():
            self._flash.confirm()
            self.running = False
            told = {"update": "confirmed", "slot": self._flash.now}
            self._link.report(0, json.dumps(told).encode())
