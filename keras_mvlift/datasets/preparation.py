"""From a clip to records: pairs to train on, pairs held out, views to test on, and a count."""

import dataclasses
import itertools
from collections import Counter

import numpy as np

from keras_mvlift import configs, errors, skeletons
from keras_mvlift.datasets import examples, instants, seeds, sequences, splits, virtual_views
from keras_mvlift.geometry import cameras


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What a clip gives.

    Attributes:
        train_pairs: Columns of pairs, real and virtual views, of the training frames.
        train_instants: Columns of the same frames with all of their views.
        held_out_pairs: Columns of pairs, real views only, of the held-out frames, which neither
            train nor test: for early stopping, tuning and calibration.
        held_out_instants: Columns of the same frames with all of their views.
        test_views: Columns of single views with reference poses, of the test frames.
        counts: How many of what were used and left out.
    """

    train_pairs: examples.Columns
    train_instants: examples.Columns
    held_out_pairs: examples.Columns
    held_out_instants: examples.Columns
    test_views: examples.Columns
    counts: dict[str, int]


def prepare(
    sequence: sequences.MultiViewSequence, split: splits.Split, config: configs.DataConfig
) -> Prepared:
    """Turns a clip into columns of records, with arrays throughout.

    What cannot be used is counted and left out, never guessed: views that show too few joints,
    instants with fewer than two such views, test instants whose reference lacks its root or has
    too few joints. A joint that a reference lacks is NaN in it. A clip
    without a reference is tested against what all of its cameras triangulate; one with a
    reference may be tested on a single camera.

    Args:
        sequence: The clip.
        split: Which frames train, which test and which choose.
        config: Stride, thresholds, virtual views and seed.
    """
    rng = seeds.generator(config.seed, "pairs", sequence.name)
    frames = _strided(split.frames(sequence), config)
    counts = Counter(
        {"frames": sequence.num_frames}
        | {f"{part}_frames": len(frame) for part, frame in frames._asdict().items()}
    )
    if sequence.out_of_sync:
        counts["out_of_sync_cameras"] = len(sequence.out_of_sync)
    counts["unused_frames"] = sequence.num_frames - len(np.unique(np.concatenate(frames)))
    train = _usable(instants.of_sequence(sequence, frames.train), config, counts)
    min_views = 2 if sequence.pose_world is None else 1
    test = _usable(instants.of_sequence(sequence, frames.test), config, counts, min_views)
    held_out = _usable(instants.of_sequence(sequence, frames.held_out), config, counts)
    augmented = train
    if config.num_virtual_views and len(train.frame):
        augmented = _augmented(train, sequence, config, rng)
    tables = {
        "train_pairs": _pairs(augmented, config, rng),
        "train_instants": examples.instant_columns(augmented),
        "held_out_pairs": _pairs(held_out, config, rng),
        "held_out_instants": examples.instant_columns(held_out),
        "test_views": _test_views(test, sequence, config, counts),
    }
    counts.update({name: len(columns["frame"]) for name, columns in tables.items()})
    seen = np.concatenate([frames.train, frames.held_out])
    labeled = {name: columns | _about(sequence, seen, columns) for name, columns in tables.items()}
    labeled["test_views"] |= _about(sequence, np.arange(sequence.num_frames), tables["test_views"])
    return Prepared(**labeled, counts=dict(counts))


def training_instants(
    sequence: sequences.MultiViewSequence, split: splits.Split, config: configs.DataConfig
) -> instants.Instants:
    """Gives the instants whose pairs `prepare` makes to train on, virtual views included."""
    rng = seeds.generator(config.seed, "pairs", sequence.name)
    frames = _strided(split.frames(sequence), config)
    seen = _usable(instants.of_sequence(sequence, frames.train), config, Counter())
    if config.num_virtual_views and len(seen.frame):
        return _augmented(seen, sequence, config, rng)
    return seen


def rig_distance(sequence: sequences.MultiViewSequence) -> float:
    """Gives the mean distance in meters from the cameras to where their optical axes meet.

    Raises:
        ValueError: If there is only one camera.
    """
    if sequence.num_views < 2:
        raise ValueError(f"`sequence` must have two cameras. Received: {sequence.num_views}.")
    meeting_point = cameras.meeting_point(sequence.camera).numpy()
    return float(np.linalg.norm(sequence.camera.center - meeting_point, axis=-1).mean())


def _augmented(
    seen: instants.Instants,
    sequence: sequences.MultiViewSequence,
    config: configs.DataConfig,
    rng: np.random.Generator,
) -> instants.Instants:
    """Adds the virtual views; only the config's `virtual_points` lets them see the reference."""
    points = None
    if config.virtual_points == "reference":
        if sequence.pose_world is None:
            rule = "be there for virtual_points='reference'"
            raise errors.RecordingError(f"Clip {sequence.name!r}", "pose_world", rule, None)
        points = sequence.pose_world[seen.frame]
    return virtual_views.add(
        seen,
        config.num_virtual_views,
        config.min_confidence,
        rng,
        points=points,
        elevation_margin=config.virtual_elevation_margin,
    )


