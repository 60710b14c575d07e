"""Betters the studio model by real views, without labels.

    python -m benchmarks.studio_real --motions MOTIONS.npz --aistpp AISTPP --pose2sim SESSION \
        --start FOLDER --output FOLDER

`benchmarks.studio_model` trains a model on films. Here all layers of its lifting network are
trained on: a third by films as before, the rest by real recordings, each weighed alike: what the
real cameras see, and what cameras of the studio's kind would see of the people that they
triangulate. And where a joint set was seen of two people, a mix of joints tells where its detectors
see them.

Training alone forgets what it is not shown. So the way from the old weights to the new ones is gone
in part, by the share that scores best, without labels, on people who were left out.

What was trained is kept in `FOLDER/trained`, so that a run that was stopped goes on.
"""

import argparse
import functools
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import rich.box
import rich.console
import rich.table
import tensorflow as tf

from benchmarks import (
    partial_views,
    studio_model,
    studio_recordings,
)
from keras_mvlift import inference, trained_models
from keras_mvlift.datasets import sequences, views
from keras_mvlift.experiments import origins
from keras_mvlift.export import compact, saved_model
from keras_mvlift.metrics import held_out_views
from keras_mvlift.training import adaptation, objectives, refinement

# As of `adaptation.choose`: a larger share is taken if it scores better by so much.
_WORTHWHILE = 0.01

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the way from the old weights to the new ones: what is tried."""

NUM_STEPS = 400
_BATCH_SIZE, _ROLL = 1024, np.radians(6.0)
_FED_AT_ONCE = 4096
# Views of each recording to which a joint mix is fitted, and its lambda, of joints in meters.
_NUM_MIXED, _MIX_RIDGE, _MIX_DECIMALS = 4000, 1000.0, 5

Scores = dict[float, dict[str, dict[str, float]]]
"""By share and recording, in millimeters."""

PoseOf = Callable[[views.View], np.ndarray]
"""From views, fields `[N, ...]`, to poses `[N, J, 3]`, meters, camera axes, root at 0."""

Weights = list[np.ndarray]
"""Of a lifting network's dense layers, kernels and biases by turns."""


# What is trained.


def weights_of(lifter: partial_views.PartialViewLifter) -> Weights:
    """Returns what is trained, as arrays."""
    return [variable.numpy() for variable in refinement.dense_variables(lifter)]


def set_weights(lifter: partial_views.PartialViewLifter, weights: Weights) -> None:
    """Puts weights into a lifting network."""
    for variable, value in zip(refinement.dense_variables(lifter), weights, strict=True):
        variable.assign(value)


def between(start: Weights, end: Weights, share: float) -> Weights:
    """Returns the weights that lie at a share of the way."""
    return [one + np.float32(share) * (other - one) for one, other in zip(start, end, strict=True)]


def train(
    lifter: partial_views.PartialViewLifter,
    sets: Sequence[refinement.Weighed],
    num_steps: int,
    seed: int,
) -> None:
    """Trains the lifting network as `refinement.train`, before cameras that are rolled."""
    # Real heads are where their detectors have them.
    lifter.ears_share = 0.0
    lifter.roll.assign(_ROLL)
    refinement.train(lifter, sets, num_steps, seed, _BATCH_SIZE)


# A mix of joints for each joint set: where its detectors see them.


def joint_mix(
    lifter: partial_views.PartialViewLifter, recordings: Sequence[list[adaptation.Fitted]]
) -> np.ndarray:
    """Fits the joint mix `[J, J]` of recordings by one kind of detector, as `adaptation` does.

    It is of shape alone: what is triangulated is brought to the size of what is lifted.

    Args:
        lifter: The model.
        recordings: Of each the sets of which the first one is of real views; they count alike.
    """
    poses, targets, trusts = [], [], []
    for real, *_ in recordings:
        rows = np.random.default_rng(0).integers(0, len(real.hidden), _NUM_MIXED)
        target, trust = real.target[rows], real.trust[rows]
        pose = lifted(lifter, refinement.unpacked(tf.constant(real.hidden[rows])))
        weighed = trust[..., np.newaxis] * target
        poses.append(pose)
        targets.append(target * np.sum(weighed * pose) / np.sum(weighed * target))
        trusts.append(trust / trust.mean())
    pose, target, trust = (np.concatenate(parts) for parts in (poses, targets, trusts))
    return adaptation.joint_mix(pose, target, trust, _MIX_RIDGE)


