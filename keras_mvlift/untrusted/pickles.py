"""Pickles of NumPy arrays and plain containers, read without running anything.

Interprets the opcodes of pickles.

Nothing is imported, no attribute is set, and no function of the file's choosing is called, so there
is nothing to lead astray. A name is one of `_NAMES`, or the file is refused by that name.
"""

import codecs
import dataclasses
import functools
import io
import pathlib
import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from keras_mvlift import errors
from keras_mvlift.untrusted import files, pickled_arrays

RULE = "hold NumPy arrays and plain containers only"
# What an empty container takes in memory, and an item of a set.
_CONTAINER_BYTES = 64


def run_machine(file: BinaryIO, size: int, path: object, field: str) -> Any:
    """Returns what a pickle of at most `size` bytes holds, names and what is unfinished included.

    Raises:
        RecordingError: If it does what only objects of classes need; the error says what.
        Exception: If it is damaged.
    """
    return _Machine(_Stream(file, size), path, field).run()


class _Stream:
    """Bytes of a stated number, of which no more are asked than are left."""

    def __init__(self, file: BinaryIO, size: int):
        self._file, self.size, self._left = file, size, size

    def read(self, count: int) -> bytes:
        if count > self._left:
            raise EOFError(f"{count} bytes are missing at the end")
        self._left -= count
        return self._file.read(count)

    def readline(self) -> bytes:
        line = self._file.readline(self._left)
        self._left -= len(line)
        return line


# The stack and the memo of a pickle, which hold plain values only.


class Stack:
    """Values, marks between them, and what is remembered of them.

    A method is what the pickle's opcode of a similar name does; it raises any error if the values
    are not there or not of the right type.
    """

    def __init__(self) -> None:
        self._values: list[Any] = []
        self._below_marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def last(self) -> Any:
        """Returns the one value that is left at the end."""
        if self._below_marks or len(self._values) != 1:
            raise ValueError("it stops before everything in it is whole")
        return self._values.pop()

    def push(self, value: Any) -> None:
        """Puts a value on top."""
        self._values.append(value)

    def push_integer(self, value: int) -> None:
        """Puts an integer of stated length on top."""
        if value.bit_length() > 8 * files.MAX_INTEGER_BYTES:
            raise ValueError(f"an integer of {value.bit_length()} bits")
        self._values.append(value)

    def mark(self) -> None:
        """Begins a group of values."""
        self._below_marks.append(self._values)
        self._values = []

    def _above_mark(self) -> list[Any]:
        items, self._values = self._values, self._below_marks.pop()
        return items

    def pop(self) -> None:
        """Drops the top value, or the mark."""
        if self._values:
            self._values.pop()
        else:
            self._above_mark()

    def pop_mark(self) -> None:
        """Drops a group."""
        self._above_mark()

    def put(self, index: int) -> None:
        """Remembers the top value at an index."""
        value = self._memo[index] = self._values[-1]
        if isinstance(value, Unfinished):
            value.memo_indices.append(index)

    def memoize(self) -> None:
        """Remembers the top value at the next index."""
        self.put(len(self._memo))

    def get(self, index: int) -> None:
        """Puts a remembered value on top."""
        value = self._memo[index]
        if isinstance(value, Unfinished):
            raise ValueError("an array is part of itself")
        self._values.append(value)

    def make_tuple(self, length: int) -> None:
        """Makes a tuple of the topmost values."""
        items = tuple(self._values[len(self._values) - length :]) if length else ()
        if len(items) != length:
            raise IndexError("a tuple lacks items")
        del self._values[len(self._values) - length :]
        self._values.append(items)

    def tuple_of_marked(self) -> None:
        """Makes a tuple of a group."""
        items = tuple(self._above_mark())
        self._values.append(items)

    def list_of_marked(self) -> None:
        """Makes a list of a group."""
        items = self._above_mark()
        self._values.append(items)

    def dict_of_marked(self) -> None:
        """Makes a dict of a group of keys and values."""
        items = self._above_mark()
        self._values.append({})
        self._set_items(items)

    def frozenset_of_marked(self) -> None:
        """Makes a frozenset of a group."""
        items = self._above_mark()
        self._values.append(frozenset(map(dict_key, items)))

    def append(self) -> None:
        """Appends the top value to the list under it."""
        item = self._values.pop()
        self._top(list).append(item)

    def append_marked(self) -> None:
        """Appends a group to the list under it."""
        items = self._above_mark()
        self._top(list).extend(items)

    def add_marked(self) -> None:
        """Adds a group to the set under it."""
        items = self._above_mark()
        self._top(set).update(map(dict_key, items))

    def set_item(self) -> None:
        """Sets one item of the dict under a key and a value."""
        value, name = self._values.pop(), self._values.pop()
        self._set_items([name, value])

    def set_marked(self) -> None:
        """Sets items of the dict under a group of keys and values."""
        self._set_items(self._above_mark())

    def _set_items(self, items: list[Any]) -> None:
        keys, values = map(dict_key, items[::2]), items[1::2]
        self._top(dict).update(zip(keys, values, strict=True))

    def _top(self, kind: type) -> Any:
        if type(self._values[-1]) is not kind:
            raise TypeError(f"{type(self._values[-1]).__name__} is filled like a {kind.__name__}")
        return self._values[-1]


