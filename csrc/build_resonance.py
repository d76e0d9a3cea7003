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

# Relative to the project root, where every build front end runs setup.py: setuptools refuses
# absolute paths, and what stands in `depends` also goes into a source distribution.
SOURCES = [
    "csrc/ima.c",
    "csrc/kuramoto.c",
    "csrc/limiter.c",
    "csrc/mixer.c",
    "csrc/order.c",
    "csrc/pairwise.c",
    "csrc/resampler.c",
    "csrc/resonators.c",
]
DEPENDS = [
    "csrc/build_resonance.py",
    "csrc/limiter.h",
    "csrc/resonance.cdef.txt",
    "csrc/resonance.h",
]
# No -ffast-math: the kernel promises that NaN never reaches a loudspeaker, and that sums agree
# with numpy. Without fused multiply-adds every machine also computes the same numbers.
COMPILE_ARGS = ["-std=c11", "-O3", "-ffp-contract=off"]

HERE = Path(__file__).parent
CDEF = HERE / "resonance.cdef.txt"


def cdef_from(header: str) -> str:
    """What cffi may know of the C header: its declarations, one after the other."""
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
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
    include_dirs=["csrc"],
    extra_compile_args=COMPILE_ARGS,
    libraries=["m"],
)

if __name__ == "__main__":
    CDEF.write_text(cdef_from((HERE / "resonance.h").read_text()))
