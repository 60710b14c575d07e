"""Compares what finds people in videos by the poses that are lifted from what it finds.

    python -m benchmarks.video_detectors --pose2sim SESSION --detector-model heavy.tflite model.json

The man of Pose2Sim's demo balances before four cameras. Compared are 12 limb joints, centered at
the hips, with the rig's own reference, as `studio_recordings` has them; beside them stand the
points that MediaPipe itself has in 3D.
"""

import argparse
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import rich.box
import rich.console
import rich.table

import keras_mvlift
from benchmarks import studio_recordings
from keras_mvlift import inference, skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.rigs import pose2sim
from keras_mvlift.geometry import cameras
from keras_mvlift.lifting import lift, person_detector, tracks_2d, video, viewpoints

_JOINTS = skeletons.H36M_17.joints


def errors_of(poses: np.ndarray, clip: sequences.MultiViewSequence) -> list[str]:
    """Compares poses with a clip's reference.

    Args:
        poses: `[V, T, 17, 3]`, meters, camera axes, root at 0; NaN where there is none.
        clip: Seen by `V` cameras.

    Returns:
        MPJPE and P-MPJPE in mm of each camera, then of all.
    """
    if clip.pose_world is None:
        raise ValueError("The recording must have a reference.")
    relative = clip.pose_world - clip.pose_world[:, :1]
    true = np.einsum("tjx,vyx->vtjy", relative, clip.camera.rotation)
    is_there = np.isfinite(poses).all(axis=(2, 3))
    pairs = [(true[each][is_there[each]], poses[each][is_there[each]]) for each in range(len(true))]
    pairs.append((true[is_there], poses[is_there]))
    found = (studio_recordings.errors_of(*pair) for pair in pairs)
    return [f"{mpjpe:.1f} / {p_mpjpe:.1f}" for mpjpe, _, p_mpjpe in found]


def lifted(
    model: inference.Lifter,
    tracks: Sequence[tracks_2d.Tracks2D],
    source: pose2sim.Pose2SimSource,
    camera: cameras.Camera,
    mends_sides: bool,
) -> np.ndarray:
    """Lifts the surest person of each camera's tracks, `[V, T, 17, 3]`."""
    poses = []
    for number, found in enumerate(tracks):
        seen_from = viewpoints.Viewpoint(
            intrinsics=camera.intrinsics[number],
            distortion=np.reshape(source.rig.lens[1], (-1, 5))[number],
        )
        clip = lift.lift(model, found, seen_from, space="root", mends_sides=mends_sides)
        poses.append(clip.tracks[0].pose)
    length = min(map(len, poses))
    return np.stack([pose[:length] for pose in poses])


def own_3d(paths: Sequence[pathlib.Path], network: str | None) -> np.ndarray:
    """Returns MediaPipe's own points in 3D, as poses `[V, T, 17, 3]`, meters; NaN of nobody."""
    poses = []
    for path in paths:
        with person_detector.opened(network) as opened:
            # What nothing of the product needs.
            results = [
                opened.process(picture).pose_world_landmarks
                for picture in video.read(video.inspect(path))
            ]
        points = np.array([_points(each) for each in results])
        pose = skeletons.Converter(person_detector.SKELETON.joints).keypoints(points)
        poses.append(pose - pose[:, :1])
    return np.stack(poses)


def _points(landmarks: Any) -> np.ndarray:
    if landmarks is None:
        return np.full((person_detector.SKELETON.num_joints, 3), np.nan)
    return np.array([(each.x, each.y, each.z) for each in landmarks.landmark])


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Compares what finds people in videos."
    )
    parser.add_argument(
        "--pose2sim", type=pathlib.Path, required=True, help="S00_Demo_BatchSession"
    )
    parser.add_argument("--models", nargs="+", default=["studio"], help="what lifts")
    parser.add_argument("--detector-model", nargs="*", default=[], help="files, as of `lift`")
    options = parser.parse_args()
    source, clip, paths = studio_recordings.balancing(options.pose2sim)
    table = rich.table.Table(box=rich.box.MARKDOWN)
    for name in ("detector", "lifted by", "each camera", "all", "ms a frame"):
        table.add_column(name)

    def add(detector: str, by: str, poses: np.ndarray, pace: float | None) -> None:
        told = errors_of(poses, clip)
        table.add_row(detector, by, ", ".join(told[:-1]), told[-1], f"{pace:.0f}" if pace else "")

    for network in [None, *options.detector_model]:
        name = "MediaPipe, full" if network is None else pathlib.Path(network).name
        start = time.perf_counter()
        tracks = [person_detector.detect(video.inspect(path), model=network) for path in paths]
        frames = sum(each.num_frames for each in tracks)
        pace = 1000 * (time.perf_counter() - start) / frames
        for model in options.models:
            loaded = keras_mvlift.load_model(model)
            for mends, how in ((False, "sides as detected"), (True, "sides put back")):
                poses = lifted(loaded, tracks, source, clip.camera, mends)
                add(name, f"{model}, {how}", poses, pace)
        if not str(network).endswith(".json"):
            add(name, "its own 3D", own_3d(paths, network), None)
    rich.console.Console(width=200).print(table)


if __name__ == "__main__":
    main()
