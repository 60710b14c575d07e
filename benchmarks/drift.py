"""How far days of one studio are apart, and how far a studio that changed is.

    python -m benchmarks.drift

Prints a Markdown table, that of docs/continuous.md, of what the pipeline's ExampleValidator for
drift measures. A day is another two people each time, four clips each, 100 frames a clip; the
cameras are calibrated anew, to a few millimeters.
"""

import collections
import dataclasses
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components import checks, rolling_window
from components.example_gen import files
from keras_mvlift import configs
from keras_mvlift.datasets import preparation, sequences
from keras_mvlift.geometry import cameras
from keras_mvlift.studio import synthetic
from pipeline import settings

PEOPLE_A_DAY, CLIPS_A_PERSON, NUM_FRAMES = 2, 4, 100
_CALIBRATION_ERROR = 0.003
_NUM_VIRTUAL_VIEWS = 4
_TABLES = {"train": "train_pairs", "eval": "held_out_pairs"}

Change = Callable[[sequences.MultiViewSequence], sequences.MultiViewSequence]
Row = tuple[str, dict[str, float]]


def film(
    day: int, move: np.ndarray | float = 0.0, *, num_frames: int = NUM_FRAMES, **studio: Any
) -> Iterator[sequences.MultiViewSequence]:
    """Films a day.

    Args:
        day: From 0; other people each day.
        move: `[V, 3]`, meters, by which the cameras were moved, still looking at the room's middle.
        num_frames: Of a clip.
        **studio: Arguments of `synthetic.Studio`.
    """
    people = range(day * PEOPLE_A_DAY + 1, (day + 1) * PEOPLE_A_DAY + 1)
    shown = synthetic.Studio(
        num_subjects=people.stop, num_clips=CLIPS_A_PERSON, num_frames=num_frames, **studio
    )
    if np.any(move):
        center = shown.camera.center + move
        target = cameras.meeting_point(shown.camera).numpy() + np.zeros_like(center)
        up = np.array([0.0, 0.0, 1.0]) + np.zeros_like(center)
        moved = cameras.look_at(shown.camera.intrinsics, center, target, up)
        shown.__dict__["camera"] = tf.nest.map_structure(np.asarray, moved)
    subjects = {f"S{number:02d}" for number in people}
    return (shown.read(clip) for clip in shown.clips() if clip.split("_")[0] in subjects)


def calibrated(day: int) -> Change:
    """Returns a change: the cameras' places as a day's calibration has them."""
    error = np.random.default_rng(day).normal(0.0, _CALIBRATION_ERROR, (4, 3))
    return lambda clip: dataclasses.replace(
        clip, camera=clip.camera._replace(center=clip.camera.center + error)
    )


def resized(factor: float) -> Change:
    """Returns a change: images of another resolution."""

    def change(clip: sequences.MultiViewSequence) -> sequences.MultiViewSequence:
        scale = np.diag([factor, factor, 1.0])
        camera = clip.camera._replace(intrinsics=scale @ clip.camera.intrinsics)
        return dataclasses.replace(clip, camera=camera, keypoints_2d=factor * clip.keypoints_2d)

    return change


def offset(pixels: float) -> Change:
    """Returns a change: keypoints of cropped images, told in pixels of the crop."""
    return lambda clip: dataclasses.replace(
        clip,
        keypoints_2d=np.where(
            clip.confidence[..., np.newaxis] > 0, clip.keypoints_2d - pixels, 0.0
        ),
    )


