"""Measures what fitting a model to a rig gains there, and what it gains or costs elsewhere.

    python -m benchmarks.adaptation --aistpp AISTPP --model FOLDER
    python -m benchmarks.adaptation --aistpp AISTPP --model FOLDER --pose2sim SESSION

A model that has seen films alone, as `benchmarks.studio_model` makes it, is fitted, without labels,
to four cameras that filmed dancer d04 of AIST++, and to the first 60 frames of the embedded
recording. Each is tested on another dancer before other cameras, on a clip of d04 that was left
out, and on the recording's later frames; in cameras that were fitted and in others. Errors are
against the data sets' own 3D joints.

With Pose2Sim's demo session (`benchmarks.studio_recordings`) both ways of fitting, closed form and
training on, are tested on all recordings at hand instead.
"""

import argparse
import functools
import pathlib
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import rich.box
import rich.console
import rich.table
import tensorflow as tf

from benchmarks import studio_real, studio_recordings
from keras_mvlift import inference
from keras_mvlift.datasets import aistpp, sequences, views
from keras_mvlift.datasets.rigs import pose2sim
from keras_mvlift.export import compact
from keras_mvlift.metrics import pose_error
from keras_mvlift.training import adaptation, objectives, refinement

FITTED_CAMERAS = ("c01", "c03", "c06", "c08")
OTHER_CAMERAS = tuple(name for name in aistpp.CAMERAS if name not in FITTED_CAMERAS)
_LEFT_OUT, _OTHER_DANCER = "gBR_sBM_cAll_d04_mBR2_ch08", "gJS_sBM_cAll_d03_mJS2_ch07"
_STRIDE = 6
_FITTED_FRAMES, _GAP = 60, 5
_REFERENCE = "opensim/Balancing_for_IK.trc"
_CONSOLE = rich.console.Console(width=250)
# What is measured beside the step that the score chooses.
_STEPS = (
    adaptation.Step(),
    adaptation.Step(mix_ridge=1e3),
    adaptation.Step(layer_ridge=1e3),
    adaptation.Step(layer_ridge=1e2),
)


class Tested(NamedTuple):
    """Views that are lifted, and the truth.

    Attributes:
        hidden: `[N, C]`, what the last layer is given.
        rotation: `[N, 3, 3]`, from the network's axes to the camera's.
        pose: `[N, J, 3]`, meters, camera axes, root at 0.
        camera: `[N]`, names.
    """

    hidden: np.ndarray
    rotation: np.ndarray
    pose: np.ndarray
    camera: np.ndarray

    def errors(self, weights: np.ndarray, cameras: Iterable[str] = ()) -> tuple[float, ...]:
        """Returns MPJPE, N-MPJPE and P-MPJPE in mm of a last layer, in some cameras or all."""
        rows = np.isin(self.camera, [*cameras]) if cameras else np.ones(len(self.camera), bool)
        pose = (self.hidden[rows] @ weights).reshape(-1, *self.pose.shape[1:])
        pose = ((pose - pose[:, :1]) @ self.rotation[rows]).astype(np.float32)
        true = self.pose[rows].astype(np.float32)
        metrics = (pose_error.mpjpe, pose_error.n_mpjpe, pose_error.p_mpjpe)
        scale = pose_error.MILLIMETERS_PER_METER
        return tuple(scale * float(np.mean(metric(true, pose))) for metric in metrics)


def test_of(clip: sequences.MultiViewSequence, stride: int, layer: compact.LastLayer) -> Tested:
    """Feeds every view of a clip that shows a person to the network."""
    some = sequences.instants_of_sequence(clip, np.arange(0, clip.num_frames, stride))
    if clip.pose_world is None:
        raise ValueError(f"{clip.name} must have a reference.")
    pose = clip.pose_world[some.frame]
    in_camera = np.einsum("tjx,vyx->tvjy", pose - pose[:, :1], clip.camera.rotation)
    is_tested = some.is_used(adaptation.MIN_JOINTS)
    is_tested &= np.isfinite(in_camera).all(axis=(2, 3))
    seen: views.View = tf.nest.map_structure(
        lambda field: field[is_tested], sequences.to_view(some)
    )
    names = np.broadcast_to(some.camera_names, is_tested.shape)[is_tested]
    return Tested(*layer.features(seen), in_camera[is_tested], names)


def fitted_to(
    clips: list[sequences.MultiViewSequence], layer: compact.LastLayer
) -> Iterator[tuple[str, np.ndarray]]:
    """Fits the steps of `_STEPS`, and the one that the score without labels chooses."""
    start = time.process_time()
    parts = list(adaptation.fed(adaptation.parts_of(clips), layer.features))
    steps = adaptation.STEPS if len(clips) > 1 else adaptation.ONE_CLIP_STEPS
    found = adaptation.choose(parts, layer.weights, steps)
    seconds = time.process_time() - start
    for step, score in found.scores.items():
        _CONSOLE.print(f"  {step}: {score:.1f} mm without labels")
    yield f"chosen: {found.step} ({seconds:.0f} s of CPU)", found.weights
    for step in _STEPS:
        yield str(step), adaptation.adapted(parts, layer.weights, step)


