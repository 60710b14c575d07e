"""What the views of an instant agree on, whatever a network says."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras, triangulation

# Joints' hypotheses held against views at once, those of 2,048 instants of four views.
_MAX_TRIALS = 2048 * 28
_MIN_AGREEING = 2
# Of a robust weight, above which a view agrees.
_AGREEMENT = 0.1


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
def of(seen: views.View) -> Agreement:
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


def beforehand(seen: views.View) -> AgreedViews:
    """Finds what all instants of a data set agree on, as NumPy arrays, fields `[N, V, ...]`."""
    find = tf.function(of)
    parts, num_rows = [], num_at_once(seen.confidence.shape[1])
    for start in range(0, len(seen.confidence), num_rows):
        rows = slice(start, start + num_rows)
        some = tf.nest.map_structure(lambda field, rows=rows: tf.constant(field[rows]), seen)
        parts.append(tf.nest.map_structure(lambda field: field.numpy(), find(some)))
    return AgreedViews(seen, tf.nest.map_structure(lambda *fields: np.concatenate(fields), *parts))


def num_at_once(num_views: int) -> int:
    """Gives how many instants of so many views take a bounded memory.

    All views together and every two of them propose a point, which is held against all views.
    """
    num_hypotheses = 1 + num_views * (num_views - 1) // 2
    return max(_MAX_TRIALS // (num_hypotheses * num_views), 1)


def nothing(seen: views.View) -> Agreement:
    """Gives what is known without looking."""
    first = seen.confidence[:, 0]
    points = tf.zeros_like(first)[..., tf.newaxis] + tf.zeros(3, first.dtype)
    return Agreement(points, tf.zeros_like(first, tf.bool), tf.ones_like(seen.confidence))


def weighted(seen: views.View, found: Agreement) -> views.View:
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
