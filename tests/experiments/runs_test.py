import ast
import contextlib
import copy
import json
import pathlib
import shutil
import sys

import numpy as np
import pytest

import keras_mvlift
from keras_mvlift import skeletons
from keras_mvlift.experiments import methods, origins, runs, tables, variants
from keras_mvlift.metrics import held_out_views, pose_error
from keras_mvlift.training import stages
from tests import tiny_studio
from tests.experiments import tiny_experiments

SCORES = tuple(f"held_out_{name}" for name in held_out_views.SCORE_NAMES)


def triangulation(name="one", seed_option=0):
    return tables.row(name, method="triangulation", options=(("mark", seed_option),))


@pytest.fixture
def calls(monkeypatch):
    """Counts the cells that are really run; they are as quick as can be."""
    made = []

    def measure(run):
        made.append((dict(run.cell.variant.options)["mark"], run.cell.seed))
        return run.data.test.reference_pose

    monkeypatch.setitem(methods.METHODS, "triangulation", measure)
    return made


ROWS = [triangulation(f"{mark}", mark) for mark in range(3)]


def files(plan):
    return sorted(plan.store.folder.glob("[!t]*.json"))


def test_finished_cells_are_not_run_again(tmp_path, calls):
    tiny_experiments.experiments(tmp_path, *ROWS, seeds=(0, 1)).run()
    assert calls == [(mark, seed) for mark in range(3) for seed in (0, 1)]
    again = tiny_experiments.experiments(tmp_path, *ROWS, seeds=(0, 1))
    assert again.to_do() == []
    again.run()
    assert len(calls) == 6


def test_a_cell_whose_file_is_lost_is_run_again_and_no_other(tmp_path, calls):
    plan = tiny_experiments.experiments(tmp_path, *ROWS)
    plan.run()
    lost = plan.digest(plan.cell(ROWS[1], 0))
    (plan.store.folder / f"{lost}.json").unlink()
    calls.clear()
    plan.run()
    assert calls == [(1, 0)]


def test_an_interrupted_run_goes_on_where_it_was(tmp_path, calls, monkeypatch):
    measure = methods.METHODS["triangulation"]

    def interrupted(run):
        if len(calls) == 2:
            raise KeyboardInterrupt
        return measure(run)

    plan = tiny_experiments.experiments(tmp_path, *ROWS)
    monkeypatch.setitem(methods.METHODS, "triangulation", interrupted)
    with pytest.raises(KeyboardInterrupt):
        plan.run()
    assert len(files(plan)) == 2
    monkeypatch.setitem(methods.METHODS, "triangulation", measure)
    plan.run()
    assert calls == [(0, 0), (1, 0), (2, 0)]


def test_a_failure_is_recorded_tried_again_and_stops_nobody(tmp_path, calls, monkeypatch):
    measure = methods.METHODS["triangulation"]

    def failing(run):
        if dict(run.cell.variant.options)["mark"] == 0:
            raise RuntimeError("no memory")
        return measure(run)

    monkeypatch.setitem(methods.METHODS, "triangulation", failing)
    plan = tiny_experiments.experiments(tmp_path, *ROWS)
    plan.run()
    record = plan.store.read(plan.digest(plan.cell(ROWS[0], 0)))
    assert (record["status"], record["error"]) == ("failed", "RuntimeError: no memory")
    assert len(calls) == 2
    assert [cell.variant for cell in plan.to_do()] == [ROWS[0].variant]


def test_rows_of_several_tables_that_ask_the_same_are_run_once(tmp_path, calls):
    twin = tables.Row("another name", ROWS[0].variant)
    plan = tiny_experiments.experiments(tmp_path, ROWS[0], twin)
    plan.run()
    assert len(calls) == 1


def test_other_data_budgets_seeds_and_code_are_other_cells(tmp_path, monkeypatch):
    plan = tiny_experiments.experiments(tmp_path)
    elsewhere = tiny_experiments.experiments(tmp_path, origin=origins.StudioOrigin(seed=1))
    cell = plan.cell(ROWS[0], 0)
    digests = {plan.digest(cell), plan.digest(plan.cell(ROWS[0], 1)), elsewhere.digest(cell)}
    wider = variants.Cell(variant=cell.variant, budget=variants.Budget(width=9), seed=0)
    digests.add(plan.digest(wider))
    monkeypatch.setattr(runs, "code_digest", lambda: "another")
    digests.add(plan.digest(cell))
    assert len(digests) == 5


def test_cells_of_the_same_data_follow_each_other(tmp_path):
    other = variants.DataSettings(calibration_error=0.5)
    mixed = [tables.row("a"), tables.row("b", data=other), tables.row("c", recipe="ray_root")]
    order = [cell.variant.data for cell in tiny_experiments.experiments(tmp_path, *mixed).to_do()]
    assert order == [variants.DataSettings(), variants.DataSettings(), other]


