"""Trains the model that ships as `load_model("studio")`, exports it and measures it.

    python -m benchmarks.studio_model --motions MOTIONS.npz --output FOLDER

Recorded motions, mixtures of them and made-up ones are filmed by simulated cameras, whose
simulated detections are all that training sees. One of four people is held out, and filmed on other
bodies by other cameras to test with.
"""

import argparse
import dataclasses
import functools
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import rich.box
import rich.console
import rich.table
from tensorflow import keras

from benchmarks import partial_views, studio_films, studio_motions, studio_scores
from keras_mvlift import configs, inference
from keras_mvlift.datasets import views
from keras_mvlift.experiments import origins
from keras_mvlift.export import saved_model
from keras_mvlift.studio import filming
from keras_mvlift.training import batches, lifters, objectives, stage_data, stages

MODEL = configs.ModelConfig(backbone="res_linear", width=512, dropout=0.1, network_input="centered")
FINETUNE = configs.FinetuneConfig(
    num_epochs=15,
    batch_size=512,
    decay_every=5,
    decay_rate=0.3,
    views="all",
    triangulation_weight=1.0,
    confidence_weighting="target",
    flip_augmentation=True,
)
ROLLED = dataclasses.replace(
    FINETUNE, num_epochs=3, decay_every=1, decay_rate=0.2, learning_rate=5e-4
)
"""The last epochs, in which cameras are rolled."""
_ROLL = np.radians(12.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """How much is trained on, and how long.

    Attributes:
        num_epochs: Before those in which cameras are rolled.
        steps_per_epoch: Steps.
        takes: How often each motion is filmed.
        num_people: Who perform made-up motions.
        every: One in so many recorded motions is used.
        width: Units of each layer.
    """

    num_epochs: int = FINETUNE.num_epochs
    steps_per_epoch: int = 1000
    takes: int = 2
    num_people: int = 8
    every: int = 1
    width: int = MODEL.width


FULL = Size()
QUICK = Size(num_epochs=3, steps_per_epoch=5, takes=1, num_people=1, every=25)
# Meters, in the middle of the distances that the root network can tell.
_RIG_DISTANCE = 4.5
TEST_SEED = 1000
"""Added to the seed of training for that of the films to test with."""


def build(
    config: configs.FinetuneConfig, width: int = MODEL.width
) -> partial_views.PartialViewLifter:
    """Builds the untrained model.

    Args:
        config: The stage that is to train it.
        width: Units of each layer.
    """
    return lifters.build(
        dataclasses.replace(MODEL, width=width, seed=config.seed),
        stages.objective(config, MODEL.recipe),
        _RIG_DISTANCE,
        model=functools.partial(
            partial_views.PartialViewLifter,
            seed=config.seed,
            changes=(batches.Mirroring,),
        ),
    )


def train(
    recorded: Sequence[origins.Motion], size: Size, seed: int
) -> partial_views.PartialViewLifter:
    """Trains a model on what cameras see of motions, mixtures of them and made-up ones.

    Args:
        recorded: The motions.
        size: How much and how long.
        seed: Of everything that is drawn.
    """
    keras.utils.set_random_seed(seed)
    motions = [
        *recorded,
        *studio_motions.mixed(recorded, seed),
        *studio_motions.made_up(seed, size.num_people),
    ]
    # The true poses are left behind here.
    seen = studio_films.film(motions, studio_films.Filming(takes=size.takes, seed=seed)).seen
    decay_every = max(size.num_epochs // 3, 1)
    config = dataclasses.replace(
        FINETUNE, num_epochs=size.num_epochs, decay_every=decay_every, seed=seed
    )
    lifter = build(config, size.width)
    instants = objectives.agreed_beforehand(seen)._replace(seen=of_one_focal_length(seen))
    source = stage_data.Rows(instants, rows_per_pair=1)
    streamed = source.batches(config, 0)
    steps = size.steps_per_epoch
    for stage, roll in ((config, 0.0), (ROLLED, _ROLL)):
        lifter.roll.assign(roll)
        lifter.compile(stages.build_optimizer(stage, steps))
        stages.make_slots(lifter)
        lifter.fit(streamed, steps_per_epoch=steps, epochs=stage.num_epochs, verbose=2)
    return lifter


def of_one_focal_length(seen: views.View) -> views.View:
    """Returns what cameras of the mean focal length would have seen: angles count alike in all."""
    shows = (seen.confidence > 0).any(axis=-1)
    focal = np.float32(seen.camera.intrinsics[shows][:, [0, 1], [0, 1]].mean())
    intrinsics = np.broadcast_to(np.diag([focal, focal, 1]), seen.camera.intrinsics.shape)
    return seen._replace(
        keypoints_2d=focal * np.asarray(seen.rays),
        camera=seen.camera._replace(intrinsics=intrinsics.astype(np.float32)),
    )


def export(
    lifter: partial_views.PartialViewLifter, seed: int, folder: pathlib.Path
) -> inference.Lifter:
    """Writes a trained model as it ships, and loads it."""
    focal = float(np.exp(np.mean(np.log(studio_films.FOCAL_LENGTHS))))
    width, height = filming.IMAGE_SIZE
    description: dict[str, Any] = {
        "model": dataclasses.asdict(dataclasses.replace(MODEL, seed=seed)),
        "finetune": dataclasses.asdict(dataclasses.replace(FINETUNE, seed=seed)),
        "is_mirrored": FINETUNE.flip_augmentation,
        "rig_distance": _RIG_DISTANCE,
        "intrinsics": [[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]],
    }
    saved_model.save(lifter, description, folder, half_precision=True)
    return inference.load_model(folder)


def scores_of(
    model: inference.Lifter, held_out: list[origins.Motion], seed: int
) -> studio_scores.Scores:
    """Scores a model on films of people held out, by person, too, and on the demo rig."""
    scores = studio_scores.held_out(model, held_out, seed)
    for person in sorted({motion.subject for motion in held_out}):
        own = [motion for motion in held_out if motion.subject == person]
        scores[f"person {person}"] = studio_scores.held_out(model, own, seed)["as detected"]
    return scores | studio_scores.demo_rig(model)


def _show(scores: studio_scores.Scores) -> None:
    table = rich.table.Table("seen", "MPJPE mm", "P-MPJPE mm", "views", box=rich.box.MARKDOWN)
    for name, found in scores.items():
        errors = (f"{found[key]:.1f}" for key in ("mpjpe_mm", "p_mpjpe_mm"))
        table.add_row(name, *errors, f"{found['views']:.0f}")
    rich.console.Console(width=100).print(table)


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Trains and measures the studio model."
    )
    parser.add_argument("--motions", nargs="+", required=True, help=".npz files of motions")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="a folder to make")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a moment's training, to try it out")
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    motions = origins.read_motions(options.motions)
    tested = origins.pseudo_test_subjects(motions)
    trained_on = [motion for motion in motions if motion.subject not in tested][:: size.every]
    held_out = [motion for motion in motions if motion.subject in tested][:: size.every]
    model = export(train(trained_on, size, options.seed), options.seed, options.output)
    scores = scores_of(model, held_out, options.seed + TEST_SEED)
    (options.output / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
    _show(scores)


if __name__ == "__main__":
    main()
