"""Which slot a pod starts, whatever has become of its flash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dreampod.slots import TRIES, Slots, read_manifest
from dreampod.trial import Trial
from hypothesis import given
from hypothesis import strategies as st
from releases import as_release, write_slot

FILES = {"board.json": b"{}", "dreampod/pod.mpy": b"M" * 3000, "dreampod/wire.mpy": b"w" * 10}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Slot a is release 2 and runs, slot b is release 3."""
    write_slot(tmp_path, "a", as_release(FILES, 2))
    write_slot(tmp_path, "b", as_release(FILES, 3))
    (tmp_path / "boot.json").write_text(json.dumps({"slot": "a", "good": "a", "tries": 0}))
    return tmp_path


def power_on(root: Path) -> Slots:
    """What main.py does first."""
    slots = Slots(f"{root}/")
    slots.choose()
    return slots


def test_a_pod_starts_the_slot_that_has_proven_itself(root: Path) -> None:
    assert power_on(root).now == "a"
    assert power_on(root).about()["trial"] is False


def test_a_trial_that_is_never_confirmed_ends_after_three_starts(root: Path) -> None:
    power_on(root).start_trial("b")
    assert [power_on(root).now for _ in range(TRIES + 2)] == ["b", "b", "b", "a", "a"]
    assert power_on(root).about()["rolled_back"] == "it did not run well"


def test_a_confirmed_trial_stays(root: Path) -> None:
    power_on(root).start_trial("b")
    power_on(root).confirm()
    assert [power_on(root).now for _ in range(5)] == ["b"] * 5
    assert power_on(root).about() | {"image": ""} == {
        "slot": "b",
        "image": "",
        "trial": False,
        "rolled_back": "",
    }


def test_a_failing_trial_is_tried_again_and_then_says_why_it_ended(root: Path) -> None:
    power_on(root).start_trial("b")
    for _ in range(TRIES):
        slots = power_on(root)
        assert slots.now == "b"
        assert slots.give_up("ValueError: no such pin")
    slots = power_on(root)
    assert slots.now == "a"
    assert slots.about()["rolled_back"] == "ValueError: no such pin"


def test_a_good_slot_that_fails_gives_way_to_the_other_but_the_two_do_not_take_turns(
    root: Path,
) -> None:
    assert power_on(root).give_up("MemoryError")
    slots = power_on(root)
    assert slots.now == "b"
    assert not slots.give_up("MemoryError again")
    assert power_on(root).now == "b"


def test_a_good_slot_that_fails_stays_if_there_is_no_whole_other(root: Path) -> None:
    (root / "b" / "board.json").unlink()
    assert not power_on(root).give_up("MemoryError")
    assert power_on(root).now == "a"


@pytest.mark.parametrize("name", ["board.json", "dreampod/pod.mpy", "manifest.json"])
@pytest.mark.parametrize("how", ["gone", "shorter", "one bit"])
def test_a_spoilt_slot_is_never_started(root: Path, name: str, how: str) -> None:
    path = root / "a" / name
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(
            content[:-1] if how == "shorter" else bytes((content[0] ^ 1,)) + content[1:]
        )
    assert power_on(root).now == "b"
    (root / "b" / "dreampod" / "pod.mpy").unlink()
    slots = power_on(root)
    assert slots.now == ""
    assert len(slots.faults()) == 2
    assert "pod.mpy in slot b is missing or spoilt" in slots.faults()[1]


@given(
    record=st.binary(max_size=60) | st.just(b"[]") | st.just(b'{"slot":"c","good":"a","tries":1}')
)
def test_without_a_record_the_newest_whole_slot_is_started_on_trial(
    tmp_path_factory: pytest.TempPathFactory, record: bytes
) -> None:
    root = tmp_path_factory.mktemp("flash")
    write_slot(root, "a", as_release(FILES, 2))
    write_slot(root, "b", as_release(FILES, 3))
    (root / "boot.json").write_bytes(record)
    slots = power_on(root)
    assert slots.now == "b"
    assert slots.on_trial()
    assert [power_on(root).now for _ in range(TRIES)] == ["b", "b", "a"]


def test_a_flash_without_slots_is_a_developers_copy(tmp_path: Path) -> None:
    slots = power_on(tmp_path)
    assert slots.now == ""
    assert slots.faults() == []


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_what_is_no_manifest_is_told_so(data: bytes) -> None:
    with pytest.raises(ValueError):
        read_manifest(data)


@pytest.mark.parametrize("name", ["/main.py", "../provision/key", "a/../../x", "manifest.json"])
def test_a_manifest_names_nothing_outside_its_slot(name: str) -> None:
    manifest = {"serial": 3, "board": "virtual", "arch": "x64", "files": [[name, 1, "0" * 64]]}
    with pytest.raises(ValueError, match="not a manifest"):
        read_manifest(json.dumps(manifest))


class Told:
    """Keeps what the pod reports."""

    connected = True

    def __init__(self) -> None:
        self.told: list[dict[str, object]] = []

    def report(self, _request: int, text: bytes) -> None:
        self.told.append(json.loads(text))


def test_a_trial_is_confirmed_after_five_seconds_in_which_all_was_well(root: Path) -> None:
    power_on(root).start_trial("b")
    slots = power_on(root)
    well, heard, link = True, False, Told()
    trial = Trial(slots, link, lambda _ill: well, lambda: heard, now=0)

    def pass_seconds(start: int, end: int) -> None:
        for second in range(start, end):
            trial.step(second * 1_000_000)

    pass_seconds(0, 4)
    well = False  # a part fails
    pass_seconds(4, 6)
    well = True
    pass_seconds(6, 10)
    assert trial.running
    heard = True  # somebody listens: flash is not written now
    pass_seconds(10, 20)
    assert trial.running and slots.on_trial()
    heard = False
    pass_seconds(20, 21)
    assert not trial.running and not slots.on_trial()
    assert link.told == [{"update": "confirmed", "slot": "b"}]
    assert [power_on(root).now for _ in range(5)] == ["b"] * 5


def test_a_trial_whose_slot_is_spoilt_is_not_even_begun(root: Path) -> None:
    power_on(root).start_trial("b")
    (root / "b" / "dreampod" / "pod.mpy").write_bytes(b"M" * 2999)
    slots = power_on(root)
    assert slots.now == "a"
    assert "pod.mpy in slot b is missing or spoilt" in slots.about()["rolled_back"]


def test_parts_that_were_broken_before_are_not_held_against_a_new_firmware(root: Path) -> None:
    power_on(root).start_trial("b", ["pulse"])
    tried = power_on(root)
    assert tried.on_trial()
    assert list(tried.ill()) == ["pulse"]
    tried.give_up("it hung")
    assert list(power_on(root).ill()) == ["pulse"]  # also at the next try
