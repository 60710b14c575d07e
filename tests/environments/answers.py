"""Lifts a clip in all ways with what `exported.py` wrote; runs where only the package is installed.

    python answers.py FOLDER ANSWERS.npz

Fails if the library imports anything but NumPy and TensorFlow.
"""

import pathlib
import sys
import warnings

import numpy as np
import tensorflow as tf

BEFORE = set(sys.modules)
# TensorFlow may go on importing what it is made of.
ALLOWED = {"keras_mvlift", "numpy", "tensorflow", "keras", *sys.stdlib_module_names}
INTRINSICS = np.array([[900, 0, 480], [0, 910, 520], [0, 0, 1]], np.float32)
# A camera that looks along the world's y, with z up.
ROTATION = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
CENTER = np.array([1.0, -4.0, 1.5], np.float32)


def fields(prefix, lifted):
    """Returns what a `LiftedPose` holds by name."""
    names = ("root_relative_pose", "root_position", "pose_camera")
    return {f"{prefix}/{name}": getattr(lifted, name) for name in names}


def frames(folder, keypoints_2d, confidence):
    """Lifts by the model of single frames."""
    model = keras_mvlift.load_model(folder)
    given = fields("clip", model.lift(keypoints_2d, confidence, camera=INTRINSICS))
    given |= fields("person", model.lift(keypoints_2d[7], confidence[7], camera=INTRINSICS))
    given |= fields("flipped", model.lift(keypoints_2d, confidence, INTRINSICS, flip=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given["no camera"] = model.lift(keypoints_2d).root_relative_pose
    return given | {"world": world(model, keypoints_2d, confidence)} | signatures(folder)


def world(model, keypoints_2d, confidence):
    """Lifts into the world's frame."""
    seen = tracks_2d.Tracks2D(
        names=("person",),
        keypoints_2d=keypoints_2d[np.newaxis],
        confidence=confidence[np.newaxis],
        joint_names=model.joint_names,
        frame_rate=25.0,
    )
    places = {"rotation": ROTATION, "center": CENTER}
    camera = viewpoints.Viewpoint(intrinsics=INTRINSICS, **places)
    clip = lift.lift(model, seen, camera, max_gap=0.0, is_steady=False)
    return np.stack([track.pose for track in clip.tracks])


def signatures(folder):
    """Calls the signature of the world's frame."""
    with np.load(folder.parent / "clip.npz") as clip:
        arrays = {name: clip[name] for name in ("keypoints_2d", "confidence")}
    cameras = {"intrinsics": INTRINSICS, "rotation": ROTATION, "center": CENTER}
    count = len(arrays["confidence"])
    arrays |= {name: np.tile(x, (count, *[1] * x.ndim)) for name, x in cameras.items()}
    model = tf.saved_model.load(str(folder))
    found = model.signatures["lift_world"](**{key: tf.constant(x) for key, x in arrays.items()})
    return {f"signature/{name}": value.numpy() for name, value in found.items()}


def windows(folder, keypoints_2d, confidence):
    """Lifts by the model of windows, whole and frame by frame."""
    model = keras_mvlift.load_model(folder)
    whole = fields("windows", model.lift(keypoints_2d, confidence, camera=INTRINSICS))
    stream = model.stream()
    pairs = zip(keypoints_2d, confidence, strict=True)
    poses = [stream.push(*frame, INTRINSICS) for frame in pairs] + stream.finish()
    streamed = [pose.pose_camera for pose in poses if pose is not None]
    return whole | {"streamed": np.stack(streamed)}


def main():
    """Writes the answers."""
    folder = pathlib.Path(sys.argv[1])
    with np.load(folder / "clip.npz") as clip:
        seen = clip["keypoints_2d"], clip["confidence"]
    given = frames(folder / "frames", *seen) | windows(folder / "windows", *seen)
    imported = {name.partition(".")[0] for name in set(sys.modules) - BEFORE} - ALLOWED
    assert not imported, f"imported, too: {sorted(imported)}"
    np.savez(sys.argv[2], **given)


# Behind TensorFlow, so that what it imports of its own is not counted.
import keras_mvlift  # noqa: E402
from keras_mvlift.lifting import lift, tracks_2d, viewpoints  # noqa: E402

if __name__ == "__main__":
    main()
