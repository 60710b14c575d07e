"""Lifts in all ways with what `exported.py` wrote; runs where only the package is installed.

    python answers.py FOLDER ANSWERS.npz

Fails if lifting single frames and writing them imports anything but NumPy. Models of clips, and the
SavedModels' own signatures, are asked where TensorFlow is installed, and refused where it is not.
"""

import pathlib
import sys
import time
import warnings

BEFORE, START = set(sys.modules), time.process_time()

import numpy as np  # noqa: E402

import keras_mvlift  # noqa: E402

STUDIO = keras_mvlift.load_model("studio")
SECONDS = time.process_time() - START
ALLOWED = {"keras_mvlift", "numpy", "_distutils_hack", *sys.stdlib_module_names}
INTRINSICS = np.array([[900, 0, 480], [0, 910, 520], [0, 0, 1]], np.float32)
# A camera that looks along the world's y, with z up.
ROTATION = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
CENTER = np.array([1.0, -4.0, 1.5], np.float32)
ENDINGS = ("json", "npz", "csv", "trc", "bvh", "html")


def fields(prefix, lifted):
    """Returns what a `LiftedPose` holds by name."""
    names = ("root_relative_pose", "root_position", "pose_camera")
    return {f"{prefix}/{name}": getattr(lifted, name) for name in names}


def frames(name, model, keypoints_2d, confidence):
    """Lifts by a model of single frames."""
    given = fields(f"{name}/clip", model.lift(keypoints_2d, confidence, camera=INTRINSICS))
    person = model.lift(keypoints_2d[7], confidence[7], camera=INTRINSICS)
    given |= fields(f"{name}/person", person)
    flipped = model.lift(keypoints_2d, confidence, INTRINSICS, flip=True)
    given |= fields(f"{name}/flipped", flipped)
    coco = model.lift(keypoints_2d, confidence, INTRINSICS, skeleton="coco_17")
    given |= fields(f"{name}/coco", coco)
    given[f"{name}/no camera"] = model.lift(keypoints_2d).root_relative_pose
    return given | {f"{name}/world": world(model, keypoints_2d, confidence)}


def world(model, keypoints_2d, confidence):
    """Lifts into the world's frame."""
    from keras_mvlift.lifting import lift, tracks_2d, viewpoints

    seen = tracks_2d.Tracks2D(
        names=("person",),
        keypoints_2d=keypoints_2d[np.newaxis],
        confidence=confidence[np.newaxis],
        joint_names=model.joint_names,
        frame_rate=25.0,
    )
    places = {"rotation": ROTATION, "center": CENTER}
    camera = viewpoints.Viewpoint(intrinsics=INTRINSICS, **places)
    lifted = lift.lift(model, seen, camera, max_gap=0.0, is_steady=False, mends_sides=False)
    return np.stack([track.pose for track in lifted.tracks])


def command(folder, output):
    """Lifts by the command line, into files of each kind that needs no library."""
    from keras_mvlift.cli import main

    camera = ["--fov", "60", "--image-size", "1000", "1000", "--skeleton", "h36m_17"]
    given = [("clip.npz", ending) for ending in ENDINGS] + [("openpose", "json")]
    for source, ending in given:
        path = output / f"lifted.{ending}"
        of_it = ["lift", str(folder / source), "--model", "studio", "--output", str(path)]
        assert main.main([*of_it, "--force", "--frame-rate", "25", *camera]) == 0, (source, ending)
    shown = output / "shown.html"
    assert main.main(["view", str(output / "lifted.json"), "--output", str(shown)]) == 0


def signatures(folder, keypoints_2d, confidence):
    """Calls the signature of the world's frame."""
    import tensorflow as tf

    cameras = {"intrinsics": INTRINSICS, "rotation": ROTATION, "center": CENTER}
    count = len(confidence)
    arrays = {"keypoints_2d": keypoints_2d, "confidence": confidence}
    arrays |= {name: np.tile(x, (count, *[1] * x.ndim)) for name, x in cameras.items()}
    given = {key: tf.constant(x, tf.float32) for key, x in arrays.items()}
    found = {}
    for name, path in {"frames": folder / "frames", "studio": STUDIO.path}.items():
        outputs = tf.saved_model.load(str(path)).signatures["lift_world"](**given)
        found |= {f"{name}/signature/{key}": value.numpy() for key, value in outputs.items()}
    return found


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
    folder, path = map(pathlib.Path, sys.argv[1:])
    with np.load(folder / "clip.npz") as clip:
        seen = clip["keypoints_2d"], clip["confidence"]
    warnings.simplefilter("ignore")
    given = frames("studio", STUDIO, *seen)
    given |= frames("frames", keras_mvlift.load_model(folder / "frames"), *seen)
    imported = {name.partition(".")[0] for name in set(sys.modules) - BEFORE} - ALLOWED
    # NumPy's own, by Cython.
    imported = {name for name in imported if "cython" not in name}
    assert not imported, f"imported, too: {sorted(imported)}"
    command(folder, path.parent)
    try:
        given |= windows(folder / "windows", *seen)
    except ModuleNotFoundError as error:
        if 'pip install "keras-mvlift[tensorflow]"' not in str(error):
            raise
    else:
        given |= signatures(folder, *seen)
    np.savez(path, seconds=SECONDS, **given)


if __name__ == "__main__":
    main()
