"""Makes report.html from a session folder: one page, for people who were there.

Everything on it was measured in the session or follows from what was; a figure that was not
recorded is absent or "–", never filled in. It is made from the folder alone, so it can be made
from a killed session, and made again.
"""

from __future__ import annotations

from pathlib import Path

from dreampods.errors import RecordingError

REPORT = "report.html"


def write_report(folder: Path | str) -> Path:
    """Write report.html into the session `folder` and return its path.

    Needs streams.xdf; session.json and events.jsonl may be missing, as after a crash. Raises
    `RecordingError` if the folder is no session, can't be written, or the extra is not installed.
    """
    # What draws and reads comes with the extra "report"; recording must work without it.
    try:
        import matplotlib as mpl
        import pyxdf  # noqa: F401
    except ImportError as error:
        raise RecordingError(
            "a report needs matplotlib and pyxdf: pip install 'dreampods[report]'"
        ) from error
    from dreampods.recording.drawing import STYLE
    from dreampods.recording.reading import read_session
    from dreampods.recording.sections import compose

    session = read_session(folder)
    with mpl.rc_context(STYLE):
        text = compose(session)
    path = Path(folder) / REPORT
    part = path.with_suffix(".html.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RecordingError(f"cannot write {path}: {error.strerror}") from error
    return path
