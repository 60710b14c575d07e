"""OpenPose's JSON output: one folder per camera, one file per frame.

Pose2Sim writes what RTMPose finds in the same form, and AlphaPose does when it is asked to.
"""

import pathlib
import re

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import files
from keras_mvlift.datasets.detections import tracks

_FRAME_NUMBER = re.compile(r"([0-9]{1,18})(?:_keypoints)?\.json$")
_FIELD = "pose_keypoints_2d"


def read(folder: pathlib.Path, skeleton: skeletons.Skeleton) -> tracks.Track:
    """Reads one camera's detections of the person most surely seen in each frame.

    Args:
        folder: Holds `*<frame number>[_keypoints].json` files.
        skeleton: The detector's joint set.

    Raises:
        RecordingError: If there is no such file, or one of them is not OpenPose's, or two are
            of one frame.
    """
    return tracks.follow(frames(folder), skeleton)


def frames(folder: pathlib.Path) -> list[tracks.Frame]:
    """Reads all people in all frames, with OpenPose's `person_id` of each where it knows them.

    Raises:
        RecordingError: If there is no such file, or one of them is not OpenPose's.
    """
    paths = sorted(folder.glob("*.json")) if folder.is_dir() else []
    if not paths:
        raise errors.RecordingError(folder, "*.json", "exist", "no such file")
    return [_frame(path) for path in paths]


def _frame(path: pathlib.Path) -> tracks.Frame:
    match = _FRAME_NUMBER.search(path.name)
    if match is None:
        raise errors.RecordingError(path, "file name", "end in a frame number", path.name)
    content = files.read_json(path, "people")
    rule = "hold OpenPose's `people` with `pose_keypoints_2d` as (x, y, confidence) triples"
    with errors.parsing(path, "people", rule):
        # Where it looked for a person and found no joint, OpenPose writes an empty list.
        people = [person for person in content["people"] if len(person[_FIELD])]
        seen = [person[_FIELD] for person in people]
        ids = [number for person in people for number in person.get("person_id", ())]
    # It writes -1 for a person that it has not tracked.
    known = [number for number in ids if number != -1]
    return tracks.Frame(int(match.group(1)), path, _FIELD, seen, known)
