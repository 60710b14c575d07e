import pytest

from keras_mvlift.diagnosis import findings


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a",), "a"),
        (("a", "c"), "a and c"),
        (("a", "b", "c", "d"), "all 4 cameras"),
        (("a", "b", "d"), "a, b and d"),
    ],
)
def test_cameras_are_listed_as_one_says_them(names, expected):
    assert findings.listed(names, ("a", "b", "c", "d")) == expected


def test_two_of_two_are_both():
    assert findings.listed(("a", "b"), ("a", "b")) == "both cameras"
