"""Trains two stages on made-up people, and writes what came of it; needs the `train` extra alone.

python trained.py TRAINED.npz
"""

import dataclasses
import pathlib
import sys
import tempfile
import warnings

import numpy as np
import tensorflow as tf

import keras_mvlift
from keras_mvlift import configs
from keras_mvlift.datasets import preparation, tfrecords
from keras_mvlift.export import saved_model
from keras_mvlift.studio import synthetic
from keras_mvlift.training import lifters, stage_data, stages

MODEL = configs.ModelConfig(backbone="res_linear", width=32, dropout=0.1)
STAGES = {"num_epochs": 1, "batch_size": 64, "seed": 3}
RIG_DISTANCE = 5.0
INTRINSICS = np.array([[1100, 0, 510], [0, 1120, 490], [0, 0, 1]], np.float32)
KEYPOINTS_2D = np.linspace(200, 800, 5 * 17 * 2).reshape(5, 17, 2).astype(np.float32)


def records(path):
    """Writes pairs of views of one made-up clip."""
    studio = synthetic.Studio(num_subjects=1, num_clips=1, num_frames=24)
    split = preparation.ByBlocks(num_blocks=1, block_length=6, gap=2)
    clip = studio.read(studio.clips()[0])
    pairs = preparation.prepare(clip, split, configs.DataConfig()).train_pairs
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for record in tfrecords.encode(pairs):
            writer.write(record)
    return path


def trained(folder):
    """Returns the weights before and after each stage, and the losses."""
    found, weights = {}, None
    pairs = records(str(folder / "pairs"))
    for config in (configs.PretrainConfig(**STAGES), configs.FinetuneConfig(**STAGES)):
        name = type(config).__name__
        objective = stages.objective(config, MODEL.recipe)
        model = lifters.build(
            MODEL, objective, RIG_DISTANCE, INTRINSICS, model=stages.model(config)
        )
        for variable, value in zip(lifters.weights_of(model), weights or [], strict=False):
            variable.assign(value)
        found |= {f"{name}/{i}": x.numpy() for i, x in enumerate(lifters.weights_of(model))}
        files = stage_data.Files([pairs], [], folder / name / "checkpoints", None)
        (epoch,) = stages.run(model, config, files, name, callbacks=[])
        found |= {f"{name}/{key}": np.array(value) for key, value in epoch.items()}
        weights = [x.numpy() for x in lifters.weights_of(model)]
    about = {"model": dataclasses.asdict(MODEL), "rig_distance": RIG_DISTANCE, "is_mirrored": False}
    saved_model.save(model, about | {"intrinsics": INTRINSICS.tolist()}, folder / "saved")
    lifted = keras_mvlift.load_model(folder / "saved").lift(KEYPOINTS_2D, camera=INTRINSICS)
    found["lifted"] = lifted.root_relative_pose
    return found | {f"trained/{i}": x for i, x in enumerate(weights)}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        np.savez(sys.argv[1], **trained(pathlib.Path(name)))
