"""What rtmlib's models return, saved: keypoints and scores of all people in each frame.

rtmlib itself writes no file. Read are an `.npz` of `keypoints` `[T, P, K, 2]` and `scores`
`[T, P, K]`, with 0 where there are fewer than `P` people, and `frames` `[T]` where they do not
count from 0; a JSON list of `{"frame", "keypoints", "scores"}`, one a frame; and the folder of
OpenPose-like files that Pose2Sim makes of them.
"""

import pathlib
from typing import Any

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import archives, files
from keras_mvlift.datasets.detections import mmpose, openpose, tracks


def read(path: pathlib.Path, skeleton: skeletons.Skeleton) -> tracks.Track:
    """Reads one camera's detections of the person most surely seen in each frame.

    Args:
        path: An `.npz` or `.json` file, or a folder, as described above.
        skeleton: The detector's joint set.

    Raises:
        RecordingError: If the file is missing or not of that form.
    """
    return tracks.follow(frames(path), skeleton)


def frames(path: pathlib.Path) -> list[tracks.Frame]:
    """Reads all people in all frames.

    Raises:
        RecordingError: If the file is missing or not of that form.
    """
    if path.is_dir():
        return openpose.frames(path)
    if path.suffix == ".npz":
        return _of_arrays(path)
    content = files.read_json(path, "frames")
    if not isinstance(content, list):
        rule = "be a list with `keypoints` and `scores` of each frame"
        raise errors.RecordingError(path, "frames", rule, type(content).__name__)
    return [_frame(path, *item) for item in enumerate(content)]


def _frame(path: pathlib.Path, index: int, frame: Any) -> tracks.Frame:
    with errors.parsing(path, f"[{index}]", "have `keypoints` and `scores` of each person"):
        number = frame.get("frame", index)
        people = [
            mmpose.join(*pair) for pair in zip(frame["keypoints"], frame["scores"], strict=True)
        ]
    return tracks.Frame(number, path, f"frame {number}", people)


def _of_arrays(path: pathlib.Path) -> list[tracks.Frame]:
    content = archives.read_npz(path, _arrays(path))
    with errors.parsing(path, "keypoints", "fit the `scores`, [T, P, K, 2] and [T, P, K]"):
        people = mmpose.join(content["keypoints"], content["scores"])
        num_frames, _, _ = people.shape
    numbers = np.asarray(content.get("frames", np.arange(num_frames)))
    if numbers.shape != (num_frames,):
        rule = f"number the {num_frames} frames of the keypoints"
        raise errors.RecordingError(path, "frames", rule, f"shape {numbers.shape}")
    return [
        tracks.Frame(number, path, f"keypoints of frame {number}", seen)
        for number, seen in zip(numbers.tolist(), people, strict=True)
    ]


def _arrays(path: pathlib.Path) -> tuple[str, ...]:
    optional = ("frames",) if "frames" in archives.names(path) else ()
    return ("keypoints", "scores", *optional)
