"""Builds `dreampods._resonance`: the C kernel of this folder, wrapped by cffi in API mode.

setup.py names `ffibuilder`, so every ordinary way to build the package (``pip install -e .``,
``python -m build``, ``python setup.py build_ext --inplace``) builds the kernel too.

In API mode the C compiler itself checks the declarations that Python sees, kept in
resonance.cdef.txt, against resonance.h. That text is the header without comments and
preprocessor lines; it is committed so that a build needs no parser of ours, and
``python csrc/build_resonance.py`` writes it anew after a change of the header (a test fails
until somebody does).
"""

import re
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent
CDEF = HERE / "resonance.cdef.txt"
HEADER = HERE / "include" / "resonance.h"


def _files(pattern: str) -> list[str]:
    """Relative to the project root, where every build runs setup.py: setuptools refuses absolute paths."""
    return sorted(path.relative_to(HERE.parent).as_posix() for path in HERE.rglob(pattern))


SOURCES = _files("src/*/*.c")
# What stands here also goes into a source distribution.
DEPENDS = ["csrc/build_resonance.py", "csrc/resonance.cdef.txt", *_files("*.h")]
INCLUDE = ["csrc/include", "csrc/src"]
# No -ffast-math: the kernel promises that NaN never reaches a loudspeaker, and that sums agree
# with numpy. Without fused multiply-adds every machine also computes the same numbers; a file that
# would rather be fast says so (src/simd.h).
# Nobody reads errno or the processor's exception flags after a square root or a comparison: without
# them, loops with either become vectors, and numbers stay the same.
COMPILE_ARGS = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]


def cdef_from(header: Path) -> str:
    """What cffi may know of the C header and those it includes: their declarations, one after the other."""
    code = header.read_text()
    parts = re.findall(r'^#include "(.+)"', code, flags=re.MULTILINE)
    code += "".join((header.parent / part).read_text() for part in parts)
    code = re.sub(r"#ifdef __cplusplus.*?#endif", "", code, flags=re.DOTALL)
    code = re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL)
    code = re.sub(r"^[ \t]*#.*$", "", code, flags=re.MULTILINE)
    declarations = re.findall(r"[^\s;{][^;{]*(?:{[^}]*}[^;]*)?;", code)
    return "".join(" ".join(one.split()) + "\n" for one in declarations)


ffibuilder = FFI()
ffibuilder.cdef(CDEF.read_text())
ffibuilder.set_source(
    "dreampods._resonance",
    '#include "resonance.h"',
    sources=SOURCES,
    depends=DEPENDS,
    include_dirs=INCLUDE,
    extra_compile_args=COMPILE_ARGS,
    libraries=["m"],
)

if __name__ == "__main__":
    CDEF.write_text(cdef_from(HEADER))
