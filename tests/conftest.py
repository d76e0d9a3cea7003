"""Makes the firmware importable on CPython as on a pod: `import dreampod.sound`."""

import os
import signal
import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "firmware"))

# Where a change is judged, the same examples each time; where people work, new ones
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

# A run in the background is started with Ctrl-C ignored, and what it starts would ignore it too
signal.signal(signal.SIGINT, signal.default_int_handler)
