"""From a clip to records: pairs to train on, pairs held out, views to test on, and a count."""

import dataclasses
import itertools
from collections import Counter
from typing import NamedTuple

import numpy as np

from keras_mvlift import configs, errors, skeletons
from keras_mvlift.datasets import sequences, tfrecords
from keras_mvlift.geometry import cameras


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What a clip gives: columns of records, and how many of what were used and left out."""

    train_pairs: tfrecords.Columns  # Pairs, of real and virtual views, of the training frames.
    train_instants: tfrecords.Columns  # The same frames with all of their views.
    # Pairs of real views, of the held-out frames, which neither train nor test.
    held_out_pairs: tfrecords.Columns
    held_out_instants: tfrecords.Columns  # The same frames with all of their views.
    test_views: tfrecords.Columns  # Single views with reference poses, of the test frames.
    counts: dict[str, int]  # How many there were of each, and of what was left out.


# Which frames train, which test and which choose, so that neighbours do not leak.


class Frames(NamedTuple):
    """Frame indices of one clip, none of them in two parts."""

    train: np.ndarray  # [T_train], for training.
    test: np.ndarray  # [T_test], single views for evaluation.
    # [T_held_out], for what chooses: early stopping, tuning and the calibration of uncertainty;
    # empty where the split holds nothing out.
    held_out: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class HoldingOut(configs.Checked):
    """What all splits have in common: a part of its own for what chooses.

    Args:
        held_out_clips: Clips that neither train nor test.
        held_out_share: The share of each training clip that is held out, at its end. A clip too
            short to leave a frame to train on trains whole.
        gap: Frames between parts of a clip, used by none.

    Raises:
        ValueError: If the share does not lie in [0, 1), or the gap is negative.
    """

    held_out_clips: tuple[str, ...] = ()
    held_out_share: configs.ShareBelow1 = 0.0
    gap: configs.Count = 5

    @property
    def holds_out(self) -> bool:
        """Whether anything is held out."""
        return bool(self.held_out_clips or self.held_out_share)

    def frames(self, sequence: sequences.MultiViewSequence) -> Frames:
        """Splits the frames of a clip.

        Raises:
            RecordingError: If the clip is too short to leave a frame to train on.
        """
        every, none = np.arange(sequence.num_frames), np.arange(0)
        if self._is_held_out(sequence):
            return Frames(none, none, every)
        train, test = self._parts(sequence)
        start = sequence.num_frames - int(np.ceil(self.held_out_share * sequence.num_frames))
        before, held_out = train[train < start - self.gap], train[train >= start]
        if not self.held_out_share or not len(before) or not len(held_out):
            return Frames(train, test, none)
        return Frames(before, test, held_out)

    def _is_held_out(self, sequence: sequences.MultiViewSequence) -> bool:
        return sequence.name in self.held_out_clips

    def _parts(self, sequence: sequences.MultiViewSequence) -> tuple[np.ndarray, np.ndarray]:
        """Returns the frames that train, of which the end may be held out, and those that test."""
        raise NotImplementedError


def _whole(sequence: sequences.MultiViewSequence, is_test: bool) -> tuple[np.ndarray, np.ndarray]:
    every, none = np.arange(sequence.num_frames), np.arange(0)
    return (none, every) if is_test else (every, none)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BySubject(HoldingOut):
    """Tests on people never seen in training; clips are whole, but for the ends held out.

    Args:
        test_subjects: The people to test on.
        held_out_subjects: People who neither train nor test.

    The other arguments are those of `HoldingOut`.

    Raises:
        ValueError: If somebody is both to be tested on and held out.
    """

    test_subjects: tuple[str, ...]
    held_out_subjects: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_apart("subjects", self.test_subjects, self.held_out_subjects)

    @property
    def holds_out(self) -> bool:
        """Whether anything is held out."""
        return bool(self.held_out_subjects) or super().holds_out

    def _is_held_out(self, sequence: sequences.MultiViewSequence) -> bool:
        return sequence.subject in self.held_out_subjects or super()._is_held_out(sequence)

    def _parts(self, sequence: sequences.MultiViewSequence) -> tuple[np.ndarray, np.ndarray]:
        return _whole(sequence, sequence.subject in self.test_subjects)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ByClip(HoldingOut):
    """Tests on clips never seen in training, of people who may have been.

    Args:
        test_clips: The clips to test on; the other arguments are those of `HoldingOut`.

    Raises:
        ValueError: If a clip is both to be tested on and held out.
    """

    test_clips: tuple[str, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_apart("clips", self.test_clips, self.held_out_clips)

    def _parts(self, sequence: sequences.MultiViewSequence) -> tuple[np.ndarray, np.ndarray]:
        return _whole(sequence, sequence.name in self.test_clips)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ByBlocks(HoldingOut):
    """Tests on whole blocks of frames of each clip, each in the middle of its share of the clip.

    Args:
        num_blocks: Blocks per clip.
        block_length: Frames per block.

    The other arguments are those of `HoldingOut`.

    Raises:
        ValueError: If a number is negative, or there is no block.
    """

    num_blocks: configs.Positive = 2
    block_length: configs.Positive = 10

    def _parts(self, sequence: sequences.MultiViewSequence) -> tuple[np.ndarray, np.ndarray]:
        share = sequence.num_frames / self.num_blocks
        if share <= self.block_length + 2 * self.gap:
            least = self.num_blocks * (self.block_length + 2 * self.gap)
            where, rule = f"Clip {sequence.name!r}", f"number more than {least} for {self}"
            raise errors.RecordingError(where, "frames", rule, sequence.num_frames)
        starts = np.arange(self.num_blocks) * share + (share - self.block_length) / 2
        offset = np.arange(sequence.num_frames) - starts.astype(int)[:, np.newaxis]
        is_test = (offset >= 0) & (offset < self.block_length)
        is_near = (offset >= -self.gap) & (offset < self.block_length + self.gap)
        return np.flatnonzero(~is_near.any(axis=0)), np.flatnonzero(is_test.any(axis=0))


Split = BySubject | ByClip | ByBlocks

SPLITS = {"subject": BySubject, "clip": ByClip, "blocks": ByBlocks}


def _require_apart(kind: str, tested: tuple[str, ...], held_out: tuple[str, ...]) -> None:
    both = ", ".join(sorted({*tested} & {*held_out}))
    errors.require(not both, f"held_out_{kind}", f"name none of `test_{kind}`", both)


def prepare(
    sequence: sequences.MultiViewSequence, split: Split, config: configs.DataConfig
) -> Prepared:
    """Turns a clip into columns of records, by the config's strides, thresholds and virtual views.

    What cannot be used is counted and left out, never guessed: views that show too few joints,
    instants with fewer than two such views, test instants whose reference lacks its root or has
    too few joints. A joint that a reference lacks is NaN in it. A clip without a reference is
    tested against what all of its cameras triangulate; one with a reference may be tested on a
    single camera.
    """
    rng, frames = _pairing(sequence, split, config)
    counts = Counter(
        {"frames": sequence.num_frames}
        | {f"{part}_frames": len(frame) for part, frame in frames._asdict().items()}
    )
    left_out = {
        "out_of_sync_cameras": len(sequence.out_of_sync),
        "unsure_views": sequence.unsure_views,
        "unfollowed_people": sequence.unfollowed_people,
    }
    counts.update({name: count for name, count in left_out.items() if count})
    counts["unused_frames"] = sequence.num_frames - len(np.unique(np.concatenate(frames)))
    train = _usable(sequences.instants_of_sequence(sequence, frames.train), config, counts)
    min_views = 2 if sequence.pose_world is None else 1
    test = _usable(sequences.instants_of_sequence(sequence, frames.test), config, counts, min_views)
    held_out = _usable(sequences.instants_of_sequence(sequence, frames.held_out), config, counts)
    augmented = _augmented(train, sequence, config, rng)
    tables = {
        "train_pairs": _pairs(augmented, config, rng),
        "train_instants": tfrecords.instant_columns(augmented),
        "held_out_pairs": _pairs(held_out, config, rng),
        "held_out_instants": tfrecords.instant_columns(held_out),
        "test_views": _test_views(test, sequence, config, counts),
    }
    counts.update({name: len(columns["frame"]) for name, columns in tables.items()})
    seen = np.concatenate([frames.train, frames.held_out])
    labeled = {name: columns | _about(sequence, seen, columns) for name, columns in tables.items()}
    labeled["test_views"] |= _about(sequence, np.arange(sequence.num_frames), tables["test_views"])
    return Prepared(**labeled, counts=dict(counts))


def training_instants(
    sequence: sequences.MultiViewSequence, split: Split, config: configs.DataConfig
) -> sequences.Instants:
    """Returns the instants whose pairs `prepare` makes to train on, virtual views included."""
    rng, frames = _pairing(sequence, split, config)
    seen = _usable(sequences.instants_of_sequence(sequence, frames.train), config, Counter())
    return _augmented(seen, sequence, config, rng)


def rig_distance(sequence: sequences.MultiViewSequence) -> float:
    """Returns the mean distance in meters from the cameras to where their optical axes meet.

    Raises:
        ValueError: If there is only one camera.
    """
    errors.require(sequence.num_views >= 2, "sequence", "have two cameras", sequence.num_views)
    meeting_point = cameras.meeting_point(sequence.camera)
    return float(np.linalg.norm(sequence.camera.center - meeting_point, axis=-1).mean())


def _augmented(
    seen: sequences.Instants,
    sequence: sequences.MultiViewSequence,
    config: configs.DataConfig,
    rng: np.random.Generator,
) -> sequences.Instants:
    """Adds virtual views, if any; only the config's `virtual_points` shows them the reference."""
    if not config.num_virtual_views or not len(seen.frame):
        return seen
    points = None
    if config.virtual_points == "reference":
        if sequence.pose_world is None:
            rule = "be there for virtual_points='reference'"
            raise errors.RecordingError(f"Clip {sequence.name!r}", "pose_world", rule, None)
        points = sequence.pose_world[seen.frame]
    return add_virtual_views(
        seen,
        config.num_virtual_views,
        config.min_confidence,
        rng,
        points=points,
        elevation_margin=config.virtual_elevation_margin,
    )


