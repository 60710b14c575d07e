"""What the studio model scores: on people held out, and on a real rig."""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from benchmarks import partial_views, studio_films
from keras_mvlift import inference, skeletons
from keras_mvlift.datasets import views
from keras_mvlift.datasets.rigs import pose2sim
from keras_mvlift.experiments import origins
from keras_mvlift.geometry import cameras
from keras_mvlift.metrics import pose_error

Scores = dict[str, dict[str, float]]
"""By what was seen: `mpjpe_mm`, `p_mpjpe_mm` and the number of `views`."""

_MIN_JOINTS = 8
# Degrees by which a camera looks down.
_STEEP = 35.0
_LEGS = ("left_knee", "left_ankle", "right_knee", "right_ankle")
_ARM = ("left_elbow", "left_wrist")
_EVERY_FRAMES = 12
_REFERENCE = "opensim/Balancing_for_IK.trc"

Change = Callable[[views.View], views.View]


def _without(joints: tuple[str, ...], view: views.View) -> views.View:
    is_lost = np.isin(skeletons.H36M_17.joints, joints)
    return view._replace(confidence=tf.where(is_lost, 0.0, view.confidence))


def _ears(view: views.View) -> views.View:
    return partial_views.with_ears(view, tf.ones(len(view.confidence), tf.bool))


CHANGES: dict[str, Change] = {
    "as detected": lambda view: view,
    "ears for the head": _ears,
    "knees and ankles missing": functools.partial(_without, _LEGS),
    "left forearm missing": functools.partial(_without, _ARM),
    "nose and head missing": functools.partial(_without, ("nose", "head")),
}
"""What befalls the views that are lifted."""


def held_out(model: inference.Lifter, recorded: list[origins.Motion], seed: int) -> Scores:
    """Scores a model on motions, filmed by rigs and on bodies that training did not have."""
    film = studio_films.film(recorded, studio_films.Filming(stride=_EVERY_FRAMES, seed=seed))
    is_used = np.count_nonzero(film.seen.confidence > 0, axis=-1) >= _MIN_JOINTS
    instant, number = np.nonzero(is_used)
    view = tf.nest.map_structure(lambda field: field[instant, number], film.seen)
    pose = _in_camera(film.pose_world[instant], view.camera.rotation)
    found = {name: score(model, change(view), pose) for name, change in CHANGES.items()}
    is_steep = view.camera.rotation[:, 2, 2] < -np.sin(np.radians(_STEEP))
    steep = tf.nest.map_structure(lambda field: field[is_steep], view)
    found["seen from high above"] = score(model, steep, pose[is_steep])
    mean = np.broadcast_to(pose.mean(axis=0), pose.shape)
    return found | {"mean pose instead": _errors(pose, mean)}


def demo_rig(model: inference.Lifter) -> Scores:
    """Scores a model on the embedded recording, camera by camera, against its own reference."""
    source = pose2sim.Pose2SimSource(root=pose2sim.demo_root(), reference=_REFERENCE)
    sequence = source.read(source.clips()[0])
    if sequence.pose_world is None:
        raise ValueError("The recording must have a reference.")
    found = {}
    for number, name in enumerate(sequence.camera_names):
        camera = cameras.Camera(
            *(np.stack([field[number]] * sequence.num_frames) for field in sequence.camera)
        )
        view = views.View(sequence.keypoints_2d[number], sequence.confidence[number], camera)
        view = tf.nest.map_structure(lambda field: field.astype(np.float32), view)
        pose = _in_camera(sequence.pose_world, camera.rotation)
        found[name] = score(model, view, pose)
        found[f"{name}, ears for the head"] = score(model, _ears(view), pose)
    return found


def score(model: inference.Lifter, view: views.View, pose: np.ndarray) -> dict[str, float]:
    """Lifts views and compares the poses.

    Args:
        model: The model.
        view: Fields `[N, ...]`.
        pose: `[N, J, 3]`, meters, camera axes, root at 0.
    """
    keypoints_2d, confidence, camera = (
        np.asarray(field) for field in (view.keypoints_2d, view.confidence, view.camera.intrinsics)
    )
    lifted = model.lift(keypoints_2d, confidence, camera=camera)
    return _errors(pose, lifted.root_relative_pose)


def _in_camera(pose_world: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    relative = pose_world - pose_world[:, skeletons.ROOT : skeletons.ROOT + 1]
    return (relative @ np.swapaxes(rotation, -1, -2)).astype(np.float32)


def _errors(pose_true: np.ndarray, pose: np.ndarray) -> dict[str, float]:
    return {
        "mpjpe_mm": 1000.0 * float(np.mean(pose_error.mpjpe(pose_true, pose))),
        "p_mpjpe_mm": 1000.0 * float(np.mean(pose_error.p_mpjpe(pose_true, pose))),
        "views": len(pose),
    }
