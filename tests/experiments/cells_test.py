import copy
import pathlib

import numpy as np
import pytest

from keras_mvlift.experiments import cells, methods, origins, results
from keras_mvlift.metrics import pose_error
from keras_mvlift.training import optimizers
from tests.experiments import tiny_experiments


@pytest.fixture(scope="module")
def data():
    return tiny_experiments.data()


def run(monkeypatch, data, method, name="supervised"):
    monkeypatch.setitem(methods.METHODS, name, method)
    cell = tiny_experiments.cell(method=name)
    return cells.run(cell, lambda: data, methods.Watch(pathlib.Path("unused")))


def test_figures_are_measured_overall_and_per_action(monkeypatch, data):
    poses = data.test.reference_pose + np.where(np.arange(17)[:, np.newaxis] > 8, 0.1, 0.0)
    poses[data.test.action == "walking"] = data.test.reference_pose[data.test.action == "walking"]
    record, kept = run(monkeypatch, data, lambda *_: poses)
    figures = record["figures"]
    assert record["status"] == "done"
    assert figures["per_action"]["walking"]["mpjpe_mm"] == pytest.approx(0, abs=0.01)
    others = [f["mpjpe_mm"] for a, f in figures["per_action"].items() if a != "walking"]
    # Eight of 17 joints are off by 100 mm along each axis.
    np.testing.assert_allclose(others, 100 * np.sqrt(3) * 8 / 17, rtol=1e-3)
    assert figures["mean_over_actions"]["mpjpe_mm"] == pytest.approx(
        np.mean([0, *others]), rel=1e-3
    )
    assert set(figures["overall"]) > {*pose_error.FIGURE_NAMES, *results.SCORES}
    assert set(figures["mean_over_actions"]) == set(pose_error.FIGURE_NAMES)
    assert kept is poses


def test_figures_are_measured_for_each_person(monkeypatch, data):
    poses = data.test.reference_pose + np.where(np.arange(17)[:, np.newaxis] > 8, 0.1, 0.0)
    two = copy.copy(data)
    two.test_subject = np.where(np.arange(len(poses)) < 5, "S8", "S9")
    poses[:5] = data.test.reference_pose[:5]
    record, _ = run(monkeypatch, two, lambda *_: poses)
    people = record["figures"]["per_person"]
    assert {*people} == {"S8", "S9"}
    assert people["S8"]["mpjpe_mm"] == pytest.approx(0, abs=0.01)
    assert people["S9"]["mpjpe_mm"] == pytest.approx(100 * np.sqrt(3) * 8 / 17, rel=1e-3)
    assert set(people["S8"]) == {*pose_error.FIGURE_NAMES, "coverage"}


def test_true_poses_score_better_without_labels_than_wrong_ones(monkeypatch, data):
    wrong = data.test.reference_pose * np.array([1.0, 1.0, 0.3])
    scores = [
        run(monkeypatch, data, lambda *_, poses=poses: poses)[0]["figures"]["overall"]
        for poses in (data.test.reference_pose, wrong)
    ]
    for name in results.SCORES:
        assert scores[0][name] < 0.9 * scores[1][name]


def test_views_of_single_cameras_have_no_score_without_labels(monkeypatch, data):
    alone = copy.copy(data)
    alone.test = data.test._replace(instant=np.arange(len(data.test.instant)))
    record, _ = run(monkeypatch, alone, lambda *_: data.test.reference_pose)
    assert not set(record["figures"]["overall"]) & set(results.SCORES)


def test_test_data_are_told_apart_by_what_they_hold(monkeypatch, data):
    twin, other = copy.copy(data), copy.copy(data)
    other.test = data.test._replace(reference_pose=1.01 * data.test.reference_pose)
    tests = [
        run(monkeypatch, some, lambda *_: data.test.reference_pose)[0]["test"]
        for some in (data, twin, other)
    ]
    assert tests[0] == tests[1] != tests[2]


def test_a_loss_that_is_no_number_is_a_result_with_its_curve(monkeypatch, data):
    def diverge(cell, data, watch):
        watch.curve.extend(
            [
                {"stage": "finetune", "epoch": 1, "loss": 3.0, "mpjpe_mm": 200.0},
                {"stage": "finetune", "epoch": 2, "loss": float("inf"), "mpjpe_mm": 300.0},
            ]
        )
        raise optimizers.NonFiniteLossError("the loss must be finite")

    record, poses = run(monkeypatch, data, diverge)
    assert (record["status"], record["figures"], poses) == ("diverged", None, None)
    assert [entry["epoch"] for entry in record["curve"]] == [1]


def test_poses_that_are_no_numbers_are_no_figures(monkeypatch, data):
    poses = data.test.reference_pose.copy()
    poses[0, 3] = np.nan
    record, kept = run(monkeypatch, data, lambda *_: poses)
    assert (record["status"], record["figures"], kept) == ("diverged", None, None)


@pytest.mark.parametrize("name", methods.PARTIAL)
def test_joints_that_a_baseline_leaves_open_are_left_out_and_counted(monkeypatch, data, name):
    poses = data.test.reference_pose.copy()
    poses[:, 3] += [0.0, 0.1, 0.0]
    poses[:, 5] = np.nan
    record, _ = run(monkeypatch, data, lambda *_: poses, name)
    overall = record["figures"]["overall"]
    # One joint of the sixteen that are left is off.
    assert overall["mpjpe_mm"] == pytest.approx(100 / 16, rel=1e-3)
    assert overall["coverage"] == pytest.approx(100 * 16 / 17)
    assert not set(overall) & set(results.SCORES)


@pytest.mark.parametrize(
    ("error", "status"),
    [(origins.NotApplicableError("no rig"), "not_applicable"), (KeyError("x"), "failed")],
)
def test_an_error_is_a_record(monkeypatch, data, error, status):
    def fail(*_):
        raise error

    record, _ = run(monkeypatch, data, fail)
    assert record["status"] == status
    assert str(error) in record["error"]


def test_data_that_cannot_be_made_are_a_record(tmp_path):
    def refuse():
        raise origins.NotApplicableError("Recordings cannot be filmed again.")

    record, _ = cells.run(tiny_experiments.cell(), refuse, methods.Watch(tmp_path))
    assert record["status"] == "not_applicable"
