import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_arrays

from keras_mvlift.datasets import sequences, tfrecords
from keras_mvlift.geometry import cameras
from tests.datasets import clips

FIELDS = ("keypoints_2d", "confidence", "intrinsics", "rotation", "center")
INSTANT, SOURCE, TARGET = np.array([2, 0, 2]), np.array([0, 1, 3]), np.array([1, 3, 0])


@pytest.fixture(scope="module")
def seen():
    return sequences.instants_of_sequence(clips.exact(), np.array([7, 3, 11]))


@pytest.fixture(scope="module")
def pairs(seen):
    return tfrecords.pair_columns(seen, INSTANT, SOURCE, TARGET)


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


NAMES = st.text(min_size=1, max_size=6)
INTEGERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.integers(0, 300), st.sampled_from([127, 128, 2**14, -1])
)
TEXTS = st.one_of(st.text(max_size=5), st.sampled_from(["", "camera_9", "camera_10", "ä" * 70]))


def official(columns):
    """One `tf.train.Example` per row, built and serialized by protobuf."""
    records = []
    for row in range(len(next(iter(columns.values())))):
        feature = {name: as_feature(values[row]) for name, values in columns.items()}
        example = tf.train.Example(features=tf.train.Features(feature=feature))
        records.append(example.SerializeToString(deterministic=True))
    return records


def as_feature(values):
    flat = np.ravel(np.array(values, dtype=object if isinstance(values, str) else None))
    if flat.dtype == object:
        texts = [text.encode() for text in flat]
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=texts))
    if flat.dtype.kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=flat.astype(np.float32)))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=flat))


@st.composite
def tables(draw):
    """Columns of any kind and shape, empty ones and scalars included."""
    num_rows = draw(st.integers(1, 9))
    columns = {}
    for name in draw(st.lists(NAMES, min_size=1, max_size=5, unique=True)):
        rest = draw(st.lists(st.integers(0, 3), max_size=2))
        dtype, elements = draw(
            st.sampled_from(
                [
                    (np.float32, st.floats(width=32)),
                    (np.float64, st.floats(width=32)),
                    (np.int64, INTEGERS),
                    (np.int32, st.integers(-(2**31), 2**31 - 1)),
                    (object, TEXTS),
                ]
            )
        )
        columns[name] = draw(st_arrays.arrays(dtype, (num_rows, *rest), elements=elements))
    return columns


@pytest.fixture(scope="module")
def test_views(seen):
    pose = np.random.default_rng(0).normal(size=(3, 17, 3))
    names = {"clip": "gehen_ä", "action": "walking"}
    return (
        tfrecords.view_columns(seen, INSTANT, SOURCE)
        | {"frame": seen.frame[INSTANT], tfrecords.REFERENCE_POSE: pose}
        | {name: np.full(3, value, dtype=object) for name, value in names.items()}
    )


def of(seen, field):
    return getattr(seen if hasattr(seen, field) else seen.camera, field)


def test_a_row_holds_both_views_of_its_instant(seen, pairs):
    for side, view in (("source", SOURCE), ("target", TARGET)):
        for field in FIELDS:
            for row in range(3):
                expected = of(seen, field)[INSTANT[row], view[row]]
                np.testing.assert_array_equal(pairs[f"{side}/{field}"][row], expected)
        names = [f"camera_{index}" for index in view]
        assert pairs[f"{side}/camera"].tolist() == names
    assert pairs["frame"].tolist() == [11, 7, 11]


def test_the_baseline_is_the_distance_of_the_two_cameras(seen, pairs):
    center = clips.exact().camera.center
    expected = np.linalg.norm(center[SOURCE] - center[TARGET], axis=-1)
    np.testing.assert_allclose(pairs["baseline"], expected)


def test_pairs_survive_encoding(pairs):
    pair = tfrecords.decode_pairs(tf.constant(tfrecords.encode(pairs)))
    for side, view in zip(pair._fields, pair, strict=True):
        values = (view.keypoints_2d, view.confidence, *view.camera)
        for field, value in zip(FIELDS, values, strict=True):
            np.testing.assert_array_equal(value, np.float32(pairs[f"{side}/{field}"]))


def test_views_and_references_survive_encoding(test_views):
    records = tf.constant(tfrecords.encode(test_views))
    view = tfrecords.decode_views(records)
    for field, value in zip(FIELDS, (*view[:2], *view.camera), strict=True):
        np.testing.assert_array_equal(value, np.float32(test_views[field]))
    about = tfrecords.decode_references(records)
    pose = about.pop(tfrecords.REFERENCE_POSE)
    np.testing.assert_array_equal(pose, np.float32(test_views[tfrecords.REFERENCE_POSE]))
    assert about["frame"].numpy().tolist() == [11, 7, 11]
    texts = {name: about[name].numpy().astype(object) for name in ("clip", "action", "camera")}
    decoded = {name: [text.decode() for text in values] for name, values in texts.items()}
    assert decoded == {name: test_views[name].tolist() for name in texts}


