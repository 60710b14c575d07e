"""Writes detections as the programs of each format do, for simulated rigs."""

import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# OpenPose writes six digits; the same of the others keeps their files small.
_DIGITS = 4

People = Sequence[tuple[int, np.ndarray]]
"""Frame numbers, each with its people `[P, K, 3]`: x, y, confidence."""


def _openpose(folder: pathlib.Path, people: People) -> str:
    target = folder.with_name(f"{folder.name}_json")
    target.mkdir(parents=True)
    for number, persons in people:
        content = {
            "version": 1.3,
            "people": [
                {"person_id": [-1], "pose_keypoints_2d": _flat(person)} for person in persons
            ],
        }
        (target / f"{folder.name}_{number:012d}_keypoints.json").write_text(json.dumps(content))
    return target.name


def _alphapose(folder: pathlib.Path, people: People) -> str:
    content = [
        {
            "image_id": f"{number}.jpg",
            "category_id": 1,
            "keypoints": _flat(person),
            "score": float(person[:, 2].sum()),
            "box": _box(person),
            "idx": [float(index)],
        }
        for number, persons in people
        for index, person in enumerate(persons)
    ]
    return _write_json(folder, content)


def _mmpose(folder: pathlib.Path, people: People) -> str:
    content = [
        {
            "frame_id": number,
            "instances": [
                {
                    "keypoints": np.round(person[:, :2], _DIGITS).tolist(),
                    "keypoint_scores": np.round(person[:, 2], _DIGITS).tolist(),
                    "bbox": [_box(person)],
                    "bbox_score": 0.9,
                }
                for person in persons
            ],
        }
        for number, persons in people
    ]
    return _write_json(folder, content)


def _rtmlib(folder: pathlib.Path, people: People) -> str:
    """As arrays, with as many people in each frame as there are in the fullest."""
    most = max(len(persons) for _, persons in people)
    num_joints = people[0][1].shape[1]
    padded = np.zeros((len(people), most, num_joints, 3))
    for row, (_, persons) in zip(padded, people, strict=True):
        row[: len(persons)] = persons
    target = folder.with_name(f"{folder.name}.npz")
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        target,
        frames=np.array([number for number, _ in people]),
        keypoints=padded[..., :2].astype(np.float32),
        scores=padded[..., 2].astype(np.float32),
    )
    return target.name


def _write_json(folder: pathlib.Path, content: Any) -> str:
    target = folder.with_name(f"{folder.name}.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(content))
    return target.name


def _flat(person: np.ndarray) -> list[float]:
    return np.round(person, _DIGITS).ravel().tolist()


def _box(person: np.ndarray) -> list[float]:
    return [*person[:, :2].min(axis=0).tolist(), *person[:, :2].max(axis=0).tolist()]


Writer = Callable[[pathlib.Path, People], str]

WRITERS: dict[str, Writer] = {
    "openpose": _openpose,
    "alphapose": _alphapose,
    "mmpose": _mmpose,
    "rtmlib": _rtmlib,
}
"""By format: writes a camera's detections beside a path; gives the name of what it wrote."""
