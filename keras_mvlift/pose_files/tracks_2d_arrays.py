"""2D tracks of `.npz` archives.

`keypoints_2d` `[T, K, 2]` or `[T, P, K, 2]`, pixels, NaN where not seen. Optional: `confidence`
without the last axis, `joint_names` `[K]` or `skeleton`, the name of a set; `frame_rate`,
`first_frame`, `image_size` (width, height) and `names` `[P]`. Without a set joints are those of
`skeletons.H36M_17`, or the detector's whose number of joints it is. What rtmlib gives, `keypoints`
and `scores`, and what `keras-mvlift lift` wrote are read too.
"""

import pathlib
from typing import Any

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets import archives, clocks, errors
from keras_mvlift.pose_files import npz_file, partial_files, tracks_2d, tracks_2d_detections

_FIELDS = (
    *("keypoints_2d", "confidence", "joint_names", "skeleton"),
    *("frame_rate", "first_frame", "image_size", "names"),
)


def read(path: pathlib.Path, skeleton: str | None = None) -> tracks_2d.Tracks2D:
    """Reads all people.

    Args:
        path: The archive.
        skeleton: The joints' set, by its name in `skeletons`; None for what the file says.

    Raises:
        RecordingError: If the file is missing or not of the form stated above.
    """
    present = archives.names(path)
    if "pose" in present:
        clip = npz_file.read(path)
        with errors.parsing(path, "keypoints_2d", "be there"):
            return tracks_2d.of_clip(clip)
    if "keypoints_2d" not in present and "keypoints" in present:
        return tracks_2d_detections.read(path, skeleton)
    wanted = tuple(name for name in _FIELDS if name in present or name == "keypoints_2d")
    arrays = archives.read_npz(path, wanted)
    with errors.parsing(path, "keypoints_2d", "be [T, K, 2] or [T, P, K, 2]"):
        shape = np.shape(arrays["keypoints_2d"])
        if len(shape) not in (3, 4):
            rule = "have shape [T, K, 2] or [T, P, K, 2]"
            raise errors.RecordingError(path, "keypoints_2d", rule, list(shape))
        clocks.check_length(path, shape[0])
        return tracks_2d.of_arrays(
            arrays["keypoints_2d"],
            arrays.get("confidence"),
            joint_names=_joints(path, arrays, shape[-2], skeleton),
            **_facts(path, arrays),
        )


def write(tracks: tracks_2d.Tracks2D, path: pathlib.Path) -> None:
    """Writes 2D tracks so that `read` gives them again, to a thousandth of a pixel.

    Raises:
        OSError: If the file cannot be written.
    """
    shown = np.where(tracks.confidence[..., np.newaxis] > 0, tracks.keypoints_2d, np.nan)
    facts: dict[str, Any] = {"first_frame": tracks.first_frame, "names": list(tracks.names)}
    if tracks.frame_rate is not None:
        facts["frame_rate"] = tracks.frame_rate
    if tracks.image_size is not None:
        facts["image_size"] = tracks.image_size
    with partial_files.replacing(path) as partial:
        np.savez_compressed(
            partial,
            keypoints_2d=np.swapaxes(shown, 0, 1).astype(np.float32),
            confidence=np.swapaxes(tracks.confidence, 0, 1).astype(np.float32),
            joint_names=list(tracks.joint_names),
            **facts,
        )


def _joints(
    path: pathlib.Path, arrays: dict[str, Any], count: int, skeleton: str | None
) -> tuple[str, ...]:
    if skeleton is None and "joint_names" in arrays:
        return tuple(map(str, np.ravel(arrays["joint_names"])))
    name = skeleton or (str(arrays["skeleton"]) if "skeleton" in arrays else None)
    if name is None and count == skeletons.H36M_17.num_joints:
        name = skeletons.H36M_17.name
    return tracks_2d_detections.joint_set(path, count, name).joints


def _facts(path: pathlib.Path, arrays: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    with errors.parsing(path, "frame_rate", "be a number"):
        if "frame_rate" in arrays:
            facts["frame_rate"] = float(arrays["frame_rate"])
    with errors.parsing(path, "first_frame", "be a whole number"):
        facts["first_frame"] = int(arrays.get("first_frame", 0))
    with errors.parsing(path, "image_size", "be width and height"):
        width, height = (int(side) for side in arrays.get("image_size", (0, 0)))
        facts["image_size"] = (width, height) if width and height else None
    if "names" in arrays:
        facts["names"] = tuple(map(str, np.ravel(arrays["names"])))
    return facts
