"""Updates over the link: the host's session and the pod's firmware, one against the other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dreampod.provisioning import Provisioning
from dreampod.slots import Slots
from dreampod.update import Update
from hypothesis import given, settings
from hypothesis import strategies as st
from releases import KEY, OTHER_KEY, UID, as_release, provision, write_slot

from dreampods.errors import FlashError
from dreampods.firmware.dreampod import wire
from dreampods.image import Bundle, UpdateSession

FILES = {
    "board.json": b"{}" * 40,
    "dreampod/empty.mpy": b"",
    "dreampod/pod.mpy": bytes(range(256)) * 20,
    "dreampod/drivers/part.mpy": b"part" * 300,
}
SECOND, THIRD, FOURTH = (as_release(FILES, serial) for serial in (2, 3, 4))


class PodSide:
    """The pod's half: the real firmware on a folder for a flash, with the link cut short."""

    connected = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self.told: list[dict[str, Any]] = []
        self.playing = False
        self.switch_on()

    def report(self, _request: int, text: bytes) -> None:
        self.told.append(json.loads(text))

    def switch_on(self) -> None:
        """Power off, power on."""
        self.slots = Slots(f"{self.root}/")
        self.slots.choose()
        record = Provisioning(UID, f"{self.root}/provision/")
        self.update = Update(self, record, lambda: self.playing, self.slots)

    def take(self, payload: bytes) -> None:
        """One frame, and turns of the loop until the pod has nothing more to do for it."""
        self.update.handle(payload)
        for _ in range(100):
            self.update.step(0)

    @property
    def release(self) -> int:
        """The release that runs."""
        return int(self.slots.manifest(self.slots.now)["serial"])


@pytest.fixture
def pod(tmp_path: Path) -> PodSide:
    return make_pod(tmp_path)


def make_pod(root: Path) -> PodSide:
    """A provisioned pod that runs release 2 in slot a."""
    write_slot(root, "a", SECOND)
    for path, content in provision().items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(content)
    return PodSide(root)


def send(session: UpdateSession, pod: PodSide, frames: int = 1_000_000) -> None:
    """What the shell does with a session, for so many frames."""
    while frames and session.state not in ("done", "refused"):
        payloads = session.next(1)
        for payload in payloads:
            frames -= 1
            pod.take(payload)
        told = len(pod.told)
        while pod.told:
            session.take(pod.told.pop(0))
        assert payloads or told, f"nothing goes on any more: {session.state}"


def refusal(pod: PodSide, bundle: Bundle, key: bytes = KEY) -> str:
    """Why a pod refuses a bundle; it must then start as before."""
    session = UpdateSession(bundle, key)
    send(session, pod)
    assert session.state == "refused"
    pod.switch_on()
    assert pod.release == 2
    return session.reason


def test_an_update_is_started_on_trial_and_kept_once_confirmed(pod: PodSide) -> None:
    session = UpdateSession(THIRD, KEY)
    send(session, pod)
    assert (session.state, session.slot) == ("done", "b")
    assert session.sent_bytes == session.total_bytes
    assert pod.release == 2  # it still runs
    pod.switch_on()
    assert pod.release == 3
    assert pod.slots.on_trial()
    pod.slots.confirm()
    assert pod.slots.about()["image"] == THIRD.digest
    again = UpdateSession(FOURTH, KEY)
    send(again, pod)
    pod.switch_on()
    assert (pod.slots.now, pod.release) == ("a", 4)


def test_files_of_an_earlier_release_do_not_stay_in_the_slot(pod: PodSide) -> None:
    write_slot(pod.root, "b", as_release(FILES, 1))
    send(UpdateSession(THIRD, KEY), pod)
    found = {
        path.relative_to(pod.root / "b").as_posix()
        for path in (pod.root / "b").rglob("*")
        if path.is_file()
    }
    assert found == {"manifest.json", *THIRD.files}


@settings(max_examples=40)
@given(frames=st.integers(0, 20), off=st.booleans())
def test_an_update_that_was_cut_off_is_taken_up_where_it_was(
    tmp_path_factory: pytest.TempPathFactory, frames: int, off: bool
) -> None:
    pod = make_pod(tmp_path_factory.mktemp("flash"))
    session = UpdateSession(THIRD, KEY)
    send(session, pod, frames)
    whole = session.sent_bytes
    if off:
        pod.switch_on()
        assert pod.release == (3 if session.state == "done" else 2)
        if session.state == "done":
            return
    else:
        pod.connected = False
        assert not pod.update.step(0)  # nothing is kept open for a host that is gone
        pod.connected = True
    session.begin()
    send(session, pod, 2)
    assert session.sent_bytes >= whole - max(map(len, THIRD.files.values()))
    send(session, pod)
    pod.switch_on()
    assert pod.release == 3