class _Machine(Stack):
    """Interprets opcodes on a stack of plain values."""

    def __init__(self, stream: _Stream, path: object, field: str):
        super().__init__()
        self._stream, self._path, self._field = stream, path, field
        self._num_bytes = 0

    def run(self) -> Any:
        for _ in range(files.MAX_OPERATIONS):
            code = self._stream.read(1)
            if code == b".":
                return self.last()
            name, read_argument = _OPCODES.get(code, (repr(code), None))
            handler = _HANDLERS.get(name)
            if handler is None:
                raise self._refusal(f"the opcode {name}")
            if read_argument is None:
                handler(self)
            else:
                handler(self, read_argument(self._stream))
        raise ValueError(f"it has more than {files.MAX_OPERATIONS} operations")

    def _refusal(self, received: str) -> errors.RecordingError:
        return errors.RecordingError(self._path, self._field, RULE, received)

    def _spend(self, num_bytes: int) -> None:
        self._num_bytes += num_bytes
        files.check_content(self._path, self._field, self._num_bytes, self._stream.size)

    def push_empty(self, kind: Callable[[], Any]) -> None:
        self._spend(_CONTAINER_BYTES)
        self.push(kind())

    def ignore(self, argument: int) -> None:
        """Passes over what only says how the rest was written."""

    def find(self, pair: str) -> None:
        module, _, name = pair.partition(" ")
        self._find(module, name)

    def find_stacked(self) -> None:
        name, module = self._values.pop(), self._values.pop()
        if type(name) is not str or type(module) is not str:
            raise TypeError("a name that is no text")
        self._find(module, name)

    def _find(self, module: str, name: str) -> None:
        found = find_name(module, name)
        if found is None:
            raise self._refusal(f"{module}.{name}")
        self.push(found)

    def call(self) -> None:
        arguments, name = self._values.pop(), self._values.pop()
        if not isinstance(name, Name) or type(arguments) is not tuple:
            raise TypeError("something is called that is no name")
        value = call_name(name, arguments)
        self._push_made(value)

    def finish(self) -> None:
        state, unfinished = self._values.pop(), self._values.pop()
        if not isinstance(unfinished, Unfinished) or type(state) is not tuple:
            raise TypeError(f"attributes are set on a {type(unfinished).__name__}")
        value = finish_object(unfinished, state)
        for index in unfinished.memo_indices:
            self._memo[index] = value
        self._push_made(value)

    def _push_made(self, value: Any) -> None:
        # Made out of what is remembered, it may be large although the file is small.
        length = len(value) if isinstance(value, bytes | bytearray | dict | set | frozenset) else 0
        self._spend(getattr(value, "nbytes", _CONTAINER_BYTES * (1 + length)))
        self.push(value)

    def refuse_class(self, pair: str) -> None:
        raise self._refusal(pair.replace(" ", "."))

    def refuse_extension(self, number: int) -> None:
        raise self._refusal(f"extension {number} of copyreg")


def _read_python2_string(stream: _Stream) -> str:
    """Reads what `pickletools` takes to be ASCII and Python 2 wrote arrays' bytes as."""
    line = stream.readline().rstrip(b"\n")
    if len(line) < len("''") or line[:1] not in (b"'", b'"') or line[-1:] != line[:1]:
        raise ValueError("a string lacks its quotes")
    return codecs.escape_decode(line[1:-1])[0].decode("latin-1")


def _argument_reader(opcode: pickletools.OpcodeInfo) -> Callable[[Any], Any] | None:
    if opcode.name == "STRING":
        return _read_python2_string
    return opcode.arg.reader if opcode.arg else None


# Of each opcode, its name and what reads its argument.
_OPCODES = {
    opcode.code.encode("latin-1"): (opcode.name, _argument_reader(opcode))
    for opcode in pickletools.opcodes
}

# What the few names that an admitted pickle may hold stand for.
#
# None of them is looked up in a module. A name is a word here, and what is called by it is a
# function of ours that takes what NumPy and the plain types write, and nothing else.

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


