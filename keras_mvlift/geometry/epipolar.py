"""Two views of the same points: what an image point of one says about the other.

In NumPy: rigs are calibrated in double precision, outside of any graph. A point x of the source
view and the point x' of the target view that show the same point in space satisfy `x'ᵀ F x = 0`
in pixels and `x'ᵀ E x = 0` in rays. Equations are those of Hartley and Zisserman, Multiple View
Geometry, 2nd ed.
"""

import numpy as np

from keras_mvlift.geometry import cameras

_TINY = 1e-300


def homogeneous(points: np.ndarray) -> np.ndarray:
    """Appends a one to points `[..., N, 2]`.

    Raises:
        ValueError: If they have another shape.
    """
    points = np.asarray(points, np.float64)
    if points.ndim < 2 or points.shape[-1] != 2:
        raise ValueError(f"Points must have shape [..., N, 2]. Received: {points.shape}.")
    return np.concatenate([points, np.ones_like(points[..., :1])], axis=-1)


def cross_matrix(vector: np.ndarray) -> np.ndarray:
    """Returns `[v]ₓ`, `[..., 3, 3]`, of vectors `[..., 3]`: `[v]ₓ w = v × w`; eq. (A4.5)."""
    x, y, z = np.moveaxis(_trailing("vector", vector, 3), -1, 0)
    zero = np.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def essential_from_relative(rotation: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Returns the essential matrix of two views: `[t]ₓ R` with `t = -R center`; eq. (9.12).

    Args:
        rotation: `[..., 3, 3]`, target from source.
        center: `[..., 3]`, any unit, the target's center in the source's frame, not 0.

    Returns:
        `[..., 3, 3]`, of which only the direction counts.
    """
    rotation = _trailing("rotation", rotation, 3, 3)
    translation = -np.einsum("...ij,...j->...i", rotation, _trailing("center", center, 3))
    return cross_matrix(translation) @ rotation


def fundamental_from_essential(
    essential: np.ndarray, source_intrinsics: np.ndarray, target_intrinsics: np.ndarray
) -> np.ndarray:
    """Returns `F = K'⁻ᵀ E K⁻¹`, `[..., 3, 3]`; eq. (9.12). Matrices `[..., 3, 3]`, pixels."""
    essential = _trailing("essential", essential, 3, 3)
    inverse_target = np.linalg.inv(_trailing("target_intrinsics", target_intrinsics, 3, 3))
    inverse_source = np.linalg.inv(_trailing("source_intrinsics", source_intrinsics, 3, 3))
    return inverse_target.swapaxes(-1, -2) @ essential @ inverse_source


def essential_from_fundamental(
    fundamental: np.ndarray, source_intrinsics: np.ndarray, target_intrinsics: np.ndarray
) -> np.ndarray:
    """Returns `E = K'ᵀ F K`, `[..., 3, 3]`; eq. (9.12). Matrices `[..., 3, 3]`, pixels."""
    fundamental = _trailing("fundamental", fundamental, 3, 3)
    target_intrinsics = _trailing("target_intrinsics", target_intrinsics, 3, 3)
    source_intrinsics = _trailing("source_intrinsics", source_intrinsics, 3, 3)
    return target_intrinsics.swapaxes(-1, -2) @ fundamental @ source_intrinsics


def fundamental_from_cameras(source: cameras.Camera, target: cameras.Camera) -> np.ndarray:
    """Returns the fundamental matrix of two cameras, fields `[..., 3, 3]` and `[..., 3]`.

    Returns:
        `[..., 3, 3]`; all zero where both stand in one place.
    """
    source, target = (cameras.Camera(*map(np.asarray, camera)) for camera in (source, target))
    rotation = target.rotation @ source.rotation.swapaxes(-1, -2)
    center = np.einsum("...ij,...j->...i", source.rotation, target.center - source.center)
    essential = essential_from_relative(rotation, center)
    return fundamental_from_essential(essential, source.intrinsics, target.intrinsics)


def lines(fundamental: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Returns the epipolar lines `F x` of points in the other image; section 9.2.4.

    Args:
        fundamental: `[..., 3, 3]`; its transpose gives the lines in the source's image.
        points: `[..., N, 2]`, pixels.

    Returns:
        `[..., N, 3]`, `(a, b, c)` of `a x + b y + c = 0` with `(a, b)` of length one, so that
        `a x + b y + c` is the distance of a point in pixels; 0 at the epipole, which has no line.
    """
    line = homogeneous(points) @ _trailing("fundamental", fundamental, 3, 3).swapaxes(-1, -2)
    length = np.linalg.norm(line[..., :2], axis=-1, keepdims=True)
    return np.divide(line, length, out=np.zeros_like(line), where=length > _TINY)


def symmetric_distance(
    fundamental: np.ndarray, source_points: np.ndarray, target_points: np.ndarray
) -> np.ndarray:
    """Measures how far correspondences lie from each other's epipolar lines; eq. (11.10).

    Args:
        fundamental: `[..., 3, 3]`.
        source_points: `[..., N, 2]`, pixels.
        target_points: `[..., N, 2]`, pixels.

    Returns:
        `[..., N]`, pixels: the root of the mean of the squared distances in the two images.
    """
    residual, source_gradient, target_gradient = _residual(
        fundamental, source_points, target_points
    )
    gradients = (source_gradient, target_gradient)
    inverse = sum(np.divide(1.0, g, out=np.zeros_like(g), where=g > _TINY) for g in gradients)
    return np.abs(residual) * np.sqrt(inverse / 2)


def sampson_distance(
    fundamental: np.ndarray, source_points: np.ndarray, target_points: np.ndarray
) -> np.ndarray:
    """Measures, to first order, how far both points must move to correspond; eq. (11.9).

    Args:
        fundamental: `[..., 3, 3]`.
        source_points: `[..., N, 2]`, pixels; rays, if `fundamental` is an essential matrix.
        target_points: `[..., N, 2]`, in the same unit.

    Returns:
        `[..., N]`, in the points' unit, of the sign of `x'ᵀ F x`: the joint distance in both
        images, 0 where both points are epipoles.
    """
    residual, source_gradient, target_gradient = _residual(
        fundamental, source_points, target_points
    )
    gradient = source_gradient + target_gradient
    root = np.sqrt(np.maximum(gradient, _TINY))
    return np.divide(residual, root, out=np.zeros_like(residual), where=gradient > _TINY)


def decompose(essential: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the four relative extrinsics that an essential matrix allows; result 9.19.

    Args:
        essential: `[..., 3, 3]`; the nearest matrix with singular values (1, 1, 0) is meant.

    Returns:
        Rotations `[..., 4, 3, 3]`, target from source, and centers `[..., 4, 3]`, the target's
        in the source's frame, of length one: `R_a, c_a; R_a, -c_a; R_b, c_b; R_b, -c_b`.
    """
    left, _, right = np.linalg.svd(_trailing("essential", essential, 3, 3))
    # E is known up to sign only, so both factors may be made proper rotations.
    left = left * np.sign(np.linalg.det(left))[..., np.newaxis, np.newaxis]
    right = right * np.sign(np.linalg.det(right))[..., np.newaxis, np.newaxis]
    quarter_turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    turns = np.stack([quarter_turn, quarter_turn, quarter_turn.T, quarter_turn.T])
    rotation = left[..., np.newaxis, :, :] @ turns @ right[..., np.newaxis, :, :]
    translation = left[..., np.newaxis, :, 2] * np.array([[1.0], [-1.0], [1.0], [-1.0]])
    return rotation, -np.einsum("...ji,...j->...i", rotation, translation)


def depths(
    rotation: np.ndarray, center: np.ndarray, source_rays: np.ndarray, target_rays: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Finds how far along their rays two views see the same points.

    Args:
        rotation: `[..., 3, 3]`, target from source.
        center: `[..., 3]`, the target's center in the source's frame.
        source_rays: `[..., N, 2]`, x and y at depth one.
        target_rays: `[..., N, 2]`, x and y at depth one.

    Returns:
        `[..., N]` and `[..., N]`, the depths of the nearest points of the two rays in the frames
        of source and target, in the unit of `center`; negative behind a camera, infinite on
        parallel rays.
    """
    ray = homogeneous(source_rays)
    other = homogeneous(target_rays) @ _trailing("rotation", rotation, 3, 3)
    baseline = _trailing("center", center, 3)[..., np.newaxis, :]
    aa, bb, ab = (np.sum(x * y, axis=-1) for x, y in ((ray, ray), (other, other), (ray, other)))
    ac, bc = (np.sum(x * baseline, axis=-1) for x in (ray, other))
    with np.errstate(divide="ignore", invalid="ignore"):
        determinant = aa * bb - ab * ab
        return (ac * bb - bc * ab) / determinant, (ac * ab - bc * aa) / determinant


def cheirality(
    essential: np.ndarray, source_rays: np.ndarray, target_rays: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chooses the relative extrinsics that put the points in front of both cameras.

    Args:
        essential: `[..., 3, 3]`.
        source_rays: `[..., N, 2]`, x and y at depth one.
        target_rays: `[..., N, 2]`, x and y at depth one.

    Returns:
        Rotation `[..., 3, 3]`, target from source; center `[..., 3]`, of length one, the target's
        in the source's frame; and `[...]`, the share of points in front of both. For views of a
        real scene it is near 1; if it is not, one of the images is mirrored, or the
        correspondences are wrong.

    References:
        Hartley and Zisserman, section 9.6.3.
    """
    rotation, center = decompose(essential)
    rays = (np.asarray(value)[..., np.newaxis, :, :] for value in (source_rays, target_rays))
    in_source, in_target = depths(rotation, center, *rays)
    shares = np.mean((in_source > 0) & (in_target > 0), axis=-1)
    best = np.argmax(shares, axis=-1)[..., np.newaxis]
    chosen = np.take_along_axis(rotation, best[..., np.newaxis, np.newaxis], axis=-3)[..., 0, :, :]
    place = np.take_along_axis(center, best[..., np.newaxis], axis=-2)[..., 0, :]
    return chosen, place, np.take_along_axis(shares, best, axis=-1)[..., 0]


def _residual(
    fundamental: np.ndarray, source_points: np.ndarray, target_points: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns `x'ᵀ F x` and its squared gradients in x and x'."""
    fundamental = _trailing("fundamental", fundamental, 3, 3)
    source, target = homogeneous(source_points), homogeneous(target_points)
    in_target = source @ fundamental.swapaxes(-1, -2)
    in_source = target @ fundamental
    gradients = (np.sum(np.square(line[..., :2]), axis=-1) for line in (in_source, in_target))
    return np.sum(in_target * target, axis=-1), *gradients


def _trailing(name: str, value: np.ndarray, *shape: int) -> np.ndarray:
    value = np.asarray(value, np.float64)
    if value.shape[-len(shape) :] != shape:
        expected = ", ".join(["...", *map(str, shape)])
        raise ValueError(f"`{name}` must have shape [{expected}]. Received: {value.shape}.")
    return value


# The normalized eight-point algorithm: a fundamental matrix from correspondences.
#
# In NumPy, as `epipolar`, whose conventions it shares.

NUM_MINIMAL = 8
"""So many correspondences the algorithm needs."""


def fit(
    source_points: np.ndarray, target_points: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Fits a fundamental matrix to correspondences: the normalized eight-point algorithm.

    Args:
        source_points: `[..., N, 2]`, pixels, N at least 8.
        target_points: `[..., N, 2]`, pixels.
        weights: `[..., N]`, of each correspondence's squared algebraic residual; ones without.

    Returns:
        `[..., 3, 3]` of rank two and Frobenius norm one. Correspondences that do not determine
        it, for instance all of one plane, give one matrix out of many.

    Raises:
        ValueError: If a trailing dimension is not the one stated above.

    References:
        Hartley and Zisserman, algorithm 11.1; Hartley, In defense of the eight-point algorithm,
        PAMI 1997.
    """
    moments, source_norm, target_norm = _moments(source_points, target_points, weights)
    fundamental = np.linalg.eigh(moments)[1][..., 0].reshape(*moments.shape[:-2], 3, 3)
    left, singular, right = np.linalg.svd(fundamental)
    singular[..., 2] = 0.0
    fundamental = (left * singular[..., np.newaxis, :]) @ right
    fundamental = target_norm.swapaxes(-1, -2) @ fundamental @ source_norm
    return fundamental / np.linalg.norm(fundamental, axis=(-2, -1), keepdims=True)


def conditioning(
    source_points: np.ndarray, target_points: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Measures how clearly correspondences single out one fundamental matrix.

    Args:
        source_points: As of `fit`.
        target_points: As of `fit`.
        weights: As of `fit`.

    Returns:
        `[...]`, 1 or more: the last but one singular value of the eight-point algorithm's
        normalized equations over the last one, which is the noise. Near 1, two matrices
        explain the correspondences equally well.
    """
    moments, _, _ = _moments(source_points, target_points, weights)
    singular = np.sqrt(np.maximum(np.linalg.eigvalsh(moments), 0.0))
    # Rounding leaves singular values of some 1e-8 of the greatest where there should be none.
    floor = 1e-6 * singular[..., -1]
    return np.maximum(singular[..., 1], floor) / np.maximum(singular[..., 0], floor)


def _moments(
    source_points: np.ndarray, target_points: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns `AᵀA` of eq. (11.3), normalized, and what normalized the points of either view."""
    source, target = homogeneous(source_points), homogeneous(target_points)
    if source.shape[-2] < NUM_MINIMAL or source.shape != target.shape:
        rule = f"`source_points` and `target_points` must be {NUM_MINIMAL} points or more each"
        received = f"{np.shape(source_points)} and {np.shape(target_points)}"
        raise ValueError(f"{rule}, of the same shape. Received: {received}.")
    weights = np.ones(source.shape[:-1]) if weights is None else np.asarray(weights)
    source_norm, target_norm = (_normalization(points, weights) for points in (source, target))
    source, target = (
        points @ norm.swapaxes(-1, -2)
        for points, norm in ((source, source_norm), (target, target_norm))
    )
    rows = (target[..., :, np.newaxis] * source[..., np.newaxis, :]).reshape(*source.shape[:-1], 9)
    weighted = rows * weights[..., np.newaxis]
    return rows.swapaxes(-1, -2) @ weighted, source_norm, target_norm


def _normalization(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns what moves points to mean zero and mean squared distance two; section 4.4.4."""
    share = weights / np.maximum(weights.sum(axis=-1, keepdims=True), _TINY)
    mean = np.einsum("...n,...nd->...d", share, points[..., :2])
    squared = np.sum(np.square(points[..., :2] - mean[..., np.newaxis, :]), axis=-1)
    scale = np.sqrt(2.0 / np.maximum(np.sum(share * squared, axis=-1), 1e-12))
    matrix = np.zeros((*scale.shape, 3, 3))
    matrix[..., 0, 0] = matrix[..., 1, 1] = scale
    matrix[..., :2, 2] = -scale[..., np.newaxis] * mean
    matrix[..., 2, 2] = 1.0
    return matrix