def as_sure_as(scale: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Returns a change: a detector with other confidences."""
    return lambda clip: dataclasses.replace(
        clip, confidence=np.where(clip.confidence > 0, scale(clip.confidence), 0.0)
    )


def without_camera(index: int) -> Change:
    """Returns a change: a camera sees nobody."""

    def change(clip: sequences.MultiViewSequence) -> sequences.MultiViewSequence:
        is_lost = (np.arange(clip.num_views) == index)[:, np.newaxis, np.newaxis]
        confidence = np.where(is_lost, 0.0, clip.confidence)
        keypoints_2d = np.where(confidence[..., np.newaxis] > 0, clip.keypoints_2d, 0.0)
        absent = (clip.camera_names[index],)
        return dataclasses.replace(
            clip, confidence=confidence, keypoints_2d=keypoints_2d, absent=absent
        )

    return change


def statistics(clips: Iterable[sequences.MultiViewSequence]) -> rolling_window.Statistics:
    """Gives what StatisticsGen gives of a day's pairs, by split."""
    config = configs.DataConfig(num_virtual_views=_NUM_VIRTUAL_VIEWS)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, clip in enumerate(clips):
            prepared = preparation.prepare(clip, preparation.ByBlocks(held_out_share=0.1), config)
            for split, table in _TABLES.items():
                files.write(folder, f"{split}/{number:05d}.gz", getattr(prepared, table))
        for split in _TABLES:
            pattern = str(pathlib.Path(folder, split, "*.gz"))
            found[split] = tfdv.generate_statistics_from_tfrecord(pattern)
    return found


def measure(new: rolling_window.Statistics, former: rolling_window.Statistics) -> dict[str, float]:
    """Returns how far each feature is off, on that side of the pairs where it is farther."""
    names = settings.DriftConfig().thresholds
    # As a threshold of 0 compares nothing.
    text = checks.comparators(checks.PAIRS, dict.fromkeys(names, 1e-9))
    schema = text_format.Parse(text, schema_pb2.Schema())
    _, found = rolling_window.compare(new, {0: former}, schema)
    most: dict[str, float] = collections.defaultdict(float)
    for name, (value, _) in rolling_window.measured(found.values()).items():
        feature = name.rpartition("/")[-1]
        most[feature] = max(most[feature], value)
    return {name: most[name] for name in names}


def changes() -> dict[str, tuple[dict[str, Any], list[Change]]]:
    """Returns what may happen to a studio: arguments of `film`, and changes of what was filmed."""
    rng = np.random.default_rng(0)

    def moved(distance: float) -> dict[str, Any]:
        move = np.zeros((4, 3))
        move[2, :2] = distance * np.array([0.6, 0.8])
        return {"move": move}

    return {
        "images of 2/3 the size": ({}, [resized(2 / 3)]),
        "images of 9/10 the size": ({}, [resized(0.9)]),
        "keypoints of crops, 100 px off": ({}, [offset(100.0)]),
        "confidences evenly 0.3 to 0.95": (
            {},
            [as_sure_as(lambda sure: rng.uniform(0.3, 0.95, sure.shape))],
        ),
        "confidences 5 % lower": ({}, [as_sure_as(lambda sure: 0.95 * sure)]),
        "a noisier detector, as sure": ({"noise_px": 8.0, "gross_error_rate": 0.05}, []),
        "a camera moved by 0.3 m": (moved(0.3), []),
        "a camera moved by 1 m": (moved(1.0), []),
        "a camera lost": ({}, [without_camera(2)]),
        "another rig of the same kind": ({"seed": 5}, []),
    }


def rows(num_days: int = 6, num_frames: int = NUM_FRAMES) -> Iterator[Row]:
    """Measures days of one rig, and changed days, against the first."""

    def day(number: int, made: Iterable[Change] = (), **options: Any) -> rolling_window.Statistics:
        clips = film(number, num_frames=num_frames, **options)
        for change in (*made, calibrated(number)):
            clips = map(change, clips)
        return statistics(clips)

    first = day(0)
    for number in range(1, num_days):
        yield f"day {number + 1}", measure(day(number), first)
    for name, (options, made) in changes().items():
        yield name, measure(day(1, made, **options), first)


def main() -> None:
    """Prints the table; what is beyond its threshold is in bold."""
    thresholds = settings.DriftConfig().thresholds
    sys.stdout.write(
        "| | " + " | ".join(thresholds) + " |\n|---|" + "---|" * len(thresholds) + "\n"
    )
    for name, found in rows():
        cells = [
            f"**{found[key]:.3f}**" if found[key] > most else f"{found[key]:.3f}"
            for key, most in thresholds.items()
        ]
        sys.stdout.write(f"| {name} | {' | '.join(cells)} |\n")
        sys.stdout.flush()
    most = " | ".join(f"{value:g}" for value in thresholds.values())
    sys.stdout.write(f"| threshold | {most} |\n")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
