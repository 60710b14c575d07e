import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.datasets import sequences, tfrecords
from tests.datasets import clips

NUM_PAIRS, BATCH = 23, 5
STEPS = NUM_PAIRS // BATCH


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    """Three files of 23 pairs; a pair's number is in both of its views."""
    folder = tmp_path_factory.mktemp("pairs")
    seen = sequences.instants_of_sequence(clips.exact(2, 1), np.zeros(NUM_PAIRS, int))
    seen.keypoints_2d[..., 0, 0] = np.arange(NUM_PAIRS)[:, np.newaxis]
    rows = np.arange(NUM_PAIRS)
    records = tfrecords.encode(tfrecords.pair_columns(seen, rows, 0 * rows, 0 * rows + 1))
    for number, part in enumerate((records[:9], records[9:10], records[10:])):
        with tf.io.TFRecordWriter(str(folder / f"{number}.gz"), "GZIP") as writer:
            for record in part:
                writer.write(record)
    return str(folder / "*.gz")


def numbers(view):
    return view.keypoints_2d[:, 0, 0].numpy().astype(int).tolist()


def epochs(dataset, count):
    """The numbers of the pairs of each epoch, in order."""
    batches = [numbers(pair.source) for pair in dataset.take(count * STEPS)]
    grouped = [batches[start : start + STEPS] for start in range(0, len(batches), STEPS)]
    return [list(itertools.chain(*epoch)) for epoch in grouped]


def load(pattern, **options):
    return tfrecords.load(pattern, BATCH, **({"seed": 0} | options))


# The usual chunk holds all records; the others end within a file.
@pytest.fixture(params=[None, 12, 4])
def chunk(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(tfrecords, "_CHUNK", request.param)


@pytest.mark.usefixtures("chunk")
def test_each_epoch_holds_every_pair_once_up_to_the_rest(pattern):
    for epoch in epochs(load(pattern), 4):
        assert len(epoch) == len(set(epoch)) == STEPS * BATCH
        assert set(epoch) <= set(range(NUM_PAIRS))


def test_over_the_epochs_no_pair_is_always_left_out(pattern):
    assert set(itertools.chain(*epochs(load(pattern), 6))) == set(range(NUM_PAIRS))


@pytest.mark.usefixtures("chunk")
def test_epochs_differ_in_order(pattern):
    orders = epochs(load(pattern), 4)
    assert len({tuple(order) for order in orders}) == 4


def test_pairs_are_mixed_across_files(pattern):
    firsts = [order[:BATCH] for order in epochs(load(pattern), 6)]
    # In the order of the files a batch would never hold pairs of the first and the last.
    assert any(min(first) < 9 and max(first) >= 10 for first in firsts)


def test_files_are_read_in_an_order_of_their_own_each_epoch(pattern, monkeypatch):
    # In chunks of one record nothing else is mixed: an epoch begins as one of the files.
    monkeypatch.setattr(tfrecords, "_CHUNK", 1)
    assert {epoch[0] for epoch in epochs(load(pattern), 12)} == {0, 9, 10}


@pytest.mark.usefixtures("chunk")
def test_the_same_seed_gives_the_same_order_and_another_another(pattern):
    first, again, other = (epochs(load(pattern, seed=seed), 2) for seed in (3, 3, 4))
    assert first == again
    assert first != other


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("first_epoch", [1, 3])
def test_starting_at_an_epoch_equals_skipping_those_before(pattern, first_epoch):
    unbroken = epochs(load(pattern), first_epoch + 2)
    assert epochs(load(pattern, first_epoch=first_epoch), 2) == unbroken[first_epoch:]


def test_the_two_views_of_a_pair_stay_together(pattern):
    for pair in load(pattern).take(2 * STEPS):
        assert numbers(pair.source) == numbers(pair.target)
        assert not np.allclose(pair.source.camera.center, pair.target.camera.center)


def test_batches_have_a_fixed_size(pattern):
    shapes = {pair.source.keypoints_2d.shape for pair in load(pattern).take(2 * STEPS + 1)}
    assert shapes == {(BATCH, 17, 2)}
    assert load(pattern).element_spec.source.keypoints_2d.shape[1:] == (17, 2)


def test_files_may_be_named_one_by_one(pattern):
    files = sorted(tf.io.gfile.glob(pattern))
    assert epochs(load(files[::-1]), 2) == epochs(load(pattern), 2)


def test_load_once_reads_every_pair_in_the_order_of_the_files(pattern):
    batches = [numbers(pair.source) for pair in tfrecords.load_once(pattern, BATCH)]
    assert list(map(len, batches)) == [5, 5, 5, 5, 3]
    assert list(itertools.chain(*batches)) == list(range(NUM_PAIRS))


def test_count_counts_the_records_of_all_files(pattern):
    assert tfrecords.count(pattern) == NUM_PAIRS
    assert tfrecords.count(sorted(tf.io.gfile.glob(pattern))[:2]) == 10


def test_an_epoch_that_fills_no_batch_is_refused(pattern):
    assert len(next(iter(tfrecords.load(pattern, NUM_PAIRS, seed=0))).source.confidence) == 23
    rule = r"`batch_size` must be at most the number of pairs, 23. Received: 24"
    with pytest.raises(ValueError, match=rule):
        tfrecords.load(pattern, NUM_PAIRS + 1, seed=0)


def test_a_chunk_holds_records_of_more_files_than_it_would_in_their_order(pattern, monkeypatch):
    monkeypatch.setattr(tfrecords, "_CHUNK", 6)
    monkeypatch.setattr(tfrecords, "_NUM_RECORDS", 2)
    chunks = [epoch[:BATCH] for epoch in epochs(load(pattern), 6)]
    # The files hold the numbers below 9, 9 itself, and those above.
    assert all(min(chunk) < 9 < max(chunk) for chunk in chunks)


def test_a_pattern_without_files_is_refused(tmp_path):
    pattern = str(tmp_path / "*.gz")
    with pytest.raises(ValueError, match=r"`file_pattern` must match a file. Received: .*\*\.gz"):
        tfrecords.load(pattern, BATCH, seed=0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="No files matched pattern"):
        tfrecords.count(pattern)
