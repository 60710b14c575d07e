"""Betters the studio model by real views, without labels.

    python -m benchmarks.studio_real --motions MOTIONS.npz --aistpp AISTPP --pose2sim SESSION \
        --start FOLDER --output FOLDER

`benchmarks.studio_model` trains a model on films. Here all layers of its lifting network are
trained on: half by films as before, half by real recordings, each weighed alike: what the real
cameras see, and what cameras of the studio's kind would see of the people that they triangulate.
That alone forgets what it is not shown. So the way from the old weights to the new ones is gone in
part, by the share that scores best, without labels, on people who were left out.

What was trained is kept in `FOLDER/trained`, so that a run that was stopped goes on.
"""

import argparse
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import rich.box
import rich.console
import rich.table
import tensorflow as tf
from tensorflow import keras

from benchmarks import (
    partial_views,
    studio_films,
    studio_model,
    studio_motions,
    studio_recordings,
)
from keras_mvlift import inference, skeletons
from keras_mvlift.datasets import sequences, views
from keras_mvlift.experiments import origins
from keras_mvlift.export import compact, saved_model
from keras_mvlift.geometry import cameras
from keras_mvlift.metrics import held_out_views
from keras_mvlift.studio import filming
from keras_mvlift.training import adaptation, augmentation, objectives

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the way from the old weights to the new ones: what is tried."""

NUM_STEPS = 400
_BATCH_SIZE, _LEARNING_RATE, _ROLL = 1024, 1e-4, np.radians(6.0)
_MAX_VIEWS = 8000
# Virtual rigs around triangulated people: their cameras, and for how many instants each stands.
_NUM_CAMERAS, _SEGMENT = 6, 12
# A person of fewer known joints is not filmed.
_MIN_KNOWN = 12
# Films are as many as the real views, about.
_FILM_STRIDE, _FILM_SEED = 24, 7
_FED_AT_ONCE = 4096
_NUM_JOINTS = skeletons.H36M_17.num_joints

Weighed = tuple[list[adaptation.Fitted], float]
"""What is fitted, and its share of a batch in proportion; its parts count alike."""

Weights = list[np.ndarray]
"""Of a lifting network's dense layers, kernels and biases by turns."""


# What is seen, and what it should be lifted to.


def packed(view: views.View) -> tuple[np.ndarray, np.ndarray]:
    """Returns rays and whether they were seen, `[N, 3 J]`, and the identity, `[N, 3, 3]`."""
    rays = np.asarray(view.rays, np.float32).reshape(len(view.confidence), -1)
    is_seen = np.asarray(view.confidence) > 0
    identity = np.broadcast_to(np.eye(3, dtype=np.float32), (len(rays), 3, 3))
    return np.hstack([rays, is_seen.astype(np.float32)]), identity


def unpacked(rows: tf.Tensor) -> views.View:
    """Returns what `packed` was given, as cameras of focal length 1 see it."""
    identity = tf.eye(3, batch_shape=tf.shape(rows)[:1])
    rays = tf.reshape(rows[:, : 2 * _NUM_JOINTS], [-1, _NUM_JOINTS, 2])
    camera = cameras.Camera(identity, identity, identity[0])
    return views.View(rays, rows[:, 2 * _NUM_JOINTS :], camera)


def both_sides(seen: views.View, points: np.ndarray, trust: np.ndarray) -> adaptation.Fitted:
    """Returns views, packed, and mirrored ones, with what they should be lifted to, camera axes.

    Args:
        seen: Fields `[T, V, ...]`.
        points: `[T, J, 3]`, meters, world frame.
        trust: `[T, J]`, of the points.
    """
    mirrored = tf.nest.map_structure(np.asarray, augmentation.mirrored(seen))
    order = list(skeletons.mirror_images(skeletons.H36M_17.joints))
    other = np.asarray(augmentation.mirrored_pose(points)), trust[:, order]
    return _together(
        adaptation.fitted_views(*side, *packed(adaptation.flat(side[0])))
        for side in ((seen, points, trust), (mirrored, *other))
    )


def filmed(points: np.ndarray, trust: np.ndarray, seed: int) -> Iterator[adaptation.Fitted]:
    """Films triangulated people by rigs as of `studio_films`, which need not know their joints.

    Args:
        points: `[T, J, 3]`, meters, world frame.
        trust: `[T, J]`; 0 where a joint is not known.
        seed: Of rigs and detections.
    """
    rng = np.random.default_rng(seed)
    is_known = trust > 0
    is_filmed = is_known[:, skeletons.ROOT] & (is_known.sum(axis=1) >= _MIN_KNOWN)
    for start in range(0, np.count_nonzero(is_filmed), _SEGMENT):
        rows = np.flatnonzero(is_filmed)[start : start + _SEGMENT]
        shown = is_known[rows]
        people = np.where(shown[..., np.newaxis], points[rows], points[rows, :1])
        rig = studio_films.rig(people[shown].mean(axis=0), _NUM_CAMERAS, rng)
        keypoints_2d, confidence = filming.Detector(noise_px=4.0, missing_rate=0.02).detect(
            people, rig, rng
        )
        seen = studio_films.views_of(keypoints_2d, confidence * shown, rig)
        yield both_sides(seen, points[rows], trust[rows])


