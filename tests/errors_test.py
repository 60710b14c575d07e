import csv
import json
import pathlib
import pickle
import re

import hypothesis
import numpy as np
import pytest

from keras_mvlift import errors


def make():
    return errors.RecordingError(pathlib.Path("a", "b.json"), "people", "be a list", 3)


def test_the_message_names_file_field_rule_and_value():
    path = pathlib.Path("a", "b.json")
    assert str(make()) == f"{path}: `people` must be a list. Received: 3."


def test_it_is_a_value_error_with_its_parts():
    with pytest.raises(ValueError, match="people") as caught:
        raise make()
    error = caught.value
    parts = (error.path.name, error.field, error.rule, error.received)
    assert parts == ("b.json", "people", "be a list", 3)


@pytest.mark.parametrize("error", [KeyError("people"), MemoryError(), RecursionError("deep")])
def test_what_a_parser_raises_names_the_file(error):
    with (
        pytest.raises(errors.RecordingError, match="`people` must be JSON") as caught,
        errors.parsing("a/1.json", "people", "be JSON"),
    ):
        raise error
    assert str(caught.value).startswith("a/1.json: ")
    assert {"people", "MemoryError", "levels"} & {*re.findall(r"\w+", caught.value.received)}
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("fields", [["fps"], ["rate"]])
def test_what_a_file_tells_is_refused_with_its_name(fields):
    with pytest.raises(
        errors.ArgumentError if fields == ["rate"] else errors.RecordingError
    ) as caught:
        with errors.told_by("a.npz", fields):
            raise errors.ArgumentError("fps", "be 50", 0)
    assert str(caught.value) == ("a.npz: " * (fields == ["fps"])) + "`fps` must be 50. Received: 0."


def test_a_reader_s_own_error_passes_through_a_parser_s():
    own = errors.RecordingError("a/1.json", "version", "be 1.3", 2)
    with pytest.raises(errors.RecordingError) as caught, errors.parsing("x", "y", "be z"):
        raise own
    assert caught.value is own


def test_an_interrupt_is_no_parser_s_error():
    with pytest.raises(KeyboardInterrupt), errors.parsing("x", "y", "be z"):
        raise KeyboardInterrupt


def test_what_a_terminal_would_obey_is_shown_not_sent():
    path = pathlib.Path("a", "\x1b[31m\u202e.json")
    said = str(errors.RecordingError(path, "people", "be a list", "\x07\n\x1b]0;x"))
    assert said.isprintable()
    assert r"\x1b[31m\u202e.json: `people` must be a list. Received: \x07\n\x1b]0;x." in said
    assert errors.visible("Jörg, 写") == "Jörg, 写"


@pytest.mark.parametrize(
    ("parse", "said"),
    [
        (lambda: json.loads("{}")["scores"], "no `scores`"),
        (lambda: [][0], "too few lines or values"),
        (lambda: json.loads("null")["a"], "something else there"),
        (lambda: float("x1"), "'x1'"),
        (lambda: np.array([[1], [1, 2]], float), "lists of other lengths"),
        (lambda: np.stack([[1], [1, 2]]), "lists of other lengths"),
        (lambda: {json.loads("[]"): 1}, "something else there"),
        (lambda: len(json.loads("1")), "something else there"),
        (lambda: np.zeros(3).reshape(json.loads("[[1]]")), "something else there"),
        (lambda: list(csv.reader(['"a'], strict=True)), "a quote that is not closed"),
        (lambda: np.zeros(5).reshape(2, 2), "5 numbers"),
        (lambda: [*zip([1], [], strict=True)], "too few"),
    ],
)
def test_what_was_met_is_said_in_words_of_the_file(parse, said):
    with (
        pytest.raises(errors.RecordingError) as caught,
        errors.parsing("a.json", "people", "be right"),
    ):
        parse()
    assert str(caught.value) == f"a.json: `people` must be right. Received: {said}."