def joint_mixes(
    lifter: partial_views.PartialViewLifter,
    recordings: Mapping[str, studio_recordings.Recording],
    real: Mapping[str, list[adaptation.Fitted]],
    without: str = "",
) -> dict[str, np.ndarray]:
    """Fits a mix for each joint set that was seen of two people, so that one tells of the other.

    Args:
        lifter: The model.
        recordings: By name.
        real: What is fitted, by name.
        without: A person who is left out.
    """
    people: dict[str, set[str]] = {}
    for recording in recordings.values():
        people.setdefault(recording.joint_set, set()).add(recording.person)
    return {
        joint_set: joint_mix(
            lifter,
            [
                real[name]
                for name, recording in recordings.items()
                if recording.joint_set == joint_set and recording.person != without
            ],
        )
        for joint_set, seen in people.items()
        if len(seen) > 1
    }


def mixed_left_out(
    lifter: partial_views.PartialViewLifter,
    recordings: Mapping[str, studio_recordings.Recording],
    real: Mapping[str, list[adaptation.Fitted]],
    weights: Mapping[str, Weights],
) -> dict[str, dict[str, float]]:
    """Scores each recording whose joint set has a mix by one that was fitted to other people.

    Args:
        lifter: The model; it is left with other weights.
        recordings: By name.
        real: What is fitted, by name.
        weights: By the person who was left out.
    """
    found = {}
    for person in {recording.person for recording in recordings.values()}:
        set_weights(lifter, weights[person])
        mixes = joint_mixes(lifter, recordings, real, without=person)
        for name, recording in recordings.items():
            if recording.person == person and recording.joint_set in mixes:
                mix = mixes[recording.joint_set].astype(np.float32)
                found[name] = scores_of(functools.partial(_mixed, lifter, mix), recording)
    return found


def _mixed(
    lifter: partial_views.PartialViewLifter, mix: np.ndarray, view: views.View
) -> np.ndarray:
    return mix @ lifted(lifter, view)


# What is scored.


def lifted(lifter: partial_views.PartialViewLifter, view: views.View) -> np.ndarray:
    """Returns the poses `[N, J, 3]` of views, fields `[N, ...]`."""
    return np.concatenate(
        [
            lifter(tf.nest.map_structure(lambda field, at=at: field[at], view)).root_relative_pose
            for at in (
                slice(start, start + _FED_AT_ONCE)
                for start in range(0, len(view.confidence), _FED_AT_ONCE)
            )
        ]
    )


def score(pose_of: PoseOf, recording: studio_recordings.Recording) -> float:
    """Scores what lifts on a recording without its labels, mean millimeters."""
    errors = []
    for some in adaptation.parts_of(recording.clips, studio_recordings.MAX_VIEWS):
        seen = sequences.to_view(some)
        pose = pose_of(adaptation.flat(seen)).reshape(*seen.confidence.shape, 3)
        seen = tf.nest.map_structure(tf.constant, seen)
        placed = held_out_views.anchored(tf.constant(pose), seen, adaptation.MIN_JOINTS)
        found = held_out_views.errors(placed, seen, adaptation.MIN_JOINTS)
        errors.append(held_out_views.Errors(*(field.numpy() for field in found)))
    return held_out_views.summarize(errors)["mean_mm"]


def scores_of(pose_of: PoseOf, recording: studio_recordings.Recording) -> dict[str, float]:
    """Returns `held_out_mm`, the score without labels, and errors where there is a reference."""
    scores = {"held_out_mm": score(pose_of, recording)}
    if (test := studio_recordings.tested(recording)) is not None:
        errors = test.errors(pose_of(test.view))
        scores |= dict(zip(("mpjpe_mm", "n_mpjpe_mm", "p_mpjpe_mm"), errors, strict=True))
    return scores


def left_out(
    lifter: partial_views.PartialViewLifter,
    recordings: Mapping[str, studio_recordings.Recording],
    ends: Mapping[str, Weights],
) -> Scores:
    """Scores each share of the way on each person, by weights that were trained without them.

    Args:
        lifter: With the old weights.
        recordings: By name.
        ends: The new weights, by the person who was left out.

    Returns:
        By share and recording, as of `scores_of`.
    """
    start = weights_of(lifter)
    found: Scores = {share: {} for share in SHARES}
    for share in SHARES:
        for name, recording in recordings.items():
            set_weights(lifter, between(start, ends[recording.person], share))
            found[share][name] = scores_of(functools.partial(lifted, lifter), recording)
    set_weights(lifter, start)
    return found


def best_share(
    found: Scores,
    recordings: Mapping[str, studio_recordings.Recording],
) -> float:
    """Returns the share that scores best without labels, of people who count alike.

    Of shares that are as good it is the least.
    """

    def gain(share: float) -> float:
        by_person: dict[str, list[float]] = {}
        for name, scores in found[share].items():
            ratio = scores["held_out_mm"] / found[0.0][name]["held_out_mm"]
            by_person.setdefault(recordings[name].person, []).append(ratio)
        return float(np.mean([np.mean(ratios) for ratios in by_person.values()]))

    good = (1.0 + _WORTHWHILE) * min(map(gain, found))
    return min(share for share in found if gain(share) <= good)


# The command.

