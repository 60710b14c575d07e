"""From people's 2D joints over time to their poses over time."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from keras_mvlift import errors, inference, skeletons
from keras_mvlift.geometry import lenses
from keras_mvlift.lifting import pose_clip, smoothing, tracks_2d, viewpoints

MIN_JOINTS = 6
"""A person with fewer joints seen in a frame has no pose there; more would be guessed than seen."""

_FRAMES_AT_ONCE = 1024


class _Lifted(NamedTuple):
    """What the model says of `P` people in `T` frames; NaN where they were not lifted.

    Attributes:
        pose: `[P, T, J, 3]`, meters, root at 0, camera axes.
        root: `[P, T, 3]`, meters, camera frame.
        uncertainty: `[P, T, J]`, meters; NaN of a model that does not tell.
        confidence: `[P, T, J]`, 0 where not lifted.
    """

    pose: np.ndarray
    root: np.ndarray
    uncertainty: np.ndarray
    confidence: np.ndarray


def lift(
    model: inference.Lifter,
    tracks: tracks_2d.Tracks2D,
    viewpoint: viewpoints.Viewpoint | None = None,
    *,
    space: str | None = None,
    frame_rate: float | None = None,
    one_euro: smoothing.OneEuro | None = None,
    progress: Callable[[list[Any]], Iterable[Any]] = iter,
) -> pose_clip.PoseClip:
    """Lifts people in one camera's image.

    Args:
        model: Of `inference.load_model`.
        tracks: Who was seen; joints of any set that the model's can be made of.
        viewpoint: The camera. Left out, one like those of training is taken, with a warning, and
            positions are as wrong as that.
        space: Of `pose_clip.SPACES`; None for the most that the camera tells: the world where its
            place is known, its own frame where only it is, else root-relative poses.
        frame_rate: Frames per second, where `tracks` do not tell it or tell it wrongly.
        one_euro: Smooths poses and root positions, in the camera's axes; None for as they come.
        progress: Is given the pieces of work and gives them on, such as `tqdm.tqdm`.

    Returns:
        The poses, with NaN in frames in which less than `MIN_JOINTS` joints of a person were seen.
        The confidence of a joint is that of the 2D joint, 0 for one that only the model knows of.

    Raises:
        ValueError: If the arguments do not fit each other or do not tell what is asked for.
    """
    _check_types(model, tracks, viewpoint)
    rate = _frame_rate(tracks, frame_rate)
    seen_from = _viewpoint(model, tracks, viewpoint)
    target = space or _most(viewpoint)
    if target not in pose_clip.SPACES:
        rule = f"be one of {', '.join(pose_clip.SPACES)}"
        raise ValueError(f"`space` must {rule}. Received: {target!r}.")
    if target == "world" and not seen_from.has_place:
        seen_from.world_from_camera(np.zeros(3))
    converter = _converter(model, tracks)
    straight, confidence = _undistorted(tracks, seen_from)
    straight, confidence = converter.keypoints(straight), converter.confidence(confidence)
    lifted = _run(model, straight, confidence, seen_from, progress)
    if one_euro is not None:
        lifted = lifted._replace(
            pose=_smooth(lifted.pose, one_euro, rate), root=_smooth(lifted.root, one_euro, rate)
        )
    lifted = lifted._replace(pose=_placed(lifted, seen_from, target))
    return pose_clip.PoseClip(
        tracks=_tracks(tracks, converter, lifted),
        space=target,
        frame_rate=rate,
        first_frame=tracks.first_frame,
        joint_names=model.joint_names,
        parents=model.parents,
        image_size=tracks.image_size or seen_from.image_size,
        about={"camera": seen_from.origin, "is_smoothed": one_euro is not None},
    )


def _check_types(model: Any, tracks: Any, viewpoint: Any) -> None:
    if not hasattr(model, "lift"):
        raise errors.ArgumentError("model", "come from `load_model`", type(model).__name__)
    rule = "be people's 2D joints, such as `tracks_2d.of_arrays` gives"
    errors.require_type("tracks", tracks, tracks_2d.Tracks2D, rule)
    if viewpoint is not None:
        rule = "be a camera, such as `viewpoints.from_intrinsics` gives"
        errors.require_type("viewpoint", viewpoint, viewpoints.Viewpoint, rule)


def _frame_rate(tracks: tracks_2d.Tracks2D, given: float | None) -> float:
    rate = tracks.frame_rate if given is None else given
    if rate is None and tracks.num_frames == 1:
        # A single picture has no rate, and needs none.
        return 1.0
    if rate is None:
        raise ValueError("`frame_rate` must be given, for the input tells none. Received: nothing.")
    return errors.number("frame_rate", rate)


def _most(viewpoint: viewpoints.Viewpoint | None) -> str:
    if viewpoint is None:
        return "root"
    return "world" if viewpoint.has_place else "camera"


def _viewpoint(
    model: inference.Lifter,
    tracks: tracks_2d.Tracks2D,
    given: viewpoints.Viewpoint | None,
) -> viewpoints.Viewpoint:
    if given is not None:
        return given
    taken = viewpoints.like_training(model.intrinsics, tracks.image_size)
    warnings.warn(f"`camera` was left out: taking {taken.origin}.", stacklevel=3)
    return taken


def _converter(model: inference.Lifter, tracks: tracks_2d.Tracks2D) -> skeletons.Converter:
    target = skeletons.Skeleton(name="the model's joints", joints=model.joint_names)
    return skeletons.Converter(tracks.joint_names, target)


def _undistorted(
    tracks: tracks_2d.Tracks2D, viewpoint: viewpoints.Viewpoint
) -> tuple[np.ndarray, np.ndarray]:
    if viewpoint.distortion is None:
        return tracks.keypoints_2d, tracks.confidence
    lens = viewpoint.intrinsics, viewpoint.distortion
    return lenses.undistort_detections(tracks.keypoints_2d, tracks.confidence, *lens)


def _run(
    model: inference.Lifter,
    keypoints_2d: np.ndarray,
    confidence: np.ndarray,
    viewpoint: viewpoints.Viewpoint,
    progress: Callable[[list[Any]], Iterable[Any]],
) -> _Lifted:
    shape = confidence.shape
    pose, root = np.zeros((*shape, 3)), np.zeros((*shape[:-1], 3))
    uncertainty = np.full(shape, np.nan)
    num_people, num_frames = shape[:2]
    # A model of clips must see each whole.
    length = num_frames if isinstance(model, inference.ClipLifter) else _FRAMES_AT_ONCE
    pieces = [
        (person, slice(start, start + length))
        for person in range(num_people)
        for start in range(0, num_frames, length)
    ]
    for piece in progress(pieces):
        lifted = model.lift(keypoints_2d[piece], confidence[piece], viewpoint)
        pose[piece], root[piece] = lifted.root_relative_pose, lifted.root_position
        if lifted.joint_uncertainty is not None:
            uncertainty[piece] = lifted.joint_uncertainty
    is_lifted = (confidence > 0).sum(axis=-1) >= MIN_JOINTS
    pose[~is_lifted], root[~is_lifted], uncertainty[~is_lifted] = np.nan, np.nan, np.nan
    return _Lifted(pose, root, uncertainty, np.where(is_lifted[..., np.newaxis], confidence, 0.0))


def _smooth(points: np.ndarray, one_euro: smoothing.OneEuro, frame_rate: float) -> np.ndarray:
    """Smooths `[P, T, ..., 3]` along its second axis."""
    return np.swapaxes(one_euro.smooth(np.swapaxes(points, 0, 1), frame_rate), 0, 1)


def _placed(lifted: _Lifted, viewpoint: viewpoints.Viewpoint, space: str) -> np.ndarray:
    if space == "root":
        return lifted.pose
    pose_camera = lifted.pose + lifted.root[..., np.newaxis, :]
    return pose_camera if space == "camera" else viewpoint.world_from_camera(pose_camera)


def _tracks(
    tracks: tracks_2d.Tracks2D, converter: skeletons.Converter, lifted: _Lifted
) -> tuple[pose_clip.Track, ...]:
    # What is shown beside the poses is where the image has it, bent as the lens bends it.
    seen = converter.confidence(tracks.confidence)
    keypoints = converter.keypoints(tracks.keypoints_2d)
    keypoints = np.where(seen[..., np.newaxis] > 0, keypoints, np.nan)
    is_uncertain = np.isfinite(lifted.uncertainty).any(axis=(1, 2))
    return tuple(
        pose_clip.Track(
            name=name,
            pose=lifted.pose[index],
            confidence=lifted.confidence[index],
            uncertainty=lifted.uncertainty[index] if is_uncertain[index] else None,
            keypoints_2d=keypoints[index],
            keypoint_confidence=seen[index],
        )
        for index, name in enumerate(tracks.names)
    )