def test_of_a_name_that_is_not_known_the_nearest_is_told():
    rule = (
        r"`skeleton` must be one of coco_17, body_25\. Received: 'coco17'; did you mean coco_17\?$"
    )
    with pytest.raises(errors.ArgumentError, match=rule):
        errors.require_known("skeleton", "coco17", ["coco_17", "body_25"])
    assert errors.nearest("BODY_25", ["coco_17", "body_25"]) == "; did you mean body_25?"
    with pytest.raises(errors.ArgumentError, match=r"Received: 'dog'\.$"):
        errors.require_known("skeleton", "dog", ["coco_17", "body_25"])
    errors.require_known("skeleton", "coco_17", ["coco_17"])


def test_goldens():
    assert errors.MILLIMETERS.to_meters(1500.0) == 1.5
    assert errors.MILLIMETERS.from_meters(1.5) == 1500.0
    assert errors.CENTIMETERS.to_meters(150.0) == 1.5
    assert errors.METERS.to_meters(1.5) == errors.METERS.from_meters(1.5) == 1.5


def test_arrays_convert_element_by_element():
    lengths = np.array([[0.0, -2.0], [1500.0, 1e6]])
    np.testing.assert_allclose(errors.MILLIMETERS.to_meters(lengths), [[0, -0.002], [1.5, 1000]])
    assert errors.MILLIMETERS.to_meters(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("unit", errors.UNITS.values(), ids=str)
@hypothesis.given(length=hypothesis.strategies.floats(1e-9, 1e9))
def test_there_and_back_is_the_same_length(unit, length):
    np.testing.assert_allclose(unit.from_meters(unit.to_meters(length)), length)


def test_units_are_found_by_their_symbol():
    assert errors.UNITS == {
        "m": errors.METERS,
        "cm": errors.CENTIMETERS,
        "mm": errors.MILLIMETERS,
    }


@pytest.mark.parametrize(
    "value", [[1, 2], (1.5, 2), np.ones(3, bool), np.array([1, 2], object), np.float16(3)]
)
def test_numbers_of_any_kind_are_taken(value):
    array = errors.numbers("confidence", value, np.float32)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, np.asarray(value, np.float32))


@pytest.mark.parametrize(
    ("value", "received"),
    [
        (None, "nothing"),
        ("1.5", "an array of <U3"),
        (["1.5"], "an array of <U3"),
        ([b"1"], "an array of |S1"),
        ([1j], "an array of complex128"),
        ([np.datetime64("2020-01-01")], r"an array of datetime64\[D\]"),
        ([[1], [1, 2]], "setting an array element with a sequence"),
        ({"a": 1}, r"float\(\) argument must be"),
    ],
)
def test_what_is_no_number_is_refused_by_name(value, received):
    message = f"`confidence` must be an array of numbers. Received: {received}"
    with pytest.raises(errors.ArgumentError, match=message.replace("|", r"\|")):
        errors.numbers("confidence", value, np.float32)


def test_a_number_too_large_is_infinite():
    assert np.isinf(errors.numbers("fov", [1e300], np.float32)).all()


@pytest.mark.parametrize("value", ["wide", None, [1, 2], {}])
def test_one_number_is_no_more_and_no_less(value):
    with pytest.raises(errors.ArgumentError, match=r"`fov` must be a number\. Received:"):
        errors.number("fov", value)
    assert errors.number("fov", np.int64(60)) == 60.0


def test_another_type_is_named():
    with pytest.raises(errors.ArgumentError, match=r"`model` must be one\. Received: str"):
        errors.require_type("model", "folder", int, "be one")


@pytest.mark.parametrize("error", [errors.ArgumentError("fov", "be wide", 3), make()])
def test_errors_cross_process_borders(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_a_file_is_refused_where_its_rule_does_not_hold():
    errors.require_in("a.json", [0], "people", "be there", "nobody")
    with pytest.raises(errors.RecordingError, match=r"a.json: `people` must be there.*nobody"):
        errors.require_in("a.json", [], "people", "be there", "nobody")
