"""The stack and the memo of a pickle, which hold plain values only."""

from typing import Any

from keras_mvlift.datasets import limits, pickled_names


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
        """Gives the one value that is left at the end."""
        if self._below_marks or len(self._values) != 1:
            raise ValueError("it stops before everything in it is whole")
        return self._values.pop()

    def push(self, value: Any) -> None:
        """Puts a value on top."""
        self._values.append(value)

    def push_integer(self, value: int) -> None:
        """Puts an integer of stated length on top."""
        if value.bit_length() > 8 * limits.MAX_INTEGER_BYTES:
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
        if isinstance(value, pickled_names.Unfinished):
            value.memo_indices.append(index)

    def memoize(self) -> None:
        """Remembers the top value at the next index."""
        self.put(len(self._memo))

    def get(self, index: int) -> None:
        """Puts a remembered value on top."""
        value = self._memo[index]
        if isinstance(value, pickled_names.Unfinished):
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
        self._values.append(frozenset(map(pickled_names.key, items)))

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
        self._top(set).update(map(pickled_names.key, items))

    def set_item(self) -> None:
        """Sets one item of the dict under a key and a value."""
        value, name = self._values.pop(), self._values.pop()
        self._set_items([name, value])

    def set_marked(self) -> None:
        """Sets items of the dict under a group of keys and values."""
        self._set_items(self._above_mark())

    def _set_items(self, items: list[Any]) -> None:
        keys, values = map(pickled_names.key, items[::2]), items[1::2]
        self._top(dict).update(zip(keys, values, strict=True))

    def _top(self, kind: type) -> Any:
        if type(self._values[-1]) is not kind:
            raise TypeError(f"{type(self._values[-1]).__name__} is filled like a {kind.__name__}")
        return self._values[-1]