def test_poses_and_truth_are_kept_to_the_millimeter(tmp_path, calls):
    plan = tiny_experiments.experiments(tmp_path, ROWS[0])
    plan.run()
    record = json.loads(files(plan)[0].read_text())
    pose = plan.store.read_poses(plan.digest(plan.cell(ROWS[0], 0)))["pose"]
    truth = plan.store.read_poses(record["truth"])
    np.testing.assert_allclose(pose, truth["pose"], atol=1e-3)
    assert np.abs(pose).max() > 0.5
    assert set(truth) == {"pose", "clip", "camera", "frame"}


def test_no_seeds_or_a_seed_twice_are_refused(tmp_path):
    for seeds in ((), (1, 1)):
        with pytest.raises(ValueError, match="`seeds` must name one or more, each once"):
            tiny_experiments.experiments(tmp_path, seeds=seeds)


def test_a_killed_cell_goes_on_behind_its_last_epoch_and_ends_as_an_unbroken_one(
    tmp_path, monkeypatch
):
    # Two stages, and two networks more whose state counts: the critic's, and its optimizer's.
    options = (("num_critic_steps", 1),)
    row = tables.row("critic", recipe="paper", method="adversarial", options=options)
    whole, broken = (tiny_experiments.experiments(tmp_path / name, row) for name in "wb")
    digest = broken.digest(broken.cell(row, 0))
    folder = broken.folder / "checkpoints" / digest
    with tiny_studio.copied_after(1, folder):
        whole.run()
    assert sorted(path.name for path in folder.iterdir()) == ["finetune", "pretrain"]
    steps = []
    monkeypatch.setattr(
        stages.StopOnNonFiniteLoss, "on_train_batch_end", lambda *_: steps.append(1)
    )
    broken.run()
    assert len(steps) == tiny_experiments.BUDGET.steps_per_epoch
    expected, found = (plan.store.read(digest) for plan in (whole, broken))
    assert found["status"] == "done"
    assert found["figures"] == expected["figures"]
    assert found["curve"] == expected["curve"]
    assert [entry["stage"] for entry in found["curve"]] == ["pretrain", "finetune", "finetune"]
    assert not folder.exists()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_cell_that_failed_keeps_its_checkpoints(error, tmp_path, monkeypatch):
    def failing(run):
        run.watch.folder.mkdir(parents=True)
        raise error

    monkeypatch.setitem(methods.METHODS, "triangulation", failing)
    plan = tiny_experiments.experiments(tmp_path, ROWS[0])
    with contextlib.suppress(KeyboardInterrupt):
        plan.run()
    assert (tmp_path / "checkpoints" / plan.digest(plan.cell(ROWS[0], 0))).exists()


def test_the_row_the_stage_and_the_epoch_are_shown(tmp_path, monkeypatch, capsys):
    def measure(run):
        run.watch.show("finetune 1/2")
        return run.data.test.reference_pose

    monkeypatch.setitem(methods.METHODS, "triangulation", measure)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    tiny_experiments.experiments(tmp_path, ROWS[2]).run()
    assert "2: finetune 1/2" in capsys.readouterr().err


@pytest.fixture(scope="module")
def data():
    return tiny_experiments.data()


def run(monkeypatch, data, method, name="supervised"):
    monkeypatch.setitem(methods.METHODS, name, method)
    cell = tiny_experiments.cell(method=name)
    return runs.measure(cell, lambda: data, methods.Watch(pathlib.Path("unused")))


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
    assert set(figures["overall"]) > {*pose_error.FIGURE_NAMES, *SCORES}
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
    for name in SCORES:
        assert scores[0][name] < 0.9 * scores[1][name]


def test_views_of_single_cameras_have_no_score_without_labels(monkeypatch, data):
    alone = copy.copy(data)
    alone.test = data.test._replace(instant=np.arange(len(data.test.instant)))
    record, _ = run(monkeypatch, alone, lambda *_: data.test.reference_pose)
    assert not set(record["figures"]["overall"]) & set(SCORES)


def test_test_data_are_told_apart_by_what_they_hold(monkeypatch, data):
    twin, other = copy.copy(data), copy.copy(data)
    other.test = data.test._replace(reference_pose=1.01 * data.test.reference_pose)
    tests = [
        run(monkeypatch, some, lambda *_: data.test.reference_pose)[0]["test"]
        for some in (data, twin, other)
    ]
    assert tests[0] == tests[1] != tests[2]


def test_a_loss_that_is_no_number_is_a_result_with_its_curve(monkeypatch, data):
    def diverge(run):
        run.watch.curve.extend(
            [
                {"stage": "finetune", "epoch": 1, "loss": 3.0, "mpjpe_mm": 200.0},
                {"stage": "finetune", "epoch": 2, "loss": float("inf"), "mpjpe_mm": 300.0},
            ]
        )
        raise stages.NonFiniteLossError("the loss must be finite")

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
    assert not set(overall) & set(SCORES)


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

    record, _ = runs.measure(tiny_experiments.cell(), refuse, methods.Watch(tmp_path))
    assert record["status"] == "not_applicable"


