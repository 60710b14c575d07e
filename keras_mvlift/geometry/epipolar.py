"""What two calibrated views say about each other.

In NumPy: rigs are calibrated in double precision, outside of any graph. A point x of the source
view and the point x' of the target view that show the same point in space satisfy `x'ᵀ F x = 0`
in pixels and `x'ᵀ E x = 0` in rays. Equations are those of Hartley and Zisserman, Multiple View
Geometry, 2nd ed.
"""

import numpy as np

from keras_mvlift.geometry import arrays, cameras

_TINY = 1e-300


def homogeneous(points: np.ndarray) -> np.ndarray:
    """Appends a one to points `[..., N, 2]`."""
    return np.concatenate([points, np.ones_like(points[..., :1])], axis=-1)


def essential_from_relative(rotation: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Returns the essential matrix of two views: `[t]ₓ R` with `t = -R center`; eq. (9.12).

    Args:
        rotation: `[..., 3, 3]`, target from source.
        center: `[..., 3]`, any unit, the target's center in the source's frame, not 0.

    Returns:
        `[..., 3, 3]`, of which only the direction counts.
    """
    return cameras.cross_matrix(-arrays.matvec(rotation, center)) @ rotation


def essential_from_cameras(source: cameras.Camera, target: cameras.Camera) -> np.ndarray:
    """Returns the essential matrices `[..., 3, 3]` of cameras; zero if both stand in one place."""
    return essential_from_relative(*cameras.relative_extrinsics(source, target))


def fundamental_from_cameras(source: cameras.Camera, target: cameras.Camera) -> np.ndarray:
    """Returns the fundamental matrices `F = K'⁻ᵀ E K⁻¹` of cameras; as `essential_from_cameras`."""
    left, right = (np.linalg.inv(camera.intrinsics) for camera in (target, source))
    return arrays.transposed_times(left, essential_from_cameras(source, target)) @ right


def essential_from_fundamental(
    fundamental: np.ndarray, source_intrinsics: np.ndarray, target_intrinsics: np.ndarray
) -> np.ndarray:
    """Returns `E = K'ᵀ F K`, `[..., 3, 3]`; eq. (9.12). Matrices `[..., 3, 3]`, pixels."""
    return arrays.transposed_times(target_intrinsics, fundamental) @ source_intrinsics


def line_distances(
    matrix: np.ndarray, source_points: np.ndarray, target_points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Measures how far correspondences lie from each other's epipolar lines; section 9.2.4.

    Args:
        matrix: `[..., 3, 3]`, fundamental, or essential for rays.
        source_points: `[..., N, 2]`, pixels, or rays.
        target_points: `[..., N, 2]`, in the same unit.

    Returns:
        `[..., N]` in the source view and in the target view, in the points' unit, of the sign of
        `x'ᵀ F x`; 0 at the epipole, which has no line.
    """
    residual, source_gradient, target_gradient = _residual(matrix, source_points, target_points)
    return _over_root(residual, source_gradient), _over_root(residual, target_gradient)


def symmetric_distance(
    matrix: np.ndarray, source_points: np.ndarray, target_points: np.ndarray
) -> np.ndarray:
    """Returns the root of the mean of the squared `line_distances`, `[..., N]`; eq. (11.10)."""
    distances = line_distances(matrix, source_points, target_points)
    return np.sqrt(np.mean(np.square(distances), axis=0))


def sampson_distance(
    matrix: np.ndarray, source_points: np.ndarray, target_points: np.ndarray
) -> np.ndarray:
    """Measures, to first order, how far both points must move to correspond; eq. (11.9).

    Arguments are as of `line_distances`.

    Returns:
        `[..., N]`, in the points' unit, of the sign of `x'ᵀ F x`: the joint distance in both
        images, 0 where both points are epipoles.
    """
    residual, source_gradient, target_gradient = _residual(matrix, source_points, target_points)
    return _over_root(residual, source_gradient + target_gradient)


def _residual(
    matrix: np.ndarray, source_points: np.ndarray, target_points: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns `x'ᵀ F x` and its squared gradients in x and x'."""
    _, matrix, source, target = arrays.convert(matrix, source_points, target_points)
    arrays.check_shapes(
        matrix=(matrix, "3 3"), source_points=(source, "N 2"), target_points=(target, "N 2")
    )
    # Written out: two coordinates and a one are not worth an array of three.
    (x, y), (u, v) = arrays.unstack(source), arrays.unstack(target)
    f = matrix[..., np.newaxis, :, :]
    a, b, c = (f[..., row, 0] * x + f[..., row, 1] * y + f[..., row, 2] for row in range(3))
    d, e = (f[..., 0, column] * u + f[..., 1, column] * v + f[..., 2, column] for column in (0, 1))
    return a * u + b * v + c, d * d + e * e, a * a + b * b


def _over_root(residual: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    root = np.sqrt(np.maximum(gradient, _TINY))
    return np.divide(residual, root, out=np.zeros_like(residual), where=gradient > _TINY)


def depths(
    rotation: np.ndarray, center: np.ndarray, source_rays: np.ndarray, target_rays: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds how far along their rays, `[..., N, 2]`, x and y at depth one, two views see points.

    Rotation and center are as of `essential_from_relative`.

    Returns:
        `[..., N]` and `[..., N]`, the depths of the nearest points of the two rays in the frames
        of source and target, in the unit of `center`; negative behind a camera, not finite on
        parallel rays. And `[..., N]`, the sine of the angle between the rays.
    """
    ray = homogeneous(source_rays)
    other = homogeneous(target_rays) @ rotation
    baseline = center[..., np.newaxis, :]
    aa, bb, ab = (np.sum(x * y, axis=-1) for x, y in ((ray, ray), (other, other), (ray, other)))
    ac, bc = (np.sum(x * baseline, axis=-1) for x in (ray, other))
    determinant = np.maximum(aa * bb - ab * ab, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        source, target = (ac * bb - bc * ab) / determinant, (ac * ab - bc * aa) / determinant
    return source, target, np.sqrt(determinant / (aa * bb))


def conditioning(
    source_points: np.ndarray, target_points: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Measures how clearly correspondences, `[..., N, 2]`, single out one fundamental matrix.

    Weights `[..., N]` are of each correspondence's squared algebraic residual.

    Returns:
        `[...]`, 1 or more: the last but one singular value of the eight-point algorithm's
        normalized equations over the last one, which is the noise. Near 1, two matrices
        explain the correspondences equally well.

    References:
        Hartley and Zisserman, algorithm 11.1.
    """
    source, target = (_normalized(points, weights) for points in (source_points, target_points))
    rows = (target[..., :, np.newaxis] * source[..., np.newaxis, :]).reshape(*source.shape[:-1], 9)
    moments = arrays.transposed_times(rows, rows * weights[..., np.newaxis])
    singular = np.sqrt(np.maximum(np.linalg.eigvalsh(moments), 0.0))
    # Rounding leaves singular values of some 1e-8 of the greatest where there should be none.
    floor = 1e-6 * singular[..., -1]
    return np.maximum(singular[..., 1], floor) / np.maximum(singular[..., 0], floor)


def _normalized(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Moves points to mean zero and mean squared distance two, `[..., N, 3]`; section 4.4.4."""
    share = (weights / np.maximum(weights.sum(axis=-1, keepdims=True), _TINY))[..., np.newaxis]
    centered = points - np.sum(share * points, axis=-2, keepdims=True)
    squared = np.sum(share * np.square(centered), axis=(-2, -1), keepdims=True)
    return homogeneous(centered * np.sqrt(2.0 / np.maximum(squared, 1e-12)))
