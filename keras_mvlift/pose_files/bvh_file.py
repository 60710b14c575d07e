"""Poses as BVH: a tree of bones and how it turns; centimeters and degrees, y up.

Bones have their median lengths over the clip, so the joints of a clip whose bones change are not
quite met. A joint that is absent for a while is interpolated. The format holds one person a file.
"""

import pathlib
import re
from collections.abc import Iterator

import numpy as np

from keras_mvlift import units
from keras_mvlift.pose_files import axes, bone_rotations, bvh_hierarchy, partial_files, pose_clip

_ROTATIONS = "Zrotation Xrotation Yrotation"
# Meters; where the last bones end is not known, and viewers draw nothing without it.
_END_LENGTH = 0.05


def write(clip: pose_clip.PoseClip, path: pathlib.Path) -> tuple[pathlib.Path, ...]:
    """Writes each track to a file of its own: `path`, or `<path>.<track>.bvh` of several.

    Raises:
        ValueError: If a joint is absent throughout, which no tree can show.
    """
    several = len(clip.tracks) > 1
    targets = [_named(path, track.name) if several else path for track in clip.tracks]
    texts = [_text(clip, track) for track in clip.tracks]
    for target, text in zip(targets, texts, strict=True):
        with partial_files.replacing(target) as partial:
            partial.write_text(text, encoding="utf-8")
    return tuple(targets)


def _named(path: pathlib.Path, track: str) -> pathlib.Path:
    return path.with_name(f"{path.stem}.{re.sub(r'[^A-Za-z0-9-]+', '_', track)}{path.suffix}")


def _text(clip: pose_clip.PoseClip, track: pose_clip.Track) -> str:
    points = axes.y_up(_without_gaps(clip, track), clip.space)
    motion = bvh_hierarchy.follow(points, clip.joint_names, clip.parents)
    root = units.CENTIMETERS.from_meters(motion.root)
    degrees = np.degrees(bone_rotations.euler_zxy(motion.rotation)).reshape(clip.num_frames, -1)
    frames = np.concatenate([root, degrees], axis=1)
    return "\n".join(
        [
            "HIERARCHY",
            *_node(motion.nodes, 0, ""),
            "MOTION",
            f"Frames: {clip.num_frames}",
            f"Frame Time: {1 / clip.frame_rate:.8f}",
            *(" ".join(f"{value:.6f}" for value in frame) for frame in frames.tolist()),
            "",
        ]
    )


def _node(nodes: tuple[bvh_hierarchy.Node, ...], index: int, indent: str) -> Iterator[str]:
    node, inner = nodes[index], f"{indent}  "
    kind, channels = ("JOINT", f"3 {_ROTATIONS}")
    if node.parent < 0:
        kind, channels = "ROOT", f"6 Xposition Yposition Zposition {_ROTATIONS}"
    yield f"{indent}{kind} {node.name}"
    yield f"{indent}{{"
    yield f"{inner}OFFSET {_centimeters(node.offset)}"
    yield f"{inner}CHANNELS {channels}"
    children = [child for child, other in enumerate(nodes) if other.parent == index]
    for child in children:
        yield from _node(nodes, child, inner)
    if not children:
        end = _END_LENGTH * bvh_hierarchy.rest_direction(node.name)
        yield from (f"{inner}End Site", f"{inner}{{", f"{inner}  OFFSET {_centimeters(end)}")
        yield f"{inner}}}"
    yield f"{indent}}}"


def _centimeters(offset: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in units.CENTIMETERS.from_meters(offset))


def _without_gaps(clip: pose_clip.PoseClip, track: pose_clip.Track) -> np.ndarray:
    """Gives the pose `[T, J, 3]`, meters, in straight lines over frames without a joint."""
    is_present, frames = track.is_present, np.arange(clip.num_frames)
    if not is_present.any(axis=0).all():
        missing = clip.joint_names[int(np.argmin(is_present.any(axis=0)))]
        raise ValueError(
            f"`pose` of {track.name} must have every joint in some frame to be written as BVH. "
            f"Received: {missing} in none."
        )
    filled = track.pose.astype(np.float64)
    for joint in np.flatnonzero(~is_present.all(axis=0)):
        known = is_present[:, joint]
        for axis in range(3):
            values = filled[known, joint, axis]
            filled[:, joint, axis] = np.interp(frames, frames[known], values)
    return filled
