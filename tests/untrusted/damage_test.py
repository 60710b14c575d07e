import pathlib

import pytest

from keras_mvlift import errors
from tests.untrusted import damage

DATA = bytes(range(200))


def test_variants_are_damaged_many_ways_and_the_same_for_one_seed():
    found = list(damage.variants(DATA, 3, 200))
    assert found == list(damage.variants(DATA, 3, 200))
    assert found != list(damage.variants(DATA, 4, 200))
    assert (len(found), found[0]) == (200, b"")
    assert len({*found} - {DATA}) > 150
    lengths = [len(variant) for variant in found]
    assert min(lengths) < 200 < max(lengths)


def test_empty_data_has_variants():
    assert set(damage.variants(b"", 0, 20)) == {b""}


def read_strictly(path, error):
    if path.read_bytes() != DATA:
        raise error


def test_refusals_are_counted_and_other_errors_found(tmp_path):
    path = tmp_path / "a"
    ours, other = errors.RecordingError(path, "a", "be whole", "damage"), KeyError("b")
    assert damage.assert_only_our_errors(lambda: read_strictly(path, ours), path, DATA) > 90
    with pytest.raises(AssertionError, match="variant 0 of seed 0: KeyError: 'b'"):
        damage.assert_only_our_errors(lambda: read_strictly(path, other), path, DATA)
    assert isinstance(path, pathlib.Path)