def sets_of(recording: studio_recordings.Recording, seed: int) -> list[adaptation.Fitted]:
    """Returns what real cameras saw of a person, and what virtual ones see."""
    instants = adaptation.parts_of(recording.clips, _MAX_VIEWS)
    real, virtual = [], []
    for some, known in zip(instants, adaptation.triangulated(instants), strict=True):
        real.append(both_sides(sequences.to_view(some), *known))
        virtual += filmed(*known, seed)
    return [_together(real), _together(virtual)]


def film_set(recorded: Sequence[origins.Motion], seed: int) -> adaptation.Fitted:
    """Films motions as `studio_model.train` does; what they should be lifted to is triangulated."""
    made_up = studio_motions.made_up(seed, studio_model.FULL.num_people)
    motions = [*recorded, *studio_motions.mixed(recorded, seed), *made_up]
    how = studio_films.Filming(stride=_FILM_STRIDE, seed=seed + _FILM_SEED)
    # The true poses are left behind here.
    seen = studio_films.film(motions, how).seen
    names = tuple(map(str, range(seen.confidence.shape[1])))
    some = sequences.Instants(np.arange(len(seen.confidence)), names, *seen)
    (known,) = adaptation.triangulated([some])
    return both_sides(seen, *known)


def _together(parts: Any) -> adaptation.Fitted:
    return adaptation.Fitted(*map(np.concatenate, zip(*parts, strict=True)))


# What is trained.


def weights_of(lifter: partial_views.PartialViewLifter) -> Weights:
    """Returns what is trained, as arrays."""
    return [variable.numpy() for variable in _variables(lifter)]


def set_weights(lifter: partial_views.PartialViewLifter, weights: Weights) -> None:
    """Puts weights into a lifting network."""
    for variable, value in zip(_variables(lifter), weights, strict=True):
        variable.assign(value)


def _variables(lifter: partial_views.PartialViewLifter) -> list[tf.Variable]:
    layers = lifter.lifting_network.layers
    dense = [layer for layer in layers if isinstance(layer, keras.layers.Dense)]
    return [variable for layer in dense for variable in layer.trainable_variables]


def between(start: Weights, end: Weights, share: float) -> Weights:
    """Returns the weights that lie at a share of the way."""
    return [one + np.float32(share) * (other - one) for one, other in zip(start, end, strict=True)]


def train(
    lifter: partial_views.PartialViewLifter,
    sets: Sequence[Weighed],
    num_steps: int,
    seed: int,
) -> None:
    """Trains the lifting network, with batch norms as they are.

    Args:
        lifter: Of `compact.reopened`.
        sets: What is fitted.
        num_steps: Steps.
        seed: Of the batches.
    """
    optimizer = keras.optimizers.legacy.Adam(
        keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, num_steps)
    )
    # Real heads are where their detectors have them.
    lifter.ears_share = 0.0
    lifter.roll.assign(_ROLL)
    variables = _variables(lifter)

    @tf.function(reduce_retracing=True)
    def step(rows: tf.Tensor, target: tf.Tensor, trust: tf.Tensor) -> tf.Tensor:
        seen = lifter.look(unpacked(rows), training=True)
        turned = tf.matmul(target, seen.turn, transpose_b=True)
        with tf.GradientTape() as tape:
            pose = tf.reshape(lifter.lifting_network(seen.joints, training=False), turned.shape)
            pose -= pose[:, skeletons.ROOT, tf.newaxis]
            missed = tf.sqrt(tf.reduce_sum(tf.square(pose - turned), axis=-1) + _SOFT)
            loss = tf.reduce_sum(trust * missed) / tf.reduce_sum(trust)
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, variables), 1.0)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    for batch in _batches(sets, num_steps, seed):
        step(*batch)


# Square meters; keeps the norm's gradient finite at a joint that is right.
_SOFT = 1e-6


def _batches(sets: Sequence[Weighed], num_steps: int, seed: int) -> Iterator[list[tf.Tensor]]:
    rng = np.random.default_rng(seed)
    parts = [(part, share / len(some)) for some, share in sets for part in some]
    shares = np.array([share for _, share in parts])
    for _ in range(num_steps):
        drawn = []
        counts = rng.multinomial(_BATCH_SIZE, shares / shares.sum())
        for (part, _), count in zip(parts, counts, strict=True):
            rows = rng.integers(0, len(part.hidden), count)
            # Detectors are not equally sure of themselves; recordings are to count alike.
            drawn.append(
                (part.hidden[rows], part.target[rows], part.trust[rows] / part.trust.mean())
            )
        yield [
            tf.constant(np.concatenate(fields), tf.float32) for fields in zip(*drawn, strict=True)
        ]


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


