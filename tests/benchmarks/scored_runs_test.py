import numpy as np
import pytest

from benchmarks import scored_runs
from keras_mvlift.experiments import origins

TRIAL = scored_runs.Trial(width=16, num_steps=3, batch_size=16)


@pytest.fixture(scope="module")
def made():
    return {}


@pytest.fixture(scope="module")
def origin():
    return origins.StudioOrigin(num_subjects=2, num_test_subjects=1, num_frames=6)


NAMES = ["solved_root, all views", "labels, plain triangulation", "semi-supervised, 2 % labels"]


@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_scored_as_often_as_is_said(made, origin, name):
    run = scored_runs.RUNS[name]
    rows = scored_runs.train(run, TRIAL, scored_runs.make_data(run, origin, made), seed=0)
    assert [row["step"] for row in rows] == [1, 2, 3]
    for row in rows:
        assert {*scored_runs.ERRORS} < {*row}
        assert all(np.isfinite(value) for value in row.values())
    assert rows[0]["mpjpe_mm"] != rows[-1]["mpjpe_mm"]


def test_calibration_is_turned_by_the_angle_and_scaled(made, origin):
    exact = scored_runs.make_data(scored_runs.Run(), origin, made)
    wrong = scored_runs.make_data(scored_runs.Run(degrees=3.0, scale=1.1), origin, made)
    turn = wrong.seen.camera.rotation @ exact.seen.camera.rotation.swapaxes(-1, -2)
    angle = np.degrees(np.arccos((np.trace(turn, axis1=-2, axis2=-1) - 1) / 2))
    np.testing.assert_allclose(angle, 3.0, atol=0.01)
    np.testing.assert_allclose(wrong.seen.camera.center, 1.1 * exact.seen.camera.center, rtol=1e-5)
    np.testing.assert_array_equal(wrong.test.view.camera.center, exact.test.view.camera.center)


def test_other_noise_is_in_training_alone(made, origin):
    clean = scored_runs.make_data(scored_runs.Run(), origin, made)
    noisy = scored_runs.make_data(scored_runs.Run(noise_px=12.0), origin, made)
    np.testing.assert_array_equal(noisy.test.view.keypoints_2d, clean.test.view.keypoints_2d)
    assert (noisy.seen.keypoints_2d != clean.seen.keypoints_2d).any()
