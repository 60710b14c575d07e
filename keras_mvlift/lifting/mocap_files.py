"""Poses for programs of motion capture, as BVH, TRC and C3D.

Poses as BVH: a tree of bones and how it turns; centimeters and degrees, y up.

Bones have their median lengths over the clip, so the joints of a clip whose bones change are not
quite met. A joint that is absent for a while is interpolated. The format holds one person a file.
"""

import importlib
import itertools
import pathlib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from keras_mvlift import errors
from keras_mvlift.datasets.rigs import trc
from keras_mvlift.geometry import cameras, procrustes
from keras_mvlift.lifting import pose_clip
from keras_mvlift.untrusted import files, reading

_ROTATIONS = "Zrotation Xrotation Yrotation"
# Meters; where the last bones end is not known, and viewers draw nothing without it.
_END_LENGTH = 0.05


def write_bvh(clip: pose_clip.PoseClip, path: pathlib.Path) -> tuple[pathlib.Path, ...]:
    """Writes each track to a file of its own: `path`, or `<path>.<track>.bvh` of several.

    Raises:
        ValueError: If a joint is absent throughout, which no tree can show.
    """
    several = len(clip.tracks) > 1
    names = (re.sub(r"[^A-Za-z0-9-]+", "_", track.name) for track in clip.tracks)
    targets = [path.with_stem(f"{path.stem}.{name}") if several else path for name in names]
    texts = [_bvh_text(clip, track) for track in clip.tracks]
    for target, text in zip(targets, texts, strict=True):
        files.write_text(target, text)
    return tuple(targets)


def _bvh_text(clip: pose_clip.PoseClip, track: pose_clip.Track) -> str:
    points = pose_clip.y_up(_without_gaps(clip, track), clip.space)
    nodes, rotation = follow(points, clip.joint_names, clip.parents)
    root = errors.CENTIMETERS.from_meters(points[:, 0])
    degrees = np.degrees(euler_zxy(rotation)).reshape(clip.num_frames, -1)
    frames = np.concatenate([root, degrees], axis=1)
    return "\n".join(
        [
            "HIERARCHY",
            *_node(nodes, 0, ""),
            "MOTION",
            f"Frames: {clip.num_frames}",
            f"Frame Time: {1 / clip.frame_rate:.8f}",
            *(" ".join(f"{value:.6f}" for value in frame) for frame in frames.tolist()),
            "",
        ]
    )


class Node(NamedTuple):
    """A joint of the file; `offset`, `[3]`, meters, is from its parent, in the T-pose."""

    name: str
    # Among the nodes; -1 for the root.
    parent: int
    offset: np.ndarray


def _node(nodes: list[Node], index: int, indent: str) -> Iterator[str]:
    node, inner = nodes[index], f"{indent}  "
    kind, channels = ("JOINT", f"3 {_ROTATIONS}")
    if node.parent < 0:
        kind, channels = "ROOT", f"6 Xposition Yposition Zposition {_ROTATIONS}"
    yield from (f"{indent}{kind} {node.name}", f"{indent}{{")
    yield from (f"{inner}OFFSET {_centimeters(node.offset)}", f"{inner}CHANNELS {channels}")
    children = [child for child, other in enumerate(nodes) if other.parent == index]
    for child in children:
        yield from _node(nodes, child, inner)
    if not children:
        end = _END_LENGTH * rest_direction(node.name)
        yield from (f"{inner}End Site", f"{inner}{{", f"{inner}  OFFSET {_centimeters(end)}")
        yield f"{inner}}}"
    yield f"{indent}}}"


def _centimeters(offset: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in errors.CENTIMETERS.from_meters(offset))