def score(lifter: partial_views.PartialViewLifter, recording: studio_recordings.Recording) -> float:
    """Scores a model on a recording without its labels, mean millimeters."""
    errors = []
    for some in adaptation.parts_of(recording.clips, _MAX_VIEWS):
        seen = sequences.to_view(some)
        pose = lifted(lifter, adaptation.flat(seen))
        pose = pose.reshape(*seen.confidence.shape, 3)
        seen = tf.nest.map_structure(tf.constant, seen)
        placed = held_out_views.anchored(tf.constant(pose), seen, adaptation.MIN_JOINTS)
        found = held_out_views.errors(placed, seen, adaptation.MIN_JOINTS)
        errors.append(held_out_views.Errors(*(field.numpy() for field in found)))
    return held_out_views.summarize(errors)["mean_mm"]


def left_out(
    lifter: partial_views.PartialViewLifter,
    recordings: Mapping[str, studio_recordings.Recording],
    ends: Mapping[str, Weights],
) -> dict[float, dict[str, dict[str, float]]]:
    """Scores each share of the way on each person, by weights that were trained without them.

    Args:
        lifter: With the old weights.
        recordings: By name.
        ends: The new weights, by the person who was left out.

    Returns:
        By share and recording: `held_out_mm`, the score without labels, and `mpjpe_mm`,
        `n_mpjpe_mm` and `p_mpjpe_mm` where there is a reference.
    """
    start = weights_of(lifter)
    found: dict[float, dict[str, dict[str, float]]] = {share: {} for share in SHARES}
    for name, recording in recordings.items():
        test = studio_recordings.tested(recording)
        for share in SHARES:
            set_weights(lifter, between(start, ends[recording.person], share))
            scores = {"held_out_mm": score(lifter, recording)}
            if test is not None:
                errors = test.errors(lifted(lifter, test.view))
                keys = ("mpjpe_mm", "n_mpjpe_mm", "p_mpjpe_mm")
                scores |= dict(zip(keys, errors, strict=True))
            found[share][name] = scores
    set_weights(lifter, start)
    return found


def best_share(
    found: Mapping[float, Mapping[str, Mapping[str, float]]],
    recordings: Mapping[str, studio_recordings.Recording],
) -> float:
    """Returns the share whose score without labels is best, of people who count alike."""

    def gain(share: float) -> float:
        by_person: dict[str, list[float]] = {}
        for name, scores in found[share].items():
            ratio = scores["held_out_mm"] / found[0.0][name]["held_out_mm"]
            by_person.setdefault(recordings[name].person, []).append(ratio)
        return float(np.mean([np.mean(ratios) for ratios in by_person.values()]))

    return min(found, key=gain)


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
    trained_on = [motion for motion in motions if motion.subject not in tested]
    ends = _ends(lifter, recordings, trained_on, options)
    found = left_out(lifter, recordings, ends)
    share = best_share(found, recordings)
    _show(found, share)
    set_weights(lifter, between(weights_of(lifter), ends[_NOBODY], share))
    notes = {"recordings": [*recordings], "share": share, "num_steps": options.steps}
    about = {key: value for key, value in start.description.items() if key != "folded"}
    model_folder = options.output / "studio"
    saved_model.save(lifter, about | {"real_views": notes}, model_folder, half_precision=True)
    model = inference.load_model(model_folder)
    held_out = [motion for motion in motions if motion.subject in tested]
    scores = studio_model.scores_of(model, held_out, options.seed + studio_model.TEST_SEED)
    for name in recordings:
        scores |= {f"{name}, left out": found[share][name], f"{name}, before": found[0.0][name]}
    (model_folder / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")


def _ends(
    lifter: partial_views.PartialViewLifter,
    recordings: Mapping[str, studio_recordings.Recording],
    motions: Sequence[origins.Motion],
    options: argparse.Namespace,
) -> dict[str, Weights]:
    """Returns the new weights by who was left out; those of all recordings by `_NOBODY`."""
    real = {name: sets_of(recording, options.seed) for name, recording in recordings.items()}
    films = film_set(motions, options.seed)
    folder = options.output / "trained"
    folder.mkdir(parents=True, exist_ok=True)
    ends = {}
    for person in [*sorted({recording.person for recording in recordings.values()}), _NOBODY]:
        used = [parts for name, parts in real.items() if recordings[name].person != person]
        # A third of each batch is films.
        sets = [*((parts, 1.0) for parts in used), ([films], len(used) / 2)]
        path = folder / f"without_{person.replace(' ', '_')}.npz"
        ends[person] = _once(path, lifter, sets, options.steps, options.seed)
    return ends


def _once(
    path: pathlib.Path,
    lifter: partial_views.PartialViewLifter,
    sets: Sequence[Weighed],
    num_steps: int,
    seed: int,
) -> Weights:
    """Trains on sets, or reads what was trained before; leaves the lifter as it is."""
    if path.exists():
        with np.load(path) as arrays:
            return [arrays[f"arr_{number}"] for number in range(len(arrays.files))]
    start = weights_of(lifter)
    train(lifter, sets, num_steps, seed)
    end = weights_of(lifter)
    set_weights(lifter, start)
    np.savez(path, *end)
    return end


def _show(found: Mapping[float, Mapping[str, Mapping[str, float]]], chosen: float) -> None:
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
