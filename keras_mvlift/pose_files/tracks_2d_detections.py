"""2D tracks of what detectors write: OpenPose's folders, AlphaPose's, MMPose's and rtmlib's files.

Several people become several tracks: by the detector's numbers where it gives every person one,
else by where they were.
"""

import pathlib
from collections.abc import Callable

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets import clocks, errors, files
from keras_mvlift.datasets.detections import alphapose, mmpose, openpose, rtmlib, tracks
from keras_mvlift.pose_files import following, tracks_2d

# Sets by their number of joints; BODY_25 and BODY_25B have the same and must be told apart.
_BY_COUNT = {
    skeleton.num_joints: skeleton.name
    for skeleton in (skeletons.COCO_17, skeletons.HALPE_26, skeletons.MEDIAPIPE_33)
}

# Confidences above 1, which some detectors write, count as 1.
_LOWEST, _HIGHEST = np.array([-np.inf, -np.inf, 0.0]), np.array([np.inf, np.inf, 1.0])


def read(path: pathlib.Path, skeleton: str | None = None) -> tracks_2d.Tracks2D:
    """Reads all people.

    Args:
        path: A folder of OpenPose's files, or a file of another detector.
        skeleton: The detector's joint set, by its name in `skeletons`; None to tell it from the
            number of joints.

    Raises:
        RecordingError: If it is none of them, nobody is seen, or the set cannot be told.
    """
    frames = _reader(path)(path)
    joints = joint_set(path, _count(path, frames), skeleton)
    crowd = tracks.gather(frames, joints)
    is_seen = (crowd.people[..., 2] > 0).any(axis=-1)
    if not is_seen.any():
        raise errors.RecordingError(path, "people", "be there in a frame", "nobody in any")
    first = int(crowd.numbers.min())
    num_frames = int(crowd.numbers.max()) - first + 1
    clocks.check_length(path, num_frames)
    labels = _labels(frames, crowd, is_seen)
    people = np.clip(crowd.people[is_seen], _LOWEST, _HIGHEST)
    everyone = following.ranking(labels, people[..., 2], len(frames))
    if not len(everyone):
        rule = f"be there in {following.MIN_FRAMES} frames"
        raise errors.RecordingError(path, "people", rule, "nobody who is")
    laid_out = np.zeros((num_frames, len(everyone), joints.num_joints, 3))
    # Whose row each is, of those who stay.
    row = np.full(labels.max() + 1, -1)
    row[everyone] = np.arange(len(everyone))
    is_kept = row[labels] >= 0
    slots = crowd.numbers[crowd.owner[is_seen]] - first
    laid_out[slots[is_kept], row[labels[is_kept]]] = people[is_kept]
    return tracks_2d.of_arrays(
        laid_out[..., :2], laid_out[..., 2], joint_names=joints.joints, first_frame=first
    )


def _reader(path: pathlib.Path) -> Callable[[pathlib.Path], list[tracks.Frame]]:
    """Tells whose output it is."""
    if path.is_dir():
        return openpose.frames
    if path.suffix.lower() == ".npz":
        return rtmlib.frames
    content = files.read_json(path)
    first = content[0] if isinstance(content, list) and content else content
    known = first if isinstance(first, dict) else {}
    if "image_id" in known:
        return alphapose.frames
    if "frame_id" in known or "instance_info" in known:
        return mmpose.frames
    if "keypoints" in known:
        return rtmlib.frames
    rule = "be detections of AlphaPose, MMPose or rtmlib, or a folder of OpenPose's"
    raise errors.RecordingError(path, "file", rule, f"{type(content).__name__} of something else")


def joint_set(path: pathlib.Path, count: int, name: str | None) -> skeletons.Skeleton:
    """Finds a set by its name or, of those that it tells, by its number of joints.

    Raises:
        RecordingError: If there is none, or several are of that number.
    """
    known = ", ".join(skeletons.SKELETONS)
    if name is None and count not in _BY_COUNT:
        rule = f"be said (one of {known}), since the number of joints does not tell it"
        raise errors.RecordingError(path, "skeleton", rule, f"{count} joints")
    found = skeletons.SKELETONS.get(_BY_COUNT[count] if name is None else name)
    if found is None:
        raise errors.RecordingError(path, "skeleton", f"be one of {known}", name)
    return found


def _count(path: pathlib.Path, frames: list[tracks.Frame]) -> int:
    """Gives the number of joints of the first person."""
    person = next((person for frame in frames for person in frame.people), None)
    if person is None:
        raise errors.RecordingError(path, "people", "be there in a frame", "nobody in any")
    with errors.parsing(path, "people", "hold x, y and confidence of each joint"):
        return np.size(person) // 3


def _labels(frames: list[tracks.Frame], crowd: tracks.Crowd, is_seen: np.ndarray) -> np.ndarray:
    """Gives for each person seen who it is, counted from 0."""
    owner = crowd.owner[is_seen]
    ids = [each for frame in frames for each in frame.ids]
    is_told = all(len(frame.ids) == len(frame.people) for frame in frames)
    if is_told and all(isinstance(each, (int, float)) for each in ids):
        named = np.unique(np.array(ids)[is_seen], return_inverse=True)[1]
        if len({*zip(owner.tolist(), named.tolist(), strict=True)}) == len(owner):
            return named
    order = np.argsort(crowd.numbers[owner], kind="stable")
    labels = np.empty(len(owner), np.int64)
    numbers = crowd.numbers[owner][order]
    labels[order] = following.follow(numbers, crowd.people[is_seen][order])
    return labels
