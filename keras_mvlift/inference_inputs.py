"""What a user gives to a trained model, checked: NumPy arrays of single precision come out."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mvlift import argument_rules

_NOT_SEEN = "; give a joint that was not seen confidence 0"


def keypoints_2d(value: Any, joint_names: Sequence[str], is_clip: bool = False) -> np.ndarray:
    """Checks keypoints.

    Args:
        value: `[..., J, 2]`, pixels.
        joint_names: `J` names.
        is_clip: Whether the shape must be `[..., T, J, 2]`, with frames.

    Raises:
        ValueError: If the shape is wrong or a value is not finite.
    """
    num_joints, axes = len(joint_names), ", T" if is_clip else ""
    keypoints = _finite("keypoints_2d", value, _NOT_SEEN)
    if keypoints.ndim < 2 + is_clip or keypoints.shape[-2:] != (num_joints, 2):
        raise ValueError(
            f"`keypoints_2d` must have shape [...{axes}, {num_joints}, 2], the joints being "
            f"{', '.join(joint_names)}. Received: {list(keypoints.shape)}."
        )
    return keypoints


def confidence(value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Checks confidences, `shape`; None stands for 1.

    Raises:
        ValueError: If the shape is wrong, a value is not finite or it lies outside [0, 1].
    """
    checked = (
        np.ones(shape, np.float32) if value is None else _finite("confidence", value, _NOT_SEEN)
    )
    if checked.shape != shape:
        raise ValueError(
            f"`confidence` must have shape {list(shape)}. Received: {list(checked.shape)}."
        )
    low, high = checked.min(initial=1), checked.max(initial=0)
    if low < 0 or high > 1:
        raise ValueError(f"`confidence` must lie in [0, 1]. Received: {low} to {high}.")
    return checked


def intrinsics(camera: Any, leading: tuple[int, ...], mean: np.ndarray) -> np.ndarray:
    """Checks a camera and gives its intrinsics, `[*leading, 3, 3]`.

    Args:
        camera: Intrinsics `[3, 3]` or `[*leading, 3, 3]`, pixels, or anything that has them as its
            attribute `intrinsics`; None for `mean`, with a warning.
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
            # The caller of the method that calls this.
            stacklevel=3,
        )
        return np.broadcast_to(mean, shape)
    checked = _finite("camera", getattr(camera, "intrinsics", camera))
    if checked.shape not in ((3, 3), shape):
        raise ValueError(
            f"`camera` must have intrinsics of shape [3, 3] or {list(shape)}. "
            f"Received: {list(checked.shape)}."
        )
    is_wrong = (checked[..., [0, 1], [0, 1]] <= 0).any(axis=-1)
    is_wrong |= (checked[..., 2, :] != [0, 0, 1]).any(axis=-1)
    if is_wrong.any():
        rule = "have positive focal lengths and 0, 0, 1 as last row of its intrinsics"
        raise argument_rules.ArgumentError("camera", rule, checked[is_wrong][0].tolist())
    return np.broadcast_to(checked, shape)


def _finite(name: str, value: Any, advice: str = "") -> np.ndarray:
    array = argument_rules.numbers(name, value, np.float32)
    if not np.isfinite(array).all():
        bad = int(np.count_nonzero(~np.isfinite(array)))
        received = f"{bad} of {array.size} values NaN or infinite"
        raise argument_rules.ArgumentError(name, f"be finite{advice}", received)
    return array
