"""Rigs of the synthetic studio, healthy ones and ones with a mistake planted."""

import dataclasses
import functools

import numpy as np

from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.diagnosis import mistakes
from keras_mvlift.geometry import cameras, lenses
from keras_mvlift.studio import synthetic

CALIBRATION = {mistake.name: mistake for mistake in mistakes.CALIBRATION_MISTAKES}
IMAGE = {mistake.name: mistake for mistake in mistakes.IMAGE_MISTAKES}
# A lens like those of Human3.6M.
LENS = np.array([-0.207, 0.248, -0.0014, -0.001, -0.003])
# Of the four cameras of Human3.6M's room, two that do not face each other.
TWO_VIEWS = (0, 2)


@functools.cache
def sequences(num_views=4, seed=0, num_clips=2, num_frames=150, **studio):
    """Films clips with 2, 3 or 4 cameras of a room like Human3.6M's, or more on a ring."""
    rig = {"rig": "ring", "num_cameras": num_views} if num_views > 4 else {}
    filmed = synthetic.Studio(
        num_subjects=1, num_clips=num_clips, num_frames=num_frames, seed=seed, **rig | studio
    )
    kept = {2: TWO_VIEWS, 3: (0, 1, 2)}.get(num_views, tuple(range(num_views)))
    return [select(clip, kept) for clip in filmed]


def footage(num_views=4, seed=0, **studio):
    """Returns what the check looks at."""
    return footages.of_sequences(sequences(num_views, seed, **studio))


def select(clip, views):
    views = list(views)
    return dataclasses.replace(
        clip,
        camera_names=tuple(clip.camera_names[view] for view in views),
        camera=cameras.Camera(*(field[views] for field in clip.camera)),
        keypoints_2d=clip.keypoints_2d[views],
        confidence=clip.confidence[views],
    )


def in_views(clean, spoiled, views):
    """Takes some views of spoiled footage; all, if `views` is None."""
    chosen = np.ones(clean.num_views, bool)
    if views is not None:
        chosen[:] = np.isin(np.arange(clean.num_views), views)
    return clean.mixed(spoiled, chosen)


def with_camera(clean, spoil):
    """Spoils every camera by a function of `rotation` and `center`, as a reader would."""
    spoiled = [spoil(*pair) for pair in zip(*clean.camera[1:], strict=True)]
    rotation, center = (np.array(field) for field in zip(*spoiled, strict=True))
    return clean.replace_camera(rotation=rotation, center=center)


def turn(clean, degrees, size=1000):
    """Turns square images clockwise."""
    x, y = clean.keypoints_2d[..., 0], clean.keypoints_2d[..., 1]
    turned = {90: (size - y, x), 180: (size - x, size - y), 270: (y, size - x)}[degrees]
    return clean.replace_images(np.stack(turned, axis=-1), clean.confidence)


def mirror(clean, size=1000):
    """Mirrors images, in which a detector takes left for right."""
    mirrored = mistakes.swap_sides(clean)
    points = mirrored.keypoints_2d * [-1, 1] + [size, 0]
    return clean.replace_images(points, mirrored.confidence)


def upwards(clean, size=1000):
    """Counts y from the lower edge."""
    points = clean.keypoints_2d * [1, -1] + [0, size]
    return clean.replace_images(points, clean.confidence)


def still(clean):
    """Shows each camera its first frame all the time."""
    keypoints_2d, confidence = clean.keypoints_2d, clean.confidence
    return clean.replace_images(
        np.broadcast_to(keypoints_2d[:, :1], keypoints_2d.shape),
        np.broadcast_to(confidence[:, :1], confidence.shape),
    )


def late(clean, offsets):
    """Lets each camera show in its frame t + offset what happens in frame t."""
    return clean.shifted([-offset for offset in offsets])


def removed_twice(clean, lens=LENS):
    """Removes a lens's distortion from keypoints that have none."""
    points = lenses.undistort(clean.keypoints_2d, clean.camera.intrinsics[:, np.newaxis], lens)
    spoiled = clean.replace_images(points, clean.confidence)
    return dataclasses.replace(spoiled, distortion=np.tile(lens, (clean.num_views, 1)))


def opencv(rotation, center):
    """Returns OpenCV's translation."""
    return -rotation @ center


CAMERA_SPOILERS = {
    # A file holds the rotation from the camera to the world, beside the center.
    "rotation_transposed": lambda r, c: (r.T, c),
    # A file holds it beside OpenCV's translation, from which the center is computed.
    "rotation_transposed_before_center": lambda r, c: (r.T, -r @ opencv(r, c)),
    # A file holds the camera's pose in the world, taken for OpenCV's extrinsics.
    "extrinsics_inverted": lambda r, c: (r.T, -r @ c),
    "translation_for_center": lambda r, c: (r, opencv(r, c)),
    "center_for_translation": lambda r, c: (r, -r.T @ c),
    "opengl_axes": lambda r, c: (np.diag([1, -1, -1]) @ r, c),
    "millimeters_for_meters": lambda r, c: (r, 1000 * c),
    "centimeters_for_meters": lambda r, c: (r, 100 * c),
    "meters_for_millimeters": lambda r, c: (r, c / 1000),
    "meters_for_centimeters": lambda r, c: (r, c / 100),
}
IMAGE_SPOILERS = {
    "sides_swapped": mistakes.swap_sides,
    "image_mirrored": mirror,
    "y_grows_upwards": upwards,
    "image_turned_90": functools.partial(turn, degrees=90),
    "image_turned_180": functools.partial(turn, degrees=180),
    "image_turned_270": functools.partial(turn, degrees=270),
}
CALIBRATED_SIZES = {
    "half": 0.5,
    "twice": 2.0,
    "two_thirds": 2 / 3,
    "one_and_a_half_times": 1.5,
    "a_third": 1 / 3,
    "three_times": 3.0,
}
CALIBRATED_WIDTHS = {"three_quarters": 3 / 4, "four_thirds": 4 / 3}


def resize(clean, across, down):
    """Calibrates images that are so many times as wide and as high as those detected in."""
    scale = np.diag([across, down, 1.0])
    return clean.replace_camera(intrinsics=scale @ clean.camera.intrinsics)


def spoil(clean, name, views=None):
    """Plants a mistake by its name, in some views or all."""
    if name in CAMERA_SPOILERS:
        spoiled = with_camera(clean, CAMERA_SPOILERS[name])
    elif name in IMAGE_SPOILERS:
        spoiled = IMAGE_SPOILERS[name](clean)
    else:
        size, _, side = name.removeprefix("calibrated_at_").rpartition("_")
        factor = (CALIBRATED_SIZES | CALIBRATED_WIDTHS)[size]
        spoiled = resize(clean, factor, factor if side == "size" else 1.0)
    return in_views(clean, spoiled, views)


def spoiled_sequences(name, num_views=4, views=None, **studio):
    """Films clips and plants a mistake in their cameras."""
    clips = sequences(num_views, **studio)
    camera = spoil(footages.of_sequences(clips), name, views).camera
    return [dataclasses.replace(clip, camera=camera) for clip in clips]


def names_of(clean, views=None):
    chosen = range(clean.num_views) if views is None else views
    return tuple(clean.camera_names[view] for view in chosen)