def measure(root: str, model: str) -> rich.table.Table:
    """Fits and tests everything."""
    layer = compact.LastLayer(inference.load_model(model))
    four = aistpp.AISTPPSource(root=root, cameras=FITTED_CAMERAS, subjects=("d04",))
    nine = aistpp.AISTPPSource(root=root)
    dancer = [four.read(name) for name in four.clips() if name != _LEFT_OUT]
    demo = next(iter(pose2sim.Pose2SimSource(root=pose2sim.demo_root(), reference=_REFERENCE)))
    tests = {
        "d03": (
            test_of(nine.read(_OTHER_DANCER), _STRIDE, layer),
            ((), FITTED_CAMERAS, OTHER_CAMERAS),
        ),
        "d04, left out": (test_of(nine.read(_LEFT_OUT), _STRIDE, layer), ((), OTHER_CAMERAS)),
        "recording": (test_of(demo.frames(slice(_FITTED_FRAMES + _GAP, None)), 1, layer), ((),)),
    }
    columns = [
        f"{name}, {len(cameras) or 'all'} cameras"
        for name, (_, sets) in tests.items()
        for cameras in sets
    ]
    table = rich.table.Table("fitted to", "step", *columns, box=rich.box.MARKDOWN)
    recordings = {"AIST++ d04": dancer, "recording": [demo.frames(slice(_FITTED_FRAMES))]}
    for name, clips in recordings.items():
        for step, weights in fitted_to(clips, layer):
            cells = [
                " / ".join(f"{error:.1f}" for error in test.errors(weights, cameras))
                for test, sets in tests.values()
                for cameras in sets
            ]
            table.add_row(name, step, *cells)
    return table


def measure_costs(root: str, session: pathlib.Path, model: str) -> rich.table.Table:
    """Fits in closed form and trains on, and tests on all recordings."""
    recordings = studio_recordings.read(root, session)
    four = aistpp.AISTPPSource(root=root, cameras=FITTED_CAMERAS, subjects=("d04",))
    dancer = [four.read(name) for name in four.clips() if name != _LEFT_OUT]
    (balancing,) = recordings["Pose2Sim balancing, OpenPose"].clips
    fitted = {"AIST++ d04": dancer, "balancing": [balancing.frames(slice(_FITTED_FRAMES))]}
    later = balancing.frames(slice(_FITTED_FRAMES + _GAP, None))
    recordings["balancing, later"] = studio_recordings.Recording("Pose2Sim", "body_25b", [later])
    tests = {
        name: test
        for name, recording in recordings.items()
        if (test := studio_recordings.tested(recording)) is not None
    }
    table = rich.table.Table("fitted to", "how", *tests, box=rich.box.MARKDOWN)
    start = inference.load_model(model)
    layer = compact.LastLayer(start)

    def row(name: str, how: str, pose_of: studio_real.PoseOf) -> None:
        errors = [test.errors(pose_of(test.view)) for test in tests.values()]
        table.add_row(name, how, *(" / ".join(f"{x:.1f}" for x in each) for each in errors))

    for name, clips in fitted.items():
        instants = adaptation.parts_of(clips)
        parts = list(adaptation.fed(instants, layer.features))
        steps = adaptation.STEPS if len(clips) > 1 else adaptation.ONE_CLIP_STEPS
        weights = adaptation.choose(parts, layer.weights, steps).weights
        lifter = compact.reopened(start, objectives.TransformReprojection())
        lift = functools.partial(studio_real.lifted, lifter)
        row(name, "as it is", lift)
        row(name, "last layer fitted", functools.partial(_posed, layer, weights))
        refinement.refine(lifter, instants)
        row(name, "trained on", lift)
    return table


def _posed(layer: compact.LastLayer, weights: np.ndarray, view: views.View) -> np.ndarray:
    hidden, rotation = layer.features(view)
    pose = (hidden @ weights).reshape(len(hidden), -1, 3)
    return ((pose - pose[:, :1]) @ rotation).astype(np.float32)


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Measures models fitted to a rig."
    )
    parser.add_argument("--aistpp", required=True, help="AIST++'s folder")
    parser.add_argument("--model", required=True, help="that of studio_model, which saw neither")
    parser.add_argument("--pose2sim", type=pathlib.Path, help="its demo session")
    options = parser.parse_args()
    if options.pose2sim:
        _CONSOLE.print(measure_costs(options.aistpp, options.pose2sim, options.model))
    else:
        _CONSOLE.print(measure(options.aistpp, options.model))


if __name__ == "__main__":
    main()
