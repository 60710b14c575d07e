"""Clips whose every number is known, for tests of what is made of clips."""

import dataclasses

import numpy as np

from keras_mvlift.datasets import sequences
from keras_mvlift.studio import filming
from tests import random_scenes


def exact(num_views=4, num_frames=40, **fields):
    """Makes a clip of random poses seen without error, with confidences between 0.5 and 0.9."""
    rng = np.random.default_rng(7)
    camera = filming.ring(num_views, jitter=0.2, rng=rng)
    place = np.array([0.0, 0.0, 0.9]) + 0.3 * random_scenes.points(rng, num_frames, 1)
    pose_world = place + 0.5 * random_scenes.points(rng, num_frames, 17)
    keypoints_2d = np.zeros((num_views, num_frames, 17, 2))
    for view, frame in np.ndindex(num_views, num_frames):
        single = random_scenes.one(camera, view)
        moved = random_scenes.move(pose_world[frame], single)
        keypoints_2d[view, frame] = random_scenes.project(moved, single)
    given = {
        "name": "clip",
        "subject": "S1",
        "action": "walking",
        "frame_rate": 50.0,
        "camera_names": tuple(f"camera_{view}" for view in range(num_views)),
        "camera": camera,
        "keypoints_2d": keypoints_2d,
        "confidence": rng.uniform(0.5, 0.9, keypoints_2d.shape[:-1]),
        "pose_world": pose_world,
    }
    return sequences.MultiViewSequence(**(given | fields))


def hide(clip, joint):
    """Hides joints, given as an index `[view, frame, joint]`, from the cameras of a clip."""
    confidence, keypoints_2d = clip.confidence.copy(), clip.keypoints_2d.copy()
    confidence[joint] = 0.0
    keypoints_2d[joint] = 0.0
    return dataclasses.replace(clip, confidence=confidence, keypoints_2d=keypoints_2d)
