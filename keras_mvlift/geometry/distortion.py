"""Lens distortion: removed in the readers, met nowhere behind them."""

import tensorflow as tf

_NUM_ITERATIONS = 20


def distort(rays: tf.Tensor, coefficients: tf.Tensor) -> tf.Tensor:
    """Applies OpenCV's five-parameter distortion to rays.

    Args:
        rays: `[..., J, 2]`, rays of an ideal camera.
        coefficients: `[..., 5]`, `(k1, k2, p1, p2, k3)`, no unit.

    Returns:
        `[..., J, 2]`, rays as the lens bends them.

    Raises:
        ValueError: If a trailing dimension is not the one stated above.

    References:
        OpenCV, Camera Calibration and 3D Reconstruction, "Detailed Description".
    """
    rays = tf.convert_to_tensor(rays)
    radial, tangential = _distortion(rays, tf.convert_to_tensor(coefficients, rays.dtype))
    return rays * radial + tangential


def undistort(rays: tf.Tensor, coefficients: tf.Tensor) -> tf.Tensor:
    """Inverts `distort` by fixed-point iteration; same shapes, units and errors."""
    distorted = tf.convert_to_tensor(rays)
    coefficients = tf.convert_to_tensor(coefficients, distorted.dtype)
    rays = distorted
    for _ in range(_NUM_ITERATIONS):
        radial, tangential = _distortion(rays, coefficients)
        rays = (distorted - tangential) / radial
    return rays


def _distortion(rays: tf.Tensor, coefficients: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    shapes = [(rays, (..., "J", 2)), (coefficients, (..., 5))]
    tf.debugging.assert_shapes(shapes, message="distortion")
    k1, k2, p1, p2, k3 = tf.unstack(coefficients[..., tf.newaxis, :], axis=-1)
    x, y = tf.unstack(rays, axis=-1)
    squared = x * x + y * y
    radial = 1 + squared * (k1 + squared * (k2 + squared * k3))
    tangential = tf.stack(
        [
            2 * p1 * x * y + p2 * (squared + 2 * x * x),
            p1 * (squared + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )
    return radial[..., tf.newaxis], tangential
