import numpy as np
import pytest

from keras_mvlift.datasets import sequences


def test_same_seed_and_names_give_the_same_numbers_in_every_process():
    # The CRC-32 of b"clip" is 2904560743, that of b"a" 3904355907.
    expected = np.random.default_rng([7, 2904560743, 3904355907])
    drawn = sequences.seeded_generator(7, "clip", "a")
    np.testing.assert_array_equal(drawn.random(3), expected.random(3))


@pytest.mark.parametrize(
    "other", [(1, "clip", "a"), (0, "clip", "b"), (0, "a", "clip"), (0, "clip")]
)
def test_any_other_seed_or_name_gives_other_numbers(other):
    ours, theirs = sequences.seeded_generator(0, "clip", "a"), sequences.seeded_generator(*other)
    assert not np.array_equal(ours.random(4), theirs.random(4))


def test_negative_seed_is_refused():
    with pytest.raises(ValueError, match=r"`seed` must not be negative. Received: seed=-1"):
        sequences.seeded_generator(-1)
