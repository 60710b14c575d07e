import numpy as np
import pytest

from keras_mvlift import configs, inference
from keras_mvlift.datasets import preparation, view_windows
from keras_mvlift.lifting import record_views
from keras_mvlift.metrics import baselines
from tests import temporal_networks, tiny_studio

# Of 24 frames: one is missing, which is filled, and later more than are filled.
FRAMES = [0, 1, 2, 3, 4, 6, 7, 20, 21, 22, 23]


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Test views of four cameras, in no order; gives their file."""
    clip = tiny_studio.film_exactly()
    split = preparation.BySubject(test_subjects=(clip.subject,))
    columns = preparation.prepare(clip, split, configs.DataConfig()).test_views
    kept = np.flatnonzero(np.isin(columns["frame"], FRAMES))
    kept = np.random.default_rng(0).permutation(kept)
    columns = {name: values[kept] for name, values in columns.items()}
    return tiny_studio.write(tmp_path_factory.mktemp("records") / "test.gz", columns)


@pytest.mark.parametrize(("is_causal", "frame_step"), [(False, 1), (True, 2)])
def test_views_are_lifted_from_the_windows_that_training_would_see(
    records, tmp_path, is_causal, frame_step
):
    lifter = temporal_networks.save(tmp_path, is_causal=is_causal, frame_step=frame_step)
    windows = view_windows.Windows(9, is_causal, frame_step)
    (window,) = view_windows.load_views_once(records, 1000, windows)
    pose, root_position = lifter.lift(window)
    test = baselines.read_test_views(records)
    assert len(test.frame) == 4 * len(FRAMES)
    lifted = record_views.lift(inference.load_model(tmp_path), test)
    np.testing.assert_allclose(lifted.root_relative_pose, pose, atol=1e-4)
    np.testing.assert_allclose(lifted.root_position, root_position, atol=1e-4)
    moved = lifted.root_relative_pose + lifted.root_position[:, np.newaxis]
    np.testing.assert_array_equal(lifted.pose_camera, moved)
    # The frames around a view have a say in its pose.
    alone = record_views.lift(
        inference.load_model(tmp_path), test._replace(clip=np.arange(len(test.frame)).astype(str))
    )
    assert np.abs(alone.root_relative_pose - lifted.root_relative_pose).max() > 1e-3


def test_a_model_of_single_frames_lifts_each_view_alone(records, tmp_path):
    tiny_studio.save(tiny_studio.trained(), tmp_path)
    model, test = inference.load_model(tmp_path), baselines.read_test_views(records)
    lifted = record_views.lift(model, test)
    expected = model.lift(test.view.keypoints_2d, test.view.confidence, test.view.camera)
    np.testing.assert_array_equal(lifted.pose_camera, expected.pose_camera)


def test_the_model_is_left_as_it_was(records, tmp_path):
    temporal_networks.save(tmp_path, frame_step=3)
    model = inference.load_model(tmp_path)
    record_views.lift(model, baselines.read_test_views(records))
    assert model.frame_step == 3
