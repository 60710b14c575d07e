"""Interprets the opcodes of pickles.

Nothing is imported, no attribute is set, and no function of the file's choosing is called, so there
is nothing to lead astray. A name is one of `pickled_names`, or the file is refused by that name.
"""

import codecs
import functools
import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO

from keras_mvlift import errors
from keras_mvlift.datasets import limits, pickle_stack, pickled_names

RULE = "hold NumPy arrays and plain containers only"
# What an empty container takes in memory, and an item of a set.
_CONTAINER_BYTES = 64


def run(file: BinaryIO, size: int, path: object, field: str) -> Any:
    """Gives what a pickle of at most `size` bytes holds, names and what is unfinished included.

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


class _Machine(pickle_stack.Stack):
    """Interprets opcodes on a stack of plain values."""

    def __init__(self, stream: _Stream, path: object, field: str):
        super().__init__()
        self._stream, self._path, self._field = stream, path, field
        self._num_bytes = 0

    def run(self) -> Any:
        for _ in range(limits.MAX_OPERATIONS):
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
        raise ValueError(f"it has more than {limits.MAX_OPERATIONS} operations")

    def _refusal(self, received: str) -> errors.RecordingError:
        return errors.RecordingError(self._path, self._field, RULE, received)

    def _spend(self, num_bytes: int) -> None:
        self._num_bytes += num_bytes
        limits.check_content(self._path, self._field, self._num_bytes, self._stream.size)

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
        found = pickled_names.find(module, name)
        if found is None:
            raise self._refusal(f"{module}.{name}")
        self.push(found)

    def call(self) -> None:
        arguments, name = self._values.pop(), self._values.pop()
        if not isinstance(name, pickled_names.Name) or type(arguments) is not tuple:
            raise TypeError("something is called that is no name")
        value = pickled_names.call(name, arguments)
        self._push_made(value)

    def finish(self) -> None:
        state, unfinished = self._values.pop(), self._values.pop()
        if not isinstance(unfinished, pickled_names.Unfinished) or type(state) is not tuple:
            raise TypeError(f"attributes are set on a {type(unfinished).__name__}")
        value = pickled_names.finish(unfinished, state)
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
