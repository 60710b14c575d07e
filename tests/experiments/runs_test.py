import dataclasses
import json

import numpy as np
import pytest

from keras_mvlift.experiments import cells, methods, origins, tables, variants
from keras_mvlift.training import optimizers
from tests.experiments import tiny_experiments


def triangulation(name="one", seed_option=0):
    return tables.row(name, method="triangulation", options=(("mark", seed_option),))


@pytest.fixture
def calls(monkeypatch):
    """Counts the cells that are really run; they are as quick as can be."""
    made = []

    def measure(cell, data, watch):
        made.append((dict(cell.variant.options)["mark"], cell.seed))
        return data.test.reference_pose

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

    def interrupted(cell, data, watch):
        if len(calls) == 2:
            raise KeyboardInterrupt
        return measure(cell, data, watch)

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

    def failing(cell, data, watch):
        if dict(cell.variant.options)["mark"] == 0:
            raise RuntimeError("no memory")
        return measure(cell, data, watch)

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


def test_rows_for_long_runs_are_no_cells_of_a_quick_one(tmp_path):
    some = [ROWS[0], tables.row("long", recipe="paper", is_quick=False)]
    plan = tiny_experiments.experiments(tmp_path, *some)
    quick = dataclasses.replace(plan, profile=dataclasses.replace(plan.profile, is_quick=True))
    assert (len(plan.to_do()), len(quick.to_do())) == (2, 1)


def test_other_data_budgets_seeds_and_code_are_other_cells(tmp_path, monkeypatch):
    plan = tiny_experiments.experiments(tmp_path)
    elsewhere = tiny_experiments.experiments(tmp_path, origin=origins.StudioOrigin(seed=1))
    cell = plan.cell(ROWS[0], 0)
    digests = {plan.digest(cell), plan.digest(plan.cell(ROWS[0], 1)), elsewhere.digest(cell)}
    wider = variants.Cell(variant=cell.variant, budget=variants.Budget(width=9), seed=0)
    digests.add(plan.digest(wider))
    monkeypatch.setattr(cells, "code_digest", lambda: "another")
    digests.add(plan.digest(cell))
    assert len(digests) == 5


def test_cells_of_the_same_data_follow_each_other(tmp_path):
    other = variants.DataSettings(train_share=0.5)
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
        with pytest.raises(ValueError, match="must not be empty, and name each seed once"):
            tiny_experiments.experiments(tmp_path, seeds=seeds)


def test_a_killed_cell_goes_on_behind_its_last_epoch_and_ends_as_an_unbroken_one(
    tmp_path, monkeypatch
):
    # Two stages, and two networks more whose state counts: the critic's, and its optimizer's.
    row = tables.row("adversarial", recipe="paper", method="adversarial")
    whole, broken = (tiny_experiments.experiments(tmp_path / name, row) for name in "wb")
    whole.run()
    measure = methods.EpochCurve.on_epoch_end

    def interrupted(self, epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt
        measure(self, epoch, logs)

    digest = broken.digest(broken.cell(row, 0))
    folder = broken.folder / "checkpoints" / digest
    with monkeypatch.context() as patch:
        patch.setattr(methods.EpochCurve, "on_epoch_end", interrupted)
        with pytest.raises(KeyboardInterrupt):
            broken.run()
    assert sorted(path.name for path in folder.iterdir()) == ["finetune", "pretrain"]
    steps = []
    monkeypatch.setattr(
        optimizers.StopOnNonFiniteLoss, "on_train_batch_end", lambda *_: steps.append(1)
    )
    broken.run()
    assert len(steps) == tiny_experiments.BUDGET.steps_per_epoch
    expected, found = (plan.store.read(digest) for plan in (whole, broken))
    assert found["status"] == "done"
    assert found["figures"] == expected["figures"]
    assert found["curve"] == expected["curve"]
    assert [entry["stage"] for entry in found["curve"]] == ["pretrain", "finetune", "finetune"]
    assert not folder.exists()


def test_a_cell_that_failed_keeps_its_checkpoints(tmp_path, monkeypatch):
    def failing(cell, data, watch):
        watch.folder.mkdir(parents=True)
        raise RuntimeError("no memory")

    monkeypatch.setitem(methods.METHODS, "triangulation", failing)
    plan = tiny_experiments.experiments(tmp_path, ROWS[0])
    plan.run()
    assert (tmp_path / "checkpoints" / plan.digest(plan.cell(ROWS[0], 0))).exists()


def test_the_row_the_stage_and_the_epoch_are_shown(tmp_path, monkeypatch, capsys):
    def measure(cell, data, watch):
        watch.show("finetune 1/2")
        return data.test.reference_pose

    monkeypatch.setitem(methods.METHODS, "triangulation", measure)
    tiny_experiments.experiments(tmp_path, ROWS[2]).run()
    assert "2: finetune 1/2" in capsys.readouterr().err
