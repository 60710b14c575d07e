"""One short clip of the synthetic studio as records, and networks of a few units to train on it."""

import contextlib
import dataclasses
import shutil
from unittest import mock

import numpy as np
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import preparation, sequences, tfrecords, views
from keras_mvlift.export import saved_model
from keras_mvlift.studio import synthetic
from keras_mvlift.training import lifters, multi_view_lifter, objectives, stage_data, stages

RIG_DISTANCE = 5.0
BATCH_SIZE = 16
NUM_BATCHES = 5
TINY = {"backbone": "res_linear", "layers_per_block": 1, "width": 16, "dropout": 0.0}
INTRINSICS = np.array([[1100, 0, 510], [0, 1120, 490], [0, 0, 1]], np.float32)


def film(**studio):
    """Films 24 frames with four cameras; the rates of a real detector unless told otherwise."""
    shown = synthetic.Studio(num_subjects=1, num_clips=1, num_frames=24, **studio)
    return shown.read(shown.clips()[0])


def film_exactly(**studio):
    """Films with a detector that never errs; what is hidden is still less sure."""
    perfect = {"noise_px": 0.0, "gross_error_rate": 0.0, "missing_rate": 0.0}
    return film(**perfect | {"dropped_view_rate": 0.0} | studio)


def prepare(clip):
    """Returns 84 pairs of 14 frames to train on, 36 held out and 24 test views of 6 frames.

    A clip this short has no frames for a part more: what is held out is what is tested.
    """
    split = preparation.ByBlocks(num_blocks=1, block_length=6, gap=2)
    prepared = preparation.prepare(clip, split, configs.DataConfig())
    middle = clip.frames(split.frames(clip).test)
    aside = preparation.ByClip(test_clips=(), held_out_clips=(clip.name,))
    held_out = preparation.prepare(middle, aside, configs.DataConfig())
    return dataclasses.replace(
        prepared,
        held_out_pairs=held_out.held_out_pairs,
        held_out_instants=held_out.held_out_instants,
    )


def instants(clip, num_views=0):
    """Returns all views of each of a clip's frames, as if nobody were tested on."""
    everything = preparation.BySubject(test_subjects=())
    seen = preparation.training_instants(clip, everything, configs.DataConfig(source="studio"))
    return sequences.to_view(seen, num_views=num_views)


def write(path, columns):
    """Writes columns as a shard of records; gives its path as text."""
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for record in tfrecords.encode(columns):
            writer.write(record)
    return str(path)


def pair(columns, num_pairs=BATCH_SIZE):
    """Returns the first pairs of columns as a batch."""
    records = tfrecords.encode({name: values[:num_pairs] for name, values in columns.items()})
    return tfrecords.decode_pairs(tf.constant(records))


def pose_camera(clip, columns, side, num_pairs=BATCH_SIZE):
    """Returns the true poses `[B, J, 3]`, meters, in the frame of one side's camera."""
    rotation, center = (columns[f"{side}/{field}"][:num_pairs] for field in ("rotation", "center"))
    offset = clip.pose_world[columns["frame"][:num_pairs]] - center[:, np.newaxis]
    return np.einsum("bij,bkj->bki", rotation, offset).astype(np.float32)


def lifter(
    recipe="solved_root",
    objective=None,
    model=multi_view_lifter.MultiViewLifter,
    precision="float32",
    **settings,
):
    """Builds networks of two layers of 16 units, without dropout unless told otherwise."""
    config = configs.ModelConfig(recipe=recipe, **TINY | settings)
    objective = objective or objectives.TransformReprojection()
    return lifters.build(
        config, objective, RIG_DISTANCE, INTRINSICS, model=model, precision=precision
    )


_HEIGHTS = "0 0 .45 .9 0 .45 .9 -.25 -.5 -.65 -.75 -.45 -.2 .1 -.45 -.2 .1"
STANDING = np.array([[0.0, float(height), 0.0] for height in _HEIGHTS.split()])
"""A body of `H36M_17` before a level camera, meters, pelvis at 0: it is about this high."""


