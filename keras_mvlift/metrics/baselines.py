"""What a model is compared with: triangulation from all cameras, and the mean pose."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.datasets import examples, views
from keras_mvlift.geometry import triangulation


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


def read_test_views(file_pattern: str | list[str]) -> TestViews:
    """Reads all records of test views into memory."""
    files = tf.data.Dataset.list_files(file_pattern, shuffle=False)
    return decode_test_views(list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()))


def decode_test_views(serialized: Sequence[bytes]) -> TestViews:
    """Parses records of test views."""
    records = tf.constant(serialized)
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


def by_instant(test: TestViews) -> tuple[views.View, np.ndarray]:
    """Lays out test views by instant and camera.

    Args:
        test: The views.

    Returns:
        NumPy arrays in double precision, fields `[T, V, ...]`, in which view `n` of the test lies
        at `[test.instant[n], column[n]]`, and the column, `[N]`. A view that an instant lacks has
        confidence 0 and intrinsics of 1.
    """
    names, column = np.unique(test.camera, return_inverse=True)
    shape = (test.instant.max() + 1, len(names))

    def scatter(values: np.ndarray) -> np.ndarray:
        table = np.zeros((*shape, *values.shape[1:]), np.float64)
        table[test.instant, column] = values
        return table

    view = tf.nest.map_structure(scatter, test.view)
    # Any invertible intrinsics do.
    is_absent = (view.camera.intrinsics[..., 2, 2] == 0)[..., np.newaxis, np.newaxis]
    intrinsics = np.where(is_absent, np.eye(3), view.camera.intrinsics)
    return view._replace(camera=view.camera._replace(intrinsics=intrinsics)), column


def triangulated(
    test: TestViews,
    min_confidence: float,
    solve: Callable[..., tuple[tf.Tensor, ...]] = triangulation.triangulate,
) -> np.ndarray:
    """Triangulates each instant from all of its views.

    Args:
        test: The views.
        min_confidence: Detections below it are left out.
        solve: `triangulation.triangulate`, or `robust_triangulation.triangulate` where detections
            may be grossly wrong.

    Returns:
        `[N, J, 3]`, meters, camera axes, root at 0. A joint that fewer than two cameras saw, or
        whose root they did not, is at the root: an error as large as the joint is far from it.
    """
    seen, _ = by_instant(test)
    weights = np.where(seen.confidence >= min_confidence, seen.confidence, 0.0)
    points, is_seen, *_ = solve(seen.keypoints_2d, weights, seen.camera)
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
