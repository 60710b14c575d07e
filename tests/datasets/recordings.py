"""Writes small recordings in Pose2Sim's layout, by the formats' own rules, for tests of readers."""

import json
from typing import NamedTuple

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets.rigs import calibrations
from keras_mvlift.geometry import cameras
from tests import random_scenes
from tests.datasets.rigs import simulated_rigs

SIZE = (1088, 1920)
# The markers of the demo recording's reference.
LEG = ("hip", "knee", "ankle", "big_toe", "small_toe", "heel")
ARM = ("shoulder", "elbow", "wrist")
MARKERS = (
    *(f"{side}_{part}" for side in ("right", "left") for part in LEG),
    *("neck", "head", "nose"),
    *(f"{side}_{part}" for side in ("right", "left") for part in ARM),
)


class Recording(NamedTuple):
    """What was written.

    Attributes:
        camera: Fields `[V, ...]`.
        points_world: `[T, K, 3]`, meters, in the skeleton's order.
        keypoints_2d: `[V, T, K, 2]`, pixels.
        confidence: `[V, T, K]`.
    """

    camera: cameras.Camera
    points_world: np.ndarray
    keypoints_2d: np.ndarray
    confidence: np.ndarray


def write(root, skeleton=skeletons.BODY_25B, num_views=2, num_frames=4):
    """Writes a recording of random joints below `root`, with a reference if the skeleton allows."""
    rng = np.random.default_rng(0)
    camera = random_scenes.camera(rng, num_views)
    points = random_scenes.points(rng, num_frames, skeleton.num_joints)
    keypoints_2d = np.zeros((num_views, *points.shape[:2], 2))
    for view, frame in np.ndindex(num_views, num_frames):
        single = random_scenes.one(camera, view)
        seen = random_scenes.project(random_scenes.move(points[frame], single), single)
        keypoints_2d[view, frame] = seen
    confidence = rng.uniform(0.2, 0.9, keypoints_2d.shape[:-1])
    folder = root / "calibration"
    folder.mkdir(parents=True)
    (folder / "Calib.qca.txt").write_text(calibration(camera))
    for view, frame in np.ndindex(num_views, num_frames):
        folder = root / "pose" / f"cam{view + 1}_json"
        folder.mkdir(parents=True, exist_ok=True)
        person = np.concatenate([keypoints_2d[view, frame], confidence[view, frame, :, None]], -1)
        (folder / f"cam0{view + 1}.{frame:04d}.json").write_text(detections(person))
    (root / "opensim").mkdir()
    if skeleton is skeletons.BODY_25B:
        chosen = [skeleton.joints.index(marker) for marker in MARKERS]
        (root / "opensim" / "reference.trc").write_text(reference(points[:, chosen]))
    return Recording(camera, points, keypoints_2d, confidence)


def calibration(camera, distortion=(0.0, 0.0, 0.0, 0.0, 0.0), corner=(0, 0)):
    """A `*.qca.txt` of cameras of one lens, whose images begin at a corner of the sensor."""
    count = len(camera.center)
    names = tuple(f"cam_{index:02d}" for index in range(1, count + 1))
    lenses, sizes = np.tile(distortion, (count, 1)), np.tile(SIZE, (count, 1))
    rig = calibrations.Calibration(names, camera, lenses, sizes)
    return simulated_rigs.qualisys_text(rig, corner)


def detections(*people):
    """A frame of OpenPose's, of people `[K, 3]`: x, y, confidence."""
    people = [{"person_id": [-1], "pose_keypoints_2d": np.ravel(p).tolist()} for p in people]
    return json.dumps({"version": 1.3, "people": people})


def reference(points_world, markers=MARKERS, frame_rate=60, unit="m"):
    """A `*.trc`: y up, so that its x, y, z are y, z, x of the world."""
    scale = {"m": 1, "mm": 1000}[unit]
    names = ["".join(part.title() for part in marker.split("_")) for marker in markers]
    names = [name.replace("Right", "R").replace("Left", "L") for name in names]
    axes = [f"{axis}{index}" for index in range(1, len(names) + 1) for axis in "XYZ"]
    counts = f"{len(points_world)}\t{len(names)}\t{unit}\t{frame_rate}\t0\t{len(points_world)}"
    lines = [
        "PathFileType\t4\t(X/Y/Z)\treference.trc",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame"
        "\tOrigNumFrames",
        f"{frame_rate}\t{frame_rate}\t{counts}",
        "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
        "\t\t" + "\t".join(axes),
    ]
    for frame, points in enumerate(points_world):
        row = (scale * points[:, [1, 2, 0]]).ravel()
        cells = ["" if np.isnan(value) else repr(float(value)) for value in row]
        lines.append("\t".join([str(frame + 1), repr(frame / frame_rate), *cells]))
    return "\n".join(lines) + "\n"