def _pairing(
    sequence: sequences.MultiViewSequence, split: Split, config: configs.DataConfig
) -> tuple[np.random.Generator, Frames]:
    """Returns the random numbers of a clip, and the frames of each part that the strides leave."""
    strides = config.stride, config.test_stride, config.stride
    pairs = zip(split.frames(sequence), strides, strict=True)
    frames = Frames(*(frame[frame % stride == 0] for frame, stride in pairs))
    return sequences.seeded_generator(config.seed, "pairs", sequence.name), frames


def _usable(
    seen: sequences.Instants, config: configs.DataConfig, counts: Counter[str], min_views: int = 2
) -> sequences.Instants:
    """Keeps the instants of enough usable views; blanks and counts the other views."""
    is_used = seen.is_used(config.min_joints)
    is_kept = np.count_nonzero(is_used, axis=1) >= min_views
    counts["dropped_views"] += int(np.count_nonzero(~is_used))
    counts["dropped_instants"] += int(np.count_nonzero(~is_kept))
    counts["missing_joints"] += int(np.count_nonzero(seen.confidence[is_used] == 0))
    blanked = seen._replace(
        confidence=np.where(is_used[..., np.newaxis], seen.confidence, 0.0),
        keypoints_2d=np.where(is_used[..., np.newaxis, np.newaxis], seen.keypoints_2d, 0.0),
    )
    return blanked.select(np.flatnonzero(is_kept))