def test_another_fleets_update_is_refused(pod: PodSide) -> None:
    assert "another fleet" in refusal(pod, THIRD, OTHER_KEY)


@given(place=st.integers(0, len(THIRD.manifest) - 1), bit=st.integers(0, 7))
def test_a_manifest_with_one_bit_changed_is_refused(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    pod = make_pod(tmp_path_factory.mktemp("flash"))
    session = UpdateSession(THIRD, KEY)
    begin, manifest = session.next(2)
    changed = bytearray(manifest)
    changed[1 + place] ^= 1 << bit
    pod.take(begin)
    pod.take(bytes(changed))
    assert [told["update"] for told in pod.told] == ["refused"]
    assert "signature" in pod.told[0]["reason"]
    assert not (pod.root / "b").exists()


@settings(max_examples=40)
@given(data=st.data())
def test_a_file_with_one_bit_changed_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    pod = make_pod(tmp_path_factory.mktemp("flash"))
    name = data.draw(st.sampled_from([name for name, content in THIRD.files.items() if content]))
    content = bytearray(THIRD.files[name])
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    changed = Bundle(THIRD.manifest, {**THIRD.files, name: bytes(content)})
    assert f"{name} is not what the manifest says" in refusal(pod, changed)


def test_an_old_release_replayed_is_refused(pod: PodSide) -> None:
    assert "not newer" in refusal(pod, as_release(FILES, 1))
    assert "not newer" in refusal(pod, SECOND)


def test_what_was_made_for_another_board_or_processor_is_refused(pod: PodSide) -> None:
    assert "made for RPI_PICO" in refusal(pod, as_release(FILES, 3, board="RPI_PICO"))
    assert "(armv6m)" in refusal(pod, as_release(FILES, 3, arch="armv6m"))


def test_nothing_is_written_while_somebody_listens(pod: PodSide) -> None:
    pod.playing = True
    assert "sound is playing" in refusal(pod, THIRD)
    assert not (pod.root / "b").exists()
    pod.playing = False
    session = UpdateSession(THIRD, KEY)
    send(session, pod, 5)
    pod.playing = True  # in the middle of it
    send(session, pod)
    assert session.state == "refused"
    pod.switch_on()
    assert pod.release == 2


def test_a_pod_without_a_key_or_with_a_spoilt_one_takes_no_update(pod: PodSide) -> None:
    (pod.root / "provision" / "key").write_bytes(OTHER_KEY)
    pod.switch_on()
    assert "not provisioned" in refusal(pod, THIRD, OTHER_KEY)


def test_a_slot_that_lost_a_file_in_the_meantime_is_not_started(pod: PodSide) -> None:
    session = UpdateSession(THIRD, KEY)
    while session.state != "checking":
        send(session, pod, 1)
        if session.state == "sending" and session.sent_bytes == session.total_bytes:
            break
    (pod.root / "b" / "board.json").write_bytes(b"[]" * 40)
    send(session, pod)
    assert "board.json reads back wrong" in session.reason
    pod.switch_on()
    assert pod.release == 2


@given(payloads=st.lists(st.binary(max_size=60), max_size=12))
def test_nonsense_harms_nothing(
    tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes]
) -> None:
    pod = make_pod(tmp_path_factory.mktemp("flash"))
    begin, manifest, *_ = UpdateSession(THIRD, KEY).next(2)
    pod.take(begin)
    pod.take(manifest)
    for payload in payloads:
        pod.take(payload)
    pod.switch_on()
    assert pod.release == 2


def test_a_rollback_starts_the_other_slot_on_trial(pod: PodSide) -> None:
    write_slot(pod.root, "b", as_release(FILES, 1))
    pod.take(bytes((wire.UPDATE_ROLLBACK,)))
    assert pod.told == [{"update": "rollback", "slot": "b", "release": 1}]
    pod.switch_on()
    assert pod.release == 1
    pod.slots.confirm()
    pod.switch_on()
    assert pod.release == 1


def test_a_rollback_to_nothing_is_refused(pod: PodSide) -> None:
    pod.take(bytes((wire.UPDATE_ROLLBACK,)))
    assert "slot b is empty" in pod.told.pop()["reason"]
    write_slot(pod.root, "b", THIRD)
    (pod.root / "b" / "board.json").write_bytes(b"")
    pod.take(bytes((wire.UPDATE_ROLLBACK,)))
    assert "board.json in slot b is spoilt" in pod.told.pop()["reason"]
    pod.switch_on()
    assert pod.release == 2


def test_while_an_update_is_on_trial_another_has_to_wait(pod: PodSide) -> None:
    send(UpdateSession(THIRD, KEY), pod)
    pod.switch_on()
    session = UpdateSession(FOURTH, KEY)
    send(session, pod)
    assert "still on trial" in session.reason
    with pytest.raises(FlashError, match="pod-1 keeps its firmware: the last update is still"):
        session.raise_if_refused("pod-1")
