"""From a video to the 2D joints of the person in it."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.lifting import tracks_2d, video


def detect(
    film: video.Film, progress: Callable[[Iterator[Any]], Iterable[Any]] = iter
) -> tracks_2d.Tracks2D:
    """Finds one person's joints in all frames.

    Args:
        film: Of `video.inspect`.
        progress: Is given the frames and gives them on, such as `tqdm.tqdm`.

    Returns:
        One person with the joints of `SKELETON`; confidence 0 in frames in which
        nobody is found.

    Raises:
        RecordingError: If a frame cannot be decoded, or nobody is found in any.
    """
    with Detector() as detector:
        found = np.array([detector.detect(picture) for picture in progress(video.read(film))])
    seen = found[..., 2]
    if not (seen > 0).any():
        rule = "show a person whom MediaPipe finds"
        raise errors.RecordingError(film.path, "video", rule, f"{len(found)} frames without one")
    return tracks_2d.of_arrays(
        found[..., :2],
        seen,
        joint_names=SKELETON.joints,
        frame_rate=film.frame_rate,
        image_size=film.size,
    )


# Keeps native libraries from writing to the terminal.


@contextlib.contextmanager
def quiet_standard_error() -> Iterator[None]:
    """Holds back what anything in this process writes to its standard error.

    Libraries in C++ write past `sys.stderr`, so that the file behind it is turned away. All that
    was held back comes out if the block fails, and is dropped otherwise.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as held:
            os.dup2(held.fileno(), 2)
            try:
                yield
            except BaseException:
                os.dup2(kept, 2)
                held.seek(0)
                os.write(2, held.read())
                raise
            finally:
                sys.stderr.flush()
                os.dup2(kept, 2)
    finally:
        os.close(kept)


# MediaPipe Pose: one person's 33 joints in each picture of a video.
#
# It comes with its weights, so that nothing is fetched. It finds one person, whoever it takes for
# the most prominent one, and follows that person from frame to frame.

try:
    with quiet_standard_error():
        from mediapipe.python.solutions import pose as mediapipe_solution
except ImportError as error:
    raise ValueError(
        "People in videos must be found by MediaPipe, on Python 3.10 or 3.11: "
        "pip install 'keras-mvlift[video]'. "
        f"Received: {type(error).__name__}: {error}."
    ) from error

SKELETON = skeletons.MEDIAPIPE_33

# The middle one of three networks, and the only one whose weights come with the package.
_COMPLEXITY = 1
_BLACK = np.zeros((64, 64, 3), np.uint8)


class Detector:
    """Finds a person in pictures that follow each other; a context manager.

    Example:
        >>> with Detector() as detector:
        ...     joints = [detector.detect(picture) for picture in pictures]
    """

    def __enter__(self) -> "Detector":
        with quiet_standard_error():
            # Its own smoothing would be one more between what was seen and what is lifted.
            self._network = mediapipe_solution.Pose(
                model_complexity=_COMPLEXITY, smooth_landmarks=False
            )
            # With the first picture come its last words about the machine.
            self._network.process(_BLACK)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._network.close()

    def detect(self, picture: np.ndarray) -> np.ndarray:
        """Finds the person.

        Args:
            picture: `[height, width, 3]`, uint8, RGB; the next one in time.

        Returns:
            `[33, 3]`, the joints of `SKELETON`: x and y in pixels and a confidence in [0, 1], the
            detector's guess of whether it is to be seen. 0 for joints outside of the picture, and
            for all where nobody is found.
        """
        found = self._network.process(picture).pose_landmarks
        if found is None:
            return np.zeros((SKELETON.num_joints, 3))
        return landmarks_in_pixels(
            np.array([(each.x, each.y, each.visibility) for each in found.landmark]),
            (picture.shape[1], picture.shape[0]),
        )


def landmarks_in_pixels(landmarks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Turns landmarks into joints.

    Args:
        landmarks: `[33, 3]`, x and y as shares of the picture's sides, and visibility.
        size: Width and height of the picture, pixels.

    Returns:
        `[33, 3]`, as `Detector.detect` gives them.
    """
    place, visibility = landmarks[:, :2], landmarks[:, 2]
    # Of joints outside it says where they would be.
    is_inside = ((place >= 0) & (place < 1)).all(axis=1)
    joints = np.column_stack([place * size, np.clip(visibility, 0.0, 1.0)])
    return np.where(is_inside[:, np.newaxis], joints, 0.0)
