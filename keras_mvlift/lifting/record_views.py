"""Lifts the views of records, whether a model sees single frames or those around them."""

import copy

import numpy as np

from keras_mvlift import inference
from keras_mvlift.datasets import views
from keras_mvlift.metrics import baselines


def lift(lifter: inference.Lifter, test: baselines.TestViews) -> inference.LiftedPose:
    """Lifts test views.

    Args:
        lifter: The model. A `ClipLifter` is given the frames of a clip and a camera together, as
            windows in training are: missing frames repeat the one before, up to
            `views.MAX_GAP` of them in a row, and a longer gap ends a clip.
        test: The views, in any order, each once.

    Returns:
        The poses, in the order of the views.
    """
    view = test.view
    if not isinstance(lifter, inference.ClipLifter):
        return lifter.lift(view.keypoints_2d, view.confidence, camera=view.camera)
    names = np.stack([test.clip, test.camera], axis=1)
    _, track = np.unique(names, axis=0, return_inverse=True)
    tracks, cell = views.lay(view, track.reshape(-1), test.frame, step=lifter.frame_step)
    # What is laid out is one step apart.
    steps = copy.copy(lifter)
    steps.frame_step = 1
    pose = np.zeros((*tracks.view.confidence.shape, 3), np.float32)
    root_position = np.zeros((len(pose), 3), np.float32)
    for first, last in np.unique(np.stack([tracks.first, tracks.last], axis=1), axis=0):
        run = slice(first, last + 1)
        parts = (tracks.view.keypoints_2d, tracks.view.confidence, tracks.view.camera.intrinsics)
        lifted = steps.lift(*(part[run] for part in parts))
        pose[run], root_position[run] = lifted.root_relative_pose, lifted.root_position
    pose, root_position = pose[cell], root_position[cell]
    pose_camera = pose + root_position[:, np.newaxis]
    return inference.LiftedPose(lifter.joint_names, pose, root_position, pose_camera)
