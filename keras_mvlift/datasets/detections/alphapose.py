"""AlphaPose's JSON output: one file a camera, a list of all people in all frames.

Confidences of its COCO models may exceed 1, since they are read off unnormalized heat maps. They
are cut at 1, not scaled: a scale taken from one file would make another file's 0.5 mean something
else.
"""

import pathlib
import re
from typing import Any

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import files
from keras_mvlift.datasets.detections import tracks

_FRAME_NUMBER = re.compile(r"([0-9]{1,18})(?:\.[A-Za-z]+)?$")


def read(path: pathlib.Path, skeleton: skeletons.Skeleton) -> tracks.Track:
    """Reads one camera's detections of the person most surely seen in each frame.

    Args:
        path: The file; each entry's `image_id` ends in its frame number, as `"0.jpg"` does.
        skeleton: The detector's joint set.

    Raises:
        RecordingError: If the file is missing or not AlphaPose's.
    """
    return tracks.follow(frames(path), skeleton)


def frames(path: pathlib.Path) -> list[tracks.Frame]:
    """Reads all people in all frames, with AlphaPose's `idx` of each where it has tracked them.

    Raises:
        RecordingError: If the file is missing or not AlphaPose's.
    """
    entries = files.read_json(path, "results")
    if not isinstance(entries, list):
        rule = "be AlphaPose's list of people"
        raise errors.RecordingError(path, "results", rule, type(entries).__name__)
    people: dict[int, list[Any]] = {}
    ids: dict[int, list[Any]] = {}
    for index, entry in enumerate(entries):
        with errors.parsing(path, f"[{index}]", "have an `image_id` and `keypoints`"):
            image, keypoints = str(entry["image_id"]), entry["keypoints"]
        match = _FRAME_NUMBER.search(image)
        if match is None:
            rule = "end in a frame number"
            raise errors.RecordingError(path, f"[{index}].image_id", rule, image)
        number = int(match.group(1))
        people.setdefault(number, []).append(keypoints)
        # A number, or a list of one.
        ids.setdefault(number, []).extend(np.ravel(entry.get("idx", [])).tolist())
    return [
        tracks.Frame(number, path, f"keypoints of frame {number}", seen, ids[number])
        for number, seen in people.items()
    ]
