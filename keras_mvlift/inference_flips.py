"""Lifting a person and the mirrored person, and taking the mean."""

from collections.abc import Callable, Sequence

import numpy as np

from keras_mvlift import mirror_images

Run = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From keypoints `[..., J, 2]`, confidences `[..., J]` and intrinsics `[..., 3, 3]` to poses
`[..., J, 3]` and root positions `[..., 3]`."""

_SIGNS = np.array([-1.0, 1.0, 1.0], np.float32)


def averaged(run: Run, joint_names: Sequence[str]) -> Run:
    """Makes a lift that is the mean of what `run` says of a view and of its mirror image.

    A view is mirrored about the column of its principal point, which mirrors the person before the
    camera; left and right joints change names.

    Args:
        run: What lifts.
        joint_names: `J` names.
    """
    order = list(mirror_images.of(tuple(joint_names)))

    def run_both(
        keypoints_2d: np.ndarray, confidence: np.ndarray, intrinsics: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        pose, root_position = run(keypoints_2d, confidence, intrinsics)
        mirrored = keypoints_2d[..., order, :].copy()
        mirrored[..., 0] = 2 * intrinsics[..., np.newaxis, 0, 2] - mirrored[..., 0]
        pose_mirrored, root_mirrored = run(mirrored, confidence[..., order], intrinsics)
        pose_mirrored = pose_mirrored[..., order, :] * _SIGNS
        return (pose + pose_mirrored) / 2, (root_position + root_mirrored * _SIGNS) / 2

    return run_both
