"""What changes views before a step: people are mirrored, cameras refined.

A mirrored person before mirrored cameras: twice the data, and no geometry bent.

With `S = diag(-1, 1, 1)`, let the world be mirrored, `x' = S x`, and each camera's own axes, too:

    R' = S R S,   c' = S c,   so that   R' (x' - c') = S R (x - c).

`R'` is a rotation again. A mirrored point has its ray at `-x` and its keypoint mirrored about the
column of the principal point. A mirrored left side looks like a right one, so they change names.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import skeletons
from keras_mvlift.datasets import distinct_cameras, views
from keras_mvlift.geometry import cameras
from keras_mvlift.training import batches, objectives

Change = Callable[[objectives.Instants, bool], objectives.Instants]
"""From a batch of instants, and whether it is trained on, to what a view is drawn of."""

_ORDER = skeletons.mirror_images(skeletons.H36M_17.joints)
_SIGNS = (-1.0, 1.0, 1.0)


def mirrored(seen: views.View) -> views.View:
    """Mirrors views.

    Args:
        seen: Fields `[..., ...]`. All views of an instant must be mirrored, or none.

    Returns:
        The same, of the mirrored person. The intrinsics stay as they are.
    """
    return views.View(
        _mirrored_keypoints(seen.keypoints_2d, seen.camera.intrinsics),
        tf.gather(seen.confidence, _ORDER, axis=-1),
        _mirrored_camera(seen.camera),
    )


def mirrored_pose(pose: tf.Tensor) -> tf.Tensor:
    """Mirrors poses `[..., J, 3]`, in camera axes or the world's; again gives them back."""
    return tf.gather(pose, _ORDER, axis=-2) * tf.constant(_SIGNS, pose.dtype)


