"""From a video to the 2D joints of the people in it."""

import contextlib
import importlib
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.lifting import detected_tracks, movenet, tracks_2d, video
from keras_mvlift.untrusted import files

SKELETON = skeletons.MEDIAPIPE_33


def detect(
    film: video.Film,
    progress: Callable[[Iterator[Any]], Iterable[Any]] = iter,
    model: str | os.PathLike[str] | None = None,
) -> tracks_2d.Tracks2D:
    """Finds people's joints in all frames.

    Args:
        film: Of `video.inspect`.
        progress: Is given the frames and gives them on, such as `tqdm.tqdm`.
        model: The detector: MediaPipe's network of landmarks, as `pose_landmark_heavy.tflite`, or
            MoveNet MultiPose's `model.json`; None for the network that MediaPipe comes with.

    Returns:
        One person with the joints of `SKELETON`, or up to six with those of `movenet.SKELETON`;
        confidence 0 in frames in which they are not found.

    Raises:
        RecordingError: If a frame cannot be decoded, nobody is found in any, or the detector's
            file is not as it must be.
        ValueError: If what the detector needs is not installed.
    """
    if model is None or pathlib.Path(model).suffix == ".tflite":
        if model is not None:
            check_network(pathlib.Path(model))
        with Detector(model) as detector:
            found = [detector.detect(picture) for picture in progress(video.read(film))]
        return _tracks(film, np.array(found)[:, np.newaxis], SKELETON, "MediaPipe")
    if pathlib.Path(model).suffix == ".json":
        network = movenet.MoveNet(model)
        people = [network.detect(picture) for picture in progress(video.read(film))]
        return _tracks(film, _apart(film, people), movenet.SKELETON, "MoveNet")
    rule = "be a .tflite of MediaPipe or a .json of MoveNet"
    raise errors.RecordingError(pathlib.Path(model), _FIELD, rule, "another ending")


def _apart(film: video.Film, found: list[np.ndarray]) -> np.ndarray:
    """Tells people `[N, K, 3]` of each frame apart: `[T, P, K, 3]`."""
    slots = np.repeat(np.arange(len(found)), [len(people) for people in found])
    people = np.concatenate(found)
    if not len(people):
        return people[np.newaxis]
    labels = detected_tracks.tell_apart(slots, people)
    everyone = detected_tracks.ranking(labels, people[..., 2], len(found))
    return detected_tracks.lay_out(film.path, slots, people, labels, everyone, len(found))


def _tracks(
    film: video.Film, found: np.ndarray, skeleton: skeletons.Skeleton, detector: str
) -> tracks_2d.Tracks2D:
    if not (found[..., 2] > 0).any():
        rule = f"show a person whom {detector} finds"
        raise errors.RecordingError(film.path, "video", rule, f"{film.num_frames} frames without")
    return tracks_2d.of_arrays(
        found[..., :2],
        found[..., 2],
        joint_names=skeleton.joints,
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

# The middle one of three networks, and the only one whose weights come with the package.
_COMPLEXITY = 1
_RESOURCES = {
    "people": "modules/pose_detection/pose_detection.tflite",
    "landmarks": "modules/pose_landmark/pose_landmark_full.tflite",
}
_MAX_NETWORK_BYTES = 1 << 28
_BLACK = np.zeros((64, 64, 3), np.uint8)


class Detector:
    """Finds a person in pictures that follow each other; a context manager.

    Args:
        landmarks: The .tflite of another network of landmarks, such as MediaPipe's heavy one.

    Raises:
        RecordingError: If there is no such network.
        ValueError: If MediaPipe is not installed.

    Example:
        >>> with Detector() as detector:
        ...     joints = [detector.detect(picture) for picture in pictures]
    """

    def __init__(self, landmarks: str | os.PathLike[str] | None = None):
        self._landmarks = None if landmarks is None else pathlib.Path(landmarks)

    def __enter__(self) -> "Detector":
        with quiet_standard_error(), _resources(self._landmarks):
            # Its own smoothing would be one more between what was seen and what is lifted.
            solution = _solution()
            self._network = solution.Pose(model_complexity=_COMPLEXITY, smooth_landmarks=False)
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


def _solution() -> Any:
    try:
        return importlib.import_module("mediapipe.python.solutions.pose")
    except ImportError as error:
        raise ValueError(
            "People in videos must be found by MediaPipe, on Python 3.10 or 3.11, or by MoveNet's "
            "model.json: pip install 'keras-mvlift[video]'. "
            f"Received: {type(error).__name__}: {error}."
        ) from error


_FIELD = "detector-model"
# What these networks give, 39 landmarks of five numbers, as TensorFlow Lite writes a shape.
_SHAPE = np.array([2, 1, 195], "<i4").tobytes()
# Damaged networks end the process that opens them, so that another one tries.
_TRIAL = """
import sys
from keras_mvlift.lifting import person_detector
with person_detector.Detector(sys.argv[1]):
    pass
"""


def check_network(landmarks: pathlib.Path) -> None:
    """Refuses what MediaPipe cannot find landmarks by.

    Raises:
        RecordingError: If it is missing or no such network.
        ValueError: If MediaPipe is not installed.
    """
    _solution()
    data = files.read_bytes(landmarks, _FIELD, _MAX_NETWORK_BYTES)
    trial = [sys.executable, "-c", _TRIAL, str(landmarks)]
    if _SHAPE not in data or subprocess.run(trial, capture_output=True, check=False).returncode:
        rule = "be one of MediaPipe's networks of landmarks"
        raise errors.RecordingError(landmarks, _FIELD, rule, f"{len(data)} bytes of something else")


@contextlib.contextmanager
def _resources(landmarks: pathlib.Path | None) -> Iterator[None]:
    """Has MediaPipe read another network of landmarks than its own.

    It has no argument for that, but a folder in which it looks for its files.
    """
    if landmarks is None:
        yield
        return
    data = files.read_bytes(landmarks, _FIELD, _MAX_NETWORK_BYTES)
    _solution()
    base = importlib.import_module("mediapipe.python.solution_base")
    own = pathlib.Path(str(base.__file__)).parents[1]
    given = base.resource_util.set_resource_dir
    with tempfile.TemporaryDirectory() as folder:
        for name, resource in _RESOURCES.items():
            copy = pathlib.Path(folder, own.name, resource)
            copy.parent.mkdir(parents=True)
            copy.write_bytes(data if name == "landmarks" else (own / resource).read_bytes())
        try:
            base.resource_util.set_resource_dir = lambda _: given(folder)
            yield
        finally:
            base.resource_util.set_resource_dir = given


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