def find_name(module: str, name: str) -> Name | None:
    """Finds what a pickle's global stands for: one of a list, else nothing."""
    return _NAMES.get((module, name))


def call_name(name: Name, arguments: tuple[Any, ...]) -> Any:
    """Returns what a name makes of its arguments.

    Raises:
        ValueError, TypeError: If it is never called so by who writes arrays and containers.
    """
    return _CALLS[name.name](*arguments)


def finish_object(unfinished: Unfinished, state: tuple[Any, ...]) -> Any:
    """Returns the array or dtype whose state has come.

    Raises:
        ValueError, TypeError: If it is not the state of a plain array or dtype.
    """
    if unfinished.type_code:
        return pickled_arrays.dtype_of_state(unfinished.type_code, *state)
    return pickled_arrays.array_of_state(*state)


def dict_key(value: Any) -> Any:
    """Returns what is to be a key of a dict or an item of a set.

    Raises:
        TypeError: If it is no number or text, nor a short tuple of these: a tuple of tuples of
            tuples may take forever to hash.
    """
    items = value if type(value) is tuple else (value,)
    if len(items) > files.MAX_KEY_LENGTH or not all(isinstance(i, _KEY_TYPES) for i in items):
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
    pickled_arrays.check_code(code)
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
    return set(map(dict_key, items))


def _frozenset(items: list[Any] | tuple[Any, ...] = ()) -> frozenset[Any]:
    return frozenset(map(dict_key, items))


def _ordered_dict(pairs: list[Any] | tuple[Any, ...] = ()) -> dict[Any, Any]:
    return {dict_key(name): value for name, value in pairs}


_CALLS: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": _array_by_class,
    "numpy.dtype": _new_dtype,
    "numpy._reconstruct": _new_array,
    "numpy.scalar": pickled_arrays.scalar,
    "numpy._frombuffer": pickled_arrays.array_of_buffer,
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
_HANDLERS: dict[str, Callable[..., None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), _Machine.ignore),
    **dict.fromkeys(("FLOAT", "BINFLOAT"), _Machine.push),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), _Machine.push),
    **dict.fromkeys(("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), _Machine.push),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"), _Machine.push),
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2"), _Machine.push_integer),
    **dict.fromkeys(("LONG", "LONG1", "LONG4"), _Machine.push_integer),
    "NONE": functools.partial(_Machine.push, value=None),
    "NEWTRUE": functools.partial(_Machine.push, value=True),
    "NEWFALSE": functools.partial(_Machine.push, value=False),
    "EMPTY_LIST": functools.partial(_Machine.push_empty, kind=list),
    "EMPTY_DICT": functools.partial(_Machine.push_empty, kind=dict),
    "EMPTY_SET": functools.partial(_Machine.push_empty, kind=set),
    "EMPTY_TUPLE": functools.partial(_Machine.make_tuple, length=0),
    "TUPLE1": functools.partial(_Machine.make_tuple, length=1),
    "TUPLE2": functools.partial(_Machine.make_tuple, length=2),
    "TUPLE3": functools.partial(_Machine.make_tuple, length=3),
    "TUPLE": _Machine.tuple_of_marked,
    "LIST": _Machine.list_of_marked,
    "DICT": _Machine.dict_of_marked,
    "FROZENSET": _Machine.frozenset_of_marked,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.append_marked,
    "ADDITEMS": _Machine.add_marked,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_marked,
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.put),
    "MEMOIZE": _Machine.memoize,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    "GLOBAL": _Machine.find,
    "STACK_GLOBAL": _Machine.find_stacked,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.finish,
    "INST": _Machine.refuse_class,
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), _Machine.refuse_extension),
}


def read(path: pathlib.Path) -> Any:
    """Reads a pickle of any protocol, of Python 2 or 3.

    Arrays cannot be written to; text of Python 2 is decoded as latin-1; an `OrderedDict` comes as
    a `dict`.

    Raises:
        RecordingError: If the file is missing, damaged, over the limits, or names anything but
            arrays and plain containers.
    """
    size = files.size(path, "file", files.MAX_ARCHIVE_BYTES)
    with errors.parsing(path, "file", "be a readable file"), path.open("rb") as file:
        return load(file, size, path)


def loads(data: bytes, path: object) -> Any:
    """Reads a pickle from bytes; `path` is what an error names. See `read`."""
    return load(io.BytesIO(data), len(data), path)


def load(file: BinaryIO, size: int, path: object, field: str = "pickle") -> Any:
    """Reads a pickle of at most `size` bytes from where a file stands. See `read`."""
    with errors.parsing(path, field, RULE):
        value = run_machine(file, size, path, field)
        files.check_contents(value, path, field, size)
    return value
