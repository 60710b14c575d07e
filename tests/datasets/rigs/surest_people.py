"""Who is most surely seen in each frame of a detector's files."""

from typing import NamedTuple

import numpy as np

from keras_mvlift.datasets.rigs import detections


class Track(NamedTuple):
    """Frame numbers `[F]`, pixels `[F, K, 2]` and confidences `[F, K]`."""

    frames: np.ndarray
    keypoints_2d: np.ndarray
    confidence: np.ndarray


def track(frames, skeleton, **options):
    crowd = detections.follow(frames, skeleton, **options)
    stream = detections.Stream(crowd, np.arange(len(frames)))
    chosen = detections.most_surely_seen([stream], len(frames))
    (keypoints,), (confidence,) = detections.side_by_side([stream], chosen, skeleton.num_joints)
    return Track(crowd.numbers, keypoints, confidence)