def test_instants_survive_encoding_and_views_that_they_lack_have_plain_cameras(seen):
    records = tf.constant(tfrecords.encode(tfrecords.instant_columns(seen)))
    num_real = len(seen.camera_names)
    view = tfrecords.decode_instants(records, num_views=num_real + 2)
    for field, value in zip(FIELDS, (*view[:2], *view.camera), strict=True):
        np.testing.assert_array_equal(value[:, :num_real], np.float32(of(seen, field)))
    lacking = tf.nest.map_structure(lambda field: field[:, num_real:], view)
    assert not np.any(lacking.confidence)
    for matrix in (lacking.camera.intrinsics, lacking.camera.rotation):
        np.testing.assert_array_equal(matrix, np.tile(np.eye(3), (3, 2, 1, 1)))
    assert np.isfinite(cameras.rays(view.keypoints_2d, view.camera.intrinsics)).all()


def test_any_tf_example_reader_finds_the_same_values(test_views):
    record = tfrecords.encode(test_views)[1]
    feature = tf.train.Example.FromString(record).features.feature
    assert set(feature) == set(test_views)
    keypoints_2d = feature["keypoints_2d"].float_list.value
    np.testing.assert_array_equal(keypoints_2d, np.float32(test_views["keypoints_2d"][1]).ravel())
    assert list(feature["frame"].int64_list.value) == [7]
    assert feature["clip"].bytes_list.value[0].decode() == "gehen_ä"


def test_no_rows_are_no_records(seen, pairs):
    none = np.zeros(0, int)
    empty = tfrecords.pair_columns(seen, none, none, none)
    assert set(empty) == set(pairs)
    assert tfrecords.encode(empty) == []


def test_blocks_hold_every_row_once_and_in_order(pairs):
    sizes = [len(block["frame"]) for block in tfrecords.blocks(pairs, 2)]
    assert sizes == [2, 1]
    records = [record for block in tfrecords.blocks(pairs, 2) for record in tfrecords.encode(block)]
    assert records == tfrecords.encode(pairs)


def test_decoding_pairs_reads_nothing_but_the_views(pairs):
    extended = pairs | {"pose": np.full((3, 17, 3), np.nan)}
    plain, same = (
        tfrecords.decode_pairs(tf.constant(tfrecords.encode(c))) for c in (pairs, extended)
    )
    tf.nest.map_structure(np.testing.assert_array_equal, plain, same)
    assert isinstance(plain.source.camera, cameras.Camera)


def test_a_record_without_a_field_is_refused(pairs):
    part = {name: values for name, values in pairs.items() if name != "target/center"}
    with pytest.raises(tf.errors.InvalidArgumentError, match="target/center"):
        tfrecords.decode_pairs(tf.constant(tfrecords.encode(part)))


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
    for read in (lambda files: tfrecords.load(files, BATCH, seed=0), tfrecords.count):
        with pytest.raises(ValueError, match=r"`file_pattern` must match a file. .*\*\.gz"):
            read(pattern)


@settings(deadline=None, max_examples=300)
@given(tables())
def test_bytes_are_those_of_protobuf(columns):
    records, expected = tfrecords.encode(columns), official(columns)
    read = (tf.train.Example.FromString(record) for record in records)
    assert [example.SerializeToString(deterministic=True) for example in read] == expected
    # Of names of which one begins another, protobuf 4 has an order of its own.
    names = sorted(columns)
    if not any(longer.startswith(name) for name, longer in itertools.pairwise(names)):
        assert records == expected


@pytest.mark.parametrize(
    "columns",
    [
        {
            "floats": np.arange(2 * 5000.0).reshape(2, 5000),
            "numbers": np.array([[0, 127, 128, -1], [2**63 - 1, 5, 16384, 16383]]),
            "text": np.array(["x" * 20_000, "y"], dtype=object),
        },
        {
            "frame": np.array([5, 500, 6, 70_000, 501, 7]),
            "camera": np.array(["camera_1", "virtual_12"] * 3, dtype=object),
        },
        {
            "every_other": np.arange(96.0).reshape(8, 6, 2)[::2].swapaxes(1, 2),
            "alike": np.broadcast_to(np.arange(12.0).reshape(6, 2), (4, 6, 2)),
        },
    ],
    ids=["lengths of several bytes", "lengths that alternate", "views of another array"],
)
def test_rows_are_written_as_they_are_seen_however_long(columns):
    assert tfrecords.encode(columns) == official(columns)


def test_numpy_texts_and_flags_are_written_as_texts_and_integers():
    columns = {"text": np.array(["a", "bc"]), "flag": np.array([True, False])}
    expected = {"text": columns["text"].astype(object), "flag": np.array([1, 0])}
    assert tfrecords.encode(columns) == official(expected)


def test_no_rows_and_no_columns_are_no_records():
    assert tfrecords.encode({"x": np.zeros((0, 3)), "y": np.zeros(0, object)}) == []
    assert tfrecords.encode({}) == []


def test_columns_of_different_numbers_of_rows_are_refused():
    with pytest.raises(ValueError, match=r"equally many rows. Received: \{'x': 2, 'y': 3\}"):
        tfrecords.encode({"x": np.zeros(2), "y": np.zeros(3)})


def test_values_that_no_feature_holds_are_refused():
    with pytest.raises(ValueError, match=r"or strings. Received: 'x' of complex"):
        tfrecords.encode({"x": np.zeros(2, complex)})