def mirrored_where(is_mirrored: tf.Tensor, instants: objectives.Instants) -> objectives.Instants:
    """Mirrors the instants of a batch that are marked.

    Args:
        is_mirrored: `[B]`, which.
        instants: Fields `[B, ...]`.
    """

    def choose(new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
        shape = [-1, *([1] * (len(old.shape) - 1))]
        return tf.where(tf.reshape(is_mirrored, shape), new, old)

    seen, agreed = instants
    chosen = objectives.Instants(tf.nest.map_structure(choose, mirrored(seen), seen))
    if agreed is None:
        return chosen
    points, is_known = agreed
    other = (mirrored_pose(points), tf.gather(is_known, _ORDER, axis=-1))
    return chosen._replace(agreed=objectives.Agreement(*map(choose, other, agreed)))


class Mirroring:
    """Mirrors each instant with probability 1/2 in training.

    Args:
        generator: Of the draws.
    """

    def __init__(self, generator: tf.random.Generator):
        self.generator = generator

    def __call__(self, instants: objectives.Instants, training: bool) -> objectives.Instants:
        """Returns the instants, some of them mirrored."""
        if not training:
            return instants
        num_instants = tf.shape(instants.seen.confidence)[0]
        return mirrored_where(batches.uniform(self.generator, num_instants) < 0.5, instants)


def _mirrored_keypoints(keypoints_2d: tf.Tensor, intrinsics: tf.Tensor) -> tf.Tensor:
    exchanged = tf.gather(keypoints_2d, _ORDER, axis=-2)
    column = intrinsics[..., tf.newaxis, 0, 2]
    turned = tf.stack([2 * column - exchanged[..., 0], exchanged[..., 1]], axis=-1)
    # What was not seen is at 0 and must stay there.
    is_seen = tf.reduce_any(exchanged != 0, axis=-1, keepdims=True)
    return tf.where(is_seen, turned, tf.zeros_like(turned))


def _mirrored_camera(camera: cameras.Camera) -> cameras.Camera:
    signs = tf.constant(_SIGNS, camera.rotation.dtype)
    return camera._replace(
        rotation=camera.rotation * signs[:, tf.newaxis] * signs,
        center=camera.center * signs,
    )


# Cameras are told apart by these numbers; records hold them in single precision.
_TOLERANCE = 1e-4
# Adam does not mind the size of gradients; the clipping of all gradients together does, and those
# of a few angles would outweigh those of the networks.
_GRADIENT_SHARE = 1e-3


class CameraRefinement(keras.layers.Layer):
    """Corrects the extrinsics of the cameras that it knows, trained along with the networks.

    A corrected camera has rotation `exp(turn) R` and center `center + shift`. Nothing that
    training compares changes when a rig as a whole is turned, shifted or (with the poses) grown,
    so to first order those seven movements are taken out of the corrections of each rig: what
    remains is orthogonal to them in the units of the prior, the smallest correction of all that
    say the same.

    Args:
        known: The cameras. Others, such as virtual ones, are left as they are.
        turn_degrees: Scale of the prior on turns, and the unit of their parameters.
        shift: Scale of the prior on shifts, meters, and the unit of their parameters.
        rate: How fast the parameters learn, as a factor on the optimizer's learning rate.
        prior_weight: Loss of a rig all of whose corrections are as large as their scale, in the
            unit of the other losses, pixels summed over joints and views.

    Call arguments:
        seen: All views of each instant, fields `[B, V, ...]`.

    Returns:
        The views with corrected cameras.
    """

    part = "extrinsics"

    def __init__(
        self,
        known: distinct_cameras.DistinctCameras,
        *,
        turn_degrees: float = 2.0,
        shift: float = 0.05,
        rate: float = 3.0,
        prior_weight: float = 1.0,
    ):
        super().__init__(name="camera_refinement")
        if not len(known.center):
            raise ValueError(
                "`refine_extrinsics` needs cameras that stay where they are for "
                f"{distinct_cameras.MIN_INSTANTS} training instants or more. Received: none."
            )
        self.known, self.prior_weight = known, prior_weight
        self._scales = np.repeat([np.radians(turn_degrees), shift], 3).astype(np.float32)
        self._rate = rate
        self._extrinsics = distinct_cameras.extrinsics(known.rotation, known.center)
        self._projector = without_gauge(known, self._scales).astype(np.float32)
        self.parameters = self.add_weight(
            "parameters", shape=(len(known.center), 6), initializer="zeros"
        )

    def call(self, seen: views.View) -> views.View:
        """Corrects the cameras."""
        index, is_known = self._find(seen.camera)
        turn, shift = self.corrections()
        turned = tf.linalg.matmul(
            tf.gather(cameras.from_rotation_vector(turn), index), seen.camera.rotation
        )
        rotation = tf.where(is_known[..., tf.newaxis, tf.newaxis], turned, seen.camera.rotation)
        moved = seen.camera.center + tf.gather(shift, index)
        center = tf.where(is_known[..., tf.newaxis], moved, seen.camera.center)
        return seen._replace(camera=cameras.Camera(seen.camera.intrinsics, rotation, center))

    def corrections(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns turns `[C, 3]`, axis times radians, camera axes, and shifts `[C, 3]`, meters."""
        corrections = self._in_scales() * self._scales
        return corrections[:, :3], corrections[:, 3:]

    def change(self, instants: objectives.Instants, training: bool) -> objectives.Instants:
        """Returns the instants as the corrected cameras saw them; nothing is agreed on any more."""
        del training
        return objectives.Instants(self(instants.seen))

    def losses(self, compared: objectives.Compared, training: bool) -> tf.Tensor:
        """Returns the loss of corrections that are large for an error of calibration."""
        del compared, training
        return self.prior_weight * tf.reduce_mean(tf.square(self._in_scales()))

    def report(self) -> list[dict[str, object]]:
        """Tells, as JSON, where each camera was said to be and by how much it was corrected."""
        turn, shift = (np.asarray(value, np.float64) for value in self.corrections())
        turned = cameras.from_rotation_vector(tf.constant(turn)) @ self.known.rotation
        return [
            {
                "given_center": self.known.center[camera].tolist(),
                "center": (self.known.center[camera] + shift[camera]).tolist(),
                "rotation": turned[camera].numpy().tolist(),
                "turned_degrees": float(np.degrees(np.linalg.norm(turn[camera]))),
                "moved_m": float(np.linalg.norm(shift[camera])),
                "num_instants": int(self.known.num_instants[camera]),
                "rig": int(self.known.rig[camera]),
            }
            for camera in range(len(turn))
        ]

    def _in_scales(self) -> tf.Tensor:
        free = self._rate * self.parameters
        slow = _GRADIENT_SHARE * free + tf.stop_gradient((1 - _GRADIENT_SHARE) * free)
        fixed = tf.linalg.matvec(self._projector, tf.reshape(slow, [-1]))
        return tf.reshape(fixed, [-1, 6])

    def _find(self, camera: cameras.Camera) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the number of each camera, and whether it is one of those known."""
        shape = tf.shape(camera.center)
        flat = tf.reshape(camera.rotation, tf.concat([shape[:-1], [9]], axis=0))
        asked = tf.concat([flat, camera.center], axis=-1)[..., tf.newaxis, :]
        distance = tf.reduce_max(tf.abs(asked - self._extrinsics), axis=-1)
        return tf.argmin(distance, axis=-1), tf.reduce_min(distance, axis=-1) < _TOLERANCE


def without_gauge(known: distinct_cameras.DistinctCameras, scales: np.ndarray) -> np.ndarray:
    """Makes the projection that takes the movements of whole rigs out of corrections.

    Args:
        known: The cameras.
        scales: `[6]`, the units of a camera's turn and shift.

    Returns:
        `[6 C, 6 C]`.
    """
    projector = np.eye(6 * len(known.center))
    for rig in np.unique(known.rig):
        members = np.flatnonzero(known.rig == rig)
        moved = _movements(known.rotation[members], known.center[members]) / scales[:, np.newaxis]
        basis, size, _ = np.linalg.svd(moved.reshape(-1, moved.shape[-1]), full_matrices=False)
        basis = basis[:, size > 1e-6 * size[0]]
        rows = (6 * members[:, np.newaxis] + np.arange(6)).ravel()
        projector[np.ix_(rows, rows)] -= basis @ basis.T
    return projector


def _movements(rotation: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Returns `[V, 6, 7]`: turns and shifts when a rig turns about its middle, moves and grows."""
    num_views = len(center)
    from_middle = (center - center.mean(axis=0)).astype(np.float64)
    turning = np.cross(np.eye(3), from_middle[:, np.newaxis]).swapaxes(-1, -2)
    moving = np.broadcast_to(np.eye(3), (num_views, 3, 3))
    turns = np.concatenate([-rotation, np.zeros((num_views, 3, 4))], axis=-1)
    shifts = np.concatenate([turning, moving, from_middle[..., np.newaxis]], axis=-1)
    return np.concatenate([turns, shifts], axis=-2)
