"""Temporal networks of few units that say something, as after training."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.datasets import views
from keras_mvlift.export import saved_model
from keras_mvlift.geometry import cameras
from keras_mvlift.networks import temporal
from keras_mvlift.training import lifters, objectives
from tests import tiny_studio

FILTER_WIDTHS = (3, 5, 3)
NUM_FRAMES = 45


def trained(num_outputs=51, seed=0, **options):
    """Builds a network of which weights and statistics are any numbers, outputs about meters."""
    small = {"filter_widths": FILTER_WIDTHS, "width": 16, "output_stddev": 0.1}
    model = temporal.temporal(num_outputs, name="net", seed=seed, **(small | options))
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.dtype.is_floating:
            low = 0.5 if "variance" in variable.name or "gamma" in variable.name else -0.1
            variable.assign_add(rng.uniform(low, low + 0.2, variable.shape))
    if num_outputs == tiny_studio.STANDING.size:
        model.get_layer("outputs").bias.assign_add(tiny_studio.STANDING.reshape(-1))
    return model


def clip(num_frames, *leading, seed=0):
    """Draws rays `[..., T, 17, 2]` of frames that have nothing to do with each other."""
    shape = (*leading, num_frames, 17, 2)
    return np.random.default_rng(seed).normal(0.0, 0.3, shape).astype(np.float32)


def windows(frames, is_causal, num_frames=NUM_FRAMES):
    """Cuts `[T, J, 2]` into the window of each of its frames, by a loop."""
    before = num_frames - 1 if is_causal else num_frames // 2
    last = len(frames) - 1
    cut = [
        [frames[min(max(frame - before + index, 0), last)] for index in range(num_frames)]
        for frame in range(len(frames))
    ]
    return np.array(cut)


CONFIG = configs.ModelConfig(
    backbone="temporal_dilated", filter_widths=(3, 3), width=16, dropout=0.0, output_stddev=0.1
)
"""A model of windows of 9 frames."""


def lifter(**changes):
    """Builds a model of `CONFIG` that says something, as after training."""
    config = dataclasses.replace(CONFIG, **changes)
    built = lifters.build(config, objectives.TransformReprojection(), tiny_studio.RIG_DISTANCE)
    for seed, weight in enumerate(lifters.weights_of(built)):
        weight.assign_add(tf.random.stateless_uniform(weight.shape, [seed, 0], 0.0, 0.1))
    tiny_studio.stand(built)
    return built


def save(folder, **changes):
    """Exports such a model; gives it."""
    built = lifter(**changes)
    about = {
        "model": dataclasses.asdict(dataclasses.replace(CONFIG, **changes)),
        "rig_distance": tiny_studio.RIG_DISTANCE,
        "intrinsics": tiny_studio.INTRINSICS.tolist(),
    }
    saved_model.save(built, about, folder)
    return built


def window(keypoints_2d, confidence, is_causal):
    """Makes the window of each frame of a clip `[T, 17, 2]` as training does."""
    eye = np.tile(np.eye(3, dtype=np.float32), (len(confidence), 1, 1))
    intrinsics = np.broadcast_to(tiny_studio.INTRINSICS, eye.shape)
    seen = np.where(confidence[..., np.newaxis] > 0, keypoints_2d, 0)
    view = views.View(seen, confidence, cameras.Camera(intrinsics, eye, eye[:, 0]))
    tracks, cell = views.lay(view, np.zeros(len(eye), int), np.arange(len(eye)))
    offset = views.offsets(9, is_causal=is_causal)
    return views.window(tracks, cell, offset)


def film(num_frames, *leading, seed=0):
    """Draws keypoints `[..., T, 17, 2]` of somebody who stands, somehow, and confidences.

    A tenth of the joints is not seen.
    """
    rng = np.random.default_rng(seed)
    shape = (*leading, num_frames, 17)
    confidence = rng.uniform(0.1, 1, shape).astype(np.float32)
    confidence[rng.random(shape) < 0.1] = 0.0
    where = 500 + 200 * tiny_studio.STANDING[:, :2] + rng.uniform(-60, 60, (*shape, 2))
    return where.astype(np.float32), confidence