def _pairs(
    seen: sequences.Instants, config: configs.DataConfig, rng: np.random.Generator
) -> tfrecords.Columns:
    """Pairs the usable views of each instant: all of them, or as many as the config draws.

    Virtual views, which come last, are not paired with each other: they see the same triangulated
    points with the same errors, which one would teach the other as the truth (docs/method.md).
    """
    num_real = sum(not name.startswith(VIRTUAL) for name in seen.camera_names)
    pairs = itertools.combinations(range(len(seen.camera_names)), 2)
    combinations = np.array([pair for pair in pairs if pair[0] < num_real], int).reshape(-1, 2)
    is_used = seen.is_used(config.min_joints)
    is_pair = is_used[:, combinations[:, 0]] & is_used[:, combinations[:, 1]]
    if config.pairs_per_instant:
        draw = np.where(is_pair, rng.random(is_pair.shape), np.inf)
        rank = draw.argsort(axis=1).argsort(axis=1)
        is_pair &= rank < config.pairs_per_instant
    instant, pair = np.nonzero(is_pair)
    source, target = combinations[pair].T
    return tfrecords.pair_columns(seen, instant, source, target)


def _test_views(
    seen: sequences.Instants,
    sequence: sequences.MultiViewSequence,
    config: configs.DataConfig,
    counts: Counter[str],
) -> tfrecords.Columns:
    """Lays out every usable view with the reference pose in its camera's axes, root at 0.

    A joint that the reference lacks is NaN; without its root, or with few joints, it is none.
    """
    if sequence.pose_world is None:
        points, is_seen = sequences.triangulate(seen, config.min_confidence)
        pose_world = np.where(is_seen[..., np.newaxis], points, np.nan)
    else:
        pose_world = sequence.pose_world[seen.frame]
    has_joint = np.isfinite(pose_world).all(axis=-1)
    num_known = np.count_nonzero(has_joint, axis=-1)
    is_known = has_joint[:, skeletons.ROOT] & (num_known >= config.min_joints)
    counts["instants_without_reference"] += int(np.count_nonzero(~is_known))
    counts["missing_reference_joints"] += int(np.count_nonzero(~has_joint[is_known]))
    instant, view = np.nonzero(seen.is_used(config.min_joints) & is_known[:, np.newaxis])
    columns = tfrecords.view_columns(seen, instant, view)
    pose = pose_world[instant]
    relative = pose - pose[:, skeletons.ROOT : skeletons.ROOT + 1]
    in_camera_axes = cameras.rotate(relative, columns["rotation"])
    return columns | {"frame": seen.frame[instant], tfrecords.REFERENCE_POSE: in_camera_axes}


