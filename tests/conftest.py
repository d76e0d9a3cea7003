"""Makes the firmware importable on CPython as on a pod: `import dreampod.sound`."""

import sys
from pathlib import Path

FIRMWARE = Path(__file__).resolve().parents[1] / "firmware"
sys.path.insert(0, str(FIRMWARE))
