"""The virtual board's inner loops as machine code."""

import micropython


@micropython.viper
def copy(into: ptr8, at: int, source: ptr8, source_at: int, count: int):  # noqa: F821 (the compiler knows these types)
    for i in range(count):
        into[at + i] = source[source_at + i]


@micropython.viper
def clear(into: ptr8, at: int, count: int):  # noqa: F821 (the compiler knows these types)
    for i in range(count):
        into[at + i] = 0
