"""A trained model fitted to a rig in closed form: no label, no step of training, seconds.

The last layer `V` of a lifting network is linear. Two ridge regressions towards what it is bring
its poses nearer to what the rig's own views triangulate:

- the joint mix `P' = M P`, one matrix for x, y and z, towards the identity: detectors and data sets
  put joints in different places, which 17 x 17 numbers can tell;
- the layer itself, `V' = V + (HᵀH + λ I)⁻¹ Hᵀ (T - H V)`, towards the layer that it starts from.

Which of them, and how strongly, is chosen by the score without labels on instants that were not
fitted. docs/method.md derives both.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import preparation, sequences, views
from keras_mvlift.metrics import held_out_views
from keras_mvlift.training import batches, objectives

Features = Callable[[views.View], tuple[np.ndarray, np.ndarray]]
"""From views, fields `[N, ...]`, to the last layer's input `[N, C]`, ones in its last column, and
the rotations `[N, 3, 3]` that turn the network's poses, as rows, to the camera's axes."""

NUM_FOLDS = 4
"""Parts of a recording, each of which is scored by what was fitted on the others."""

MAX_VIEWS = 8000
"""Real views that are fitted, unless told otherwise; more change little and take longer."""

MIN_JOINTS = 8
"""Joints that a view must show to be lifted."""

# What changes less is taken unless the best of all scores better by this share.
_WORTHWHILE = 0.01
Chosen = TypeVar("Chosen")
_NUM_JOINTS = skeletons.H36M_17.num_joints
_MIRROR = list(skeletons.mirror_images(skeletons.H36M_17.joints))


class Step(NamedTuple):
    """What is fitted, and how far, by λ, it is held back; 0 is of what is not fitted."""

    mix_ridge: float = 0.0
    layer_ridge: float = 0.0

    def __str__(self) -> str:
        """Says what is fitted."""
        ridges = {"joint mix": self.mix_ridge, "last layer": self.layer_ridge}
        taken = [f"{name}, lambda {ridge:g}" for name, ridge in ridges.items() if ridge]
        return "; ".join(taken) or "the model as it is"


STEPS = tuple(Step(mix, layer) for layer in (0.0, 1e4, 1e3, 1e2, 1e1) for mix in (0.0, 1e3))
"""What is tried, the most held back first."""

ONE_CLIP_STEPS = tuple(step for step in STEPS if not 0.0 < step.layer_ridge < 1e3)
"""What is tried on a single clip, whose blocks are too alike to tell when people are learned by
heart."""


class Fitted(NamedTuple):
    """Views to fit: what the last layer is given, and what it should give.

    Attributes:
        hidden: `[N, C]`, ones in the last column.
        target: `[N, J, 3]`, meters, the network's axes, root at 0.
        trust: `[N, J]`, in [0, 1], how sure the target is; 0 where it is not known.
    """

    hidden: np.ndarray
    target: np.ndarray
    trust: np.ndarray


class Part(NamedTuple):
    """A part of a recording, all of it fitted or all of it left out.

    Attributes:
        seen: The real views, fields `[T, V, ...]`.
        hidden: `[T V, C]`, of these views in their order.
        rotation: `[T V, 3, 3]`, of these views.
        fitted: Of real and virtual views, each as it is and mirrored.
        gram: `[C, C]`, their `HᵀH`.
    """

    seen: views.View
    hidden: np.ndarray
    rotation: np.ndarray
    fitted: Fitted
    gram: np.ndarray


class Adaptation(NamedTuple):
    """What came out."""

    weights: np.ndarray  # [C, 3 J], the last layer fitted to all parts.
    step: Step  # What was chosen.
    scores: dict[Step, float]  # Millimeters, of each step on parts that it was not fitted to.

    def summary(self, parts: Sequence[Part]) -> dict[str, Any]:
        """Returns as JSON what was fitted to these parts, chosen and scored."""
        seen = [part.seen.confidence.reshape(-1, _NUM_JOINTS) for part in parts]
        confidence = np.concatenate(seen)
        is_lifted = np.count_nonzero(confidence, axis=1) >= MIN_JOINTS
        trust = np.concatenate([part.fitted.trust for part in parts])
        before, after = self.scores[Step()], self.scores[self.step]
        return {
            "num_views": len(confidence),
            "lifted": float(is_lifted.mean()),
            "triangulated": float((trust > 0).mean()),
            "chosen": str(self.step),
            "mix_ridge": self.step.mix_ridge,
            "layer_ridge": self.step.layer_ridge,
            "score_mm": {"before": before, "after": after},
            "scores_mm": {str(step): score for step, score in self.scores.items()},
        }


def joint_mix(pose: np.ndarray, target: np.ndarray, trust: np.ndarray, ridge: float) -> np.ndarray:
    """Fits the mix of joints of poses `[N, J, 3]`, meters, root at 0, that is nearest to targets.

    Args:
        pose: The poses.
        target: `[N, J, 3]`, meters, the same axes, root at 0.
        trust: `[N, J]`, weight of each joint's squared error.
        ridge: λ, of the squared distance from the identity.

    Returns:
        `[J, J]`. Its root row is that of the identity: a root at 0 stays there.
    """
    mix = np.eye(pose.shape[1])
    rows = pose.transpose(1, 0, 2)
    for joint in range(len(mix)):
        weighted = (rows * trust[:, joint, np.newaxis]).reshape(len(mix), -1)
        left = weighted @ rows.reshape(len(mix), -1).T + ridge * np.eye(len(mix))
        error = target[:, joint] - pose[:, joint]
        mix[joint] += np.linalg.solve(left, weighted @ error.ravel())
    return mix


def mixed(weights: np.ndarray, mix: np.ndarray) -> np.ndarray:
    """Folds a joint mix `[J, J]`, with the root row of the identity, into a last layer `[C, 3 J]`.

    What the layer gives may stand off its root, as some recipes leave it free. The mix is of the
    pose relative to the root, and the root joint itself stays.
    """
    from_root = np.eye(len(mix))
    from_root[:, skeletons.ROOT] -= 1.0
    moved = mix @ from_root
    moved[:, skeletons.ROOT] += 1.0
    joints = weights.reshape(len(weights), len(mix), 3)
    return np.einsum("jk,ckx->cjx", moved, joints).reshape(weights.shape)


def layer_step(parts: Iterable[Part], weights: np.ndarray, ridge: float) -> np.ndarray:
    """Fits the change of a last layer that comes nearest to what the views triangulate.

    Where nothing is triangulated the layer's own pose is the target, and in proportion where the
    triangulation is not sure. λ is of the squared change. Both layer and change are `[C, 3 J]`.
    """
    left, right = ridge * np.eye(len(weights)), np.zeros_like(weights)
    for part in parts:
        hidden, target, trust = part.fitted
        error = trust[..., np.newaxis] * (target - _pose(hidden, weights))
        left += part.gram
        right += hidden.T @ error.reshape(len(hidden), -1)
    return np.linalg.solve(left, right)


def adapted(parts: Sequence[Part], weights: np.ndarray, step: Step) -> np.ndarray:
    """Takes a step: the joint mix first, then the last layer `[C, 3 J]` from there."""
    if step.mix_ridge:
        poses = np.concatenate([_pose(part.fitted.hidden, weights) for part in parts])
        targets = np.concatenate([part.fitted.target for part in parts])
        trust = np.concatenate([part.fitted.trust for part in parts])
        weights = mixed(weights, joint_mix(poses, targets, trust, step.mix_ridge))
    if step.layer_ridge:
        weights = weights + layer_step(parts, weights, step.layer_ridge)
    return weights


def _pose(hidden: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns poses `[N, J, 3]`, meters, the network's axes, root at 0."""
    pose = (hidden @ weights.astype(hidden.dtype)).reshape(len(hidden), -1, 3)
    return pose - pose[:, skeletons.ROOT, np.newaxis]


