"""What a stage minimizes, as named parts per example."""

import dataclasses
from typing import ClassVar, Protocol

import tensorflow as tf

from keras_mvlift import finetune_switches
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.losses import reprojection

Poses = tuple[tf.Tensor, tf.Tensor]


class Objective(Protocol):
    """From global poses and their pair to the named parts of the loss, `[B]` each."""

    parts: ClassVar[tuple[str, ...]]

    def __call__(self, poses: Poses, pair: views.ViewPair) -> dict[str, tf.Tensor]:
        """Gives the parts of the loss."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Consistency:
    """Eq. (6), what the paper pre-trains on."""

    parts: ClassVar[tuple[str, ...]] = ("consistency",)

    def __call__(self, poses: Poses, pair: views.ViewPair) -> dict[str, tf.Tensor]:
        """Gives the parts of the loss, `[B]` each."""
        return {"consistency": reprojection.pretraining_loss(poses, pair)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformReprojection:
    """Eq. (7), `L_reproj + λ L_t-reproj`, the fine-tuning stage's objective.

    Args:
        transform_weight: λ.
        confidence_weighting: A name of `reprojection.WEIGHTINGS`.
        distance: A name of `reprojection.DISTANCES`.
        image_space: A name of `reprojection.IMAGE_SPACES`.
        least_depth: Meters, as of `cameras.project`.
    """

    parts: ClassVar[tuple[str, ...]] = ("reprojection", "transform_reprojection")

    transform_weight: float = 1.0
    confidence_weighting: str = "source"
    distance: str = "norm"
    image_space: str = "pixels"
    least_depth: float = finetune_switches.LEAST_DEPTH

    def __call__(self, poses: Poses, pair: views.ViewPair) -> dict[str, tf.Tensor]:
        """Gives the parts of the loss, `[B]` each."""
        distance = reprojection.DISTANCES[self.distance]
        weight = reprojection.WEIGHTINGS[self.confidence_weighting]
        pair = views.ViewPair(*reprojection.IMAGE_SPACES[self.image_space](*pair))
        moved = reprojection.transform_loss(poses, pair, distance, weight, self.least_depth)
        return {
            "reprojection": reprojection.loss(poses, pair, distance, self.least_depth),
            "transform_reprojection": self.transform_weight * moved,
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class AllViewsReprojection:
    """Eq. (7) for a pose that is compared with all views of its instant, not with one other.

    Args:
        transform_weight: λ, of every view but the one that the pose was lifted from.
        confidence_weighting: A name of `reprojection.WEIGHTINGS`.
        distance: A name of `reprojection.DISTANCES`.
        image_space: A name of `reprojection.IMAGE_SPACES`.
        least_depth: Meters, as of `cameras.project`.
        robust_loss: Whether joints count less, the larger their errors are.
        robust_kernel: How much less: a name of `triangulation.KERNELS`.
        robust_scale_px: The kernel's scale; 0 for one of each instant's own.
        reprojection_weight: Of both equations; at 0 nothing is projected, and the root that is
            solved for teaches the root network alone.
    """

    transform_weight: float = 1.0
    confidence_weighting: str = "target"
    distance: str = "norm"
    image_space: str = "pixels"
    least_depth: float = finetune_switches.LEAST_DEPTH
    robust_loss: bool = False
    robust_kernel: str = "cauchy"
    robust_scale_px: float = 0.0
    reprojection_weight: float = 1.0

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts of the loss, none where the weight is 0."""
        return ("reprojection", "transform_reprojection") if self.reprojection_weight else ()

    def __call__(
        self, pose_camera: tf.Tensor, own: views.View, seen: views.View, is_own: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Gives the parts of the loss, `[B]` each.

        Args:
            pose_camera: Global poses `[B, J, 3]`, meters, in the frames of their own cameras.
            own: The views that they were lifted from, fields `[B, ...]`.
            seen: All views of their instants, fields `[B, V, ...]`.
            is_own: `[B, V]`, 1 for the view that the pose was lifted from, else 0.
        """
        if not self.reprojection_weight:
            return {}
        (seen,) = reprojection.IMAGE_SPACES[self.image_space](seen)
        first = tf.nest.map_structure(lambda field: field[:, tf.newaxis], own)
        moved = cameras.target_from_source(pose_camera[:, tf.newaxis], first.camera, seen.camera)
        weight = reprojection.WEIGHTINGS[self.confidence_weighting]
        weights = tf.where(
            is_own[..., tf.newaxis] > 0, seen.confidence, weight(first.confidence, seen.confidence)
        )
        if self.robust_loss:
            weights *= self._robust_weights(moved, seen)
        distance = reprojection.DISTANCES[self.distance]
        error = reprojection.error(moved, seen, weights, distance, self.least_depth)
        error *= self.reprojection_weight
        return {
            "reprojection": tf.reduce_sum(is_own * error, axis=-1),
            "transform_reprojection": self.transform_weight
            * tf.reduce_sum((1.0 - is_own) * error, axis=-1),
        }

    def _robust_weights(self, moved: tf.Tensor, seen: views.View) -> tf.Tensor:
        errors = reprojection.norm(reprojection.residual(moved, seen, self.least_depth))
        return reprojection.robust_weights(
            errors, seen.confidence, self.robust_kernel, self.robust_scale_px
        )
