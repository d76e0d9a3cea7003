"""The kernel as C: its header is what Python sees, and sanitizers find nothing in it."""

import os
import runpy
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
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


@pytest.fixture(scope="module", params=_compilers() or ["no compiler"])
def compiler(request: pytest.FixtureRequest) -> str:
    if request.param == "no compiler":
        pytest.skip("neither gcc nor clang is installed")
    return str(request.param)


def test_compiles_without_a_warning(compiler: str, build: dict[str, Any], tmp_path: Path) -> None:
    strict = [*_STRICT, *build["COMPILE_ARGS"], "-DRS_PLAIN"]
    _compile_each(compiler, strict, [*_sources(build), *_EXERCISES], tmp_path)


@pytest.fixture(scope="module")
def sanitized(
    compiler: str, build: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[str], list[str]]:
    """How to build with sanitizers, and the library built so."""
    folder = tmp_path_factory.mktemp(compiler)
    # One version of each function: `make -C csrc check` tries those for all processors
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1", "-DRS_PLAIN"]
    empty, program = folder / "empty.c", folder / "empty"
    empty.write_text("int main(void) { return 0; }\n")
    probe = subprocess.run(
        [compiler, *sanitize, str(empty), "-o", str(program)], capture_output=True, check=False
    )
    if probe.returncode or subprocess.run([program], capture_output=True, check=False).returncode:
        pytest.skip(f"{compiler} cannot build programs with sanitizers here")
    objects = _compile_each(compiler, [*_STRICT, *sanitize], _sources(build), folder)
    return sanitize, objects


@pytest.mark.parametrize("exercise", _EXERCISES, ids=lambda path: path.stem)
def test_sanitizers_find_nothing(
    compiler: str, exercise: Path, sanitized: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    sanitize, objects = sanitized
    program = tmp_path / "exercise"
    _compile(compiler, [*_STRICT, *sanitize, str(exercise), *objects, "-lm", "-o", str(program)])
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


def _compile_each(
    compiler: str, arguments: list[str], sources: list[Path], folder: Path
) -> list[str]:
    """The objects of these sources, which the machine's processors share."""
    objects = [str(folder / f"{source.parent.name}-{source.stem}.o") for source in sources]

    def one(source: Path, into: str) -> None:
        _compile(compiler, [*arguments, "-c", str(source), "-o", into])

    with ThreadPoolExecutor(os.cpu_count()) as workers:
        list(workers.map(one, sources, objects))
    return objects


def _compile(compiler: str, arguments: list[str]) -> None:
    include = [f"-I{_CSRC / folder}" for folder in ("include", "src")]
    done = subprocess.run(
        [compiler, *include, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
