"""The root that best explains a pose in all views of its instant."""

import dataclasses

import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras, triangulation
from keras_mvlift.losses import reprojection


@dataclasses.dataclass(frozen=True, kw_only=True)
class RootSolver:
    """Solves for the root, in closed form and then, if asked to, by a few steps from there.

    The closed form minimizes the algebraic error, in which a view counts in proportion to its
    distance from the person. The projected error is that of eqs. (2) and (5), squared.

    Args:
        robust_steps: How often the closed form is repeated with weights that fall with the
            reprojection error.
        gauss_newton_steps: Steps towards the least projected error, with such weights if
            `robust_steps` are taken. A step that would enlarge the error is not taken.
        robust_kernel: A name of `triangulation.KERNELS`.
        robust_scale_px: The kernel's scale; 0 for one of each instant's own.
        image_space: A name of `reprojection.IMAGE_SPACES`, where errors are measured.
    """

    robust_steps: int = 0
    gauss_newton_steps: int = 0
    robust_kernel: str = "cauchy"
    robust_scale_px: float = 0.0
    image_space: str = "pixels"

    def __call__(
        self, root_relative_pose: tf.Tensor, own: views.View, seen: views.View
    ) -> tf.Tensor:
        """Finds the roots, differentiably; no gradient goes through robust weights.

        Args:
            root_relative_pose: `[B, J, 3]`, meters, axes of their own cameras.
            own: The views that they were lifted from, fields `[B, ...]`.
            seen: All views of their instants, fields `[B, V, ...]`.

        Returns:
            `[B, 3]`, meters, frames of their own cameras.
        """
        (seen,) = reprojection.IMAGE_SPACES[self.image_space](seen)
        first = cameras.Camera(*(field[:, tf.newaxis] for field in own.camera))
        instant = _Instant(
            root_relative_pose, seen, *cameras.relative_extrinsics(first, seen.camera)
        )
        root_position = instant.solve(seen.confidence)
        for _ in range(self.robust_steps):
            root_position = instant.solve(self._weights(instant, root_position))
        for _ in range(self.gauss_newton_steps):
            root_position = instant.step(root_position, self._weights(instant, root_position))
        return root_position

    def _weights(self, instant: "_Instant", root_position: tf.Tensor) -> tf.Tensor:
        confidence = instant.seen.confidence
        if not self.robust_steps:
            return confidence
        errors = reprojection.norm(instant.residual(instant.moved(root_position)))
        trust = reprojection.robust_weights(
            errors, confidence, self.robust_kernel, self.robust_scale_px
        )
        # Weights multiply errors, and trust their squares.
        return confidence * tf.sqrt(trust)


@dataclasses.dataclass(frozen=True)
class _Instant:
    """A batch of poses, and the views to explain.

    Attributes:
        pose: `[B, J, 3]`, meters, root at 0.
        seen: Fields `[B, V, ...]`.
        rotation: `[B, V, 3, 3]`, view from own camera.
        center: `[B, V, 3]`, meters, own camera's frame.
    """

    pose: tf.Tensor
    seen: views.View
    rotation: tf.Tensor
    center: tf.Tensor

    def solve(self, weights: tf.Tensor) -> tf.Tensor:
        """Minimizes the algebraic error, weights `[B, V, J]`."""
        return triangulation.solve_root_position(
            self.pose,
            rays=self.seen.rays,
            weights=weights,
            rotation=self.rotation,
            center=self.center,
        )

    def moved(self, root_position: tf.Tensor) -> tf.Tensor:
        """Gives the poses in the frames of all views, `[B, V, J, 3]`."""
        shift = root_position[:, tf.newaxis] - self.center
        points = self.pose[:, tf.newaxis] + shift[..., tf.newaxis, :]
        return cameras.rotate(points, self.rotation)

    def residual(self, moved: tf.Tensor) -> tf.Tensor:
        """Gives the ways from the keypoints to the images, `[B, V, J, 2]`, pixels."""
        return cameras.project(moved, self.seen.camera.intrinsics) - self.seen.keypoints_2d

    def step(self, root_position: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Takes a Gauss-Newton step on the projected error."""
        moved = self.moved(root_position)
        residual = self.residual(moved)
        rows = self._jacobian(moved)
        weighted = tf.square(weights)[..., tf.newaxis, tf.newaxis] * rows
        left = tf.linalg.matmul(weighted, rows, transpose_a=True)
        right = -tf.linalg.matvec(weighted, residual, transpose_a=True)
        shift = triangulation.solve(
            tf.reduce_sum(left, axis=[-4, -3]), tf.reduce_sum(right, axis=[-3, -2])
        )
        stepped = root_position + shift
        before = _cost(residual, weights)
        after = _cost(self.residual(self.moved(stepped)), weights)
        return tf.where((after < before)[:, tf.newaxis], stepped, root_position)

    def _jacobian(self, moved: tf.Tensor) -> tf.Tensor:
        """Gives the images' derivatives by the root, `[B, V, J, 2, 3]`, pixels per meter.

        With image `f p / z` of `(p, z) = A r + ...`, these are `f (A_c - (p_c / z) A_z) / z`.
        """
        depth = tf.maximum(moved[..., 2:], cameras.MIN_DEPTH)
        # Nearer than that, projection follows the tangent of 1 / z.
        stretch = 1.0 + (depth - moved[..., 2:]) / cameras.MIN_DEPTH
        slope = moved[..., :2] / depth
        across = stretch[..., tf.newaxis] * self.rotation[..., tf.newaxis, :2, :]
        along = self.rotation[..., tf.newaxis, 2:, :]
        focal = tf.linalg.diag_part(self.seen.camera.intrinsics)[..., tf.newaxis, :2]
        return (focal / depth)[..., tf.newaxis] * (across - slope[..., tf.newaxis] * along)


def _cost(residual: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.square(weights) * reprojection.squared_norm(residual), axis=[-2, -1])
