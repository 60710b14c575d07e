"""A lifter that in training sees less of a view than it is compared with.

Detectors lose arms, legs beyond the image, faces that are turned away; and not all of them know the
top of the head. The view that is lifted loses joints at random, and what is lifted is compared with
all that the cameras saw.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.datasets import views
from keras_mvlift.networks import residual
from keras_mvlift.training import multi_view_lifter

_JOINTS = skeletons.H36M_17.joints
# What is lost together, and how often.
_LOSSES = (
    (("left_ankle", "right_ankle"), 0.05),
    (("left_knee", "right_knee", "left_ankle", "right_ankle"), 0.08),
    (("left_knee", "left_ankle"), 0.03),
    (("right_knee", "right_ankle"), 0.03),
    (("left_elbow", "left_wrist"), 0.05),
    (("right_elbow", "right_wrist"), 0.05),
    (("left_wrist",), 0.05),
    (("right_wrist",), 0.05),
    (("left_shoulder",), 0.02),
    (("right_shoulder",), 0.02),
    (("nose",), 0.1),
    (("head",), 0.1),
    (("nose", "head"), 0.05),
    (("thorax", "spine"), 0.03),
    (("pelvis", "left_hip", "spine"), 0.02),
    (("pelvis", "right_hip", "spine"), 0.02),
)
_SHARES = np.array([share for _, share in _LOSSES], np.float32)
_LOST = np.array([[joint in lost for joint in _JOINTS] for lost, _ in _LOSSES])
# Where the ears' middle lies between joints, for detectors that have no top of the head.
_EARS = {"head": 0.58, "nose": 0.2, "thorax": 0.22}


class PartialViewLifter(multi_view_lifter.InstantLifter):
    """An `InstantLifter` whose networks see centered views, and in training a part of each.

    Attributes:
        roll: Radians, the standard deviation by which cameras are rolled in training; 0 at first.
        ears_share: Of the views in training, those whose head is where the ears are.
    """

    ears_share = 0.35

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.roll = tf.Variable(0.0, trainable=False, name="roll")

    def look(self, view: views.View, training: bool) -> residual.Seen:
        """Returns what the networks see of views; in training, of what is left of them."""
        if not training:
            return super().look(view, training)
        num_views = tf.shape(view.confidence)[:1]
        seen = super().look(self._part_of(view), training)
        return rolled(seen, self.roll * self.generator.normal(num_views))

    def _part_of(self, view: views.View) -> views.View:
        num_views = tf.shape(view.confidence)[0]
        some = with_ears(view, self.generator.uniform([num_views]) < self.ears_share)
        is_drawn = self.generator.uniform([num_views, len(_LOSSES)]) < _SHARES
        is_lost = tf.reduce_any(is_drawn[..., tf.newaxis] & _LOST, axis=1)
        return some._replace(
            confidence=tf.where(is_lost, tf.zeros_like(some.confidence), some.confidence)
        )


def rolled(seen: residual.Seen, angle: tf.Tensor) -> residual.Seen:
    """Rolls the turned cameras of centered views about their axes, by angles `[B]`, radians."""
    cosine, sine = tf.cos(angle), tf.sin(angle)
    zero, one = tf.zeros_like(angle), tf.ones_like(angle)
    rows = [[cosine, -sine, zero], [sine, cosine, zero], [zero, zero, one]]
    roll = tf.stack([tf.stack(row, axis=-1) for row in rows], axis=-2)
    back = tf.linalg.matrix_transpose(roll[:, :2, :2])
    # The last row is the size.
    joints = tf.concat([seen.joints[:, :-1] @ back, seen.joints[:, -1:]], axis=1)
    return residual.Seen(joints, seen.rays @ back, roll @ seen.turn)


def with_ears(view: views.View, is_moved: tf.Tensor) -> views.View:
    """Puts the head where a detector without it has the middle of the ears.

    Args:
        view: A batch, fields `[B, ...]`.
        is_moved: `[B]`, in which views; where a joint that it takes is not seen, the head stays.
    """
    index = [_JOINTS.index(joint) for joint in _EARS]
    share = tf.constant([*_EARS.values()])[:, tf.newaxis]
    ears = tf.reduce_sum(share * tf.gather(view.keypoints_2d, index, axis=1), axis=1)
    is_known = tf.reduce_all(tf.gather(view.confidence, index, axis=1) > 0, axis=1) & is_moved
    is_head = tf.constant([joint == "head" for joint in _JOINTS])
    is_put = (is_known[:, tf.newaxis] & is_head)[..., tf.newaxis]
    return view._replace(keypoints_2d=tf.where(is_put, ears[:, tf.newaxis], view.keypoints_2d))
