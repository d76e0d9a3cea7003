"""Files that are written whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from dreampods.boards import load_board
from dreampods.boards.drawing import save_drawing
from dreampods.cli import main
from dreampods.files import replacing
from dreampods.flashing.filesystem import write_filesystem
from dreampods.flashing.label import write_label


def test_a_file_is_replaced_by_a_whole_one_that_others_may_read(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")
    with replacing(path) as new:
        new.write_text("new")
        assert path.read_text() == "old" and new.suffix == ".txt"
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("what", ["image.uf2", "label.png", "wiring.svg", "wiring.md"])
def test_a_full_disk_or_a_ctrl_c_leaves_the_file_that_was_there(
    what: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(file: Path) -> None:
        file.open("w").close()
        raise error

    out = tmp_path / what
    out.write_bytes(b"precious")
    for name in ("write_bytes", "write_text"):
        write = getattr(Path, name)
        monkeypatch.setattr(
            Path,
            name,
            lambda file, content, write=write, **options: (
                torn(file) if file.parent == tmp_path else write(file, content, **options)
            ),
        )
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda _, file, **__: torn(file))
    with pytest.raises((Exception, SystemExit, KeyboardInterrupt)) as ended:
        if what == "image.uf2":
            write_filesystem("RPI_PICO", out, None)
        elif what == "label.png":
            write_label({"uid": "d7", "name": "pod-1"}, out)
        elif what == "wiring.svg":
            save_drawing(load_board("RPI_PICO"), out)
        else:
            main(["boards", "RPI_PICO", "--out", str(out)])
    assert ended.type in (SystemExit, KeyboardInterrupt) or "cannot be written" in str(ended.value)
    assert out.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [out]