def _without_gaps(clip: pose_clip.PoseClip, track: pose_clip.Track) -> np.ndarray:
    """Returns the pose `[T, J, 3]`, meters, in straight lines over frames without a joint."""
    is_present, frames = track.is_present, np.arange(clip.num_frames)
    ever = is_present.any(axis=0)
    rule = f"have every joint of {track.name} in some frame to be written as BVH"
    missing = clip.joint_names[int(np.argmin(ever))]
    errors.require(bool(ever.all()), "pose", rule, f"{missing} in none")
    filled = track.pose.astype(np.float64)
    for joint, axis in itertools.product(np.flatnonzero(~is_present.all(axis=0)), range(3)):
        known = is_present[:, joint]
        filled[:, joint, axis] = np.interp(frames, frames[known], filled[known, joint, axis])
    return filled


# The tree of a BVH file, and how it must turn to follow a clip.
#
# A joint that several bones start from turns as its bones do at their nearest to a rigid body. In a
# body they are not quite rigid, so each of them hangs on a joint of its own, without length, that
# makes up for the rest: `pelvis_to_left_hip` between `pelvis` and `left_hip`.

# In the T-pose, y up, facing z: the left side is on x.
_REST = {
    r"(left|right)_(hip|shoulder|elbow|wrist|hand)": (1.0, 0.0, 0.0),
    r"(left|right)_(knee|ankle|foot|heel)": (0.0, -1.0, 0.0),
    r"(left|right)_(big|small)_toe": (0.0, 0.0, 1.0),
}
_UP = (0.0, 1.0, 0.0)


def follow(
    points: np.ndarray, joint_names: tuple[str, ...], parents: tuple[int, ...]
) -> tuple[list[Node], np.ndarray]:
    """Makes a tree with the median lengths of a track's bones follow it.

    Points are `[T, J, 3]`, meters, y up, finite; parents are earlier joints, -1 for the first.
    Returns `N` nodes, depth first, and `[T, N, 3, 3]`, how each is turned in its parent's axes.
    """
    tree = _Tree(joint_names, parents, points)
    tree.grow(0, -1)
    turned = np.stack(tree.turned, axis=1)
    above = turned[:, [node.parent for node in tree.nodes]]
    above[:, 0] = np.eye(3)  # The root's.
    return tree.nodes, np.swapaxes(above, -1, -2) @ turned


def rest_direction(joint: str) -> np.ndarray:
    """Returns the unit vector `[3]` from a joint's parent to it in the T-pose, y up, facing z."""
    found = next((rest for name, rest in _REST.items() if re.fullmatch(name, joint)), _UP)
    mirrored = (-1.0, 1.0, 1.0) if joint.startswith("right") else (1.0, 1.0, 1.0)
    return np.array(found) * mirrored


class _Tree:
    """Grows bone by bone, each branch to its end before the next, as the file states them."""

    def __init__(self, names: tuple[str, ...], parents: tuple[int, ...], points: np.ndarray):
        self._names, self._parents = names, np.array(parents)
        self._rest = np.array([rest_direction(name) for name in names])
        bones = points - points[:, np.maximum(self._parents, 0)]
        lengths = np.median(np.linalg.norm(bones, axis=-1), axis=0)
        self._offsets = lengths[:, np.newaxis] * self._rest
        self._directions = directions(bones)
        self.nodes: list[Node] = []
        self.turned: list[np.ndarray] = []

    def grow(self, joint: int, parent: int) -> None:
        """Adds a joint below a node, and all behind it."""
        children = np.flatnonzero(self._parents == joint).tolist()
        name = self._names[joint]
        node = Node(name, parent, self._offsets[joint])
        if len(children) > 1:
            seen = self._directions[:, children]
            correlation = np.einsum("tci,cj->tij", seen, self._rest[children])
            hub = self._append(node, procrustes.kabsch(correlation)[0])
            for child in children:
                link = Node(f"{name}_to_{self._names[child]}", hub, np.zeros(3))
                self.grow(child, self._append(link, self._aim(hub, child)))
        elif children:
            self.grow(children[0], self._append(node, self._aim(parent, children[0])))
        else:
            self._append(node, self.turned[parent])

    def _append(self, node: Node, turned: np.ndarray) -> int:
        self.nodes.append(node)
        self.turned.append(turned)
        return len(self.nodes) - 1

    def _aim(self, node: int, child: int) -> np.ndarray:
        """Turns on from a node, or from rest, so that the bone to a child points at it."""
        rest = np.broadcast_to(np.eye(3), (len(self._directions), 3, 3))
        start = rest if node < 0 else self.turned[node]
        source = np.einsum("tij,j->ti", start, self._rest[child])
        return swing(source, self._directions[:, child]) @ start


