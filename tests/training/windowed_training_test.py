"""Temporal networks in the models that train, unchanged, on windows in place of views."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from keras_mvlift import skeletons
from keras_mvlift.datasets import view_windows, views
from keras_mvlift.experiments import peers
from keras_mvlift.geometry import cameras
from keras_mvlift.networks import residual, temporal
from keras_mvlift.training import multi_view_lifter, objectives
from tests import tiny_studio

WIDTH, WIDTHS, NUM_FRAMES = 16, (3, 3), 9


@pytest.fixture(scope="module")
def train(shards):
    return shards["train_pairs"]


def lifter(recipe="solved_root", network_input=residual.window_input, build=None):
    def default(num_outputs, **about):
        return temporal.temporal(
            num_outputs, filter_widths=WIDTHS, width=WIDTH, dropout=0.0, **about
        )

    build, chosen = build or default, multi_view_lifter.RECIPES[recipe]
    return multi_view_lifter.MultiViewLifter(
        build(51, name="lifting_network", seed=0),
        build(3, name="root_network", seed=1),
        chosen.root_head(tiny_studio.RIG_DISTANCE),
        chosen,
        objectives.TransformReprojection(),
        network_input,
    )


def test_fit_on_pairs_of_windows_lowers_the_loss(train):
    model = tiny_studio.compiled(lifter("paper"), keras.optimizers.legacy.Adam(3e-3))
    windows = view_windows.Windows(NUM_FRAMES, is_causal=True)
    history = model.fit(
        view_windows.load(train, tiny_studio.BATCH_SIZE, windows, seed=0),
        steps_per_epoch=tiny_studio.NUM_BATCHES,
        epochs=4,
        verbose=0,
    )
    losses = history.history["loss"]
    assert losses[-1] < 0.9 * losses[0]


def test_filters_over_single_frames_learn_what_they_learn_from_views(train):
    # A temporal network of one frame, given windows of one frame, is a single-frame network.
    def single(num_outputs, **about):
        return temporal.temporal(num_outputs, filter_widths=(1, 1), width=WIDTH, **about)

    windows = view_windows.Windows(1)
    pair = next(iter(view_windows.load_once(train, tiny_studio.BATCH_SIZE, windows)))
    windowed, plain = lifter(build=single), lifter(build=single, network_input=first_frame)
    losses = [
        {name: float(loss) for name, loss in model.test_step(seen).items()}
        for model, seen in (
            (windowed, pair),
            (plain, views.ViewPair(*(side.view for side in pair))),
        )
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def first_frame(view):
    return residual.Seen(view.rays[:, tf.newaxis], view.rays)


def jittery_windows(seed, num_clips=30, num_frames=60):
    """Returns windows of smooth poses, seen through noise, and the poses `[N, 17, 3]`."""
    rng = np.random.default_rng(seed)
    time = np.arange(num_frames)[:, np.newaxis]
    # Three movements that all poses are made of, at any phase and pace.
    movements = 0.3 * np.random.default_rng(0).normal(size=(3, 17, 3))
    phase, pace = rng.uniform(0, 6, (num_clips, 1, 3)), rng.uniform(0.02, 0.06, (num_clips, 1, 3))
    pose = np.einsum("ctm,mjk->ctjk", np.sin(phase + pace * time), movements)
    pose -= pose[:, :, skeletons.ROOT : skeletons.ROOT + 1]
    pose = pose.reshape(-1, 17, 3)
    place = pose + np.array([0.0, 0.0, tiny_studio.RIG_DISTANCE])
    seen = place[..., :2] / place[..., 2:] + rng.normal(0, 0.04, pose[..., :2].shape)
    eye = np.tile(np.eye(3), (len(pose), 1, 1))
    camera = cameras.Camera(*(tf.constant(x, tf.float32) for x in (eye, eye, 0 * pose[:, 0])))
    view = views.View(tf.constant(seen, tf.float32), tf.ones(pose.shape[:2]), camera)
    clip, frame = np.divmod(np.arange(len(pose)), num_frames)
    tracks, cell = views.lay(view, clip, frame)
    offset = views.offsets(NUM_FRAMES, is_causal=False)
    return views.window(tracks, cell, offset), pose.astype(np.float32)


def test_on_jittery_keypoints_frames_around_help(tmp_path):
    seen, pose = jittery_windows(1)
    unseen, expected = jittery_windows(2)

    def single(num_outputs, **about):
        return residual.residual(num_outputs, width=64, num_blocks=1, dropout=0.0, **about)

    def several(num_outputs, **about):
        return temporal.temporal(num_outputs, filter_widths=WIDTHS, width=64, dropout=0.0, **about)

    errors = {}
    for name, build, seen_as in (
        ("single", single, residual.ray_input),
        ("several", several, residual.window_input),
    ):
        model = lifter(build=build, network_input=seen_as)
        student = peers.SupervisedLifter(model)
        stage = {"batch_size": 32, "learning_rate": 3e-3, "decay_every": 12}
        tiny_studio.run_rows(student, tmp_path / name, (seen, pose), 28, num_epochs=16, **stage)
        error = model(unseen).root_relative_pose - expected
        errors[name] = float(np.linalg.norm(error, axis=-1).mean())
    assert errors["several"] < 0.8 * errors["single"]


def test_windowed_views_are_what_the_input_takes(train):
    pair = next(iter(view_windows.load_once(train, 2, view_windows.Windows(NUM_FRAMES))))
    assert isinstance(pair.source, views.WindowedView)
    assert residual.input_by_name("windows")(pair.source).joints.shape == (2, NUM_FRAMES, 17, 2)
    np.testing.assert_array_equal(
        residual.input_by_name("windows")(pair.source).joints[:, NUM_FRAMES // 2], pair.source.rays
    )
