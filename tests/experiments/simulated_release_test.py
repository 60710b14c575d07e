"""Cells on a simulated release of MPI-INF-3DHP, whose test clips have a single camera."""

import pytest

from keras_mvlift.experiments import cell_runs, joint_shares, profiles, training_data, variants
from tests.datasets.mpi_inf_3dhp import releases
from tests.experiments import tiny_experiments

OPTIONS = (
    '{"layout": "original", "first_frames": "all", "subjects": ["S1"], "test_subjects": ["TS1"]}'
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = releases.write(tmp_path_factory.mktemp("release"), test_subjects=("TS1",))
    recordings = profiles.Recordings(str(root), "mpi_inf_3dhp", OPTIONS)
    origin = profiles.open_origin(tiny_experiments.PROFILE, [], recordings)
    return training_data.TrainingData(origin, variants.DataSettings())


def test_views_of_one_camera_are_lifted_and_measured_over_fourteen_joints(data):
    assert (data.about["cameras"], set(data.test.instant)) == (5, set(range(len(data.test.frame))))
    record, poses = cell_runs.run(tiny_experiments.cell(method="supervised"), lambda: data)
    assert record["status"] == "done"
    assert set(joint_shares.NAMES) <= set(record["figures"]["overall"])
    assert poses.shape == data.test.reference_pose.shape


def test_what_needs_several_test_cameras_is_not_applicable(data):
    record, _ = cell_runs.run(tiny_experiments.cell(method="triangulation"), lambda: data)
    assert record["status"] == "not_applicable"