def stand(lifter):
    """Adds it to what the lifting network says: poses from which it can be told where they are."""
    lifter.lifting_network.trainable_variables[-1].assign_add(STANDING.reshape(-1))


def trained(**model):
    """Builds networks that say something, the same each time; at first poses are millimeters."""
    moved = lifter(**model)
    for seed, weight in enumerate(lifters.weights_of(moved)):
        weight.assign_add(tf.random.stateless_uniform(weight.shape, [seed, 0], 0.0, 0.3))
    return moved


def trained_uncertainty():
    """Builds networks, one of which says of each joint of each view something else."""
    moved = trained(uncertainty=True)
    last = moved.uncertainty.network.get_layer("log_scale")
    last.bias.assign(tf.linspace(-4.0, -2.0, last.bias.shape[0]))
    last.kernel.assign(tf.random.stateless_uniform(last.kernel.shape, [1, 0], -3e-4, 3e-4))
    return moved


def save(model, folder, half_precision=False, is_mirrored=False, **settings):
    """Exports networks, with a mean camera of `INTRINSICS`; settings are those they have."""
    config = dataclasses.asdict(configs.ModelConfig(**TINY | settings))
    about = {"model": config, "rig_distance": RIG_DISTANCE, "is_mirrored": is_mirrored}
    about |= {"intrinsics": INTRINSICS.tolist()}
    saved_model.save(model, about, folder, half_precision=half_precision)


def compiled(model, optimizer):
    """Compiles a model as a stage does, whose step is traced once and not twice; gives it."""
    model.compile(optimizer)
    stages.make_slots(model)
    return model


def weights(model):
    """Returns the values of both networks' variables."""
    return [variable.numpy() for variable in lifters.weights_of(model)]


def run(model, folder, train, held_out=(), **stage):
    """Trains on the records in `train`, keeping everything below `folder`; gives the history."""
    config = configs.FinetuneConfig(**{"num_epochs": 4, "batch_size": BATCH_SIZE} | stage)
    files = stage_data.Files([train], [*held_out], folder / "checkpoints", folder / "logs")
    return stages.run(model, config, files, "Finetune")


@contextlib.contextmanager
def copied_after(num_epochs, place):
    """Copies checkpoints of stages that run, as a kill after so many epochs leaves them."""
    save = stages.EpochCheckpoints.on_epoch_end

    def save_and_copy(callback, epoch, logs=None):
        save(callback, epoch, logs)
        if epoch + 1 == num_epochs:
            shutil.copytree(callback.folder, place / callback.folder.name)

    with mock.patch.object(stages.EpochCheckpoints, "on_epoch_end", save_and_copy):
        yield


def run_rows(model, folder, values, steps, **stage):
    """Trains on rows of arrays in memory; gives the history."""
    config = configs.FinetuneConfig(**{"num_epochs": 4, "batch_size": BATCH_SIZE} | stage)
    source = stage_data.Rows(values)
    return stages.run(
        model,
        config,
        stage_data.Arrays(source=source, steps=steps, checkpoints=folder),
        "Finetune",
        callbacks=[],
    )


def same(first, second):
    """Says whether two lists of arrays are equal to the bit."""
    return all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def random_pair(seed=0, num_pairs=3):
    """Draws pairs that fit no pose: every keypoint and confidence is any number."""
    rng = np.random.default_rng(seed)
    batch = pair(prepare(film()).train_pairs, num_pairs)

    def redrawn(view):
        shape = view.confidence.shape
        keypoints_2d = tf.constant(rng.uniform(0, 1000, (*shape, 2)), tf.float32)
        confidence = tf.constant(rng.uniform(0.1, 1, shape), tf.float32)
        return view._replace(keypoints_2d=keypoints_2d, confidence=confidence)

    return views.ViewPair(*(redrawn(view) for view in batch))
