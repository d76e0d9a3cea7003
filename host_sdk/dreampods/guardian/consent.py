"""Consent: who lies in which pod, and which uses of their signals they have agreed to.

Nobody's consent is assumed. What a person has not agreed to does not happen; what they take back
ends at once. In a file:

    [participant.pod-1]
    name = "A. N."
    uses = ["sense", "record", "share"]
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dreampods.errors import ConsentError

USES = {
    "sense": "measure the body and let the sound follow it",
    "record": "keep the signals, and what was played, on disk",
    "share": "be heard by the others in the collective",
}


@dataclass(slots=True)
class _Participant:
    name: str
    uses: set[str]


@dataclass(slots=True)
class Consent:
    """Agreements by pod name. Ask with `allows`, at every use, for an answer may change."""

    source: str  # for messages: the file they stand in
    _participants: dict[str, _Participant] = field(default_factory=dict)

    @classmethod
    def of_recordings(cls, sleepers: Mapping[str, str]) -> Consent:
        """For virtual pods: their sleepers are recordings (by pod name), published for such use."""
        consent = cls("published recordings")
        for pod, recording in sleepers.items():
            consent.agree(pod, recording, USES)
        return consent

    def agree(self, pod: str, name: str, uses: Iterable[str]) -> None:
        """Note that the person in `pod` agrees to `uses`.

        Raises:
            ConsentError: there is no such use.
        """
        wanted = set(uses)
        unknown = sorted(wanted - USES.keys())
        if unknown:
            raise ConsentError(
                f"{self.source}: {pod}: {unknown[0]!r} is no use one can agree to; the uses are"
                f" {', '.join(USES)}"
            )
        self._participants[pod] = _Participant(name, wanted)

    def revoke(self, pod: str, use: str) -> None:
        """Take one use back, from now on."""
        self.require([pod])
        if use not in USES:
            raise ConsentError(
                f"{use!r} is no use one can take back; the uses are {', '.join(USES)}"
            )
        self._participants[pod].uses.discard(use)

    def allows(self, pod: str, use: str) -> bool:
        """Whether the person in `pod` agrees to `use` now."""
        participant = self._participants.get(pod)
        return participant is not None and use in participant.uses

    def participant(self, pod: str) -> str:
        """The name of the person in `pod`."""
        return self._participants[pod].name

    def require(self, pods: Iterable[str]) -> None:
        """Raise ConsentError unless somebody is named for each pod (agreeing to nothing is an answer)."""
        missing = [pod for pod in pods if pod not in self._participants]
        if missing:
            raise ConsentError(
                f"{self.source}: no consent on record for {', '.join(missing)}; ask the person, and add"
                f" [participant.{missing[0]}] with name and uses ({', '.join(USES)})"
            )


def load_consent(path: Path | str) -> Consent:
    """Read a consent file.

    Raises:
        ConsentError: it is missing, or does not say what it should; names the key.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConsentError(f"{path}: no such consent file; see `dreampods run --help`") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConsentError(f"{path}: cannot be read as a consent file ({error})") from None
    except (ValueError, RecursionError) as error:  # also numbers and nesting beyond all measure
        raise ConsentError(f"{path}: is not TOML: {error}") from None
    consent = Consent(str(path))
    unknown = sorted(content.keys() - {"participant"})
    if unknown:
        raise ConsentError(
            f"{path}: {unknown[0]}: unknown key; a consent file has [participant.POD] tables only"
        )
    participants = content.get("participant", {})
    if not isinstance(participants, dict):
        raise ConsentError(f"{path}: participant: must be tables, [participant.POD] for each pod")
    for pod, entry in participants.items():
        consent.agree(pod, *_read_participant(path, pod, entry))
    return consent


def _read_participant(path: Path, pod: str, entry: Any) -> tuple[str, list[str]]:
    key = f"{path}: participant.{pod}"
    if not isinstance(entry, dict):
        raise ConsentError(f"{key}: must be a table with name and uses")
    unknown = sorted(entry.keys() - {"name", "uses"})
    if unknown:
        raise ConsentError(f"{key}.{unknown[0]}: unknown key; there are name and uses")
    name, uses = entry.get("name"), entry.get("uses")
    if not isinstance(name, str) or not name:
        raise ConsentError(f"{key}.name: must be a text, the person's name or pseudonym")
    if not isinstance(uses, list) or not all(isinstance(use, str) for use in uses):
        raise ConsentError(
            f"{key}.uses: must be a list, of {', '.join(USES)}; [] agrees to nothing"
        )
    return name, uses
