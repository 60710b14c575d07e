"""Mistakes in the images: their size, how they are turned, and what their points stand for."""

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.diagnosis import mistakes

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


def _resized(factor: float) -> mistakes.Undo:
    def undo(footage: footages.Footage) -> footages.Footage:
        scale = np.diag([factor, factor, 1.0])
        return footage.replace_camera(intrinsics=scale @ footage.camera.intrinsics)

    return undo


def swap_sides(footage: footages.Footage) -> footages.Footage:
    """Takes left for right in every view."""
    skeleton = skeletons.H36M_17
    order = np.arange(skeleton.num_joints)
    order[list(skeleton.left + skeleton.right)] = skeleton.right + skeleton.left
    return footage.replace_images(
        footage.keypoints_2d[:, :, order], footage.confidence[:, :, order]
    )


def _mirrored(rank: int) -> mistakes.Undo:
    def undo(footage: footages.Footage) -> footages.Footage:
        # A detector that sees a mirror image takes left for right.
        footage = swap_sides(footage)
        points = footage.keypoints_2d.copy()
        points[..., 0] = _image_size(footage, rank)[:, :1, np.newaxis] - points[..., 0]
        return footage.replace_images(points, footage.confidence)

    return undo


def _turned(quarters: int, rank: int) -> mistakes.Undo:
    """Turns the images by so many quarters, counter-clockwise."""

    def undo(footage: footages.Footage) -> footages.Footage:
        width, height = (side[:, np.newaxis, np.newaxis] for side in _image_size(footage, rank).T)
        x, y = footage.keypoints_2d[..., 0], footage.keypoints_2d[..., 1]
        turns = {1: (y, height - x), 2: (width - x, height - y), 3: (width - y, x)}
        points = np.stack(turns[quarters], axis=-1)
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


MISTAKES = (
    mistakes.Mistake(
        "sides_swapped",
        "left and right are swapped",
        "Check the joint order of the detections.",
        swap_sides,
    ),
    *(
        mistakes.Mistake(
            "image_mirrored",
            "the image is mirrored",
            "Detect the person in images that are not flipped.",
            _mirrored(rank),
        )
        for rank in _RANKS
    ),
    *(
        mistakes.Mistake(
            f"image_turned_{degrees}",
            f"the image is turned by {degrees} degrees clockwise",
            "Detect in images that stand as in the calibration.",
            _turned(degrees // 90, rank),
        )
        for rank in _RANKS
        for degrees in (90, 180, 270)
    ),
    *(
        mistakes.Mistake(
            f"calibrated_at_{name}_size",
            f"the calibration is for images of {name} the width and height of those detected in",
            f"Multiply focal length and principal point by {factor:.4g}.",
            _resized(factor),
        )
        for name, factor in _SIZES.items()
    ),
)
