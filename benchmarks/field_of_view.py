"""Tells what a field of view costs that is not the camera's: the table of docs/field_of_view.md.

    python -m benchmarks.field_of_view

The shipped model lifts the four cameras of the embedded recording, by their own fields of view, by
narrower and wider ones, and by the camera that is taken where none is given.
"""

import argparse
import math
from typing import NamedTuple

import numpy as np
import rich.box
import rich.console
import rich.table

from keras_mvlift import inference, skeletons
from keras_mvlift.datasets import sequences
from keras_mvlift.datasets.rigs import pose2sim
from keras_mvlift.geometry import cameras
from keras_mvlift.lifting import viewpoints
from keras_mvlift.metrics import pose_error

IMAGE_SIZE = (1088, 1920)
"""Of the recording, pixels."""

OFF_BY = (-20.0, -10.0, -5.0, 0.0, 5.0, 10.0, 20.0)
"""Degrees of the horizontal field of view."""

_REFERENCE = "opensim/Balancing_for_IK.trc"


class Cost(NamedTuple):
    """Errors of the poses that a camera sees, and by what share people stand too far away.

    Attributes:
        mpjpe_mm: Pelvis on pelvis.
        p_mpjpe_mm: After the best turn, shift and scale.
        distance: The median of lifted over true distance, less 1.
    """

    mpjpe_mm: float
    p_mpjpe_mm: float
    distance: float


def recording() -> sequences.MultiViewSequence:
    """Reads the embedded recording with its own reference."""
    source = pose2sim.Pose2SimSource(root=pose2sim.demo_root(), reference=_REFERENCE)
    return source.read(source.clips()[0])


def field_of_view(intrinsics: np.ndarray) -> float:
    """Returns the horizontal field of view of a camera `[3, 3]` of the recording, degrees."""
    return math.degrees(2.0 * math.atan(IMAGE_SIZE[0] / 2 / float(intrinsics[0, 0])))


def measure(
    model: inference.Lifter, sequence: sequences.MultiViewSequence, number: int, matrix: np.ndarray
) -> Cost:
    """Compares what a camera's view becomes with the recording's reference.

    Args:
        model: The model.
        sequence: The recording.
        number: Of the camera.
        matrix: `[3, 3]`, pixels: the intrinsics that the model is told.
    """
    camera = cameras.Camera(*(np.asarray(field[number], np.float64) for field in sequence.camera))
    pose_true = cameras.camera_from_world(np.asarray(sequence.pose_world), camera)
    lifted = model.lift(sequence.keypoints_2d[number], sequence.confidence[number], camera=matrix)
    root_true = pose_true[:, skeletons.ROOT]
    relative = pose_true - root_true[:, np.newaxis]
    root = np.asarray(lifted.root_position)
    shares = np.linalg.norm(root, axis=-1) / np.linalg.norm(root_true, axis=-1)
    return Cost(
        1000.0 * float(np.mean(pose_error.mpjpe(relative, lifted.root_relative_pose))),
        1000.0 * float(np.mean(pose_error.p_mpjpe(relative, lifted.root_relative_pose))),
        float(np.median(shares)) - 1.0,
    )


def costs(model: inference.Lifter) -> dict[str, Cost]:
    """Returns the means over the four cameras, by what the model is told."""
    sequence = recording()
    told = {f"{off:+g}" if off else "the camera's own": off for off in OFF_BY}
    found: dict[str, list[Cost]] = {name: [] for name in (*told, "none: like training's")}
    for number, matrix in enumerate(sequence.camera.intrinsics):
        own = field_of_view(matrix)
        taken = {
            name: viewpoints.from_field_of_view(own + off, IMAGE_SIZE) for name, off in told.items()
        }
        taken["none: like training's"] = viewpoints.like_training(model.intrinsics, IMAGE_SIZE)
        for name, viewpoint in taken.items():
            found[name].append(measure(model, sequence, number, viewpoint.intrinsics))
    return {name: Cost(*np.mean(each, axis=0).tolist()) for name, each in found.items()}


def main() -> None:
    """Prints the table."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    table = rich.table.Table(
        "degrees off", "MPJPE mm", "P-MPJPE mm", "distance %", box=rich.box.MARKDOWN
    )
    for name, cost in costs(inference.load_model("studio")).items():
        mpjpe, p_mpjpe, distance = cost
        table.add_row(name, f"{mpjpe:.1f}", f"{p_mpjpe:.1f}", f"{100 * distance:+.0f}")
    rich.console.Console().print(table)


if __name__ == "__main__":
    main()
