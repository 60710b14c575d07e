import pathlib
import pickle
import re

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