def _about(
    sequence: sequences.MultiViewSequence, frame: np.ndarray, columns: tfrecords.Columns
) -> tfrecords.Columns:
    """Says of every row where it comes from, and how sure each camera was in the given frames."""
    num_rows = len(columns["frame"])
    names = {"clip": sequence.name, "subject": sequence.subject, "action": sequence.action}
    about = {key: np.full(num_rows, name, dtype=object) for key, name in names.items()}
    present = [name not in sequence.absent for name in sequence.camera_names]
    total = sequence.confidence[present][:, frame].sum(axis=(1, 2))
    camera_confidence = total / max(len(frame) * sequence.confidence.shape[2], 1)
    return about | {"camera_confidence": np.tile(camera_confidence, (num_rows, 1))}


# Data augmentation by virtual cameras on the rig's sphere, without any 3D label.
#
# The points they see are triangulated from the 2D detections of the real views.

VIRTUAL = "virtual_"  # How the names of virtual cameras begin.

# Real cameras are not all at one height; virtual ones spread a little beyond them, radians.
ELEVATION_MARGIN = 0.09


def add_virtual_views(
    views: sequences.Instants,
    num_views: int,
    min_confidence: float,
    rng: np.random.Generator,
    *,
    points: np.ndarray | None = None,
    elevation_margin: float = ELEVATION_MARGIN,
) -> sequences.Instants:
    """Adds virtual views of the triangulated joints to the real ones.

    At each instant the virtual cameras stand around the person: at an azimuth drawn at random
    from the full circle, at an elevation and a distance drawn from the range of the real ones.

    Args:
        views: The real cameras' views.
        num_views: Virtual views per instant.
        min_confidence: Detections below it are left out of the triangulation.
        rng: The source of the draws.
        points: `[T, J, 3]`, meters, world frame, NaN where unknown: what the virtual cameras see
            instead of triangulated joints. It makes 3D labels part of the training.
        elevation_margin: Radians by which virtual cameras may stand higher or lower.

    Returns:
        The real views followed by the virtual ones, in which joints that could not be triangulated
        have confidence 0, and the others the mean one of the views that saw them.

    References:
        Li et al., section "Data augmentation", after Fang et al. 2018; there the projected
        points are 3D poses.
    """
    if points is None:
        points, is_seen = sequences.triangulate(views, min_confidence)
    else:
        is_seen = np.isfinite(points).all(axis=-1)
        points = np.where(is_seen[..., np.newaxis], points, 0.0)
    subject = _subject_position(points, is_seen)
    camera = _place(views.camera, subject, num_views, rng, elevation_margin)
    points_camera = cameras.camera_from_world(points[:, np.newaxis], camera)
    keypoints_2d = cameras.project(points_camera, camera.intrinsics)
    is_used = (views.confidence >= min_confidence) & (views.confidence > 0)
    confidence = np.where(is_used, views.confidence, 0.0).sum(1) / np.maximum(is_used.sum(1), 1)
    in_front = points_camera[..., 2] > cameras.MIN_DEPTH
    is_visible = is_seen[:, np.newaxis] & in_front
    virtual = sequences.Instants(
        views.frame,
        tuple(f"{VIRTUAL}{index}" for index in range(num_views)),
        np.where(is_visible[..., np.newaxis], keypoints_2d, 0.0),
        np.where(is_visible, confidence[:, np.newaxis], 0.0),
        camera,
    )
    return sequences.concatenate_views(views, virtual)


