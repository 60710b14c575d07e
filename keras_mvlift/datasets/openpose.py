"""OpenPose's JSON output: one folder per camera, one file per frame."""

import json
import pathlib
import re

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets import errors

_FRAME_NUMBER = re.compile(r"(\d+)(?:_keypoints)?\.json$")


def read_folder(folder: pathlib.Path) -> dict[int, np.ndarray]:
    """Reads one camera's detections of the person most surely seen in each frame.

    Args:
        folder: Holds `*<frame number>[_keypoints].json` files.

    Returns:
        Frame number to `[K, 3]`: x and y in pixels, confidence. NaN-free; `[0, 3]` in a frame
        without a person.

    Raises:
        RecordingError: If there is no such file, or one of them is not OpenPose's, or two are
            of one frame.
    """
    frames: dict[int, np.ndarray] = {}
    for path in sorted(folder.glob("*.json")):
        number = _frame_number(path)
        if number in frames:
            raise errors.RecordingError(path, "file name", "be the only one of its frame", number)
        frames[number] = _read_frame(path)
    if not frames:
        raise errors.RecordingError(folder, "*.json", "exist", "no such file")
    return frames


def joint_names(num_joints: int, skeleton: str, folder: pathlib.Path) -> tuple[str, ...]:
    """Gives the joint names of a detector's skeleton, which must have `num_joints`.

    Raises:
        RecordingError: If the skeleton is unknown or has another number of joints.
    """
    known = skeletons.SKELETONS.get(skeleton)
    if known is None:
        names = ", ".join(skeletons.SKELETONS)
        raise errors.RecordingError(folder, "skeleton", f"be one of {names}", skeleton)
    if known.num_joints != num_joints:
        rule = f"have the {known.num_joints} joints of {skeleton}"
        raise errors.RecordingError(folder, "pose_keypoints_2d", rule, num_joints)
    return known.joints


def _frame_number(path: pathlib.Path) -> int:
    match = _FRAME_NUMBER.search(path.name)
    if match is None:
        raise errors.RecordingError(path, "file name", "end in a frame number", path.name)
    return int(match.group(1))


def _read_frame(path: pathlib.Path) -> np.ndarray:
    try:
        people = json.loads(path.read_bytes())["people"]
        persons = [np.asarray(person["pose_keypoints_2d"], np.float64) for person in people]
        persons = [person.reshape(-1, 3) for person in persons if person.size]
    except (ValueError, KeyError, TypeError) as error:
        rule = "hold OpenPose's `people` with `pose_keypoints_2d` as (x, y, confidence) triples"
        raise errors.RecordingError(
            path, "people", rule, f"{type(error).__name__}: {error}"
        ) from error
    if not persons:
        return np.zeros((0, 3))
    person = max(persons, key=lambda candidate: candidate[:, 2].sum())
    is_valid = np.isfinite(person) & (person >= [-np.inf, -np.inf, 0.0])
    if not is_valid.all():
        rule = "be finite with confidences of at least 0"
        raise errors.RecordingError(path, "pose_keypoints_2d", rule, person[~is_valid][0])
    return person
