"""Lifted poses as Arrow tables of one schema, whatever the input was."""

import json
from typing import Any

import numpy as np
import pyarrow as pa

import keras_mvlift
from components.bulk_inference import view_rows
from keras_mvlift import inference

_CAMERA_AXES = "camera axes: x right, y down, z away from the camera"
_FRAMES = {
    "root_relative_pose": f"root at 0, {_CAMERA_AXES}",
    "root_position": f"from the camera, {_CAMERA_AXES}",
    "pose_camera": f"from the camera, {_CAMERA_AXES}",
    "pose_world": "world",
    "joint_uncertainty": "none",
}
"""Columns of numbers, all meters, in this order behind the keys."""

UNCERTAINTY, WORLD = "joint_uncertainty", "pose_world"
_LIST = pa.list_(pa.field("element", pa.float32(), nullable=False))


def schema(lifter: inference.Lifter) -> pa.Schema:
    """Describes the table: a list of numbers a row, its shape, unit and frame in its metadata.

    Args:
        lifter: The model; only one that predicts it gives `joint_uncertainty`.
    """
    is_told = has_uncertainty(lifter)
    names = [name for name in _FRAMES if name != UNCERTAINTY or is_told]
    num_joints = len(lifter.joint_names)
    shapes = {name: [num_joints, 3] for name in names}
    shapes |= {"root_position": [3], UNCERTAINTY: [num_joints]}
    keys = [pa.field(name, kind) for name, kind in view_rows.KEYS.items()]
    numbers = [
        pa.field(
            name,
            _LIST,
            nullable=name == WORLD,
            metadata={"shape": json.dumps(shapes[name]), "unit": "m", "frame": _FRAMES[name]},
        )
        for name in names
    ]
    about = {
        "joint_names": json.dumps(lifter.joint_names),
        "parents": json.dumps(lifter.parents),
        "keras_mvlift": keras_mvlift.__version__,
    }
    return pa.schema([*keys, *numbers], metadata=about)


def has_uncertainty(lifter: inference.Lifter) -> bool:
    """Tells whether a model predicts how far off its joints are."""
    nobody = np.zeros((len(lifter.joint_names), 2))
    return lifter.lift(nobody, camera=lifter.intrinsics).joint_uncertainty is not None


def lift(lifter: inference.Lifter, views: view_rows.Views, columns: pa.Schema) -> pa.Table:
    """Lifts views.

    Args:
        lifter: The model.
        views: `[M, ...]`.
        columns: Of `schema`.

    Returns:
        `M` rows; without its camera's place a view has no `pose_world`.
    """
    lifted = lifter.lift(
        views.numbers["keypoints_2d"],
        views.numbers["confidence"],
        camera=views.numbers["intrinsics"],
    )
    place = {name: values[views.has_place] for name, values in views.numbers.items()}
    pose_camera: Any = lifted.pose_camera
    pose_world = pose_camera[views.has_place] @ place["rotation"]
    pose_world += place["center"][:, np.newaxis]
    numbers = {name: getattr(lifted, name) for name in _FRAMES if name != WORLD}
    is_every = np.ones(len(pose_camera), bool)
    arrays: list[pa.Array] = []
    for name in columns.names:
        if name in views.keys:
            arrays.append(views.keys[name])
        elif name == WORLD:
            arrays.append(_lists(pose_world, views.has_place))
        else:
            arrays.append(_lists(numbers[name], is_every))
    return pa.Table.from_arrays(arrays, schema=columns)


def _lists(values: np.ndarray, is_there: np.ndarray) -> pa.Array:
    """Lays rows out as lists, those that are not there as null; `values` leaves these out."""
    size = int(np.prod(values.shape[1:]))
    ends = np.concatenate([[0], np.cumsum(np.where(is_there, size, 0))]).astype(np.int32)
    offsets = pa.array(ends, mask=np.append(~is_there, False))
    content = pa.array(np.ascontiguousarray(values, np.float32).ravel())
    return pa.ListArray.from_arrays(offsets, content).cast(_LIST)
