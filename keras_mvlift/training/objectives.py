"""What a stage minimizes, as named parts per example."""

import dataclasses
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from keras_mvlift import configs, reprojection
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras, triangulation

Poses = tuple[tf.Tensor, tf.Tensor]
Losses = dict[str, tf.Tensor]


class Lifted(NamedTuple):
    """A view's pose before the root joins it. Their sum is the global pose `Ỹ`.

    Attributes:
        root_relative_pose: `[B, J, 3]`, meters, root joint at 0, camera axes: `Y - Y_root`.
        root_position: `[B, 3]`, meters, camera frame: where the root joint is, which is
            `r + Y_root` where a recipe leaves the root free, else the predicted root `r`.
    """

    root_relative_pose: tf.Tensor
    root_position: tf.Tensor


class Agreement(NamedTuple):
    """What the views of instants agree on. No gradient goes there."""

    points: tf.Tensor  # [B, J, 3], meters, world frame.
    is_known: tf.Tensor  # [B, J], whether two or more views agree.


class Instants(NamedTuple):
    """All views of each instant.

    Attributes:
        seen: Fields `[B, V, ...]`; confidence 0 throughout for a view that an instant lacks.
        agreed: What they agree on, where it was found beforehand, once and not in every step.
    """

    seen: views.View
    agreed: Agreement | None = None


class Placed(NamedTuple):
    """Lifted poses in their places, and the views that they are compared with.

    Attributes:
        lifted: What the networks said.
        pose_camera: Global poses `Ỹ`, `[B, J, 3]`, meters, frames of their own cameras.
        root_loss: `[B]`, meters, what the root network still has to learn.
        own: The views that they were lifted from, fields `[B, ...]`.
        is_own: `[B, V]`, 1 for that view, else 0.
        instants: All views of their instants.
    """

    lifted: Lifted
    pose_camera: tf.Tensor
    root_loss: tf.Tensor
    own: views.View
    is_own: tf.Tensor
    instants: Instants


