"""The command line: `dreampods COMMAND`; the commands themselves are in `commands/`.

Every mistake a user can make ends in one line on stderr and exit code 1; Ctrl-C stops the sound, keeps
the record and exits with 130.
"""

from __future__ import annotations

import argparse
import sys

from dreampods.commands import GROUPS
from dreampods.commands.arguments import INTERRUPTED
from dreampods.errors import DreampodsError
from dreampods.firmware.dreampod import VERSION


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `dreampods`."""
    options = _parser().parse_args(arguments)
    try:
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
        print(f"dreampods: {str(error).splitlines()[0]}", file=sys.stderr)
        raise SystemExit(1) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dreampods", description="Many sleepers, one dreamscape.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"dreampods {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_to(commands)
    return parser
