"""What a pod says of itself, checked before anything is built on it.

A pod with another protocol, with parts of its description missing, or with a calibration that is no number
is refused in one line: a level limit computed from NaN would be none at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dreampods.firmware.dreampod import wire

RESERVED_NAMES = ("collective",)  # files of a session are called so

_STREAM_KEYS = {"name": str, "unit": str, "channels": list, "format": str}
_LIMITS_DBA = ("full_scale_dba", "ceiling_dba", "hard_dba")
_QUIETEST_DBA, _LOUDEST_DBA = 0.0, 140.0


def what_is_wrong(content: Mapping[str, Any]) -> str | None:
    """Why a pod with this dictionary cannot be used, for people to read; None if it can."""
    if content.get("protocol") != wire.PROTOCOL:
        return (
            f"the pod speaks protocol {content.get('protocol')}, this host {wire.PROTOCOL};"
            " update the older of the two"
        )
    try:
        reason = (
            _named(content)
            or _parts(content)
            or _streams(content)
            or _sound(content)
            or _limits(content)
        )
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
    return (
        f"the pod describes itself wrongly ({reason}); flash its firmware again"
        if reason
        else None
    )


def _parts(content: Mapping[str, Any]) -> str | None:
    for part in content["parts"]:
        if not isinstance(part["name"], str) or not isinstance(part["fault"], str | None):
            return f"a part is {part!r}"
    return None if isinstance(content["faults"], list) else "it has no list of faults"


def _named(content: Mapping[str, Any]) -> str | None:
    name = content["name"]
    if not isinstance(name, str) or not name or name in RESERVED_NAMES:
        return f"it cannot be called {name!r}"
    return None if int(content["boot_id"]) > 0 else "boot_id is 0"


def _streams(content: Mapping[str, Any]) -> str | None:
    for stream in content["streams"]:
        for key, kind in _STREAM_KEYS.items():
            if not isinstance(stream[key], kind) or not stream[key]:
                return f"a stream's {key} is {stream[key]!r}"
        if stream["format"] not in wire.SAMPLE_BYTES:
            return f"sample format {stream['format']!r} is unknown"
        if not 0 < float(stream["rate_hz"]) <= 100_000:
            return f"stream {stream['name']} has a rate of {stream['rate_hz']} Hz"
        if not all(math.isfinite(float(stream[key])) for key in ("scale", "offset")):
            return f"stream {stream['name']} has no scale"
    return None


def _sound(content: Mapping[str, Any]) -> str | None:
    sound = content["sound"]
    rate_hz, channels, frames = sound["rate_hz"], sound["channels"], sound["chunk_frames"]
    if rate_hz not in (8000, 16000, 32000) or channels not in (1, 2):
        return f"sound of {rate_hz} Hz with {channels} channels"
    most = (wire.MAX_PAYLOAD - wire.CHUNK_HEAD_BYTES) // (2 * channels)
    if not 0 < int(frames) <= most:
        return f"chunks of {frames} frames"
    known = (wire.CODEC_PCM16, wire.CODEC_IMA)
    return None if sound["codec"] in known else f"sound in codec {sound['codec']}"


def _limits(content: Mapping[str, Any]) -> str | None:
    for key in _LIMITS_DBA:
        if not _QUIETEST_DBA <= float(content["limits"][key]) <= _LOUDEST_DBA:
            return f"{key} is {content['limits'][key]}"
    return None