def choose(parts: Sequence[Part], weights: np.ndarray, steps: Sequence[Step] = STEPS) -> Adaptation:
    """Takes the step whose poses fall best on the views of parts that it was not fitted to.

    Of steps, the most held back first, that are as good the one that is held back most is taken.
    `weights` are the last layer, `[C, 3 J]`.

    Raises:
        ValueError: If there are fewer than two parts, or no instant has two views to compare.
    """
    errors.require(len(parts) >= 2, "parts", "be two or more", len(parts))
    scores = {step: cross_validated(parts, weights, step) for step in steps}
    step = first_good(scores)
    return Adaptation(adapted(parts, weights, step), step, scores)


def first_good(scores: Mapping[Chosen, float]) -> Chosen:
    """Chooses by scores, the lower the better, the first that is hardly worse than the best."""
    good = (1.0 + _WORTHWHILE) * min(scores.values())
    return next(name for name, score in scores.items() if score <= good)


def cross_validated(parts: Sequence[Part], weights: np.ndarray, step: Step) -> float:
    """Scores a step on parts that it was not fitted to, each in its turn; no label is looked at.

    Returns:
        Mean millimeters from the views that the poses were not lifted from.
    """
    errors = []
    for fold in range(min(NUM_FOLDS, len(parts))):
        others = [part for index, part in enumerate(parts) if index % NUM_FOLDS != fold]
        layer = adapted(others, weights, step)
        errors += [missed(part, layer) for part in parts[fold::NUM_FOLDS]]
    return held_out_views.summarize(errors)["mean_mm"]


def missed(part: Part, weights: np.ndarray) -> held_out_views.Errors:
    """Lifts all views of a part by a last layer and compares them with the others."""
    pose = _pose(part.hidden, weights) @ part.rotation
    pose = pose.reshape(*part.seen.confidence.shape, 3).astype(np.float32)
    seen = tf.nest.map_structure(tf.constant, part.seen)
    placed = held_out_views.anchored(tf.constant(pose), seen, MIN_JOINTS)
    found = held_out_views.errors(placed, seen, MIN_JOINTS)
    return held_out_views.Errors(*(field.numpy() for field in found))


