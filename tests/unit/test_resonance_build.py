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
_EXERCISES = sorted((_PROJECT / "tests" / "kernel").glob("*.c"))
_STRICT = ["-std=c11", "-pedantic", "-Wall", "-Wextra", "-Wshadow", "-Werror"]


@pytest.fixture(scope="module")
def build() -> dict[str, Any]:
    pytest.importorskip("cffi")
    return runpy.run_path(str(_CSRC / "build_resonance.py"))


def _compilers() -> list[str]:
    return [name for name in ("gcc", "clang") if shutil.which(name)]


def test_the_committed_declarations_are_those_of_the_header(build: dict[str, Any]) -> None:
    declared = (_CSRC / "resonance.cdef.txt").read_text()
    in_header = build["cdef_from"](build["HEADER"])
    assert declared == in_header, "run: python csrc/build_resonance.py"


def test_the_header_is_whole_by_itself_and_in_parts(build: dict[str, Any], tmp_path: Path) -> None:
    include = _CSRC / "include"
    for header in [build["HEADER"], *(include / "resonance").glob("*.h")]:
        alone = tmp_path / "alone.c"
        alone.write_text(f'#include "{header.relative_to(include)}"\nint nothing;\n')
        _compile("cc", [*_STRICT, "-c", str(alone), "-o", str(tmp_path / "out.o")])


@pytest.mark.parametrize("compiler", _compilers() or ["no compiler"])
def test_compiles_without_a_warning(compiler: str, build: dict[str, Any], tmp_path: Path) -> None:
    if compiler == "no compiler":
        pytest.skip("neither gcc nor clang is installed")
    for source in [*_sources(build), *_EXERCISES]:
        strict = [*_STRICT, *build["COMPILE_ARGS"], "-c", str(source)]
        _compile(compiler, [*strict, "-o", str(tmp_path / "out.o")])


@pytest.mark.parametrize("exercise", _EXERCISES, ids=lambda path: path.stem)
@pytest.mark.parametrize("compiler", _compilers() or ["no compiler"])
def test_sanitizers_find_nothing(
    compiler: str, exercise: Path, build: dict[str, Any], tmp_path: Path
) -> None:
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

    sources = map(str, [*_sources(build), exercise])
    _compile(compiler, [*_STRICT, *sanitize, *sources, "-lm", "-o", str(program)])
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


def _sources(build: dict[str, Any]) -> list[Path]:
    return [_PROJECT / source for source in build["SOURCES"]]


def _compile(compiler: str, arguments: list[str]) -> None:
    include = [f"-I{_CSRC / folder}" for folder in ("include", "src")]
    done = subprocess.run(
        [compiler, *include, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
