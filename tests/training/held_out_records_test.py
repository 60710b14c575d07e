import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.training import held_out
from tests import tiny_studio


@pytest.fixture(scope="module")
def prepared():
    return tiny_studio.prepare(tiny_studio.film())


@pytest.fixture(scope="module")
def pairs(prepared, tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "pairs.gz"
    return [tiny_studio.write(path, prepared.held_out_pairs)]


def test_pairs_are_instants_of_two_views(prepared, pairs):
    seen = held_out.read_records(pairs)
    columns = prepared.held_out_pairs
    assert seen.confidence.shape == (36, 2, 17)
    for view, side in enumerate(("source", "target")):
        confidence = np.float32(columns[f"{side}/confidence"])
        np.testing.assert_array_equal(seen.confidence[:, view], confidence)
        center = np.asarray(columns[f"{side}/center"], np.float32)
        np.testing.assert_array_equal(seen.camera.center[:, view], center)


def test_instants_have_all_of_their_views_and_room_for_more(prepared, tmp_path):
    columns = prepared.held_out_instants
    path = tiny_studio.write(tmp_path / "instants.gz", columns)
    seen = held_out.read_records(path, num_views=5)
    assert seen.confidence.shape == (6, 5, 17)
    confidence = np.float32(columns["views/confidence"])
    np.testing.assert_array_equal(seen.confidence[:, :4], confidence)
    assert not seen.confidence[:, 4].any()


def test_of_too_many_records_some_of_all_kinds_are_drawn_the_same_each_time(pairs):
    everything = held_out.read_records(pairs)
    some, again = (held_out.read_records(pairs, max_records=18) for _ in range(2))
    assert 9 <= len(some.confidence) <= 27
    tf.nest.map_structure(np.testing.assert_array_equal, some, again)

    def rigs(seen):
        return len(np.unique(seen.camera.center.reshape(len(seen.confidence), -1), axis=0))

    # Of the six pairs that four cameras make, each third record would hold two.
    assert rigs(some) > rigs(everything) / 2


def test_nothing_held_out_is_an_error(tmp_path):
    empty = tiny_studio.write(tmp_path / "empty.gz", {"frame": np.zeros(0, np.int64)})
    for files in ([], [empty]):
        with pytest.raises(ValueError, match="No instant is held out"):
            held_out.read_records(files)
