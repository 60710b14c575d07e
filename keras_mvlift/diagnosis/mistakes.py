"""Mistakes that a camera's calibration or images can have, each with what undoes it.

A mistake is tried by undoing it: if the cameras then agree, it was there. Undoing works on all
cameras at once; which of them had the mistake is found by mixing (`search`).
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.diagnosis import residuals
from keras_mvlift.geometry import arrays, cameras, lenses

Undo = Callable[[footages.Footage], footages.Footage]


class Mistake(NamedTuple):
    """A mistake: its name, a clause and a sentence, and what corrects it in all cameras."""

    name: str
    cause: str
    remedy: str
    undo: Undo

    def undo_in(self, is_in: np.ndarray, footage: footages.Footage) -> footages.Footage:
        """Corrects footage in some of its cameras, `[V]` bool."""
        return footage.mixed(self.undo(footage), is_in)


# Mistakes in what a calibration says of where a camera stands and how it is turned.


def _placed(place: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> Undo:
    """Returns what replaces rotations `[V, 3, 3]` and centers `[V, 3]` by others."""

    def undo(footage: footages.Footage) -> footages.Footage:
        rotation, center = place(footage.camera.rotation, footage.camera.center)
        return footage.replace_camera(rotation=rotation, center=center)

    return undo


def _scaled(factor: float) -> Undo:
    return _placed(lambda rotation, center: (rotation, factor * center))


UNITS = {
    "millimeters_for_meters": 1e-3,
    "centimeters_for_meters": 1e-2,
    "meters_for_millimeters": 1e3,
    "meters_for_centimeters": 1e2,
    "millimeters_for_centimeters": 1e-1,
    "centimeters_for_millimeters": 1e1,
}
"""Factors that positions are multiplied by where units were mistaken, by the mistake's name."""


def wrong_unit(name: str) -> str:
    """Says in a clause which unit of `UNITS` was taken for which."""
    return name.replace("_for_", " were taken for ")


CALIBRATION_MISTAKES = (
    Mistake(
        "rotation_transposed",
        "the rotation is transposed: it turns from the camera to the world",
        "Transpose the rotation; the library wants camera from world.",
        _placed(lambda rotation, center: (cameras.inverse(rotation), center)),
    ),
    Mistake(
        "rotation_transposed_before_center",
        "the rotation is transposed, and the center was computed with it from the translation",
        "Transpose the rotation, then compute center = -R^T t.",
        # The center was -R^T t of the transposed R, so t = -R center; t was right.
        _placed(lambda r, center: (cameras.inverse(r), arrays.matvec(r, arrays.matvec(r, center)))),
    ),
    Mistake(
        "extrinsics_inverted",
        "the extrinsics are inverted: the camera's pose in the world was read as [R | t]",
        "Invert them: R = R_pose^T, and the center is the pose's position.",
        # What was taken for t is the center, and the rotation turns to the world.
        _placed(
            lambda rotation, center: (cameras.inverse(rotation), -arrays.matvec(rotation, center))
        ),
    ),
    Mistake(
        "translation_for_center",
        "the translation t was taken for the center",
        "Compute the center from it: center = -R^T t.",
        _placed(lambda rotation, t: (rotation, -arrays.matvec(cameras.inverse(rotation), t))),
    ),
    Mistake(
        "center_for_translation",
        "the center was taken for the translation t",
        "Use it as it is: it is the center already.",
        _placed(lambda rotation, center: (rotation, -arrays.matvec(rotation, center))),
    ),
    Mistake(
        "opengl_axes",
        "the camera's axes are those of OpenGL: y up, looking along -z",
        "Multiply the rotation from the left by diag(1, -1, -1).",
        _placed(lambda rotation, center: (np.diag([1.0, -1.0, -1.0]) @ rotation, center)),
    ),
    # Of the first four: by ten, agreement tells nothing.
    *(
        Mistake(name, wrong_unit(name), f"Multiply the positions by {factor:g}.", _scaled(factor))
        for name, factor in list(UNITS.items())[:4]
    ),
)

# Mistakes in the images: their size, how they are turned, and what their points stand for.

# By how much the images are larger than the calibration thinks.
_SIZES = {
    "half": 2.0,
    "twice": 0.5,
    "two_thirds": 1.5,
    "one_and_a_half_times": 2 / 3,
    "a_third": 3.0,
    "three_times": 1 / 3,
}

