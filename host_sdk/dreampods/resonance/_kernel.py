"""The door to C: the built kernel, and checked arrays on their way through it.

C trusts its arguments, so every array that goes there passes `checked` (or was made here), and
every scalar `number`, `positive`, `not_negative` or `whole`.
"""

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from dreampods.errors import DreampodsError

try:
    from dreampods._resonance import ffi, lib
except ImportError as error:
    raise DreampodsError(
        f"the C kernel cannot be loaded ({error}); where a C compiler is, run: pip install -e ."
    ) from error

__all__ = [
    "checked",
    "ffi",
    "lib",
    "masked",
    "new",
    "not_negative",
    "number",
    "pointer",
    "positive",
    "whole",
]


def checked(
    name: str,
    value: ArrayLike,
    dtype: DTypeLike,
    shape: tuple[int | str, ...],
    *,
    least: float = -math.inf,
    finite: bool = True,
) -> NDArray[Any]:
    """`value` as a packed array of `dtype`; ValueError if its shape or numbers are not usable.

    `shape` holds a length for each dimension that is known and a word for each that may be any
    length from 1, for example ``("frames", 2)``.
    """
    wanted = np.dtype(dtype)
    try:
        raw = np.asarray(value)
        if raw.dtype == wanted and raw.flags.c_contiguous:
            array = raw
        elif raw.dtype.kind == "c" and wanted.kind != "c":
            raise ValueError(f"{name} must hold real numbers, these are complex")
        else:
            with np.errstate(over="ignore"):  # what overflows is told below
                array = np.ascontiguousarray(raw, dtype=wanted)
    except TypeError as error:
        raise ValueError(f"{name} must hold numbers: {error}") from error
    fits = raw.ndim == len(shape)
    for length, found in zip(shape, raw.shape, strict=False):
        fits = fits and (length == found or isinstance(length, str))
    if not fits:
        words = ", ".join(map(str, shape))
        raise ValueError(f"{name} must have the shape ({words}), this has {raw.shape}")
    if array.size == 0:
        raise ValueError(f"{name} holds nothing, its shape is {raw.shape}")
    if finite and not _usable(array, least):
        if np.isfinite(array).all():
            raise ValueError(f"{name} must not be below {least:g}")
        raise ValueError(f"{name} holds NaN, infinity or a number too large for {wanted}")
    return array


def _usable(array: NDArray[Any], least: float) -> bool:
    kind = array.dtype.char
    if kind in "dD":
        return bool(lib.rs_numbers_usable(array.nbytes // 8, pointer(array), least))
    if kind in "fF":
        return bool(lib.rs_numbers_usable_single(array.nbytes // 4, pointer(array), least))
    return bool((array >= least).all())


def masked(
    x: ArrayLike, valid: ArrayLike | None, channels: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """Signals x (frames, channels) and which samples of them came; ValueError if not usable.

    x may be anything where `valid`, of the same shape, is False; None means that all came.
    """
    shape = ("frames", channels)
    if valid is None:
        return checked("x", x, np.float64, shape), None
    signal = checked("x", x, np.float64, shape, finite=False)
    mask = checked("valid", valid, np.bool_, signal.shape)
    checked("x where valid", np.where(mask, signal, 0.0), np.float64, shape)
    return signal, mask


def number(name: str, value: float) -> float:
    """`value` as a finite float."""
    try:
        found = float(value)
    except TypeError as error:
        raise ValueError(f"{name} must be a number: {error}") from error
    if not np.isfinite(found):
        raise ValueError(f"{name} must be a finite number, not {found}")
    return found


def positive(name: str, value: float) -> float:
    """`value` as a float above 0."""
    found = number(name, value)
    if found <= 0:
        raise ValueError(f"{name} must be above 0, not {found:g}")
    return found


def not_negative(name: str, value: float) -> float:
    """`value` as a float from 0."""
    found = number(name, value)
    if found < 0:
        raise ValueError(f"{name} must not be negative, it is {found:g}")
    return found


def whole(name: str, value: int) -> int:
    """`value` as an int from 1."""
    try:
        found = operator.index(value)
    except TypeError as error:
        raise ValueError(f"{name} must be a whole number: {error}") from error
    if found < 1:
        raise ValueError(f"{name} must be at least 1, not {found}")
    return found


_C_TYPES = {
    "?": "uint8_t[]",
    "B": "uint8_t[]",
    "h": "int16_t[]",
    "f": "float[]",
    "F": "float[]",
    "d": "double[]",
    "D": "double[]",
}


def pointer(array: NDArray[Any] | None) -> Any:
    """For C: where a packed array lies; complex numbers as two real ones, truth as bytes."""
    if array is None:
        return ffi.NULL
    return ffi.from_buffer(_C_TYPES[array.dtype.char], array)


def new(make: Callable[..., Any], free: Callable[[Any], None], *arguments: Any) -> Any:
    """A kernel object that is freed with its last reference."""
    made = make(*arguments)
    if made == ffi.NULL:
        # Everything else that C refuses has been checked before.
        raise MemoryError("not enough memory for this kernel object")
    return ffi.gc(made, free)