# How bones of fixed lengths must turn to put joints where they are.
#
# Positions tell a rotation up to the twist around the bone; each bone takes the least turn from its
# parent, so none twists on its own.

_LEAST_LENGTH = 1e-9  # Meters; a shorter bone points nowhere.
# Cosine of the turn from which on its axis is not told by a cross product any more.
_OPPOSITE = -1.0 + 1e-9


def swing(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Finds the least turns, `[T, 3, 3]`, with `rotation @ source = target`.

    Both are `[T, 3]`, unit vectors; where the target is 0 there is no turn.
    """
    is_known = np.linalg.norm(target, axis=-1, keepdims=True) > 0
    target = np.where(is_known, target, source)
    cosine = (source * target).sum(axis=-1)
    cross = cameras.cross_matrix(np.cross(source, target))
    safe = np.where(cosine > _OPPOSITE, cosine, 1.0)[:, np.newaxis, np.newaxis]
    rotation = np.eye(3) + cross + cross @ cross / (1.0 + safe)
    # At right angles to the source.
    axis = directions(np.cross(source, np.eye(3)[np.abs(source).argmin(axis=-1)]))
    half_turn = 2.0 * axis[:, :, np.newaxis] * axis[:, np.newaxis] - np.eye(3)
    return np.where((cosine > _OPPOSITE)[:, np.newaxis, np.newaxis], rotation, half_turn)


def directions(bones: np.ndarray) -> np.ndarray:
    """Makes vectors `[..., 3]` unit vectors; 0 where they have no length."""
    length = np.linalg.norm(bones, axis=-1, keepdims=True)
    return np.where(length > _LEAST_LENGTH, bones / np.maximum(length, _LEAST_LENGTH), 0.0)


def euler_zxy(rotation: np.ndarray) -> np.ndarray:
    """Writes rotations `[T, ..., 3, 3]` as `Rz(z) @ Rx(x) @ Ry(y)`.

    Returns:
        `[T, ..., 3]`, radians, z, x and y, without jumps of full turns over time.
    """
    x = np.arcsin(np.clip(rotation[..., 2, 1], -1.0, 1.0))
    # With y or -y on the z axis only the sum of the other two is told: all of it is z.
    is_locked = np.hypot(rotation[..., 2, 0], rotation[..., 2, 2]) < 1e-7
    z = np.arctan2(-rotation[..., 0, 1], rotation[..., 1, 1])
    locked_z = np.arctan2(rotation[..., 1, 0], rotation[..., 0, 0])
    y = np.arctan2(-rotation[..., 2, 0], rotation[..., 2, 2])
    angles = [np.where(is_locked, locked_z, z), x, np.where(is_locked, 0.0, y)]
    return np.unwrap(np.stack(angles, axis=-1), axis=0)


# Poses as OpenSim's marker files: millimeters, y up, a column of three for each joint.

_TRC_HEADER = (
    *("DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units"),
    *("OrigDataRate", "OrigDataStartFrame", "OrigNumFrames"),
)


def write_trc(clip: pose_clip.PoseClip, path: pathlib.Path) -> None:
    """Writes a clip; a joint that is absent is three empty cells."""
    names, points = markers_of_clip(clip)
    points = errors.MILLIMETERS.from_meters(pose_clip.y_up(points, clip.space))
    rate, count = f"{clip.frame_rate:g}", clip.num_frames
    told = (rate, rate, count, len(names), "mm", rate, clip.first_frame + 1, count)
    axes = [f"{axis}{index + 1}" for index in range(len(names)) for axis in "XYZ"]
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        "\t".join(_TRC_HEADER),
        "\t".join(map(str, told)),
        "\t".join(["Frame#", "Time", *(f"{marker}\t\t" for marker in names)]).rstrip("\t"),
        "\t".join(["", "", *axes]),
    ]
    for index, values in enumerate(points.reshape(clip.num_frames, -1).tolist()):
        # The format counts frames from 1.
        when = str(clip.first_frame + 1 + index), f"{index / clip.frame_rate:.6f}"
        cells = ["" if value != value else f"{value:.4f}" for value in values]
        lines.append("\t".join([*when, *cells]))
    files.write_text(path, "\n".join(lines) + "\n")


# What OpenSim does not take in a name, and what would end a cell or a line.
_NO_NAME = re.compile(r"[\\*+/\s\x00-\x1f\x7f]+")


def markers_of_clip(clip: pose_clip.PoseClip) -> tuple[list[str], np.ndarray]:
    """Lays a clip's tracks side by side, as the named markers of motion capture's files.

    Returns:
        `M` names: joints, or `"person_1:left_hip"` where there are several tracks; and points
        `[T, M, 3]`, meters, in the clip's space, NaN where absent.
    """
    people: list[str] = []
    for track in clip.tracks:
        name = _NO_NAME.sub("_", track.name)
        people.append(name if name not in people else f"{name}_{len(people) + 1}")
    names = [
        joint if len(clip.tracks) == 1 else f"{person}:{joint}"
        for person in people
        for joint in clip.joint_names
    ]
    return names, np.concatenate([track.pose for track in clip.tracks], axis=1)


# Poses as C3D, biomechanics' binary format, through ezc3d: millimeters, z up.
#
# Joints are points named by POINT:LABELS; one that is absent has the residual -1, as the format has
# it. The world's axes stay as they are; those of a camera are turned so that z points up.

_MAX_FRAMES = 2**16 - 1  # What the header counts frames with.


def write_c3d(clip: pose_clip.PoseClip, path: pathlib.Path) -> None:
    """Writes a clip.

    Raises:
        ValueError: If it has more frames than the format counts.
    """
    rule = f"have at most {_MAX_FRAMES} frames to be written as C3D"
    errors.require(clip.num_frames <= _MAX_FRAMES, "tracks", rule, clip.num_frames)
    names, points = markers_of_clip(clip)
    content = _ezc3d().c3d()
    point = content["parameters"]["POINT"]
    point["RATE"]["value"] = [float(clip.frame_rate)]
    point["UNITS"]["value"] = ["mm"]
    point["LABELS"]["value"] = names
    content.add_parameter("POINT", "X_SCREEN", ["+X"])
    content.add_parameter("POINT", "Y_SCREEN", ["+Z"])
    points = errors.MILLIMETERS.from_meters(pose_clip.z_up(points, clip.space))
    # ezc3d takes (x, y, z, 1) of each point in each frame.
    columns = np.moveaxis(points, (2, 1, 0), (0, 1, 2))
    content["data"]["points"] = np.concatenate([columns, np.ones_like(columns[:1])])
    with files.replacing(path) as partial:
        content.write(str(partial))


def read_c3d(path: pathlib.Path) -> trc.Markers:
    """Reads a C3D file's points in its own unit and axes; a `RecordingError` if it has none."""
    _ezc3d()
    content = reading.c3d(path)
    names, points = tuple(content["names"]), content["points"]
    is_whole = points.ndim == 3 and points.size and points.shape[1:] == (len(names), 3)
    received = f"{points.shape} with {len(names)} labels"
    errors.require_in(path, is_whole, "file", "be a C3D file with points", received)
    frames = content["first_frame"] + 1 + np.arange(len(points))
    return trc.Markers(names, content["frame_rate"], points, frames, content["unit"])


def _ezc3d() -> Any:
    try:
        return importlib.import_module("ezc3d")
    except ImportError as error:
        raise ValueError(
            "C3D files must be read and written by ezc3d: pip install 'keras-mvlift[c3d]'. "
            f"Received: {error}."
        ) from error