_NOBODY = "nobody"


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description="Betters the studio model by real views.")
    parser.add_argument("--motions", nargs="+", required=True, help=".npz files of motions")
    parser.add_argument("--aistpp", required=True, help="AIST++'s folder")
    parser.add_argument("--pose2sim", type=pathlib.Path, required=True, help="its demo session")
    parser.add_argument("--start", type=pathlib.Path, required=True, help="of studio_model")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="a folder to make")
    parser.add_argument("--steps", type=int, default=NUM_STEPS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    recordings = studio_recordings.read(options.aistpp, options.pose2sim)
    motions = origins.read_motions(options.motions)
    tested = origins.pseudo_test_subjects(motions)
    start = inference.load_model(options.start)
    objective = objectives.TransformReprojection()
    lifter = compact.reopened(start, objective, partial_views.PartialViewLifter)
    real = {
        name: studio_recordings.sets_of(recording, options.seed)
        for name, recording in recordings.items()
    }
    trained_on = [motion for motion in motions if motion.subject not in tested]
    # Not made where all has been trained before.
    films = functools.cache(lambda: studio_recordings.film_set(trained_on, options.seed))
    ends = _ends(lifter, recordings, real, films, options)
    found = left_out(lifter, recordings, ends)
    share = best_share(found, recordings)
    _show(found, share)
    scores = {f"{name}, before": found[0.0][name] for name in recordings}
    scores |= {f"{name}, left out": found[share][name] for name in recordings}
    before = weights_of(lifter)
    weights = {person: between(before, end, share) for person, end in ends.items()}
    for name, mixed in mixed_left_out(lifter, recordings, real, weights).items():
        scores[f"{name}, left out, as {recordings[name].joint_set}"] = mixed
    set_weights(lifter, weights[_NOBODY])
    mixes = joint_mixes(lifter, recordings, real)
    model = _export(lifter, start, mixes, {"recordings": [*recordings], "share": share}, options)
    held_out = [motion for motion in motions if motion.subject in tested]
    seed = options.seed + studio_model.TEST_SEED
    scores = studio_model.scores_of(model, held_out, seed) | scores
    (model.path / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")


def _export(
    lifter: partial_views.PartialViewLifter,
    start: inference.Lifter,
    mixes: Mapping[str, np.ndarray],
    notes: Mapping[str, Any],
    options: argparse.Namespace,
) -> inference.Lifter:
    about = {key: value for key, value in start.description.items() if key != "folded"}
    about["real_views"] = {**notes, "num_steps": options.steps}
    about[trained_models.JOINT_MIXES] = {
        name: mix.round(_MIX_DECIMALS).tolist() for name, mix in mixes.items()
    }
    folder = options.output / "studio"
    saved_model.save(lifter, about, folder, half_precision=True)
    return inference.load_model(folder)


def _ends(
    lifter: partial_views.PartialViewLifter,
    recordings: Mapping[str, studio_recordings.Recording],
    real: Mapping[str, list[adaptation.Fitted]],
    films: Callable[[], adaptation.Fitted],
    options: argparse.Namespace,
) -> dict[str, Weights]:
    """Returns the new weights by who was left out; those of all recordings by `_NOBODY`."""
    folder = options.output / "trained"
    folder.mkdir(parents=True, exist_ok=True)
    ends = {}
    for person in [*sorted({recording.person for recording in recordings.values()}), _NOBODY]:
        used = [parts for name, parts in real.items() if recordings[name].person != person]
        path = folder / f"without_{person.replace(' ', '_')}.npz"

        def sets(used: list[list[adaptation.Fitted]] = used) -> list[refinement.Weighed]:
            # A third of each batch is films.
            return [*((parts, 1.0) for parts in used), ([films()], len(used) / 2)]

        ends[person] = _once(path, lifter, sets, options.steps, options.seed)
    return ends


def _once(
    path: pathlib.Path,
    lifter: partial_views.PartialViewLifter,
    sets: Callable[[], list[refinement.Weighed]],
    num_steps: int,
    seed: int,
) -> Weights:
    """Trains on sets, or reads what was trained before; leaves the lifter as it is."""
    if path.exists():
        with np.load(path) as arrays:
            return [arrays[f"arr_{number}"] for number in range(len(arrays.files))]
    start = weights_of(lifter)
    train(lifter, sets(), num_steps, seed)
    end = weights_of(lifter)
    set_weights(lifter, start)
    np.savez(path, *end)
    return end


def _show(found: Scores, chosen: float) -> None:
    console = rich.console.Console(width=200)
    table = rich.table.Table("left out", *map(str, found), box=rich.box.MARKDOWN)
    for name in found[chosen]:
        cells = [
            " / ".join(f"{value:.1f}" for value in scores[name].values())
            for scores in found.values()
        ]
        table.add_row(name, *cells)
    console.print(table)
    console.print(f"chosen: {chosen}")


if __name__ == "__main__":
    main()
