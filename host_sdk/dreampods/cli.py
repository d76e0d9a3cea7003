"""The command line: `dreampods COMMAND`; the commands themselves are in `commands/`.

Every mistake a user can make ends in one line on stderr and exit code 1; Ctrl-C, SIGTERM or a terminal
that is closed stop the sound, keep the record and exit with 130.
"""

from __future__ import annotations

import argparse
import io
import signal
import sys
import threading

from dreampods.commands import GROUPS
from dreampods.commands.arguments import INTERRUPTED, endings
from dreampods.errors import DreampodsError
from dreampods.firmware.dreampod import VERSION


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `dreampods`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # no name of a file or a pod may end a command
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        if threading.current_thread() is threading.main_thread():
            for ending in endings():
                signal.signal(ending, signal.default_int_handler)
        options.command(options)
    except DreampodsError as error:
        print(f"dreampods: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        # Whoever read our output has enough of it
        sys.stderr.close()
        raise SystemExit(1) from None
    except (OSError, RuntimeError, UnicodeError) as error:
        # What the system refused where nobody foresaw it: a name too long, no descriptor left
        print(f"dreampods: {_told(error)}", file=sys.stderr)
        raise SystemExit(1) from None


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return (str(error).splitlines() or [type(error).__name__])[0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dreampods", description="Many sleepers, one dreamscape.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"dreampods {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_to(commands)
    return parser
