import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import preparation, sequences, tfrecords, views
from keras_mvlift.training import batches
from tests import tiny_studio

BATCH_SIZE = 11
ALL = 1e9


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Pairs of two clips of four cameras, a file each; views of too few joints are missing."""
    folder = tmp_path_factory.mktemp("pairs")
    clips = [tiny_studio.film(), tiny_studio.film(seed=1, dropped_view_rate=0.2)]
    for number, clip in enumerate(clips):
        tiny_studio.write(folder / f"{number}.gz", tiny_studio.prepare(clip).train_pairs)
    return str(folder / "*.gz")


@pytest.fixture(scope="module")
def pairs(files):
    return batches.read_pairs(files, ALL)


def flat(pair):
    """Every pair as the bytes of all of its numbers."""
    fields = [np.reshape(field, (len(field), -1)) for field in tf.nest.flatten(pair)]
    return [row.tobytes() for row in np.concatenate(fields, axis=1)]


def resident(pairs, num_batches, **options):
    """The pairs of each batch."""
    rows = batches.load_pairs(pairs, options.pop("batch_size", BATCH_SIZE), **{"seed": 0} | options)
    return [flat(pair) for pair in batches.look_up(pairs, rows.take(num_batches))]


def test_an_epoch_holds_the_pairs_that_the_stream_does(files, pairs):
    num_pairs = tfrecords.count(files)
    streamed = flat(next(iter(tfrecords.load(files, num_pairs, seed=0))))
    (kept,) = resident(pairs, 1, batch_size=num_pairs)
    assert sorted(kept) == sorted(streamed)
    # Two views of a pair are told apart, and no pair is there twice.
    assert len(set(kept)) == num_pairs == len(pairs.rows)


def test_each_epoch_holds_every_pair_once_up_to_the_rest(pairs):
    steps, rest = divmod(len(pairs.rows), BATCH_SIZE)
    assert rest
    batches = resident(pairs, 3 * steps)
    for start in range(0, 3 * steps, steps):
        epoch = list(itertools.chain(*batches[start : start + steps]))
        assert len(set(epoch)) == len(epoch) == steps * BATCH_SIZE


def test_an_epochs_order_depends_on_the_seed_and_its_number_alone(pairs):
    steps = len(pairs.rows) // BATCH_SIZE
    whole = resident(pairs, 3 * steps)
    assert whole[steps:] == resident(pairs, 2 * steps, first_epoch=1)
    assert whole[:steps] != whole[steps : 2 * steps]
    assert whole[:steps] != resident(pairs, steps, seed=1)


def test_pairs_come_once_in_the_order_of_the_records(files, pairs):
    kept = batches.look_up(pairs, batches.load_pairs_once(pairs, BATCH_SIZE))
    streamed = tfrecords.load_once(files, BATCH_SIZE)
    for found, expected in zip(kept, streamed, strict=True):
        assert isinstance(found, views.ViewPair)
        tf.nest.map_structure(np.testing.assert_array_equal, found, expected)


def test_each_view_is_kept_once(pairs):
    assert len(pairs.views) == len(np.unique(pairs.views, axis=0)) == pairs.rows.max() + 1
    # At most four views of six pairs.
    assert len(pairs.views) < len(pairs.rows)
    expected = batches.BYTES_PER_VIEW * len(pairs.views)
    assert pairs.num_bytes == expected + batches.BYTES_PER_PAIR * len(pairs.rows)


def test_pairs_that_are_read_in_parts_are_the_same(files, pairs, monkeypatch):
    monkeypatch.setattr(batches, "_READ_SIZE", 10)
    parts = batches.read_pairs(files, ALL)
    assert len(pairs.views) < len(parts.views) < 2 * len(parts.rows)
    np.testing.assert_array_equal(parts.views[parts.rows], pairs.views[pairs.rows])


def test_no_more_memory_is_taken_than_allowed(files, pairs):
    assert batches.read_pairs(files, pairs.num_bytes) is not None
    assert batches.read_pairs(files, pairs.num_bytes - 1) is None


def test_without_memory_nothing_is_read(tmp_path):
    assert batches.read_pairs(str(tmp_path / "none.gz"), 0) is None


def test_files_of_no_records_are_refused(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "none.gz"), "GZIP"):
        pass
    with pytest.raises(ValueError, match=r"`file_pattern` must match pairs.*none\.gz"):
        batches.read_pairs(str(tmp_path / "none.gz"), ALL)


def test_a_batch_of_more_pairs_than_there_are_is_refused(pairs):
    rule = f"`batch_size` must be at most the number of pairs, {len(pairs.rows)}. Received: 9999"
    with pytest.raises(ValueError, match=rule):
        batches.load_pairs(pairs, 9999, seed=0)


def test_pairs_of_instants_hold_the_views_that_are_named():
    clip = tiny_studio.film()
    everything = preparation.BySubject(test_subjects=())
    seen = sequences.to_view(
        preparation.training_instants(clip, everything, configs.DataConfig(source="studio"))
    )
    found = batches.pairs_of_instants(seen, np.array([[2, 0, 3], [5, 1, 2]]))
    pair = batches.take_pairs(tf.constant(found.views), tf.constant(found.rows))
    for side, (instant, view) in zip(pair, (([2, 5], [0, 1]), ([2, 5], [3, 2])), strict=True):
        expected = tf.nest.map_structure(lambda x, at=(instant, view): x[at], seen)
        tf.nest.map_structure(
            lambda field, value: np.testing.assert_allclose(field, value, rtol=1e-6), side, expected
        )
