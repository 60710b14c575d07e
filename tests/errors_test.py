import json
import pathlib
import pickle
import re

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


def test_it_crosses_process_borders():
    again = pickle.loads(pickle.dumps(make()))
    assert type(again) is errors.RecordingError
    assert str(again) == str(make())
    assert again.field == "people"


@pytest.mark.parametrize("error", [KeyError("people"), MemoryError(), RecursionError("deep")])
def test_what_a_parser_raises_names_the_file(error):
    with (
        pytest.raises(errors.RecordingError, match="`people` must be JSON") as caught,
        errors.parsing("a/1.json", "people", "be JSON"),
    ):
        raise error
    assert str(caught.value).startswith("a/1.json: ")
    assert {"people", "MemoryError", "deep"} & {*re.findall(r"\w+", caught.value.received)}
    assert caught.value.__cause__ is error


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
    with pytest.raises(errors.ArgumentError, match=r"Received: 'dog'\.$"):
        errors.require_known("skeleton", "dog", ["coco_17", "body_25"])
    errors.require_known("skeleton", "coco_17", ["coco_17"])
