"""What a served model refuses, by the name of the input, in plain TensorFlow operations.

A server feeds whatever it was sent, of any shape. Without these checks a matrix of another shape
would be read as the one that is asked for, one camera would be taken for everybody, and a value
that is not a number would come back as poses that are none.
"""

import tensorflow as tf

from keras_mvlift import skeletons

# Of single precision and of calibrations that were written with few decimals.
_ROTATION_TOLERANCE = 1e-2

_JOINTS = (skeletons.H36M_17.num_joints,)


def shaped(name: str, value: tf.Tensor, *axes: int | None) -> tf.Tensor:
    """Refuses another shape than `axes`, of which those that are None have any length.

    A tensor's own shape is what the signature promises; only this operation looks at what came.
    """
    return tf.ensure_shape(value, axes, name=f"{name}_must_have_the_stated_shape")


def seen(
    keypoints_2d: tf.Tensor, confidence: tf.Tensor, *axes: None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Refuses 2D joints that are none.

    Args:
        keypoints_2d: `[*axes, 17, 2]`, pixels; finite where the confidence is above 0, since
            nothing reads the others.
        confidence: `[*axes, 17]`, in [0, 1].
        *axes: The leading axes, None each.

    Returns:
        Both, as they came.
    """
    keypoints_2d = shaped("keypoints_2d", keypoints_2d, *axes, *_JOINTS, 2)
    confidence = shaped("confidence", confidence, *axes, *_JOINTS)
    confidence, keypoints_2d = _together("confidence", confidence, keypoints_2d, len(axes))
    in_range = tf.reduce_all((confidence >= 0) & (confidence <= 1))
    # Not axis by axis against a broadcast confidence, which takes ten times as long.
    is_finite = _is_finite(keypoints_2d[..., 0] + keypoints_2d[..., 1])
    are_finite = tf.reduce_all(is_finite | (confidence <= 0))
    return _require(
        (keypoints_2d, confidence),
        (in_range, "`confidence` must lie in [0, 1]. Received: a value that does not."),
        (
            are_finite,
            "`keypoints_2d` must be finite where `confidence` is above 0. Received: NaN or "
            "infinity.",
        ),
    )


def camera(
    intrinsics: tf.Tensor, keypoints_2d: tf.Tensor, *axes: None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Refuses intrinsics that are none.

    Args:
        intrinsics: `[*axes, 3, 3]`, pixels, with positive focal lengths and 0, 0, 1 as last row.
        keypoints_2d: `[*axes, ...]`, that `seen` gave.
        *axes: The leading axes, None each.

    Returns:
        Both, as they came.
    """
    intrinsics = shaped("intrinsics", intrinsics, *axes, 3, 3)
    intrinsics, keypoints_2d = _together("intrinsics", intrinsics, keypoints_2d, len(axes))
    focal = tf.linalg.diag_part(intrinsics)[..., :2]
    is_camera = (
        tf.reduce_all(_is_finite(intrinsics))
        & tf.reduce_all(focal > 0)
        & tf.reduce_all(tf.equal(intrinsics[..., 2, :], [0.0, 0.0, 1.0]))
    )
    rule = "be finite, with positive focal lengths and 0, 0, 1 as last row"
    told = f"`intrinsics` must {rule}. Received: a matrix that is not."
    return _require((intrinsics, keypoints_2d), (is_camera, told))


def place(
    rotation: tf.Tensor, center: tf.Tensor, keypoints_2d: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Refuses extrinsics that are none.

    Args:
        rotation: `[B, 3, 3]`, a rotation to a hundredth.
        center: `[B, 3]`, finite.
        keypoints_2d: `[B, ...]`.

    Returns:
        Rotation and center, as they came.
    """
    rotation = shaped("rotation", rotation, None, 3, 3)
    center = shaped("center", center, None, 3)
    rotation, _ = _together("rotation", rotation, keypoints_2d, 1)
    center, _ = _together("center", center, keypoints_2d, 1)
    off = tf.abs(tf.matmul(rotation, rotation, transpose_a=True) - tf.eye(3))
    # The third axis is the cross product of the others; a mirror has its opposite.
    third = tf.linalg.cross(rotation[:, 0], rotation[:, 1])
    is_turn = tf.reduce_all(off < _ROTATION_TOLERANCE) & tf.reduce_all(
        tf.reduce_sum(third * rotation[:, 2], axis=-1) > 0
    )
    return _require(
        (rotation, center),
        (
            is_turn,
            "`rotation` must be a rotation, camera from world. Received: a matrix that is none.",
        ),
        (
            tf.reduce_all(_is_finite(center)),
            "`center` must be finite, meters. Received: NaN or infinity.",
        ),
    )


def _together(
    name: str, value: tf.Tensor, keypoints_2d: tf.Tensor, num_axes: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Refuses a value that has not the leading axes of the keypoints."""
    axes, others = tf.shape(value)[:num_axes], tf.shape(keypoints_2d)[:num_axes]
    told = f"`{name}` must be of as many views as `keypoints_2d`. Received, of either:"
    is_same = tf.reduce_all(tf.equal(axes, others))
    return _require((value, keypoints_2d), (is_same, told, axes, others))


def _is_finite(value: tf.Tensor) -> tf.Tensor:
    # False for NaN, too; operations that the formats of others have.
    return tf.abs(value) < float("inf")


def _require(
    values: tuple[tf.Tensor, tf.Tensor], *rules: tuple[tf.Tensor, ...]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Gives the values once every rule holds: a condition and what is told where it does not."""
    # Not `tf.debugging.Assert`, which hides the operation in a branch.
    checks = [
        tf.raw_ops.Assert(condition=holds, data=[tf.convert_to_tensor(part) for part in told])
        for holds, *told in rules
    ]
    with tf.control_dependencies(checks):
        first, second = (tf.identity(value) for value in values)
    return first, second
