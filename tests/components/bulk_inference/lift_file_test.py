import pathlib

import pytest
from apache_beam.utils import shared

from components.bulk_inference import lift_file
from tests.components.bulk_inference import stored_views


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return stored_views.save_model(tmp_path_factory.mktemp("models") / "saved")


def lift(model, root, path, is_watched=False, form="parquet"):
    handle = shared.Shared()
    worker = lift_file.LiftFile(str(model), handle, str(root), form, 4, is_watched)
    worker.setup()
    (outcome,) = worker.process(lift_file.Job(str(path), 2, 5))
    return outcome


@pytest.mark.parametrize("form", lift_file.FORMATS)
def test_the_output_is_named_by_the_files_place(model, tmp_path, form):
    path = stored_views.write(tmp_path / "views.gz", stored_views.columns(6))
    outcome = lift(model, tmp_path / "out", path, form=form)
    name = f"poses-00002-of-00005{lift_file.SUFFIXES[form]}"
    assert outcome == lift_file.Outcome(2, str(path), name, 6, 0, [])
    # Letters of no loss are not there; the folder of partial files is empty.
    out = tmp_path / "out"
    assert [child.name for child in sorted(out.iterdir())] == ["partial", name]
    assert list((out / "partial").iterdir()) == []


def test_records_are_numbered_through_all_batches(model, tmp_path):
    drawn = stored_views.columns(15)
    drawn["confidence"][[1, 2, 3, 9, 10, 14], 0] = 2.0
    outcome = lift(model, tmp_path / "out", stored_views.write(tmp_path / "views.gz", drawn))
    assert (outcome.num_poses, outcome.num_lost) == (9, 6)
    letters = stored_views.letters(tmp_path / "out")
    assert [letter["record"] for letter in letters] == [1, 2, 3, 9, 10, 14]
    assert outcome.first_lost == letters[:5]


def test_a_file_that_ends_too_soon_leaves_its_letter_only(model, tmp_path):
    path = stored_views.write(tmp_path / "views.gz", stored_views.columns(20))
    path.write_bytes(path.read_bytes()[:-500])
    outcome = lift(model, tmp_path / "out", path)
    assert outcome[:5] == (2, str(path), None, 0, 0)
    (letter,) = stored_views.letters(tmp_path / "out")
    assert outcome.first_lost == [letter]
    assert (letter["record"], letter["field"]) == (None, "records")
    left = [child.name for child in sorted((tmp_path / "out").rglob("*")) if child.is_file()]
    assert left == ["_dead_letters-00002-of-00005.jsonl"]


def test_a_watched_worker_notes_how_many_poses_it_has(model, tmp_path):
    path = stored_views.write(tmp_path / "views.gz", stored_views.columns(6))
    lift(model, tmp_path / "out", path, is_watched=True)
    assert pathlib.Path(tmp_path, "out", lift_file.PROGRESS, "2").read_text() == "6"


def test_workers_of_a_process_share_one_model(model, tmp_path):
    handle = shared.Shared()
    workers = [
        lift_file.LiftFile(str(model), handle, str(tmp_path), "parquet", 4, False) for _ in "ab"
    ]
    for worker in workers:
        worker.setup()
    assert workers[0]._lifter is workers[1]._lifter
