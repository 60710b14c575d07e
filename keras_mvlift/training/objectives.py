"""What a stage minimizes, as named parts per example."""

import dataclasses
from typing import ClassVar, Protocol

import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.losses import (
    distances,
    pretraining,
    reprojection,
    transform_reprojection,
    weighting,
)

Poses = tuple[tf.Tensor, tf.Tensor]


class Objective(Protocol):
    """From global poses and their pair to the named parts of the loss, `[B]` each."""

    parts: ClassVar[tuple[str, ...]]

    def __call__(self, poses: Poses, pair: views.ViewPair) -> dict[str, tf.Tensor]:
        """Gives the parts of the loss."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Consistency:
    """Eq. (6), the pre-training stage's objective."""

    parts: ClassVar[tuple[str, ...]] = ("consistency",)

    def __call__(self, poses: Poses, pair: views.ViewPair) -> dict[str, tf.Tensor]:
        """Gives the parts of the loss, `[B]` each."""
        return {"consistency": pretraining.loss(poses, pair)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformReprojection:
    """Eq. (7), `L_reproj + λ L_t-reproj`, the fine-tuning stage's objective.

    Args:
        transform_weight: λ.
        confidence_weighting: A name of `weighting.WEIGHTINGS`.
        distance: A name of `distances.DISTANCES`.
    """

    parts: ClassVar[tuple[str, ...]] = ("reprojection", "transform_reprojection")

    transform_weight: float = 1.0
    confidence_weighting: str = "source"
    distance: str = "norm"

    def __call__(self, poses: Poses, pair: views.ViewPair) -> dict[str, tf.Tensor]:
        """Gives the parts of the loss, `[B]` each."""
        distance = distances.DISTANCES[self.distance]
        weight = weighting.WEIGHTINGS[self.confidence_weighting]
        moved = transform_reprojection.loss(poses, pair, distance, weight)
        return {
            "reprojection": reprojection.loss(poses, pair, distance),
            "transform_reprojection": self.transform_weight * moved,
        }
