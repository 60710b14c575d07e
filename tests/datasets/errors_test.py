import pathlib
import pickle

import pytest

from keras_mvlift.datasets import errors


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
