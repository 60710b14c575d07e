"""What the few names that an admitted pickle may hold stand for.

None of them is looked up in a module. A name is a word here, and what is called by it is a function
of ours that takes what NumPy and the plain types write, and nothing else.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_mvlift.datasets import limits, pickled_arrays, pickled_dtypes

_KEY_TYPES = (str, bytes, int, float, type(None), np.number, np.bool_)
_LATIN_1 = ("latin1", "latin-1")


@dataclasses.dataclass(frozen=True)
class Name:
    """An admitted name, before it is called."""

    name: str


@dataclasses.dataclass
class Unfinished:
    """An array or dtype between its name's call and its state.

    Args:
        type_code: What a dtype was called with; empty for an array.
        memo_indices: Where it is remembered.
    """

    type_code: str = ""
    memo_indices: list[int] = dataclasses.field(default_factory=list)


def find(module: str, name: str) -> Name | None:
    """Finds what a pickle's global stands for: one of a list, else nothing."""
    return _NAMES.get((module, name))


def call(name: Name, arguments: tuple[Any, ...]) -> Any:
    """Gives what a name makes of its arguments.

    Raises:
        ValueError, TypeError: If it is never called so by who writes arrays and containers.
    """
    return _CALLS[name.name](*arguments)


def finish(unfinished: Unfinished, state: tuple[Any, ...]) -> Any:
    """Gives the array or dtype whose state has come.

    Raises:
        ValueError, TypeError: If it is not the state of a plain array or dtype.
    """
    if unfinished.type_code:
        return pickled_dtypes.of_state(unfinished.type_code, *state)
    return pickled_arrays.of_state(*state)


def key(value: Any) -> Any:
    """Gives what is to be a key of a dict or an item of a set.

    Raises:
        TypeError: If it is no number or text, nor a short tuple of these: a tuple of tuples of
            tuples may take forever to hash.
    """
    items = value if type(value) is tuple else (value,)
    if len(items) > limits.MAX_KEY_LENGTH or not all(isinstance(i, _KEY_TYPES) for i in items):
        raise TypeError(f"a key that is no text or number but a {type(value).__name__}")
    return value


def _new_array(kind: Name, shape: Any, type_code: Any) -> Unfinished:
    # An array is made empty, of any type, and told its state afterwards.
    if kind != Name("numpy.ndarray"):
        raise TypeError(f"an array of the class {kind!r}")
    return Unfinished()


def _array_by_class(*arguments: Any) -> None:
    raise TypeError("an array that is made by its class, with no bytes to lie over")


def _new_dtype(code: str, is_aligned: bool, is_copied: bool) -> Unfinished:
    pickled_dtypes.check_code(code)
    return Unfinished(type_code=code)


def _encode(text: str, encoding: str) -> bytes:
    if type(text) is not str or encoding not in _LATIN_1:
        raise ValueError(f"{type(text).__name__} encoded as {encoding!r}, not text as latin1")
    return text.encode("latin-1")


def _bytes(content: bytes = b"") -> bytes:
    # A number would ask for that many bytes.
    if type(content) is not bytes:
        raise TypeError(f"bytes made of {type(content).__name__}")
    return content


def _bytearray(content: bytes = b"") -> bytearray:
    return bytearray(_bytes(content))


def _complex(real: float, imaginary: float) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise TypeError("a complex number not made of two floats")
    return complex(real, imaginary)


def _set(items: list[Any] | tuple[Any, ...] = ()) -> set[Any]:
    return set(map(key, items))


def _frozenset(items: list[Any] | tuple[Any, ...] = ()) -> frozenset[Any]:
    return frozenset(map(key, items))


def _ordered_dict(pairs: list[Any] | tuple[Any, ...] = ()) -> dict[Any, Any]:
    return {key(name): value for name, value in pairs}


_CALLS: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": _array_by_class,
    "numpy.dtype": _new_dtype,
    "numpy._reconstruct": _new_array,
    "numpy.scalar": pickled_arrays.scalar,
    "numpy._frombuffer": pickled_arrays.of_buffer,
    "_codecs.encode": _encode,
    "bytes": _bytes,
    "bytearray": _bytearray,
    "complex": _complex,
    "set": _set,
    "frozenset": _frozenset,
    "OrderedDict": _ordered_dict,
}
_NUMPY_MODULES = ("numpy.core", "numpy._core")
_BUILTINS_MODULES = ("builtins", "__builtin__")
_BUILTINS = ("bytes", "bytearray", "complex", "set", "frozenset")
_NAMES = {
    ("numpy", "ndarray"): Name("numpy.ndarray"),
    ("numpy", "dtype"): Name("numpy.dtype"),
    ("_codecs", "encode"): Name("_codecs.encode"),
    ("collections", "OrderedDict"): Name("OrderedDict"),
    **{(f"{m}.multiarray", "_reconstruct"): Name("numpy._reconstruct") for m in _NUMPY_MODULES},
    **{(f"{m}.multiarray", "scalar"): Name("numpy.scalar") for m in _NUMPY_MODULES},
    **{(f"{m}.numeric", "_frombuffer"): Name("numpy._frombuffer") for m in _NUMPY_MODULES},
    **{(module, name): Name(name) for module in _BUILTINS_MODULES for name in _BUILTINS},
}
