"""The tree of a BVH file, and how it must turn to follow a clip.

A joint that several bones start from turns as its bones do at their nearest to a rigid body. In a
body they are not quite rigid, so each of them hangs on a joint of its own, without length, that
makes up for the rest: `pelvis_to_left_hip` between `pelvis` and `left_hip`.
"""

import re
from typing import NamedTuple

import numpy as np

from keras_mvlift.pose_files import bone_rotations

# In the T-pose, y up, facing z: the left side is on x.
_REST = {
    r"(left|right)_(hip|shoulder|elbow|wrist|hand)": (1.0, 0.0, 0.0),
    r"(left|right)_(knee|ankle|foot|heel)": (0.0, -1.0, 0.0),
    r"(left|right)_(big|small)_toe": (0.0, 0.0, 1.0),
}
_UP = (0.0, 1.0, 0.0)


class Node(NamedTuple):
    """A joint of the file.

    Attributes:
        name: Its name.
        parent: The index of its parent among the nodes, -1 for the root.
        offset: `[3]`, meters, from its parent, in the T-pose.
    """

    name: str
    parent: int
    offset: np.ndarray


class Motion(NamedTuple):
    """A tree and its motion.

    Attributes:
        nodes: `N` nodes, depth first.
        root: `[T, 3]`, meters, y up.
        rotation: `[T, N, 3, 3]`, of each node in its parent's axes.
    """

    nodes: tuple[Node, ...]
    root: np.ndarray
    rotation: np.ndarray


def follow(points: np.ndarray, joint_names: tuple[str, ...], parents: tuple[int, ...]) -> Motion:
    """Makes a tree with the median lengths of a track's bones follow it.

    Args:
        points: `[T, J, 3]`, meters, y up, finite.
        joint_names: `J` names.
        parents: `J` indices, each of an earlier joint, -1 for the root, which is the first.
    """
    tree = _Tree(joint_names, parents, points)
    tree.grow(0, -1)
    turned = np.stack(tree.turned, axis=1)
    above = np.stack(
        [
            np.broadcast_to(np.eye(3), turned[:, 0].shape) if parent < 0 else turned[:, parent]
            for parent in (node.parent for node in tree.nodes)
        ],
        axis=1,
    )
    rotation = np.swapaxes(above, -1, -2) @ turned
    return Motion(tuple(tree.nodes), points[:, 0], rotation)


def rest_direction(joint: str) -> np.ndarray:
    """Gives the unit vector `[3]` from a joint's parent to it in the T-pose, y up, facing z."""
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
        self._directions = bone_rotations.directions(bones)
        self.nodes: list[Node] = []
        self.turned: list[np.ndarray] = []

    def grow(self, joint: int, parent: int) -> None:
        """Adds a joint below a node, and all behind it."""
        children = np.flatnonzero(self._parents == joint).tolist()
        name = self._names[joint]
        node = Node(name, parent, self._offsets[joint])
        if len(children) > 1:
            seen = self._directions[:, children]
            hub = self._append(node, bone_rotations.fit(self._rest[children], seen))
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
        start = np.broadcast_to(np.eye(3), (len(self._directions), 3, 3))
        if node >= 0:
            start = self.turned[node]
        source = np.einsum("tij,j->ti", start, self._rest[child])
        return bone_rotations.swing(source, self._directions[:, child]) @ start
