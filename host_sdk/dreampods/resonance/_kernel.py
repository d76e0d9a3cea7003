"""The door to C: the built kernel, and checked arrays on their way through it.

C trusts its arguments, so every array that goes there passes `checked` (or was made here), and
every scalar `number`, `positive`, `not_negative` or `whole`.
"""

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
    "octets",
    "pointer",
    "positive",
    "whole",
]


_MOST = float(np.finfo(np.float64).max)
_MOST_SINGLE = float(np.finfo(np.float32).max)
_MOST_COUNT = 2**62
# A signal beyond is a mistake of who sent it, and its square would stay in every sum as infinity
_MOST_SIGNAL = 1e100


def checked(
    name: str,
    value: ArrayLike,
    dtype: DTypeLike,
    shape: tuple[int | str, ...],
    *,
    least: float = -_MOST,
    most: float = _MOST,
    finite: bool = True,
) -> NDArray[Any]:
    """`value` as a packed array of `dtype`; ValueError if its shape or numbers are not usable.

    A complex number must have both its parts from `least` to `most`.

    `shape` holds a length for each dimension that is known and a word for each that may be any
    length from 1, for example ``("frames", 2)``.
    """
    wanted = np.dtype(dtype)
    try:
        raw = np.asarray(value)
        if raw.dtype.kind not in "biufcO" or np.ma.is_masked(value):
            raise ValueError(f"{name} must hold numbers, all of them there")
        if raw.dtype == wanted and raw.flags.c_contiguous:
            array = raw
        elif raw.dtype.kind == "c" and wanted.kind != "c":
            raise ValueError(f"{name} must hold real numbers, these are complex")
        else:
            with np.errstate(over="ignore"):  # what overflows is told below
                array = np.ascontiguousarray(raw, dtype=wanted)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"{name} must hold numbers: {error}") from error
    fits = raw.ndim == len(shape)
    for length, found in zip(shape, raw.shape, strict=False):
        fits = fits and (length == found or isinstance(length, str))
    if not fits:
        words = ", ".join(map(str, shape))
        raise ValueError(f"{name} must have the shape ({words}), this has {raw.shape}")
    if array.size == 0:
        raise ValueError(f"{name} holds nothing, its shape is {raw.shape}")
    if finite and not _within(array, least, most):
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN, infinity or a number too large for {wanted}")
        which = f"below {least:g}" if (array < least).any() else f"above {most:g}"
        raise ValueError(f"{name} must not be {which}")
    return array


def _within(array: NDArray[Any], least: float, most: float) -> bool:
    kind = array.dtype.char
    if kind in "dD":
        return bool(lib.rs_numbers_within(array.nbytes // 8, pointer(array), least, most))
    if kind in "fF":
        least, most = max(least, -_MOST_SINGLE), min(most, _MOST_SINGLE)
        return bool(lib.rs_numbers_within_single(array.nbytes // 4, pointer(array), least, most))
    return kind == "?" or bool(((array >= least) & (array <= most)).all())


def masked(
    x: ArrayLike, valid: ArrayLike | None, channels: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """Signals x (frames, channels) and which samples of them came; ValueError if not usable.

    x may be anything where `valid`, of the same shape, is False; None means that all came.
    """
    shape = ("frames", channels)
    most = _MOST_SIGNAL
    if valid is None:
        return checked("x", x, np.float64, shape, least=-most, most=most), None
    signal = checked("x", x, np.float64, shape, finite=False)
    mask = checked("valid", valid, np.bool_, signal.shape)
    there = np.where(mask, signal, 0.0)
    checked("x where valid", there, np.float64, shape, least=-most, most=most)
    return signal, mask


def number(name: str, value: float) -> float:
    """`value` as a finite float."""
    try:
        found = float(value)
    except (TypeError, OverflowError) as error:
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
    if found > _MOST_COUNT:
        raise ValueError(f"{name} must be at most 2**62, not {found}")
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


def octets(name: str, data: bytes | NDArray[np.uint8]) -> Any:
    """For C: where bytes, or (bytes,) uint8, lie; ValueError for anything else."""
    if isinstance(data, np.ndarray) and (data.dtype != np.uint8 or data.ndim != 1):
        raise ValueError(f"{name} must be bytes or (bytes,) uint8, not {data.shape} of {data.dtype}")
    try:
        return ffi.from_buffer("uint8_t[]", data)
    except TypeError as error:
        raise ValueError(f"{name} must be bytes or (bytes,) uint8: {error}") from error


def new(make: Callable[..., Any], free: Callable[[Any], None], *arguments: Any) -> Any:
    """A kernel object that is freed with its last reference."""
    made = make(*arguments)
    if made == ffi.NULL:
        # Everything else that C refuses has been checked before.
        raise ValueError("this is more than the kernel takes, or than there is memory for")
    return ffi.gc(made, free)