@pytest.mark.parametrize(
    ("status", "is_finished"),
    [("done", True), ("diverged", True), ("not_applicable", True), ("failed", False)],
)
def test_what_would_come_out_alike_is_finished(tmp_path, status, is_finished):
    store = runs.CellStore(tmp_path / "cells")
    store.write("a", {"status": status})
    assert store.is_finished("a") == is_finished
    assert not store.is_finished("b")


def test_half_a_file_counts_as_none(tmp_path):
    store = runs.CellStore(tmp_path)
    (tmp_path / "a.json").write_text('{"status": "do')
    assert store.read("a") is None


def test_a_record_that_cannot_be_written_leaves_the_old_one(tmp_path):
    store = runs.CellStore(tmp_path)
    store.write("a", {"status": "done"})
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.write("a", {"status": "done", "figures": float("nan")})
    assert store.read("a") == {"status": "done"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_poses_are_read_back_to_half_a_millimeter_and_names_as_they_were(tmp_path):
    store = runs.CellStore(tmp_path)
    pose = np.random.default_rng(0).uniform(-2, 2, (3, 17, 3)).astype(np.float32)
    pose[0, 0, 0] = 1e6
    store.write_poses("a", pose=pose, clip=np.array(["x", "y", "z"]), frame=np.arange(3))
    read = store.read_poses("a")
    assert read["pose"][0, 0, 0] == 32.767
    np.testing.assert_allclose(read["pose"][1:], pose[1:], atol=0.000501)
    assert read["clip"].tolist() == ["x", "y", "z"]
    assert read["frame"].tolist() == [0, 1, 2]


def digest_after(tmp_path, changed):
    root = tmp_path / changed.replace("/", "_")
    shutil.copytree(pathlib.Path(keras_mvlift.__file__).parent, root)
    with (root / changed).open("a") as file:
        file.write("\n")
    return runs._source_digest(root)


def test_what_trains_or_measures_changes_the_digest_and_what_shows_does_not(tmp_path):
    now = runs.code_digest()
    for decides in ("reprojection.py", "configs.py", "experiments/methods.py"):
        assert digest_after(tmp_path, decides) != now
    for shows in ("experiments/tables.py", "cli/main.py", "visualization/pictures.py"):
        assert digest_after(tmp_path, shows) == now


def imported(root, path):
    """The files of ours that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("keras_mvlift"):
            folder = root.joinpath(*node.module.split(".")[1:])
            named = (folder / f"{alias.name}.py" for alias in node.names)
            yield from (path for path in named if path.exists())


def test_all_that_a_cell_imports_decides():
    root = pathlib.Path(keras_mvlift.__file__).parent
    found, left = set(), [root / "experiments" / "runs.py"]
    while left:
        path = left.pop()
        found.add(path)
        left += set(imported(root, path)) - found
    names = {path.relative_to(root).as_posix() for path in found}
    covered = {name for name in names if name.startswith(tuple(runs._DECIDES))}
    # What a cell asks for is in its digest by itself.
    chosen = {f"experiments/{name}.py" for name in ("variants", "profiles", "tables")}
    assert names - covered == chosen


JOINTS = skeletons.H36M_17.joints


def off_by(error_mm, *joints):
    """Poses of which some joints are off along x."""
    pose_true = np.zeros((1, 17, 3), np.float32)
    pose_pred = pose_true.copy()
    pose_pred[0, [JOINTS.index(joint) for joint in joints], 0] = error_mm / 1000
    return pose_true, pose_pred


def test_shares_golden():
    # 7 of 14 joints are off by 102 mm, within 150 mm; 151 mm for one more is not: 13 of 14.
    # Above 0 mm lie 30 of 31 thresholds, above 102 mm ten: (6 * 30 + 7 * 10 + 0) / 14 / 31.
    pose_true, pose_pred = off_by(102, *(joint for joint in JOINTS if "left" in joint), "head")
    pose_pred[0, JOINTS.index("thorax"), 0] = 0.151
    shares = runs.measure_joint_shares(pose_true, pose_pred)
    assert shares["pck_150_14"] == pytest.approx(100 * 13 / 14)
    assert shares["auc_14"] == pytest.approx(100 * 250 / 14 / 31)


def test_a_pose_of_no_joint_that_counts_is_left_out():
    pose_true, pose_pred = (np.repeat(pose, 2, axis=0) for pose in off_by(102, "head"))
    pose_true[1, 1:] = np.nan
    pose_true[1, JOINTS.index("spine")] = 0
    shares = runs.measure_joint_shares(pose_true, pose_pred)
    assert shares["pck_150_14"] == pytest.approx(100)


def test_spine_and_nose_do_not_count():
    shares = runs.measure_joint_shares(*off_by(1000, "spine", "nose"))
    assert shares["pck_150_14"] == pytest.approx(100)
    assert shares["auc_14"] == pytest.approx(3000 / 31)
