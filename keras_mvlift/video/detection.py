"""From a video to the 2D joints of the person in it."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from keras_mvlift.datasets import errors
from keras_mvlift.pose_files import tracks_2d
from keras_mvlift.video import films, mediapipe_pose


def detect(
    film: films.Film, progress: Callable[[Iterator[Any]], Iterable[Any]] = iter
) -> tracks_2d.Tracks2D:
    """Finds one person's joints in all frames.

    Args:
        film: Of `films.inspect`.
        progress: Is given the frames and gives them on, such as `tqdm.tqdm`.

    Returns:
        One person with the joints of `mediapipe_pose.SKELETON`; confidence 0 in frames in which
        nobody is found.

    Raises:
        RecordingError: If a frame cannot be decoded, or nobody is found in any.
    """
    with mediapipe_pose.Detector() as detector:
        found = np.array([detector.detect(picture) for picture in progress(films.read(film))])
    seen = found[..., 2]
    if not (seen > 0).any():
        rule = "show a person whom MediaPipe finds"
        raise errors.RecordingError(film.path, "video", rule, f"{len(found)} frames without one")
    return tracks_2d.of_arrays(
        found[..., :2],
        seen,
        joint_names=mediapipe_pose.SKELETON.joints,
        frame_rate=film.frame_rate,
        image_size=film.size,
    )