def parts_of(
    clips: Sequence[sequences.MultiViewSequence], max_views: int = MAX_VIEWS
) -> list[sequences.Instants]:
    """Takes instants of clips, evenly spread: a clip is a part, and a single one is cut into some.

    A reference that a clip may have stays behind: instants have none.

    Raises:
        ValueError: If no clip has two cameras.
    """
    most = max(clip.num_views for clip in clips)
    errors.require(most >= 2, "clips", "have two cameras or more", most)
    stride = -(-sum(clip.num_frames * clip.num_views for clip in clips) // max_views)
    parts = []
    for clip in clips:
        frames = np.arange(0, clip.num_frames, stride)
        blocks = [frames] if len(clips) > 1 else np.array_split(frames, NUM_FOLDS)
        parts += [sequences.instants_of_sequence(clip, block) for block in blocks if len(block)]
    return parts


def fed(
    instants: Sequence[sequences.Instants], features: Features, seed: int = 0
) -> Iterator[Part]:
    """Feeds parts to a network, and triangulates their views; a seed draws virtual cameras."""
    rng = np.random.default_rng(seed)
    for some, (points, trust) in zip(instants, triangulated(instants), strict=True):
        num_views = len(some.camera_names)
        known = np.where(trust[..., np.newaxis] > 0, points, np.nan)
        every = preparation.add_virtual_views(some, num_views, 0.0, rng, points=known)
        fitted, plain = both_sides(sequences.to_view(every), points, trust, features)
        real = (
            field.reshape(-1, 2 * num_views, *field.shape[1:])[:, :num_views] for field in plain
        )
        hidden, rotation = (field.reshape(-1, *field.shape[2:]) for field in real)
        gram = fitted.hidden.T.astype(np.float64) @ fitted.hidden
        yield Part(sequences.to_view(some), hidden, rotation, fitted, gram)


def both_sides(
    seen: views.View, points: np.ndarray, trust: np.ndarray, features: Features
) -> tuple[Fitted, tuple[np.ndarray, np.ndarray]]:
    """Feeds views and mirrored ones to a network, with what they should be lifted to.

    Views have fields `[T, V, ...]`; points are `[T, J, 3]`, meters, world frame, their trust `[T,
    J]`.

    Returns:
        What is to be fitted, and the features of the views as they are.
    """
    mirrored = tf.nest.map_structure(np.asarray, batches.mirrored(seen))
    points_mirrored = np.asarray(batches.mirrored_pose(points))
    plain = features(flat(seen))
    sides = (
        fitted_views(seen, points, trust, *plain),
        fitted_views(mirrored, points_mirrored, trust[:, _MIRROR], *features(flat(mirrored))),
    )
    return together(sides), plain


def together(parts: Iterable[Fitted]) -> Fitted:
    """Joins what is fitted."""
    return Fitted(*map(np.concatenate, zip(*parts, strict=True)))


def triangulated(instants: Sequence[sequences.Instants]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Triangulates parts of a recording, as real cameras saw them.

    Returns:
        Of each part points `[T, J, 3]`, meters, world frame, and trust `[T, J]`, as of `Fitted`.
    """
    num_views = max(len(some.camera_names) for some in instants)
    seen = [sequences.to_view(some, num_views) for some in instants]
    together = tf.nest.map_structure(lambda *fields: np.concatenate(fields), *seen)
    (points, is_known), trust_of_views = objectives.trusted_agreement(together)
    # Views that a clip lacks say nothing, but do not make the others less sure.
    count = np.concatenate([np.full(len(some.frame), len(some.camera_names)) for some in instants])
    sure = (together.confidence * trust_of_views).sum(axis=1) / count[:, np.newaxis]
    trust = is_known * sure
    trust *= trust[:, [skeletons.ROOT]] > 0
    ends = np.cumsum([len(some.frame) for some in instants])[:-1]
    return list(zip(np.split(points, ends), np.split(trust, ends), strict=True))


def fitted_views(
    seen: views.View,
    points: np.ndarray,
    trust: np.ndarray,
    hidden: np.ndarray,
    rotation: np.ndarray,
) -> Fitted:
    """Returns what views, real or virtual, fields `[T, V, ...]`, are to be lifted to.

    Points and trust are as of `both_sides`; of these views in their order, `hidden`, `[T V, C]`, is
    what is given, and `rotation`, `[T V, 3, 3]`, turns the answer's axes to the camera's.
    """
    from_root = points - points[:, [skeletons.ROOT]]
    in_camera = from_root[:, np.newaxis] @ seen.camera.rotation.swapaxes(-1, -2)
    target = in_camera.reshape(-1, _NUM_JOINTS, 3) @ rotation.swapaxes(-1, -2)
    each = np.repeat(trust, seen.confidence.shape[1], axis=0)
    num_shown = np.count_nonzero(flat(seen).confidence, axis=1)
    is_used = each.any(axis=1) & (num_shown >= MIN_JOINTS)
    return Fitted(hidden[is_used], target[is_used], each[is_used])


def flat(seen: views.View) -> views.View:
    """Returns all views of all instants, NumPy arrays, fields `[T V, ...]`."""
    return tf.nest.map_structure(
        lambda field: np.asarray(field).reshape(-1, *np.shape(field)[2:]), seen
    )