class Objective(Protocol):
    """From poses and what they are compared with to the named parts of the loss, `[B]` each.

    On pairs it is called with the global poses of both views and the `ViewPair`, on instants with
    `Placed`.
    """

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts."""

    def __call__(self, *compared: Any) -> Losses:
        """Returns the parts."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Consistency:
    """Eq. (6), what the paper pre-trains on."""

    parts: ClassVar[tuple[str, ...]] = ("consistency",)

    def __call__(self, poses: Poses, pair: views.ViewPair) -> Losses:
        return {"consistency": reprojection.pretraining_loss(poses, pair)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformReprojection:
    """Eq. (7), `L_reproj + λ L_t-reproj`, the fine-tuning stage's objective on pairs.

    Args:
        transform_weight: λ.
        confidence_weighting: A name of `reprojection.WEIGHTINGS`.
        distance: A name of `reprojection.DISTANCES`.
        least_depth: Meters, as of `cameras.project`.
    """

    parts: ClassVar[tuple[str, ...]] = ("reprojection", "transform_reprojection")

    transform_weight: float = 1.0  # λ.
    confidence_weighting: str = "source"  # A name of `reprojection.WEIGHTINGS`.
    distance: str = "norm"  # A name of `reprojection.DISTANCES`.
    least_depth: float = configs.LEAST_DEPTH  # Meters, as of `cameras.project`.

    def __call__(self, poses: Poses, pair: views.ViewPair) -> Losses:
        distance = reprojection.DISTANCES[self.distance]
        weight = reprojection.WEIGHTINGS[self.confidence_weighting]
        moved = reprojection.transform_loss(poses, pair, distance, weight, self.least_depth)
        return {
            "reprojection": reprojection.loss(poses, pair, distance, self.least_depth),
            "transform_reprojection": self.transform_weight * moved,
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class AllViewsReprojection:
    """Eq. (7) for a pose that is compared with all views of its instant, not with one other."""

    parts: ClassVar[tuple[str, ...]] = ("reprojection", "transform_reprojection")

    # As of `TransformReprojection`; λ is of every view but the one that the pose was lifted from.
    transform_weight: float = 1.0
    confidence_weighting: str = "target"
    distance: str = "norm"
    least_depth: float = configs.LEAST_DEPTH
    reprojection_weight: float = 1.0  # Of both equations.

    def __call__(self, placed: Placed) -> Losses:
        own, seen, is_own = placed.own, placed.instants.seen, placed.is_own
        weight = reprojection.WEIGHTINGS[self.confidence_weighting]
        weights = tf.where(
            is_own[..., tf.newaxis] > 0,
            seen.confidence,
            weight(own.confidence[:, tf.newaxis], seen.confidence),
        )
        distance = reprojection.DISTANCES[self.distance]
        error = reprojection.all_views_error(
            placed.pose_camera, own.camera, seen, weights, distance, self.least_depth
        )
        error *= self.reprojection_weight
        others = tf.reduce_sum((1.0 - is_own) * error, axis=-1)
        return {
            "reprojection": tf.reduce_sum(is_own * error, axis=-1),
            "transform_reprojection": self.transform_weight * others,
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class TriangulatedPose:
    """The distance to the pose on which the views agree, wherever its root lies.

    It counts as the pixels that it would be in the view lifted from at the distance of the
    predicted root. At a weight of 1, a joint's error is worth its error in one view that sees it
    sideways.
    """

    parts: ClassVar[tuple[str, ...]] = ("triangulation",)

    weight: float = 1.0

    def __call__(self, placed: Placed) -> Losses:
        """Returns the loss, `[B]`, pixels; triangulates, unless that was done beforehand."""
        (seen, agreed), camera = placed.instants, placed.own.camera
        points, is_known = agreement_of(seen) if agreed is None else agreed
        target = tf.stop_gradient(cameras.camera_from_world(points, camera))
        pose = placed.lifted.root_relative_pose
        length = reprojection.triangulated_pose_loss(pose, target, is_known)
        focal = tf.reduce_mean(tf.linalg.diag_part(camera.intrinsics)[..., :2], axis=-1)
        depth = tf.maximum(placed.lifted.root_position[..., 2], cameras.MIN_DEPTH)
        pixels_per_meter = focal / tf.stop_gradient(depth)
        return {"triangulation": self.weight * pixels_per_meter * length}


@dataclasses.dataclass(frozen=True)
class Sum:
    """Several objectives on instants at once."""

    terms: tuple[Objective, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(name for term in self.terms for name in term.parts)

    def __call__(self, placed: Placed) -> Losses:
        return {name: loss for term in self.terms for name, loss in term(placed).items()}


# Joints' hypotheses held against views at once, those of 2,048 instants of four views.
_MAX_TRIALS = 2048 * 28
_MIN_AGREEING = 2
# Of a robust weight, above which a view agrees.
_AGREEMENT = 0.1


# AutoGraph has nothing to do here.
@tf.autograph.experimental.do_not_convert
def agreement_of(seen: views.View) -> Agreement:
    """Triangulates robustly what views `[B, V, ...]` agree on, whatever a network says."""
    return _trusted_agreement(seen)[0]


@tf.autograph.experimental.do_not_convert
def _trusted_agreement(seen: views.View) -> tuple[Agreement, tf.Tensor]:
    found = triangulation.triangulate_robustly(seen.keypoints_2d, seen.confidence, seen.camera)
    agreeing = tf.math.count_nonzero(found.trust > _AGREEMENT, axis=-2)
    is_known = found.is_seen & (agreeing >= _MIN_AGREEING)
    return Agreement(tf.stop_gradient(found.points), is_known), found.trust


_compiled_agreement = tf.function(_trusted_agreement)


def agreed_beforehand(seen: views.View) -> Instants:
    """Finds what all instants of a data set agree on, as NumPy arrays, fields `[N, V, ...]`."""
    return Instants(seen, trusted_agreement(seen)[0])


def trusted_agreement(seen: views.View) -> tuple[Agreement, np.ndarray]:
    """Finds what all instants agree on, and the trust `[N, V, J]` in what each view sees."""
    parts, count = [], len(seen.confidence)
    most = num_agreed_at_once(seen.confidence.shape[1])
    for start in range(0, count, most):
        rows = np.arange(start, min(start + most, count))
        # Filled up to one of few lengths: whatever the data sets, there are few to trace.
        filled = np.resize(rows, min(most, 1 << (len(rows) - 1).bit_length()))
        some = tf.nest.map_structure(lambda field, rows=filled: tf.gather(field, rows), seen)
        kept = slice(len(rows))
        found = _compiled_agreement(some)
        parts.append(tf.nest.map_structure(lambda field, kept=kept: field[kept].numpy(), found))
    return tf.nest.map_structure(lambda *fields: np.concatenate(fields), *parts)


def num_agreed_at_once(num_views: int) -> int:
    """Returns how many instants of so many views take a bounded memory."""
    # All views together and every two of them propose a point, which is held against all views.
    num_hypotheses = 1 + num_views * (num_views - 1) // 2
    return max(_MAX_TRIALS // (num_hypotheses * num_views), 1)
