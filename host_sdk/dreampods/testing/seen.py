"""What only a host can know of a pod: its clock, its link, what firmware it has, when it was calibrated."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from dreampods.firmware.dreampod import RELEASE
from dreampods.fleet import Pod

from .outcome import Item

CLOCK_S = 10.0  # so long a clock is watched at least
_MOST_PPM = 100.0
_KNOWN_PPM = 25.0
_OLD_DAYS = 365
_WATCHDOG_RESET = 3  # machine.WDT_RESET

_COUNTED_BY_POD = ("rx_corrupt", "rx_skipped", "tx_dropped")


@dataclass(frozen=True, slots=True)
class LinkCounts:
    """Counters of a link, on both its ends."""

    corrupt: int
    skipped: int
    lost: int
    dropped: int
    repeated: int

    @classmethod
    def of(cls, pod: Pod) -> LinkCounts:
        """As they stand now."""
        protocol = pod.protocol
        corrupt, skipped, dropped = (pod.stats.get(name, 0) for name in _COUNTED_BY_POD)
        return cls(
            protocol.corrupt + corrupt,
            protocol.skipped_bytes + skipped,
            protocol.lost_frames,
            dropped,
            protocol.repeated,
        )


def firmware_item(pod: Pod) -> Item:
    """Which firmware, and whether it is the one that was wanted."""
    told = pod.dictionary
    release = int(told.get("release", 0))
    text = (
        f"{told.get('firmware')}, release {release}, board {told.get('board')},"
        f" slot {told.get('slot') or '(none)'}"
    )
    if told.get("rolled_back"):
        return Item(
            "firmware",
            "failed",
            f"{text}: went back to it because the other did not run: {told['rolled_back']};"
            " `dreampods update` tries again",
        )
    if told.get("trial"):
        text += ", on trial"
    if release < RELEASE:
        text += f"; release {RELEASE} is newer"
    if told.get("reset_cause") == _WATCHDOG_RESET:
        # A tool restarts it so too; a chip cannot tell the two apart
        text += "; last started by a tool or by its watchdog"
    return Item("firmware", "ok", text, values={"release": release})


def clock_item(pod: Pod) -> Item:
    """The pod's crystal against the host's."""
    found = pod.clock.map
    if found is None:
        return Item("clock", "failed", "no probe came back: check the cable, or use another hub")
    sigma_ppm = found.rate_sigma * 1e6
    text = f"{found.ppm:+.1f} ± {sigma_ppm:.1f} ppm against this host, known to {found.sigma_us:.0f} µs"
    values = {
        "ppm": round(found.ppm, 3),
        "sigma_ppm": round(sigma_ppm, 3),
        "sigma_us": round(found.sigma_us, 2),
        "asymmetry_us": round(found.asymmetry_us, 1),
    }
    if sigma_ppm > _KNOWN_PPM:
        text += ": too uncertain; end what else keeps this host or the hub busy, and test again"
    elif abs(found.ppm) - 2 * sigma_ppm > _MOST_PPM:
        text += f": a crystal keeps within {_MOST_PPM:.0f} ppm; test on another host, then replace the board"
    else:
        return Item("clock", "ok", text, values=values)
    return Item("clock", "failed", text, values=values)


def link_item(pod: Pod, before: LinkCounts) -> Item:
    """What went wrong on the link since `before`."""
    now = LinkCounts.of(pod)
    corrupt, lost = now.corrupt - before.corrupt, now.lost - before.lost
    skipped, dropped = now.skipped - before.skipped, now.dropped - before.dropped
    repeated = now.repeated - before.repeated
    best_us = pod.clock.map.best_rtt_us if pod.clock.map else 0.0
    text = (
        f"shortest round trip {best_us / 1000:.2f} ms; frames: {corrupt} corrupt, {lost} lost,"
        f" {dropped} not taken, {repeated} repeated; {skipped} bytes skipped"
    )
    values = {
        "best_rtt_us": round(best_us, 1),
        "corrupt": corrupt,
        "lost": lost,
        "dropped": dropped,
        "repeated": repeated,
        "skipped_bytes": skipped,
    }
    if corrupt or lost or dropped:
        text += ": check the cable and its plugs, or use another hub or port"
        return Item("link", "failed", text, values=values)
    return Item("link", "ok", text, values=values)


def calibration_item(pod: Pod, today: datetime.date) -> Item:
    """When the loudness of this very pod was measured."""
    told = pod.dictionary.get("calibration") or {}
    try:
        date = datetime.date.fromisoformat(str(told.get("date", "")))
    except ValueError:
        return Item(
            "calibration",
            "not fitted",
            "loudness as of its kind of board: measure it, then dreampods provision --full-scale-dba",
        )
    days = (today - date).days
    text = f"{told.get('full_scale_dba')} dBA at full scale, {days} days old"
    if days > _OLD_DAYS:
        text += ": measure it again, then dreampods provision --again"
        return Item("calibration", "failed", text, values={"days": days})
    return Item("calibration", "ok", text, values={"days": days})