def _subject_position(points: np.ndarray, is_seen: np.ndarray) -> np.ndarray:
    """Returns `[T, 3]`: the root, or the mean of what was seen, or the clip's mean."""
    count = is_seen.sum(axis=1)[:, np.newaxis]
    mean = (points * is_seen[..., np.newaxis]).sum(axis=1) / np.maximum(count, 1)
    mean = np.where(count > 0, mean, mean[count[:, 0] > 0].mean(axis=0) if count.any() else 0.0)
    return np.where(is_seen[:, skeletons.ROOT, np.newaxis], points[:, skeletons.ROOT], mean)


def _place(
    real: cameras.Camera,
    subject: np.ndarray,
    num_views: int,
    rng: np.random.Generator,
    elevation_margin: float,
) -> cameras.Camera:
    """Draws cameras `[T, num_views]` on the sphere of the real ones around the subject."""
    offset = np.asarray(real.center) - subject[:, np.newaxis]
    distance = np.linalg.norm(offset, axis=-1)
    elevation = np.arcsin(np.clip(offset[..., 2] / distance, -1.0, 1.0))
    azimuth = rng.uniform(0.0, 2 * np.pi, (len(subject), num_views))
    up = _draw_places(elevation, num_views, rng, elevation_margin)
    away = np.stack([np.cos(azimuth) * np.cos(up), np.sin(azimuth) * np.cos(up), np.sin(up)], -1)
    center = subject[:, np.newaxis] + _draw_places(distance, num_views, rng)[..., np.newaxis] * away
    intrinsics = np.asarray(real.intrinsics).mean(axis=1, keepdims=True)
    intrinsics = np.broadcast_to(intrinsics, (*azimuth.shape, 3, 3))
    target = np.broadcast_to(subject[:, np.newaxis], center.shape)
    return cameras.look_at(intrinsics, center, target, np.array([0.0, 0.0, 1.0]))


def _draw_places(
    values: np.ndarray, num_views: int, rng: np.random.Generator, margin: float = 0.0
) -> np.ndarray:
    low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    return rng.uniform(low - margin, high + margin, (len(values), num_views))
