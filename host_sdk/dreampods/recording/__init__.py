"""A session on disk: `SessionFolder` writes it, `write_report` makes it a page to read."""

from dreampods.recording.audio import AudioWriter
from dreampods.recording.background import Background
from dreampods.recording.folder import SessionFolder
from dreampods.recording.report import write_report
from dreampods.recording.xdf import XdfWriter, open_whole

__all__ = [
    "AudioWriter",
    "Background",
    "SessionFolder",
    "XdfWriter",
    "open_whole",
    "write_report",
]
