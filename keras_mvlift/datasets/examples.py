"""Views as `tf.Example` records: the one place where they are written and read.

There are three kinds. A *pair* holds two views of an instant, `source/...` and `target/...`, an
*instant* holds all of them, `views/...`, and neither any 3D at all; training reads nothing else. A
*test view* holds one view and its reference pose; only evaluation reads it. docs/formats.md lists
every feature.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.datasets import instants, record_templates, views
from keras_mvlift.geometry import cameras

REFERENCE_POSE = "reference_pose"

_NUM_JOINTS = skeletons.H36M_17.num_joints
_VIEW_SHAPES = {
    "keypoints_2d": (_NUM_JOINTS, 2),
    "confidence": (_NUM_JOINTS,),
    "intrinsics": (3, 3),
    "rotation": (3, 3),
    "center": (3,),
}
_PAIR_SHAPES = {
    f"{side}/{field}": shape
    for side in views.ViewPair._fields
    for field, shape in _VIEW_SHAPES.items()
}

Columns = dict[str, np.ndarray]


def pair_columns(
    seen: instants.Instants, instant: np.ndarray, source: np.ndarray, target: np.ndarray
) -> Columns:
    """Lays out pairs as columns, one row per pair.

    Args:
        seen: The views to draw from.
        instant: `[N]`, index of each pair's instant.
        source: `[N]`, index of its first view.
        target: `[N]`, index of its second view.

    Returns:
        Feature name to `[N, ...]`.
    """
    columns: Columns = {}
    for side, view in zip(views.ViewPair._fields, (source, target), strict=True):
        fields = view_columns(seen, instant, view)
        columns |= {f"{side}/{name}": values for name, values in fields.items()}
    between = columns["target/center"] - columns["source/center"]
    return columns | {
        "frame": seen.frame[instant],
        "baseline": np.linalg.norm(between, axis=-1),
    }


def instant_columns(seen: instants.Instants) -> Columns:
    """Lays out instants with all of their views as columns, one row per instant."""
    fields = {"keypoints_2d": seen.keypoints_2d, "confidence": seen.confidence}
    fields |= {name: np.asarray(value) for name, value in seen.camera._asdict().items()}
    return {f"views/{name}": values for name, values in fields.items()} | {"frame": seen.frame}


def view_columns(seen: instants.Instants, instant: np.ndarray, view: np.ndarray) -> Columns:
    """Lays out single views as columns, one row per view; see `pair_columns`."""
    return {
        "keypoints_2d": seen.keypoints_2d[instant, view],
        "confidence": seen.confidence[instant, view],
        "intrinsics": np.asarray(seen.camera.intrinsics)[instant, view],
        "rotation": np.asarray(seen.camera.rotation)[instant, view],
        "center": np.asarray(seen.camera.center)[instant, view],
        "camera": np.array(seen.camera_names, dtype=object)[view],
    }


def encode(columns: Mapping[str, np.ndarray]) -> list[bytes]:
    """Serializes columns to `tf.Example` records, all rows at once.

    Args:
        columns: Feature name to `[N, ...]`: floats, integers or strings.

    Returns:
        `N` serialized records, the same bytes for the same rows.
    """
    return record_templates.serialize(columns)


def blocks(columns: Columns, num_rows: int) -> Iterator[Columns]:
    """Cuts columns into blocks of at most so many rows, in their order, without copying."""
    total = len(next(iter(columns.values())))
    for start in range(0, total, num_rows):
        yield {name: values[start : start + num_rows] for name, values in columns.items()}


def decode_pairs(serialized: tf.Tensor) -> views.ViewPair:
    """Parses a batch of pair records, `[B]`, to a pair of views with fields `[B, ...]`."""
    parsed = _parse(serialized, _PAIR_SHAPES)
    source, target = (_view(parsed, f"{side}/") for side in views.ViewPair._fields)
    return views.ViewPair(source, target)


def decode_instants(serialized: tf.Tensor, num_views: int) -> views.View:
    """Parses a batch of instant records, `[B]`.

    Args:
        serialized: Records of at most `num_views` views each.
        num_views: `V`; views that an instant lacks are such as see nothing.

    Returns:
        Fields `[B, V, ...]`.
    """
    features = {
        f"views/{name}": tf.io.FixedLenSequenceFeature(shape, tf.float32, allow_missing=True)
        for name, shape in _VIEW_SHAPES.items()
    }
    parsed = tf.io.parse_example(serialized, features)
    filled = {name: _filled(values, num_views) for name, values in parsed.items()}
    view = _view(filled, "views/")
    # A camera of zeros has no rays, and what is not a number stays so however little it weighs.
    is_absent = tf.equal(view.camera.intrinsics[..., 2:, 2:], 0)
    identity = tf.eye(3)
    camera = view.camera._replace(
        intrinsics=tf.where(is_absent, identity, view.camera.intrinsics),
        rotation=tf.where(is_absent, identity, view.camera.rotation),
    )
    return view._replace(camera=camera)


def decode_views(serialized: tf.Tensor) -> views.View:
    """Parses a batch of test-view records, `[B]`, leaving the reference unread."""
    return _view(_parse(serialized, _VIEW_SHAPES), "")


def decode_references(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parses what evaluation needs beside the view: pose, clip, frame, action and camera."""
    features = {
        REFERENCE_POSE: tf.io.FixedLenFeature((_NUM_JOINTS, 3), tf.float32),
        "frame": tf.io.FixedLenFeature((), tf.int64),
    } | {name: tf.io.FixedLenFeature((), tf.string) for name in ("clip", "action", "camera")}
    return tf.io.parse_example(serialized, features)


def _parse(serialized: tf.Tensor, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tf.Tensor]:
    features = {name: tf.io.FixedLenFeature(shape, tf.float32) for name, shape in shapes.items()}
    return tf.io.parse_example(serialized, features)


def _filled(values: tf.Tensor, num_views: int) -> tf.Tensor:
    """Fills `[B, v, ...]` with zeros to `[B, num_views, ...]`."""
    missing = num_views - tf.shape(values)[1]
    paddings = [[0, 0], [0, missing], *([[0, 0]] * (len(values.shape) - 2))]
    return tf.ensure_shape(tf.pad(values, paddings), [None, num_views, *values.shape[2:]])


def _view(parsed: Mapping[str, tf.Tensor], prefix: str) -> views.View:
    camera = cameras.Camera(*(parsed[prefix + field] for field in cameras.Camera._fields))
    return views.View(parsed[f"{prefix}keypoints_2d"], parsed[f"{prefix}confidence"], camera)
