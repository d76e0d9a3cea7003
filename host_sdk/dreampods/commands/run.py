"""`dreampods run`: hold a session."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dreampods.dreamscape import load_scene
from dreampods.dreamscape.scene import LONGEST_S
from dreampods.errors import ConsentError, DreampodsError
from dreampods.fleet import open_pods
from dreampods.guardian import load_consent
from dreampods.recording import SessionFolder
from dreampods.session import Session

from .arguments import INTERRUPTED, Commands, endings, path
from .fleet import add_fleet_option

if TYPE_CHECKING:
    from dreampods.session.live import LiveView

_EPILOG = """\
A consent file says who lies in each pod, and what they agree to; real pods need one:

    [participant.pod-1]
    name = "A. N."
    uses = ["sense", "record", "share"]

sense   measure the body and let the sound follow it
record  keep the signals, and what was played, on disk
share   be heard by the others in the collective

Virtual pods play published recordings, or those in --recordings DIR, which has a
sleepers.toml; dreampods/recordings/sleepers.py says what stands in it.
"""


def add_to(commands: Commands) -> None:
    """Add `run`."""
    run = commands.add_parser(
        "run",
        help="hold a session",
        description="Hold a session: play SCENE to the pods, follow their sleepers, keep a record.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
    )
    run.add_argument("scene", metavar="SCENE", help="a scene's name, or the path of a scene file")
    run.add_argument(
        "--pods",
        default="virtual:8",
        metavar="PODS",
        help="ports separated by commas (tcp://NAME.local for pods on the network), or virtual:N"
        " (default: virtual:8)",
    )
    run.add_argument(
        "--seconds", type=_seconds, metavar="N", help="how long (default: as the scene says)"
    )
    run.add_argument(
        "--out", type=path, metavar="DIR", help="folder for the record (default: out/SCENE-TIME)"
    )
    run.add_argument("--consent", type=path, metavar="FILE", help="who agreed to what")
    run.add_argument(
        "--recordings",
        type=path,
        metavar="DIR",
        help="for virtual pods: what their sleepers play (default: recordings from published packages)",
    )
    add_fleet_option(run)
    run.set_defaults(command=_run)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 1 <= seconds <= LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text!r}: give 1 to {LONGEST_S:.0f} seconds")
    return seconds


def _run(options: argparse.Namespace) -> None:
    # What can be told to be wrong without touching a pod is told first
    scene = load_scene(options.scene)
    consent = load_consent(options.consent) if options.consent else None
    now = datetime.datetime.now()
    out = options.out or Path("out") / f"{scene.name}-{now:%Y%m%d-%H%M%S}"
    SessionFolder.check_free(out)
    fleet = open_pods(
        options.pods,
        recordings=options.recordings,
        folder=out / "pods",
        fleet=options.fleet,
    )
    if consent is None and fleet.virtual is None:
        raise ConsentError(
            "real pods need --consent FILE, which says who lies in them and what they agree to;"
            " see `dreampods run --help`"
        )

    async def hold() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        for ending in endings():
            loop.add_signal_handler(ending, task.cancel)
        with _live_view() as view:
            view.say("waking the pods …")
            async with (
                fleet,
                Session(fleet, scene, out, seconds=options.seconds, consent=consent) as session,
            ):
                async for moment in session:
                    view.show(session, moment)
                view.say("writing the report …")

    interrupted = False
    try:
        asyncio.run(hold())
    except (KeyboardInterrupt, asyncio.CancelledError):
        interrupted = True
    if interrupted:
        kept = (out / "session.json").exists()
        print(
            "stopped" + (f"; what was recorded is kept in {out}" if kept else ""), file=sys.stderr
        )
        raise SystemExit(INTERRUPTED)
    _tell(out)


def _live_view() -> LiveView:
    try:
        from dreampods.session.live import LiveView
    except ImportError:
        raise DreampodsError(
            "the terminal view needs rich: pip install 'dreampods[console]'"
        ) from None
    return LiveView()


def _tell(out: Path) -> None:
    """Say where to listen and look."""
    sounds = sorted((out / "mix").glob("*.flac"))
    for name, sound in zip(("listen", *[""] * len(sounds)), sounds, strict=False):
        print(f"{name:8} {sound}")
    report = out / "report.html"
    print(
        f"look     {report if report.exists() else f'dreampods report {out}, to write the report'}"
    )
    print(f"analyse  {out / 'streams.xdf'}  {out / 'session.json'}  {out / 'events.jsonl'}")
