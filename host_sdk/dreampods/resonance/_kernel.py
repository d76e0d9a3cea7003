"""The door to C: the built kernel, its objects, and checked arguments on their way through it.

C trusts its arguments, so every array that goes there passes `checked` (or was made here), and
every scalar `number`, `between`, `positive`, `not_negative`, `whole` or `seeded`. C also trusts
that nobody else is in an object while it works there: `KernelObject` sees to that.
"""

import operator
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

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
    "KernelObject",
    "between",
    "checked",
    "ffi",
    "lib",
    "masked",
    "new",
    "not_negative",
    "number",
    "occupied",
    "octets",
    "pointer",
    "positive",
    "seeded",
    "unit_phasors",
    "weighted",
    "whole",
]

# Beyond lie mistakes of who sends them. Of what lies within, products of six do not overflow in
# double precision, nor of four in single
_MOST = 1e30
_MOST_SINGLE = 1e9
_MOST_SCALAR = 1e15
_MOST_COUNT = 2**62
_SHORTEST_PHASOR = 1e-300  # below, digits are lost, and the angle with them


class KernelObject:
    """Something whose state lies in C: one thread at a time comes in, others wait, none copies it.

    A subclass calls `_make` before it keeps any size, so that sizes never belong to another state.
    """

    def _make(
        self, make: Callable[..., Any], free: Callable[[Any], None], *arguments: Any
    ) -> None:
        self._c = new(make, free, *arguments)
        # A thread may come in twice: a signal handler runs between two of its steps
        self._turn = threading.RLock()

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with self._turn:
            return function(self._c, *arguments)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} cannot be copied or pickled: its state lies in C"
        )


@contextmanager
def occupied(objects: Iterable[KernelObject]) -> Iterator[None]:
    """Nobody else is in any of them meanwhile. They must be different ones."""
    # In one order for all, or two threads could wait for each other
    turns = sorted((one._turn for one in objects), key=id)
    for turn in turns:
        turn.acquire()
    try:
        yield
    finally:
        for turn in turns:
            turn.release()


def checked(
    name: str,
    value: ArrayLike | None,
    dtype: DTypeLike,
    shape: tuple[int | str, ...],
    *,
    least: float = -_MOST,
    most: float = _MOST,
    finite: bool = True,
) -> NDArray[Any]:
    """`value` as a packed array of `dtype`; ValueError if its shape or numbers are not usable.

    A complex number must have both its parts from `least` to `most`. Single precision ends at 1e9
    in any case.

    `shape` holds a length for each dimension that is known and a word for each that may be any
    length from 1, for example ``("frames", 2)``.
    """
    wanted = np.dtype(dtype)
    try:
        raw = np.asarray(value)
        hidden = isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value)
        if raw.dtype.kind not in "biufcO" or hidden:
            raise ValueError(f"{name} must hold numbers, all of them there")
        if raw.dtype == wanted and raw.flags.c_contiguous:
            array = raw
        elif (raw.dtype.kind == "c") != (wanted.kind == "c"):
            raise ValueError(
                f"{name} must hold real numbers, these are complex"
                if wanted.kind != "c"
                else f"{name} must hold phasors, which are complex; `phasors` makes them of phases"
            )
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
    if wanted.char in "fF":
        least, most = max(least, -_MOST_SINGLE), min(most, _MOST_SINGLE)
    if finite and not _within(array, least, most):
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN, infinity or a number too large for {wanted}")
        too_low = (array.reshape(-1).view(array.real.dtype) < least).any()
        raise ValueError(
            f"{name} must not be " + (f"below {least:g}" if too_low else f"above {most:g}")
        )
    return array


def _within(array: NDArray[Any], least: float, most: float) -> bool:
    kind = array.dtype.char
    if kind in "dD":
        return bool(lib.rs_numbers_within(array.nbytes // 8, pointer(array), least, most))
    if kind in "fF":
        return bool(lib.rs_numbers_within_single(array.nbytes // 4, pointer(array), least, most))
    return kind == "?" or bool(((array >= least) & (array <= most)).all())


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
    if np.asarray(valid).dtype != np.bool_:
        checked("valid", valid, np.float64, signal.shape, least=0, most=1)
    checked("x where valid", np.where(mask, signal, 0.0), np.float64, shape)
    return signal, mask


def weighted(
    name: str,
    value: ArrayLike,
    weight: ArrayLike | None,
    dtype: DTypeLike,
    shape: tuple[int | str, ...],
    weight_name: str = "weight",
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Values and their weights, from 0, of the same shape and precision; None stays None, 1 each.

    Where the weight is 0, a value may be anything, also NaN, and 0 is what it becomes.
    """
    if weight is None:
        return checked(name, value, dtype, shape), None
    values = checked(name, value, dtype, shape, finite=False)
    weights = checked(weight_name, weight, values.real.dtype, values.shape, least=0)
    try:
        return checked(name, values, dtype, values.shape), weights
    except ValueError:
        there = np.where(weights > 0, values, 0)
        return checked(f"{name} where it has weight", there, dtype, values.shape), weights


def unit_phasors(z: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Phasors of length 1 with the angles of z; 0 where there is none."""
    length = np.abs(z)
    return np.divide(z, length, out=np.zeros_like(z), where=length > _SHORTEST_PHASOR)


def number(name: str, value: float) -> float:
    """`value` as a float, within ±1e15."""
    return between(name, value, -_MOST_SCALAR, _MOST_SCALAR)


def between(name: str, value: float, least: float, most: float) -> float:
    """`value` as a float from `least` to `most`."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be a number: {error}") from error
    if not np.isfinite(found):
        raise ValueError(f"{name} must be a finite number, not {found}")
    if not least <= found <= most:
        raise ValueError(f"{name} must lie between {least:g} and {most:g}, not {found:g}")
    return found


def positive(name: str, value: float) -> float:
    """`value` as a float above 0, from 1e-15 to 1e15."""
    found = number(name, value)
    if found <= 0:
        raise ValueError(f"{name} must be above 0, not {found:g}")
    return between(name, found, 1 / _MOST_SCALAR, _MOST_SCALAR)


def not_negative(name: str, value: float) -> float:
    """`value` as a float from 0."""
    found = number(name, value)
    if found < 0:
        raise ValueError(f"{name} must not be negative, it is {found:g}")
    return found


def whole(name: str, value: int, *, least: int = 1, most: int = _MOST_COUNT) -> int:
    """`value` as an int from `least` to `most`."""
    try:
        found = operator.index(value)
    except TypeError as error:
        raise ValueError(f"{name} must be a whole number: {error}") from error
    if found < least:
        raise ValueError(f"{name} must be at least {least}, not {found}")
    if found > most:
        raise ValueError(f"{name} must be at most {most}, not {found}")
    return found


def seeded(seed: int, bits: int = 64) -> int:
    """A seed, of which C and numpy take so many bits."""
    return whole("seed", seed, least=0, most=2**bits - 1)


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
        raise ValueError(
            f"{name} must be bytes or (bytes,) uint8, not {data.shape} of {data.dtype}"
        )
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
