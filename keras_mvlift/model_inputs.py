"""What a user gives to a trained model, checked: NumPy arrays of single precision come out."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mvlift import errors, skeletons

# Of a camera whose focal length is a pixel or so, coordinates may well be as small as this.
_LEAST_SPAN, _LEAST_FOCAL = 2.0, 20.0
MOST_PX = 1_000_000
"""What is detected farther from the image's corner is a mistake."""
MOST_SKEW = 1e-3
"""Of pixels, as a share of the focal length: none is reckoned with, and cameras have none."""
# Of an array so many views, evenly taken, are looked at for joints in another order.
_MOST_EXAMINED = 64
# Meters, of people, from newborn on.
_HEIGHTS = (0.4, 2.8)


def check_joints(
    keypoints_2d: Any,
    confidence: Any,
    joint_names: Sequence[str],
    skeleton: str | None = None,
    is_clip: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Checks joints, and turns those of another set into a model's.

    Args:
        keypoints_2d: `[..., K, 2]`, pixels.
        confidence: `[..., K]`, in [0, 1]; None stands for 1.
        joint_names: The model's `J` names.
        skeleton: The set of the `K` joints, by name; None for the model's.
        is_clip: Whether the shape must be `[..., T, K, 2]`, with frames.

    Returns:
        Keypoints `[..., J, 2]` and confidence `[..., J]`, both 0 where a joint was not seen: where
        its confidence is 0 or it is at no place, `skeletons.is_place`.

    Raises:
        ValueError: If a shape is wrong, a value is infinite or a confidence outside [0, 1].
    """
    given = tuple(joint_names) if skeleton is None else skeletons.by_name(skeleton).joints
    keypoints = _check_keypoints(keypoints_2d, given, is_clip)
    seen = _check_confidence(confidence, keypoints)
    keypoints = np.where(seen[..., np.newaxis] > 0, keypoints, np.float32(0.0))
    _warn_of_other_order(keypoints, seen, given)
    if skeleton is None:
        return keypoints, seen
    target = skeletons.Skeleton("the model's joints", tuple(joint_names))
    converter = skeletons.Converter(given, target)
    seen = converter.confidence(seen)
    made = np.where(seen[..., np.newaxis] > 0, converter.keypoints(keypoints), 0.0)
    return made.astype(np.float32), seen


def _check_keypoints(value: Any, joint_names: Sequence[str], is_clip: bool) -> np.ndarray:
    keypoints = errors.numbers("keypoints_2d", value, np.float32)
    num_joints, axes = len(joint_names), ", T" if is_clip else ""
    if keypoints.ndim < 2 + is_clip or keypoints.shape[-2:] != (num_joints, 2):
        others = [
            name
            for name, known in skeletons.SKELETONS.items()
            if keypoints.ndim > 1 and known.num_joints == keypoints.shape[-2] != num_joints
        ]
        advice = "".join(f'; for those of {name} give skeleton="{name}"' for name in others)
        raise ValueError(
            f"`keypoints_2d` must have shape [...{axes}, {num_joints}, 2], the joints being "
            f"{', '.join(joint_names)}{advice}. Received: {list(keypoints.shape)}."
        )
    is_far = np.abs(keypoints) > MOST_PX
    if is_far.any():
        rule = f"be finite, within {MOST_PX:,} pixels, or NaN where not seen"
        received = f"{is_far.sum()} of {keypoints.size} values farther, {errors.first(is_far)}"
        raise errors.ArgumentError("keypoints_2d", rule, received)
    return keypoints


def _check_confidence(value: Any, keypoints_2d: np.ndarray) -> np.ndarray:
    """Returns confidences of what is at a place, and 0 elsewhere."""
    shape = keypoints_2d.shape[:-1]
    is_place = skeletons.is_place(keypoints_2d)
    if value is None:
        return is_place.astype(np.float32)
    checked = errors.numbers("confidence", value, np.float32)
    rule = f"have shape {list(shape)}"
    errors.require(checked.shape == shape, "confidence", rule, list(checked.shape))
    seen = np.where(is_place, checked, np.float32(0.0))
    is_share = (seen >= 0) & (seen <= 1)
    if not is_share.all():
        low, high = seen.min(initial=1), seen.max(initial=0)
        received = f"{low} to {high}, {errors.first(~is_share)}"
        raise errors.ArgumentError("confidence", "lie in [0, 1]", received)
    return seen


def _warn_of_other_order(
    keypoints_2d: np.ndarray, confidence: np.ndarray, joint_names: tuple[str, ...]
) -> None:
    """Warns of joints that by the anatomy come in the order of another set of as many."""
    flat = confidence.reshape(math.prod(confidence.shape[:-1]), confidence.shape[-1])
    step = len(flat) // _MOST_EXAMINED + 1
    points = keypoints_2d.reshape(*flat.shape, 2)[::step]
    likely = skeletons.by_anatomy(points, flat[::step])
    known = [known.joints for known in skeletons.SKELETONS.values()]
    if likely is not None and likely.joints != joint_names and joint_names in known:
        first, second = joint_names[:2]
        told = f"`keypoints_2d` look like {likely.name}'s joints, and are read as {first},"
        told += f' {second}, ...: skeleton="{likely.name}" reads them as such.'
        warnings.warn(told, errors.InputWarning, stacklevel=4)


def require_pixels(
    keypoints_2d: np.ndarray, confidence: np.ndarray, intrinsics: np.ndarray
) -> None:
    """Refuses coordinates that are shares of an image, in [0, 1] or [-1, 1].

    Args:
        keypoints_2d: `[..., J, 2]`; 0 where not seen.
        confidence: `[..., J]`, 0 where not seen.
        intrinsics: `[..., 3, 3]`, pixels.

    Raises:
        ArgumentError: If no joint lies further than 2 pixels from the image's corner, and the
            focal length is one in pixels.
    """
    farthest = np.abs(keypoints_2d).max(initial=0.0)
    is_seen = (confidence > 0).sum() > 1
    if is_seen and farthest <= _LEAST_SPAN and intrinsics[..., 0, 0].min() >= _LEAST_FOCAL:
        rule = "be pixels; multiply shares of an image by its width and height"
        received = f"joints within {farthest:.3g} px of the image's corner"
        raise errors.ArgumentError("keypoints_2d", rule, received)


def check_height(height: Any, leading: tuple[int, ...]) -> np.ndarray:
    """Checks heights of people.

    Args:
        height: Meters, a number or `[*leading]`.
        leading: The axes of the people.

    Returns:
        `[*leading]`.

    Raises:
        ArgumentError: If the shape is another, or a height is none of a person's in meters.
    """
    checked = errors.numbers("height", height, np.float64)
    low, high = _HEIGHTS
    if checked.shape not in ((), leading):
        rule = f"be one number or of shape {list(leading)}"
        raise errors.ArgumentError("height", rule, f"shape {list(checked.shape)}")
    if not ((checked >= low) & (checked <= high)).all():
        rule = f"be {low} to {high} meters"
        raise errors.ArgumentError("height", rule, checked[~(checked >= low) | (checked > high)][0])
    return np.broadcast_to(checked, leading)


def check_intrinsics(camera: Any, leading: tuple[int, ...], mean: np.ndarray) -> np.ndarray:
    """Checks a camera and gives its intrinsics, `[*leading, 3, 3]`.

    Args:
        camera: Intrinsics `[3, 3]` or `[*leading, 3, 3]`, pixels, or anything that has them as its
            attribute `check_intrinsics`; None for `mean`, with a warning.
        leading: The axes of the views.
        mean: `[3, 3]`, pixels, of the mean camera of training.

    Raises:
        ValueError: If the shape is wrong, a value is not finite, a focal length not positive or
            the last row not 0, 0, 1.
    """
    shape = (*leading, 3, 3)
    if camera is None:
        warnings.warn(
            "`camera` was left out: taking the mean camera of training, "
            f"focal length {mean[0, 0]:.0f} px.",
            errors.InputWarning,
            # The caller of the method that calls this.
            stacklevel=3,
        )
        return np.broadcast_to(mean, shape)
    checked = errors.numbers("camera", getattr(camera, "intrinsics", camera), np.float32)
    is_bad = ~np.isfinite(checked)
    if is_bad.any():
        received = (
            f"{is_bad.sum()} of {checked.size} values NaN or infinite, {errors.first(is_bad)}"
        )
        raise errors.ArgumentError("camera", "be finite", received)
    rule = f"have intrinsics of shape [3, 3] or {list(shape)}"
    errors.require(checked.shape in ((3, 3), shape), "camera", rule, list(checked.shape))
    is_wrong = (checked[..., [0, 1], [0, 1]] <= 0).any(axis=-1)
    is_wrong |= (checked[..., 2, :] != [0, 0, 1]).any(axis=-1)
    skew = np.abs(checked[..., [0, 1], [1, 0]]).max(axis=-1)
    is_wrong |= skew > MOST_SKEW * checked[..., 0, 0]
    if is_wrong.any():
        rule = "have positive focal lengths and no skew, and 0, 0, 1 as last row of its intrinsics"
        received = f"{checked[is_wrong][0].tolist()}"
        received += f", {errors.first(is_wrong)}" if is_wrong.ndim else ""
        raise errors.ArgumentError("camera", rule, received)
    return np.broadcast_to(checked, shape)
