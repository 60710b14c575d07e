"""What a model is compared with: triangulation, the nearest training view, a constant pose."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.datasets import tfrecords, views
from keras_mvlift.geometry import cameras, triangulation

# Views that are compared with all known ones at once.
_VIEWS_AT_ONCE = 256


class TestViews(NamedTuple):
    """Single views to be lifted, and what is true of them."""

    view: views.View  # Fields [N, ...].
    reference_pose: np.ndarray  # [N, J, 3], meters, camera axes, root at 0.
    instant: np.ndarray  # [N], a number that the views of one instant share.
    action: np.ndarray  # [N], names, as are `camera` and `clip`.
    camera: np.ndarray
    clip: np.ndarray
    frame: np.ndarray  # [N], frame numbers within the clip.


def read_test_views(file_pattern: str | list[str]) -> TestViews:
    """Reads all records of test views into memory."""
    files = tf.data.Dataset.list_files(file_pattern, shuffle=False)
    return decode_test_views(list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()))


def decode_test_views(serialized: Sequence[bytes]) -> TestViews:
    """Parses records of test views."""
    records = tf.constant(serialized)
    view = tf.nest.map_structure(lambda value: value.numpy(), tfrecords.decode_views(records))
    about = {name: value.numpy() for name, value in tfrecords.decode_references(records).items()}
    return of_columns(view, about)


def of_columns(view: views.View, about: Mapping[str, np.ndarray]) -> TestViews:
    """Tells which views are of one instant, by what records say about them."""
    clip, action, camera = (about[name].astype(str) for name in ("clip", "action", "camera"))
    keys = np.stack([clip, about["frame"].astype(str)], axis=1)
    _, instant = np.unique(keys, axis=0, return_inverse=True)
    pose = about[tfrecords.REFERENCE_POSE]
    return TestViews(view, pose, instant, action, camera, clip, about["frame"])


def has_several_views(test: TestViews) -> bool:
    """Tells whether any instant was seen by two cameras, so that triangulation can be measured."""
    return bool((np.bincount(test.instant) > 1).any())


def by_instant(test: TestViews) -> tuple[views.View, np.ndarray]:
    """Lays out test views by instant and camera.

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


def triangulated(test: TestViews, min_confidence: float, unplaced: float = 0.0) -> np.ndarray:
    """Triangulates each instant from all of its views, but for detections below `min_confidence`.

    Where a joint could not be placed its coordinates are `unplaced`: NaN leaves it out of figures,
    0 puts it at the root, an error as large as the joint is far from it.

    Returns:
        `[N, J, 3]`, meters, camera axes, root at 0.
    """
    seen, _ = by_instant(test)
    pose = triangulated_poses(seen, min_confidence)[test.instant]
    pose = np.where(np.isnan(pose), unplaced, pose)
    return cameras.rotate(pose, test.view.camera.rotation)


def triangulated_poses(seen: views.View, min_confidence: float) -> np.ndarray:
    """Triangulates instants, fields `[T, V, ...]`, but for detections below `min_confidence`.

    Returns:
        `[T, J, 3]`, meters, world axes, root at 0; NaN for a joint that fewer than two cameras
        saw, and for all joints where they did not see the root.
    """
    weights = np.where(seen.confidence >= min_confidence, seen.confidence, 0.0)
    points, is_seen = triangulation.triangulate(seen.keypoints_2d, weights, seen.camera)
    points = np.where(is_seen[..., np.newaxis], points, np.nan)
    return points - points[:, skeletons.ROOT : skeletons.ROOT + 1]


def constant_pose(pose: np.ndarray) -> np.ndarray:
    """Averages poses in world axes: what is best answered without looking.

    An average in camera axes would mix what cameras see from all around into a pose of no size.
    Poses are `[T, J, 3]`, as `triangulated_poses` gives them of training instants.

    Returns:
        `[J, 3]`, meters, world axes, root at 0; NaN for a joint that is never known.
    """
    count = np.isfinite(pose).sum(axis=0)
    return np.where(count > 0, np.nansum(pose, axis=0) / np.maximum(count, 1), np.nan)


def nearest_views(
    keypoints_2d: np.ndarray,
    confidence: np.ndarray,
    known_keypoints_2d: np.ndarray,
    known_confidence: np.ndarray,
) -> np.ndarray:
    """Finds for each view the known view that looks most like it.

    Views are compared by the mean squared distance of the joints that both show, once both are
    centered at the root (at the mean of the joints where it was not seen) and scaled to the same
    mean square. Keypoints are `[N, J, 2]` and `[M, J, 2]`, pixels, of any cameras, confidences `[N,
    J]` and `[M, J]`, 0 where not seen.

    Returns:
        `[N]`, indices into the known views.
    """
    known, is_known = _normalized(known_keypoints_2d, known_confidence)
    shapes, is_seen = _normalized(keypoints_2d, confidence)
    known_squares = np.square(known).sum(axis=-1)
    nearest = []
    for start in range(0, len(shapes), _VIEWS_AT_ONCE):
        rows = slice(start, start + _VIEWS_AT_ONCE)
        squares = np.square(shapes[rows]).sum(axis=-1)
        flat = shapes[rows].reshape(len(squares), -1)
        # What a view does not show is 0 in it, and so in the products.
        distance = squares @ is_known.T + is_seen[rows] @ known_squares.T
        distance -= 2 * flat @ known.reshape(len(known), -1).T
        shared = is_seen[rows] @ is_known.T
        mean = np.where(shared > 0, distance / np.maximum(shared, 1), np.inf)
        nearest.append(mean.argmin(axis=1))
    return np.concatenate(nearest)


def nearest_poses(
    test: TestViews, seen: views.View, pose: np.ndarray, min_joints: int = 8
) -> np.ndarray:
    """Answers each test view with the pose of the training view that looks most like it.

    `pose`, `[T, J, 3]`, is what `triangulated_poses` gives of the training instants, `seen`, fields
    `[T, V, ...]`. Of views that show `min_joints` only those count of whose poses as many are
    known.

    Returns:
        `[N, J, 3]`, meters, camera axes, root at 0, NaN where unknown.
    """
    num_known = np.isfinite(pose).all(axis=-1).sum(axis=-1)
    is_shown = np.count_nonzero(seen.confidence, axis=-1) >= min_joints
    instant, view = np.nonzero(is_shown & (num_known == num_known.max())[:, np.newaxis])
    known = tf.nest.map_structure(lambda field: np.asarray(field)[instant, view], seen)
    nearest = nearest_views(
        test.view.keypoints_2d, test.view.confidence, known.keypoints_2d, known.confidence
    )
    return cameras.rotate(pose[instant[nearest]], known.camera.rotation[nearest])


def _normalized(keypoints_2d: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centers and scales views; gives `[N, J, 2]`, 0 where not seen, and what is seen as 0 or 1."""
    is_seen = (np.asarray(confidence) > 0).astype(np.float32)
    shown = np.asarray(keypoints_2d) * is_seen[..., np.newaxis]
    count = np.maximum(is_seen.sum(axis=-1), 1)[:, np.newaxis]
    is_rooted = is_seen[:, skeletons.ROOT, np.newaxis] > 0
    center = np.where(is_rooted, shown[:, skeletons.ROOT], shown.sum(axis=1) / count)
    centered = (shown - center[:, np.newaxis]) * is_seen[..., np.newaxis]
    size = np.sqrt(np.square(centered).sum(axis=(1, 2), keepdims=True) / count[..., np.newaxis])
    return (centered / np.where(size > 0, size, 1.0)).astype(np.float32), is_seen
