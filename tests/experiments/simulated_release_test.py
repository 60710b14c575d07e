"""Cells on a simulated release of MPI-INF-3DHP, whose test clips have a single camera."""

import pytest

from keras_mvlift.experiments import data as training_data
from keras_mvlift.experiments import methods, profiles, runs, variants
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


def run(method, data, folder):
    watch = methods.Watch(folder)
    return runs.measure(tiny_experiments.cell(method=method), lambda: data, watch)


def test_views_of_one_camera_are_lifted_and_measured_over_fourteen_joints(data, tmp_path):
    assert (data.about["cameras"], set(data.test.instant)) == (5, set(range(len(data.test.frame))))
    record, poses = run("supervised", data, tmp_path)
    assert record["status"] == "done"
    assert {"pck_150_14", "auc_14"} <= set(record["figures"]["overall"])
    assert poses.shape == data.test.reference_pose.shape


def test_what_needs_several_test_cameras_is_not_applicable(data, tmp_path):
    record, _ = run("triangulation", data, tmp_path)
    assert record["status"] == "not_applicable"
