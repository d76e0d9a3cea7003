"""What runs on a pod: sensing, sound, and one link to the host."""

import sys

VERSION = "0.2.0"
RELEASE = 2  # counts up with every release: an update to one that is not newer is refused


def forget(*names):
    """Drop modules of this package that have done their work: the sound needs the room."""
    for name in names:
        sys.modules.pop("dreampod." + name, None)
        globals().pop(name, None)
