"""How far off joints are likely to be, of models that predict it."""

from typing import Any

import numpy as np
import tensorflow as tf

_SIGNATURE = "joint_uncertainty"


def predict(
    model: Any, keypoints_2d: np.ndarray, confidence: np.ndarray, intrinsics: np.ndarray
) -> np.ndarray | None:
    """Asks a loaded SavedModel.

    Args:
        model: What `tf.saved_model.load` gave.
        keypoints_2d: `[..., J, 2]`, pixels, without lens distortion.
        confidence: `[..., J]`, 0 for a joint that was not seen.
        intrinsics: `[..., 3, 3]`, pixels.

    Returns:
        `[..., J]`, meters; None where the model does not predict it.
    """
    if _SIGNATURE not in model.signatures:
        return None
    found = model.signatures[_SIGNATURE](
        keypoints_2d=tf.constant(keypoints_2d.reshape(-1, *keypoints_2d.shape[-2:])),
        confidence=tf.constant(confidence.reshape(-1, confidence.shape[-1])),
        intrinsics=tf.constant(intrinsics.reshape(-1, 3, 3)),
    )
    return found[_SIGNATURE].numpy().reshape(confidence.shape)
