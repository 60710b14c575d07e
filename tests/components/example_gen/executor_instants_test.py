"""Instants with all of their views, beside the pairs that are made of them."""

import numpy as np
import pytest
import tensorflow as tf

from components.example_gen import executor
from keras_mvlift import sources
from keras_mvlift.datasets import tfrecords
from tests.components import studio_examples

# Four real cameras and, in training, a virtual one.
NUM_VIEWS = {"train_instants": 5, "eval_instants": 4}
SIZES = {"keypoints_2d": 34, "confidence": 17, "intrinsics": 9, "rotation": 9, "center": 3}
ABOUT = {"clip": 1, "subject": 1, "action": 1, "frame": 1, "camera_confidence": 4}


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    config = studio_examples.config()
    return studio_examples.generate(tmp_path_factory.mktemp("studio"), config)["examples"]


def rows(artifact, split):
    paths = studio_examples.shards(artifact, split)
    return [row for path in paths for row in studio_examples.records(path)]


def moments(rows):
    return {(row["clip"][0], row["frame"][0]) for row in rows}


@pytest.mark.parametrize("split", executor.INSTANT_SPLITS)
def test_they_hold_all_views_and_no_3d(artifact, split):
    num_views = NUM_VIEWS[split]
    sizes = ABOUT | {f"views/{name}": num_views * size for name, size in SIZES.items()}
    for row in rows(artifact, split):
        assert {name: len(values) for name, values in row.items()} == sizes


def test_no_point_but_the_cameras_centers(artifact):
    source = sources.open_source(studio_examples.config(), "")
    for split, num_views in NUM_VIEWS.items():
        for row in rows(artifact, split):
            center = np.reshape(row["views/center"], (num_views, 3))[:4]
            np.testing.assert_array_equal(center, source.camera.center.astype(np.float32))


@pytest.mark.parametrize("split", executor.INSTANT_SPLITS)
def test_they_are_the_instants_of_the_pairs_each_once(artifact, split):
    found = rows(artifact, split)
    assert len(moments(found)) == len(found)
    assert moments(found) == moments(rows(artifact, split.removesuffix("_instants")))


def test_they_are_read_as_batches_of_all_views(artifact):
    files = [str(path) for path in studio_examples.shards(artifact, "eval_instants")]
    first = rows(artifact, "eval_instants")[0]

    def decode(records):
        return tfrecords.decode_instants(records, num_views=6)

    view = next(iter(tfrecords.load_once(files, 3, decode)))
    assert view.keypoints_2d.shape == (3, 6, 17, 2)
    expected = np.reshape(first["views/keypoints_2d"], (4, 17, 2))
    np.testing.assert_array_equal(view.keypoints_2d[0, :4], expected)
    assert not view.confidence.numpy()[:, 4:].any()
    np.testing.assert_array_equal(view.camera.rotation[0, 5], np.eye(3))
    assert np.isfinite(view.rays).all()


def test_more_views_than_were_announced_are_refused(artifact):
    files = [str(path) for path in studio_examples.shards(artifact, "eval_instants")]
    batches = tfrecords.load_once(files, 3, lambda records: tfrecords.decode_instants(records, 3))
    with pytest.raises(tf.errors.InvalidArgumentError):
        next(iter(batches))
