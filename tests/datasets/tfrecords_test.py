import numpy as np
import pytest
import tensorflow as tf

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