def _strided(frames: splits.Frames, config: configs.DataConfig) -> splits.Frames:
    def every(stride: int, frame: np.ndarray) -> np.ndarray:
        return frame[frame % stride == 0]

    train, held_out = (every(config.stride, frame) for frame in (frames.train, frames.held_out))
    return splits.Frames(train, every(config.test_stride, frames.test), held_out)


def _usable(
    seen: instants.Instants, config: configs.DataConfig, counts: Counter[str], min_views: int = 2
) -> instants.Instants:
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
    seen: instants.Instants, config: configs.DataConfig, rng: np.random.Generator
) -> examples.Columns:
    """Pairs the usable views of each instant: all of them, or as many as the config draws."""
    combinations = np.array([*itertools.combinations(range(len(seen.camera_names)), 2)], int)
    combinations = combinations.reshape(-1, 2)
    is_used = seen.is_used(config.min_joints)
    is_pair = is_used[:, combinations[:, 0]] & is_used[:, combinations[:, 1]]
    if config.pairs_per_instant:
        draw = np.where(is_pair, rng.random(is_pair.shape), np.inf)
        rank = draw.argsort(axis=1).argsort(axis=1)
        is_pair &= rank < config.pairs_per_instant
    instant, pair = np.nonzero(is_pair)
    source, target = combinations[pair].T
    return examples.pair_columns(seen, instant, source, target)


def _test_views(
    seen: instants.Instants,
    sequence: sequences.MultiViewSequence,
    config: configs.DataConfig,
    counts: Counter[str],
) -> examples.Columns:
    """Lays out every usable view with the reference pose in its camera's axes, root at 0.

    A joint that the reference lacks is NaN; without its root, or with few joints, it is none.
    """
    pose_world = _reference(seen, sequence, config)
    has_joint = np.isfinite(pose_world).all(axis=-1)
    num_known = np.count_nonzero(has_joint, axis=-1)
    is_known = has_joint[:, skeletons.ROOT] & (num_known >= config.min_joints)
    counts["instants_without_reference"] += int(np.count_nonzero(~is_known))
    counts["missing_reference_joints"] += int(np.count_nonzero(~has_joint[is_known]))
    instant, view = np.nonzero(seen.is_used(config.min_joints) & is_known[:, np.newaxis])
    columns = examples.view_columns(seen, instant, view)
    pose = pose_world[instant]
    relative = pose - pose[:, skeletons.ROOT : skeletons.ROOT + 1]
    in_camera_axes = relative @ columns["rotation"].swapaxes(-1, -2)
    return columns | {
        "frame": seen.frame[instant],
        examples.REFERENCE_POSE: in_camera_axes,
    }


def _reference(
    seen: instants.Instants, sequence: sequences.MultiViewSequence, config: configs.DataConfig
) -> np.ndarray:
    """Gives `[T, J, 3]`, meters, world frame, NaN where unknown: the clip's, or triangulated."""
    if sequence.pose_world is not None:
        return sequence.pose_world[seen.frame]
    points, is_seen = instants.triangulate(seen, config.min_confidence)
    return np.where(is_seen[..., np.newaxis], points, np.nan)


def _about(
    sequence: sequences.MultiViewSequence, frame: np.ndarray, columns: examples.Columns
) -> examples.Columns:
    """Says of every row where it comes from, and how sure each camera was in the given frames."""
    num_rows = len(columns["frame"])
    names = {"clip": sequence.name, "subject": sequence.subject, "action": sequence.action}
    about = {key: np.full(num_rows, name, dtype=object) for key, name in names.items()}
    present = [name not in sequence.absent for name in sequence.camera_names]
    total = sequence.confidence[present][:, frame].sum(axis=(1, 2))
    camera_confidence = total / max(len(frame) * sequence.confidence.shape[2], 1)
    return about | {"camera_confidence": np.tile(camera_confidence, (num_rows, 1))}
