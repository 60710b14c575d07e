import collections

import numpy as np
import pytest

from keras_mvlift.untrusted import pickles

NDARRAY = pickles.Name("numpy.ndarray")


def call(module, name, *arguments):
    return pickles.call_name(pickles.find_name(module, name), arguments)


@pytest.mark.parametrize(
    "name",
    [
        ("numpy", "load"),
        ("numpy", "core.multiarray._reconstruct"),
        ("numpy.core", "multiarray._reconstruct"),
        ("numpy.core.multiarray", "fromfile"),
        ("builtins", "getattr"),
        ("builtins", "object"),
        ("builtins", "bytes.fromhex"),
        ("collections", "abc"),
        ("collections", "defaultdict"),
        ("_codecs", "decode"),
        ("", ""),
    ],
)
def test_other_names_are_not_found(name):
    assert pickles.find_name(*name) is None


def test_a_name_is_no_function():
    found = pickles.find_name("_codecs", "encode")
    assert not callable(found)
    assert found == pickles.Name("_codecs.encode")
    with pytest.raises(AttributeError):
        found.name = "other"


def test_containers_and_bytes_are_made():
    assert call("builtins", "set", [1, 1]) == {1}
    assert call("__builtin__", "frozenset", [1]) == frozenset({1})
    assert call("builtins", "bytearray", b"a") == bytearray(b"a")
    assert call("__builtin__", "bytes") == b""
    assert call("builtins", "complex", 1.0, 2.0) == 1 + 2j
    assert call("_codecs", "encode", "ÿ", "latin1") == b"\xff"
    made = call("collections", "OrderedDict", [["b", 1], ["a", 2]])
    assert (type(made), list(made)) == (dict, ["b", "a"])
    assert not isinstance(made, collections.OrderedDict)


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [
        ("builtins", "bytearray", (10**12,)),
        ("builtins", "bytes", (10**12,)),
        ("builtins", "bytearray", ("a", "idna")),
        ("builtins", "complex", ("1" * 100,)),
        ("builtins", "complex", (1, 2)),
        ("builtins", "set", ([[]],)),
        ("builtins", "set", (5,)),
        ("_codecs", "encode", ("a", "rot13")),
        ("_codecs", "encode", (b"a", "latin1")),
        ("_codecs", "encode", ("€", "latin1")),
        ("collections", "OrderedDict", ([[(("a",),), 1]],)),
        ("numpy", "ndarray", ((10**6, 10**6),)),
        ("numpy", "dtype", ("O,O", False, True)),
        ("numpy", "dtype", (np.dtype("f8"), False, True)),
        ("numpy.core.multiarray", "_reconstruct", (pickles.Name("set"), (0,), b"b")),
        ("numpy.core.multiarray", "_reconstruct", (NDARRAY,)),
        ("numpy.core.multiarray", "scalar", (np.dtype(object), [1])),
        ("numpy.core.numeric", "_frombuffer", (b"", np.dtype("f8"), (10**12,), "C")),
    ],
)
def test_a_call_that_no_writer_makes_is_refused(module, name, arguments):
    with pytest.raises((ValueError, TypeError)):
        call(module, name, *arguments)


def test_an_array_is_made_and_then_told():
    unfinished = call("numpy.core.multiarray", "_reconstruct", NDARRAY, (0,), b"b")
    found = pickles.finish_object(unfinished, (1, (2,), np.dtype("u1"), False, b"\x01\x02"))
    assert found.tolist() == [1, 2]
    told = pickles.finish_object(
        call("numpy", "dtype", "f8", False, True), (3, ">", None, None, None, -1, -1, 0)
    )
    assert told == np.dtype(">f8")


def test_keys_are_flat():
    for key in ("S1", 5, 2.5, None, True, b"x", ("S1", "Walk", 3), np.int64(5)):
        assert pickles.dict_key(key) is key
    for key in ([], (("a",),), frozenset(), np.zeros(2), ("a",) * 33, NDARRAY, 1j):
        with pytest.raises(TypeError, match="a key that is no text or number"):
            pickles.dict_key(key)
