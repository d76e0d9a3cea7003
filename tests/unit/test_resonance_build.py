"""The kernel as C: its header is what Python sees, and sanitizers find nothing in it."""

import os
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

_PROJECT = Path(__file__).resolve().parents[2]
_CSRC = _PROJECT / "csrc"
_STRICT = ["-std=c11", "-pedantic", "-Wall", "-Wextra", "-Wshadow", "-Werror"]


@pytest.fixture(scope="module")
def build() -> dict[str, Any]:
    pytest.importorskip("cffi")
    return runpy.run_path(str(_CSRC / "build_resonance.py"))


def _compilers() -> list[str]:
    return [name for name in ("gcc", "clang") if shutil.which(name)]


def test_the_committed_declarations_are_those_of_the_header(build: dict[str, Any]) -> None:
    declared = (_CSRC / "resonance.cdef.txt").read_text()
    in_header = build["cdef_from"]((_CSRC / "resonance.h").read_text())
    assert declared == in_header, "run: python csrc/build_resonance.py"


def test_every_source_file_is_built_or_is_the_exercise(build: dict[str, Any]) -> None:
    sources = {f"csrc/{path.name}" for path in _CSRC.glob("*.c")}
    assert sources == {*build["SOURCES"], "csrc/exercise.c"}
    headers = {f"csrc/{path.name}" for path in _CSRC.glob("*.h")}
    assert headers <= set(build["DEPENDS"])


@pytest.mark.parametrize("compiler", _compilers() or ["no compiler"])
def test_compiles_without_a_warning(compiler: str, build: dict[str, Any], tmp_path: Path) -> None:
    if compiler == "no compiler":
        pytest.skip("neither gcc nor clang is installed")
    for source in [*build["SOURCES"], "csrc/exercise.c"]:
        command = [compiler, *_STRICT, *build["COMPILE_ARGS"], "-c", str(_PROJECT / source)]
        done = subprocess.run(
            [*command, "-o", str(tmp_path / "out.o")], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("compiler", _compilers() or ["no compiler"])
def test_sanitizers_find_nothing(compiler: str, build: dict[str, Any], tmp_path: Path) -> None:
    if compiler == "no compiler":
        pytest.skip("neither gcc nor clang is installed")
    program = tmp_path / "exercise"
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1"]
    empty = tmp_path / "empty.c"
    empty.write_text("int main(void) { return 0; }\n")
    probe = subprocess.run(
        [compiler, *sanitize, str(empty), "-o", str(program)], capture_output=True, check=False
    )
    if probe.returncode or subprocess.run([program], capture_output=True, check=False).returncode:
        pytest.skip(f"{compiler} cannot build programs with sanitizers here")

    sources = [str(_PROJECT / source) for source in [*build["SOURCES"], "csrc/exercise.c"]]
    built = subprocess.run(
        [compiler, *_STRICT, *sanitize, *sources, "-lm", "-o", str(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    ran = subprocess.run(
        [program],
        capture_output=True,
        text=True,
        check=False,
        # A preloaded library, as some test environments have one, must not come before ASan.
        env={key: value for key, value in os.environ.items() if key != "LD_PRELOAD"},
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "all well\n"
