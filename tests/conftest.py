"""Makes the firmware importable on CPython as on a pod: `import dreampod.sound`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "firmware"))
