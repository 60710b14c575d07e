"""What a model is compared with: triangulation from all cameras, and the mean pose."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.datasets import examples, views
from keras_mvlift.geometry import cameras, triangulation


class TestViews(NamedTuple):
    """Single views to be lifted, and what is true of them.

    Attributes:
        view: Fields `[N, ...]`.
        reference_pose: `[N, J, 3]`, meters, camera axes, root at 0.
        instant: `[N]`, a number that the views of one instant share.
        action: `[N]`, names.
        camera: `[N]`, names.
        clip: `[N]`, names.
        frame: `[N]`, frame numbers within the clip.
    """

    view: views.View
    reference_pose: np.ndarray
    instant: np.ndarray
    action: np.ndarray
    camera: np.ndarray
    clip: np.ndarray
    frame: np.ndarray


def read_test_views(file_pattern: str) -> TestViews:
    """Reads all records of test views into memory."""
    files = tf.data.Dataset.list_files(file_pattern, shuffle=False)
    records = tf.constant(list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()))
    view = tf.nest.map_structure(lambda value: value.numpy(), examples.decode_views(records))
    about = {name: value.numpy() for name, value in examples.decode_references(records).items()}
    clip, action, camera = (about[name].astype(str) for name in ("clip", "action", "camera"))
    keys = np.stack([clip, about["frame"].astype(str)], axis=1)
    _, instant = np.unique(keys, axis=0, return_inverse=True)
    return TestViews(
        view, about[examples.REFERENCE_POSE], instant, action, camera, clip, about["frame"]
    )


def has_several_views(test: TestViews) -> bool:
    """Tells whether any instant was seen by two cameras, so that triangulation can be measured."""
    return bool((np.bincount(test.instant) > 1).any())


def triangulated(test: TestViews, min_confidence: float) -> np.ndarray:
    """Triangulates each instant from all of its views.

    Args:
        test: The views.
        min_confidence: Detections below it are left out.

    Returns:
        `[N, J, 3]`, meters, camera axes, root at 0. A joint that fewer than two cameras saw, or
        whose root they did not, is at the root: an error as large as the joint is far from it.
    """
    names, column = np.unique(test.camera, return_inverse=True)
    shape = (test.instant.max() + 1, len(names))

    def scatter(values: np.ndarray) -> np.ndarray:
        table = np.zeros((*shape, *values.shape[1:]), np.float64)
        table[test.instant, column] = values
        return table

    camera = cameras.Camera(*(scatter(field) for field in test.view.camera))
    # Where an instant lacks a view, any invertible intrinsics do: its weights are zero.
    is_absent = camera.intrinsics[..., 2, 2] == 0
    camera = camera._replace(
        intrinsics=np.where(is_absent[..., np.newaxis, np.newaxis], np.eye(3), camera.intrinsics)
    )
    confidence = scatter(test.view.confidence)
    weights = np.where(confidence >= min_confidence, confidence, 0.0)
    keypoints_2d = scatter(test.view.keypoints_2d)
    points, is_seen = triangulation.triangulate(keypoints_2d, weights, camera)
    pose_world, is_seen = points.numpy()[test.instant], is_seen.numpy()[test.instant]
    relative = pose_world - pose_world[:, skeletons.ROOT : skeletons.ROOT + 1]
    relative = np.where(
        is_seen[..., np.newaxis] & is_seen[:, skeletons.ROOT, np.newaxis, np.newaxis], relative, 0.0
    )
    return relative @ test.view.camera.rotation.swapaxes(-1, -2)


def mean_pose(pairs: tf.data.Dataset, min_confidence: float) -> np.ndarray:
    """Averages the poses that pairs of training views give by triangulation.

    Args:
        pairs: Batches of `ViewPair`.
        min_confidence: Detections below it are left out.

    Returns:
        `[J, 3]`, meters, camera axes, root at 0.
    """
    total, count = 0.0, 0.0
    for pair in pairs:
        stacked = tf.nest.map_structure(lambda *sides: tf.stack(sides, axis=1), *pair)
        weights = tf.where(stacked.confidence >= min_confidence, stacked.confidence, 0.0)
        points, is_seen = triangulation.triangulate(stacked.keypoints_2d, weights, stacked.camera)
        relative = points - points[:, skeletons.ROOT : skeletons.ROOT + 1]
        in_views = tf.einsum("bvij,bkj->bvki", stacked.camera.rotation, relative)
        is_whole = tf.cast(is_seen & is_seen[:, skeletons.ROOT : skeletons.ROOT + 1], points.dtype)
        total += tf.reduce_sum(in_views * is_whole[:, tf.newaxis, :, tf.newaxis], axis=[0, 1])
        count += 2.0 * tf.reduce_sum(is_whole, axis=0)[:, tf.newaxis]
    return tf.math.divide_no_nan(total, count).numpy()