# Widths and heights that images come in, pixels. Mirroring and turning need the image's size,
# which the calibration gives only by its principal point, a percent or two off the middle.
# fmt: off
_IMAGE_SIDES = np.array([
    240, 256, 320, 360, 480, 512, 540, 600, 640, 720, 768, 800, 900, 960, 1000, 1024, 1080, 1088,
    1200, 1280, 1440, 1536, 1600, 1920, 2048, 2160, 2704, 3840, 4096,
])

# fmt: on

# Which of the usual sizes nearest to it are tried.
_RANKS = (0, 1)
_SAME_SIZE = 0.1

# The same of the width alone, as where a film's pixels are not square.
_WIDTHS = {"three_quarters": 4 / 3, "four_thirds": 3 / 4}


def _resized(across: float, down: float) -> Undo:
    def undo(footage: footages.Footage) -> footages.Footage:
        scale = np.diag([across, down, 1.0])
        return footage.replace_camera(intrinsics=scale @ footage.camera.intrinsics)

    return undo


def swap_sides(footage: footages.Footage) -> footages.Footage:
    """Takes left for right in every view."""
    skeleton = skeletons.H36M_17
    order = np.arange(skeleton.num_joints)
    order[list(skeleton.left + skeleton.right)] = skeleton.right + skeleton.left
    keypoints_2d, confidence = footage.keypoints_2d[:, :, order], footage.confidence[:, :, order]
    return footage.replace_images(keypoints_2d, confidence)


_Move = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def _moved(move: _Move, rank: int, is_mirror: bool) -> Undo:
    """Returns what moves joints, by x, y and the images' width and height."""

    def undo(footage: footages.Footage) -> footages.Footage:
        # A detector that sees a mirror image takes left for right.
        footage = swap_sides(footage) if is_mirror else footage
        width, height = (side[:, np.newaxis, np.newaxis] for side in _image_size(footage, rank).T)
        x, y = footage.keypoints_2d[..., 0], footage.keypoints_2d[..., 1]
        points = np.stack(move(x, y, width, height), axis=-1)
        return footage.replace_images(points, footage.confidence)

    return undo


def _image_size(footage: footages.Footage, rank: int) -> np.ndarray:
    """Guesses the images' width and height, `[V, 2]`, pixels: the nearest usual ones, or next."""
    twice = 2 * footage.camera.intrinsics[:, :2, 2]
    # Cameras of one kind have images of one size, and the mean of several is a better guess.
    shared = np.median(twice, axis=0, keepdims=True)
    if (np.abs(twice / shared - 1) < _SAME_SIZE).all():
        twice = np.broadcast_to(shared, twice.shape)
    nearest = np.abs(twice[..., np.newaxis] - _IMAGE_SIDES).argsort(axis=-1)[..., rank]
    return _IMAGE_SIDES[nearest].astype(np.float64)


_TURNED: dict[int, _Move] = {
    90: lambda x, y, width, height: (y, height - x),
    180: lambda x, y, width, height: (width - x, height - y),
    270: lambda x, y, width, height: (width - y, x),
}
_IMAGES: tuple[tuple[str, str, str, _Move], ...] = (
    (
        "image_mirrored",
        "the image is mirrored",
        "Detect the person in images that are not flipped.",
        lambda x, y, width, height: (width - x, y),
    ),
    (
        "y_grows_upwards",
        "y grows upwards",
        "Subtract y from the image's height: it must grow downwards.",
        lambda x, y, width, height: (x, height - y),
    ),
    *(
        (
            f"image_turned_{angle}",
            f"the image is turned by {angle} degrees clockwise",
            "Detect in images that stand as in the calibration.",
            move,
        )
        for angle, move in _TURNED.items()
    ),
)

IMAGE_MISTAKES = (
    Mistake(
        "sides_swapped",
        "left and right are swapped",
        "Check the joint order of the detections.",
        swap_sides,
    ),
    *(
        Mistake(name, cause, remedy, _moved(move, rank, name == "image_mirrored"))
        for name, cause, remedy, move in _IMAGES
        for rank in _RANKS
    ),
    *(
        Mistake(
            f"calibrated_at_{name}_size",
            f"the calibration is for images of {name} the width and height of those detected in",
            f"Multiply focal length and principal point by {factor:.4g}.",
            _resized(factor, factor),
        )
        for name, factor in _SIZES.items()
    ),
    *(
        Mistake(
            f"calibrated_at_{name}_width",
            f"the calibration is for images of {name.replace('_', ' ')} of the width of those "
            "detected in, as where a film's pixels are not square",
            f"Multiply fx and cx by {factor:.4g}, or detect in images with square pixels.",
            _resized(factor, 1.0),
        )
        for name, factor in _WIDTHS.items()
    ),
)

