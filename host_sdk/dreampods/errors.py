"""The mistakes a person can make or meet, each told in one line: what is wrong, and what to do.

Anything that reaches a user as text is a `DreampodsError`; the command line prints it and exits
with 1. Other exceptions are defects of ours.
"""


class DreampodsError(Exception):
    """Something the user can mend. ``str(error)`` is one line that says what and how."""


class SceneError(DreampodsError):
    """A scene that cannot be played; the text names file, key and reason."""


class ConsentError(DreampodsError):
    """Something was asked of a person that the person has not agreed to."""


class LinkError(DreampodsError):
    """A port that cannot be opened, or a device on it that does not answer as a pod."""


class RecordingError(DreampodsError):
    """A recording that cannot be read, or a session folder that cannot be written."""


class BoardError(DreampodsError):
    """A board's data that cannot be built: the text names file, key and reason."""


class FlashError(DreampodsError):
    """A board that cannot be flashed, provisioned or updated; nothing on it was broken by trying."""


class FleetError(DreampodsError):
    """Keys and certificates of the fleet that are missing, spoilt, or another fleet's."""
