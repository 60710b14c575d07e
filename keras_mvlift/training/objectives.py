"""What a stage minimizes, as named parts per example."""

import dataclasses
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras, triangulation
from keras_mvlift.losses import priors, reprojection

Poses = tuple[tf.Tensor, tf.Tensor]


class Objective(Protocol):
    """From global poses and their pair to the named parts of the loss, `[B]` each."""

    parts: ClassVar[tuple[str, ...]]

    def __call__(self, poses: Poses, pair: views.ViewPair) -> dict[str, tf.Tensor]:
        """Returns the parts of the loss."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Consistency:
    """Eq. (6), what the paper pre-trains on."""

    parts: ClassVar[tuple[str, ...]] = ("consistency",)

    def __call__(self, poses: Poses, pair: views.ViewPair) -> dict[str, tf.Tensor]:
        """Returns the parts of the loss, `[B]` each."""
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
    least_depth: float = configs.LEAST_DEPTH

    def __call__(self, poses: Poses, pair: views.ViewPair) -> dict[str, tf.Tensor]:
        """Returns the parts of the loss, `[B]` each."""
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
    least_depth: float = configs.LEAST_DEPTH
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
        """Returns the parts of the loss, `[B]` each.

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


class Agreement(NamedTuple):
    """Points, and who says so. No gradient goes there.

    Attributes:
        points: `[B, J, 3]`, meters, world frame.
        is_known: `[B, J]`, whether two or more views agree on the point.
        trust: `[B, V, J]`, in [0, 1], how well a view agrees with it; 1 where fewer than two views
            saw the joint and there is nothing to agree with.
    """

    points: tf.Tensor
    is_known: tf.Tensor
    trust: tf.Tensor


# A view's pose and root as lifted, and a pair's poses once they are joined.


class Lifted(NamedTuple):
    """A view's pose before the root joins it. Their sum is the global pose `Ỹ`.

    Attributes:
        root_relative_pose: `[B, J, 3]`, meters, root joint at 0, camera axes: `Y - Y_root`.
        root_position: `[B, 3]`, meters, camera frame: where the root joint is, which is
            `r + Y_root` where a recipe leaves the root free, else the predicted root `r`.
    """

    root_relative_pose: tf.Tensor
    root_position: tf.Tensor


# Losses beside those of eq. (7) that need no 3D label either.


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
        result: Lifted,
        own: views.View,
        found: Agreement,
        share: float | tf.Tensor = 1.0,
    ) -> dict[str, tf.Tensor]:
        """Returns the losses that count, `[B]` each, pixels.

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


def _pixels_per_meter(result: Lifted, camera: cameras.Camera) -> tf.Tensor:
    focal = tf.reduce_mean(tf.linalg.diag_part(camera.intrinsics)[..., :2], axis=-1)
    depth = tf.maximum(result.root_position[..., 2], cameras.MIN_DEPTH)
    return focal / tf.stop_gradient(depth)


# What the views of an instant agree on, whatever a network says.

# Joints' hypotheses held against views at once, those of 2,048 instants of four views.
_MAX_TRIALS = 2048 * 28
_MIN_AGREEING = 2
# Of a robust weight, above which a view agrees.
_AGREEMENT = 0.1


class AgreedViews(NamedTuple):
    """Views with what they agree on, found beforehand: once, and not in every step anew.

    Attributes:
        seen: All views of each instant, fields `[B, V, ...]`.
        found: What they agree on.
    """

    seen: views.View
    found: Agreement


# AutoGraph has nothing to do here, and warns of the kernels, which it cannot tell apart.
@tf.autograph.experimental.do_not_convert
def agreement_of(seen: views.View) -> Agreement:
    """Triangulates robustly.

    Args:
        seen: All views of each instant, fields `[B, V, ...]`; confidence 0 throughout for a view
            that an instant lacks.
    """
    found = triangulation.triangulate_robustly(seen.keypoints_2d, seen.confidence, _present(seen))
    agreeing = tf.math.count_nonzero(found.trust > _AGREEMENT, axis=-2)
    is_known = found.is_seen & (agreeing >= _MIN_AGREEING)
    trust = tf.where(found.is_seen[..., tf.newaxis, :], found.trust, tf.ones_like(found.trust))
    return Agreement(tf.stop_gradient(found.points), is_known, tf.stop_gradient(trust))


def agreed_beforehand(seen: views.View) -> AgreedViews:
    """Finds what all instants of a data set agree on, as NumPy arrays, fields `[N, V, ...]`."""
    find = tf.function(agreement_of)
    parts, num_rows = [], num_agreed_at_once(seen.confidence.shape[1])
    for start in range(0, len(seen.confidence), num_rows):
        rows = slice(start, start + num_rows)
        some = tf.nest.map_structure(lambda field, rows=rows: tf.constant(field[rows]), seen)
        parts.append(tf.nest.map_structure(lambda field: field.numpy(), find(some)))
    return AgreedViews(seen, tf.nest.map_structure(lambda *fields: np.concatenate(fields), *parts))


def num_agreed_at_once(num_views: int) -> int:
    """Returns how many instants of so many views take a bounded memory.

    All views together and every two of them propose a point, which is held against all views.
    """
    num_hypotheses = 1 + num_views * (num_views - 1) // 2
    return max(_MAX_TRIALS // (num_hypotheses * num_views), 1)


def no_agreement(seen: views.View) -> Agreement:
    """Returns what is known without looking."""
    first = seen.confidence[:, 0]
    points = tf.zeros_like(first)[..., tf.newaxis] + tf.zeros(3, first.dtype)
    return Agreement(points, tf.zeros_like(first, tf.bool), tf.ones_like(seen.confidence))


def weighted_by_agreement(seen: views.View, found: Agreement) -> views.View:
    """Multiplies confidences by trust."""
    return seen._replace(confidence=seen.confidence * found.trust)


def _present(seen: views.View) -> cameras.Camera:
    """Puts a view that an instant has in place of each that it lacks.

    Its camera is nowhere, and would lead the search for where the cameras look astray.
    """
    is_present = tf.reduce_any(seen.confidence > 0, axis=-1)
    index = tf.argmax(is_present, axis=-1)

    def filled(field: tf.Tensor) -> tf.Tensor:
        some = tf.gather(field, index, batch_dims=1)[:, tf.newaxis]
        ones = [1] * (len(field.shape) - 2)
        mask = tf.reshape(is_present, tf.concat([tf.shape(is_present), ones], axis=0))
        return tf.where(mask, field, some)

    return cameras.Camera(*(filled(field) for field in seen.camera))


# The root that best explains a pose in all views of its instant.


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
        """Returns the poses in the frames of all views, `[B, V, J, 3]`."""
        shift = root_position[:, tf.newaxis] - self.center
        points = self.pose[:, tf.newaxis] + shift[..., tf.newaxis, :]
        return cameras.rotate(points, self.rotation)

    def residual(self, moved: tf.Tensor) -> tf.Tensor:
        """Returns the ways from the keypoints to the images, `[B, V, J, 2]`, pixels."""
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
        """Returns the images' derivatives by the root, `[B, V, J, 2, 3]`, pixels per meter.

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


class Joined(NamedTuple):
    """A pair's global poses, and what the root position network still has to learn.

    Attributes:
        poses: From source and target, `[B, J, 3]`, meters, each in its own camera's frame.
        root_loss: `[B]`, meters; zero where the poses' own loss teaches the root network.
    """

    poses: tuple[tf.Tensor, tf.Tensor]
    root_loss: tf.Tensor
