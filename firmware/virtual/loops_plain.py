"""The same as loops.py for a MicroPython that makes no machine code."""


def copy(into, at, source, source_at, count):
    for i in range(count):
        into[at + i] = source[source_at + i]


def clear(into, at, count):
    for i in range(count):
        into[at + i] = 0