# Whether the detections were given to the wrong cameras, and which order is right.

MAX_EXHAUSTIVE = 6
"""Up to so many cameras every order is tried; beyond, orders are bettered by swapping two."""

_NUM_RANDOM_STARTS = 20
_MAX_ORDER_FRAMES = 60  # Frames that are enough to tell orders apart.


def best_order(footage: footages.Footage) -> tuple[tuple[int, ...], float]:
    """Finds the order of the views in which the rig agrees best, on a few frames.

    Returns:
        For each camera the view whose detections are its own, and the mean residual over pairs.
    """
    index = residuals.pairs_of_views(footage.num_views)
    residual = _order_residuals(footage.thinned(_MAX_ORDER_FRAMES), index)

    def costs(orders: np.ndarray) -> np.ndarray:
        first, second = (orders[:, side] for side in index.T)
        return residuals.mean_of_pairs(residual[np.arange(len(index)), first, second])

    if footage.num_views <= MAX_EXHAUSTIVE:
        candidates = np.array(list(itertools.permutations(range(footage.num_views))))
    else:
        starts = _start_orders(footage.num_views)
        candidates = np.array([_descend(start, index, costs) for start in starts])
    cost = costs(candidates)
    chosen = int(cost.argmin())
    return tuple(int(view) for view in candidates[chosen]), float(cost[chosen])


def _order_residuals(footage: footages.Footage, index: np.ndarray) -> np.ndarray:
    """Measures every pair of cameras with every two views' detections, `[P, V, V]`."""
    views = np.arange(footage.num_views)
    images = np.array(list(itertools.permutations(views, 2)))
    residual = np.full((len(index), len(views), len(views)), np.nan)
    for pair, (first, second) in enumerate(index):
        near = footage.views(np.full(len(images), first), images[:, 0])
        far = footage.views(np.full(len(images), second), images[:, 1])
        residual[pair, images[:, 0], images[:, 1]] = residuals.residuals_of_views(near, far)
    return residual


def _start_orders(num_views: int) -> list[np.ndarray]:
    """Returns orders that are likely, and some at random."""
    views = np.arange(num_views)
    # "cam10" sorts before "cam2".
    alphabetical = np.argsort(np.array([str(view + 1) for view in views]), kind="stable")
    likely = [views, alphabetical, np.argsort(alphabetical), views[::-1]]
    rng = np.random.default_rng(0)
    random = [rng.permutation(views) for _ in range(_NUM_RANDOM_STARTS)]
    return [*likely, np.roll(views, 1), np.roll(views, -1), *random]


def _descend(order: np.ndarray, swaps: np.ndarray, costs: Callable[..., np.ndarray]) -> np.ndarray:
    """Swaps the two views whose swap betters the order most, until none does."""
    cost = costs(order[np.newaxis])[0]
    while True:
        neighbors = np.tile(order, (len(swaps), 1))
        rows = np.arange(len(swaps))[:, np.newaxis]
        neighbors[rows, swaps] = neighbors[rows, swaps[:, ::-1]]
        around = costs(neighbors)
        if around.min() >= cost:
            return order
        order, cost = neighbors[around.argmin()], around.min()


# Whether lens distortion was removed from detections that no longer had any.
#
# The subject is near the images' middle, where a lens bends little: a pixel or two, less than a
# detector's noise. Undoing the correction therefore hardly shows in a median; but over thousands of
# joints the share of it that fits best is known. It is fitted with an instrument: how a lens bends
# a joint is computed from where it was some frames later, since a joint that noise carries outwards
# would seem to be bent more than it is.

MAX_UNCERTAINTY = 0.16
"""A share less sure than this is no evidence: right and wrong are 1 apart, three times twice it."""

MAX_DEVIATION = 0.4
"""A share this near to 0 or 1 is taken for it; one farther from both is no lens correction's."""

# Residuals beyond so many medians are blunders.
_MAX_MEDIANS = 4.0
_NUM_BLOCKS = 10
_MAX_LENS_FRAMES = 2000
_LAG_FRAMES = 15  # By then a detector's noise is another.
# A camera that the correction moves less than this share of the person's size tells nothing.
_MIN_BEND = 1e-4


