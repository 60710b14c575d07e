"""People's 2D joints over time in one camera's image: what lifting starts from."""

import dataclasses
from typing import Any

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.lifting import pose_clip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tracks2D:
    """People in the image of one camera.

    Attributes:
        names: `P` names, each once.
        joint_names: `K` names, as in `skeletons`.
        keypoints_2d: `[P, T, K, 2]`, pixels, as detected; 0 where not seen.
        confidence: `[P, T, K]`, in [0, 1]; 0 where not seen.
        frame_rate: Frames per second; None where it is not known.
        first_frame: The number of the first frame.
        image_size: Width and height, pixels; None where it is not known.
        notes: What reading decided, to be told.
        min_confidence: Below which joints are not to be relied on, as who saw them has it.

    Raises:
        ValueError: If a field does not hold what is stated above.
    """

    names: tuple[str, ...]
    joint_names: tuple[str, ...]
    keypoints_2d: np.ndarray
    confidence: np.ndarray
    frame_rate: float | None = None
    first_frame: int = 0
    image_size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    min_confidence: float = 0.0

    def __post_init__(self) -> None:
        shape = (len(self.names), self.num_frames, len(self.joint_names))
        for name, expected in (("keypoints_2d", (*shape, 2)), ("confidence", shape)):
            received = getattr(self, name).shape
            is_whole = received == expected and 0 not in expected
            rule = "be of at least one person, frame and joint, all that are named"
            errors.require(is_whole, name, rule, f"shape {list(received)}")
        is_own = len(set(self.names)) == len(self.names)
        errors.require(is_own, "names", "each be there once", self.names)
        # In single precision, in which they are lifted.
        if not (np.abs(self.keypoints_2d) <= np.finfo(np.float32).max).all():
            raise errors.ArgumentError("keypoints_2d", "be finite", "NaN or infinity")
        low, high = self.confidence.min(), self.confidence.max()
        errors.require(low >= 0 and high <= 1, "confidence", "lie in [0, 1]", f"{low} to {high}")

    @property
    def num_frames(self) -> int:
        """The number of frames, `T`."""
        return self.keypoints_2d.shape[1]


def of_arrays(
    keypoints_2d: np.ndarray,
    confidence: np.ndarray | None = None,
    *,
    joint_names: tuple[str, ...] = skeletons.H36M_17.joints,
    names: tuple[str, ...] | None = None,
    **facts: Any,
) -> Tracks2D:
    """Makes tracks of arrays, time first.

    Args:
        keypoints_2d: `[K, 2]`, `[T, K, 2]` or `[T, P, K, 2]`, pixels; not seen where it is at no
            place, `skeletons.is_place`.
        confidence: The same without the last axis, in [0, 1], 0 where not seen; None if it is
            not known, 1 then for all that was seen.
        joint_names: `K` names, as in `skeletons`, however they are written.
        names: `P` names; `"person 1"` and so on if None.
        **facts: What else is known, as `Tracks2D` has it: `frame_rate`, `first_frame`,
            `image_size`, `notes` and `min_confidence`.

    Raises:
        ValueError: If a shape or value is not as stated above.
    """
    keypoints, count = errors.numbers("keypoints_2d", keypoints_2d, np.float64), len(joint_names)
    is_shaped = keypoints.ndim in (2, 3, 4) and keypoints.shape[-2:] == (count, 2)
    rule = f"have shape [{count}, 2], [T, {count}, 2] or [T, P, {count}, 2]"
    errors.require(is_shaped, "keypoints_2d", rule, list(keypoints.shape))
    is_seen = skeletons.is_place(keypoints)
    given = np.ones(is_seen.shape) if confidence is None else confidence
    seen = errors.numbers("confidence", given, np.float64)
    rule = f"have shape {list(is_seen.shape)}"
    errors.require(seen.shape == is_seen.shape, "confidence", rule, list(seen.shape))
    # A picture is one frame, and who has no axis one person.
    shape = (*seen.shape[:-1], 1, 1)[:2]
    seen = np.where(is_seen, seen, 0.0).reshape(*shape, count).swapaxes(0, 1)
    keypoints = keypoints.reshape(*shape, count, 2).swapaxes(0, 1)
    numbered = (f"person {number}" for number in range(1, len(keypoints) + 1))
    return Tracks2D(
        names=tuple(numbered) if names is None else names,
        joint_names=tuple(map(skeletons.joint_name, joint_names)),
        keypoints_2d=np.where(seen[..., np.newaxis] > 0, keypoints, 0.0),
        confidence=seen,
        **facts,
    )


def at_least(tracks: Tracks2D, min_confidence: float) -> Tracks2D:
    """Takes joints that are less sure for not seen, and notes how many that are.

    Raises:
        ValueError: If the least confidence lies outside [0, 1].
    """
    errors.require(0 <= min_confidence <= 1, "min_confidence", "lie in [0, 1]", min_confidence)
    is_unsure = (tracks.confidence > 0) & (tracks.confidence < min_confidence)
    if not is_unsure.any():
        return tracks
    share = is_unsure.sum() / (tracks.confidence > 0).sum()
    note = f"{share:.1%} of joints less sure than {min_confidence:g} count as not seen"
    return dataclasses.replace(
        tracks,
        keypoints_2d=np.where(is_unsure[..., np.newaxis], 0.0, tracks.keypoints_2d),
        confidence=np.where(is_unsure, 0.0, tracks.confidence),
        notes=(*tracks.notes, note),
    )


def of_clip(clip: pose_clip.PoseClip) -> Tracks2D:
    """Returns what was lifted, of those tracks of a clip that tell it.

    Raises:
        ValueError: If none does.
    """
    tracks = [track for track in clip.tracks if track.keypoints_2d is not None]
    errors.require(bool(tracks), "tracks", "hold `keypoints_2d`", "none that does")
    keypoints = [track.keypoints_2d for track in tracks if track.keypoints_2d is not None]
    seen = (track.keypoint_confidence for track in tracks)
    shape = tracks[0].pose.shape[:2]
    confidence = [np.ones(shape) if each is None else each for each in seen]
    return of_arrays(
        np.stack(keypoints, axis=1),
        np.stack(confidence, axis=1),
        joint_names=clip.joint_names,
        names=tuple(track.name for track in tracks),
        frame_rate=clip.frame_rate,
        first_frame=clip.first_frame,
        image_size=clip.image_size,
    )
