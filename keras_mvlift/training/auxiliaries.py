"""Losses beside those of eq. (7) that need no 3D label either."""

import dataclasses

import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from keras_mvlift.losses import priors
from keras_mvlift.training import agreement, lifted


@dataclasses.dataclass(frozen=True, kw_only=True)
class Auxiliaries:
    """Lengths that should be small, each times a weight; 0 for none.

    A length counts as the pixels that it would be in the view lifted from at the distance of the
    predicted root. At a weight of 1, a joint's error there is worth its error in one view that
    sees it sideways.

    Args:
        triangulation_weight: Of `priors.triangulated_pose_loss`.
        symmetry_weight: Of `priors.symmetry`.
        bone_length_weight: Of `priors.triangulated_bone_loss`.
    """

    triangulation_weight: float = 0.0
    symmetry_weight: float = 0.0
    bone_length_weight: float = 0.0

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of those that count."""
        weights = {
            "triangulation": self.triangulation_weight,
            "symmetry": self.symmetry_weight,
            "bone_length": self.bone_length_weight,
        }
        return tuple(name for name, weight in weights.items() if weight)

    def __call__(
        self,
        result: lifted.Lifted,
        own: views.View,
        found: agreement.Agreement,
        share: float | tf.Tensor = 1.0,
    ) -> dict[str, tf.Tensor]:
        """Gives the losses that count, `[B]` each, pixels.

        Args:
            result: What was lifted.
            own: The views that it was lifted from, fields `[B, ...]`.
            found: What the views of the instants agree on.
            share: A factor on the weight of the triangulated pose.
        """
        if not self.parts:
            return {}
        pose, losses = result.root_relative_pose, {}
        scale = _pixels_per_meter(result, own.camera)
        target = priors.triangulated_target(found.points, found.is_known, own.camera)
        if self.triangulation_weight:
            length = priors.triangulated_pose_loss(pose, target)
            losses["triangulation"] = share * self.triangulation_weight * scale * length
        if self.symmetry_weight:
            losses["symmetry"] = self.symmetry_weight * scale * priors.symmetry(pose)
        if self.bone_length_weight:
            length = priors.triangulated_bone_loss(pose, target)
            losses["bone_length"] = self.bone_length_weight * scale * length
        return losses


def _pixels_per_meter(result: lifted.Lifted, camera: cameras.Camera) -> tf.Tensor:
    focal = tf.reduce_mean(tf.linalg.diag_part(camera.intrinsics)[..., :2], axis=-1)
    depth = tf.maximum(result.root_position[..., 2], cameras.MIN_DEPTH)
    return focal / tf.stop_gradient(depth)