class LensShares(NamedTuple):
    """How much of the correction is too much, by camera."""

    share: np.ndarray  # [V]: 0 if the correction was right, 1 if there was nothing to correct.
    uncertainty: np.ndarray  # [V], the standard error; infinite for a camera that tells nothing.


def undo_lens(footage: footages.Footage) -> footages.Footage:
    """Bends the keypoints as the lenses do, which takes back the reader's correction."""
    lens = footage.camera.intrinsics[:, np.newaxis], footage.distortion[:, np.newaxis]
    points = lenses.distort(footage.keypoints_2d, *lens)
    return footage.replace_images(points, footage.confidence)


def lens_shares(footage: footages.Footage) -> LensShares:
    """Estimates the shares of all cameras together, from signed epipolar residuals."""
    footage = footage.frames(np.arange(min(_MAX_LENS_FRAMES, footage.num_frames)))
    undone = undo_lens(footage)
    bend = np.linalg.norm(undone.keypoints_2d - footage.keypoints_2d, axis=-1)
    bend = bend.reshape(footage.num_views, -1) / footage.person_size[:, np.newaxis]
    seen = (footage.confidence > 0).reshape(footage.num_views, -1)
    tells = residuals.masked_median(bend, seen) > _MIN_BEND
    if not tells.any():
        return LensShares(np.zeros(len(tells)), np.full(len(tells), np.inf))
    left, right = _normal_equations(footage, undone)
    left, right = left[:, tells][:, :, tells], right[:, tells]
    share, uncertainty = np.zeros(len(tells)), np.full(len(tells), np.inf)
    share[tells] = _solve(left.sum(axis=0), right.sum(axis=0))
    # Leaving out one block of frames after the other says how sure the answer is.
    without = map(_solve, left.sum(axis=0) - left, right.sum(axis=0) - right)
    uncertainty[tells] = np.std(list(without), axis=0) * np.sqrt(len(left) - 1)
    return LensShares(share, uncertainty)


def _normal_equations(
    footage: footages.Footage, undone: footages.Footage
) -> tuple[np.ndarray, np.ndarray]:
    """Builds `[blocks, V, V]` and `[blocks, V]` of the shares."""
    index = residuals.pairs_of_views(footage.num_views)
    first, second = footage.views(index[:, 0]), footage.views(index[:, 1])
    seen = first.is_seen & second.is_seen
    _, off = residuals.line_distances(first, second)
    by_first = residuals.line_distances(undone.views(index[:, 0]), second)[1] - off
    by_second = residuals.line_distances(first, undone.views(index[:, 1]))[1] - off
    limit = _MAX_MEDIANS * residuals.masked_median(np.abs(off), seen)
    used = seen & (np.abs(off) < limit[:, np.newaxis])
    design = np.stack([by_first, by_second], axis=-1)
    # Each joint, by its number in a flat array, and itself some frames later.
    frame = np.arange(max(0, footage.num_frames - _LAG_FRAMES))
    frame = frame[footage.run[frame] == footage.run[frame + _LAG_FRAMES]]
    num_joints = footage.confidence.shape[-1]
    now = (frame[:, np.newaxis] * num_joints + np.arange(num_joints)).ravel()
    later = now + _LAG_FRAMES * num_joints
    used = used[:, now] & used[:, later]
    left = np.zeros((_NUM_BLOCKS, footage.num_views, footage.num_views))
    right = np.zeros((_NUM_BLOCKS, footage.num_views))
    for number, block in enumerate(np.array_split(np.arange(len(now)), _NUM_BLOCKS)):
        for pair, views in enumerate(index):
            rows = block[used[pair, block]]
            instrument = design[pair, later[rows]]
            left[number][np.ix_(views, views)] += instrument.T @ design[pair, now[rows]]
            right[number][views] -= instrument.T @ off[pair, now[rows]]
    return left, right


def _solve(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(left, right, rcond=None)[0]


def removed_twice(estimate: LensShares) -> np.ndarray:
    """Tells whose distortion was removed twice, `[V]`; none where a camera contradicts."""
    is_sure = estimate.uncertainty <= MAX_UNCERTAINTY
    is_twice = np.abs(estimate.share - 1) <= MAX_DEVIATION
    is_right = np.abs(estimate.share) <= MAX_DEVIATION
    # Where a share is neither, something else is wrong and takes the lens as a way out.
    is_clear = (is_twice | is_right)[is_sure].all() and (is_twice & is_sure).any()
    return is_twice & np.isfinite(estimate.uncertainty) & is_clear
