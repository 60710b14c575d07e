"""MMPose's JSON output: one file a camera, frame by frame, of its inferencer or its demos."""

import pathlib
from typing import Any

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import files
from keras_mvlift.datasets.detections import tracks


def read(path: pathlib.Path, skeleton: skeletons.Skeleton) -> tracks.Track:
    """Reads one camera's detections of the person most surely seen in each frame.

    Args:
        path: The file: a list of `{"frame_id", "instances"}`, or such a list as `instance_info`.
            The inferencer counts frames from 0, the demos from 1.
        skeleton: The detector's joint set.

    Raises:
        RecordingError: If the file is missing or not MMPose's.
    """
    return tracks.follow(frames(path), skeleton)


def frames(path: pathlib.Path) -> list[tracks.Frame]:
    """Reads all people in all frames.

    Raises:
        RecordingError: If the file is missing or not MMPose's.
    """
    content = files.read_json(path, "frames")
    listed = content.get("instance_info") if isinstance(content, dict) else content
    if not isinstance(listed, list):
        rule = "be MMPose's list of frames, or hold it as `instance_info`"
        raise errors.RecordingError(path, "frames", rule, type(listed).__name__)
    return [_frame(path, *item) for item in enumerate(listed)]


def _frame(path: pathlib.Path, index: int, frame: Any) -> tracks.Frame:
    rule = "have a `frame_id`, and `keypoints` and `keypoint_scores` of each instance"
    with errors.parsing(path, f"[{index}]", rule):
        number = frame["frame_id"]
        people = [
            join(instance["keypoints"], instance["keypoint_scores"])
            for instance in frame["instances"]
        ]
    return tracks.Frame(number, path, f"frame {number}", people)


def join(keypoints: Any, scores: Any) -> np.ndarray:
    """Puts keypoints `[..., K, 2]` and scores `[..., K]` together as `[..., 3 K]`.

    A negative score, which a flat response leaves behind, counts as 0.

    Raises:
        ValueError: If the shapes do not fit.
    """
    keypoints, scores = np.asarray(keypoints, np.float64), np.asarray(scores, np.float64)
    if keypoints.shape != (*scores.shape, 2):
        raise ValueError(f"keypoints {keypoints.shape} and scores {scores.shape}")
    joined = np.concatenate([keypoints, np.maximum(scores, 0.0)[..., np.newaxis]], axis=-1)
    return joined.reshape(*scores.shape[:-1], -1)
