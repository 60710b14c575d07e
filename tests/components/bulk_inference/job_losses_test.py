import re

import numpy as np
import pytest

from components.bulk_inference import job
from tests.components.bulk_inference import stored_views


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return stored_views.save_model(tmp_path_factory.mktemp("models") / "saved")


def bulk(model, inputs, output, **options):
    return job.BulkLift(model=str(model), inputs=(str(inputs),), output=str(output), **options)


def test_a_bad_record_is_named_and_the_rest_is_lifted(model, tmp_path):
    drawn = stored_views.columns(30)
    drawn["keypoints_2d"][7, 3] = np.inf
    path = stored_views.write(tmp_path / "views.gz", drawn)
    summary = job.run(bulk(model, path, tmp_path / "out", batch_size=4))
    assert (summary["poses"], summary["lost_records"]) == (29, 1)
    (letter,) = stored_views.letters(tmp_path / "out")
    assert (letter["file"], letter["record"], letter["field"]) == (str(path), 7, "keypoints_2d")
    assert letter["reason"].startswith("must be finite")
    frames = [row["frame"] for row in stored_views.lifted(tmp_path / "out")]
    assert frames == [5 * row for row in range(30) if row != 7]


def test_too_many_bad_records_fail_by_name_and_their_list_stays(model, tmp_path):
    drawn = stored_views.columns(10)
    drawn["confidence"][4, 0] = 1.5
    path = stored_views.write(tmp_path / "views.parquet", drawn)
    rule = re.escape(f"1 of 10 lost, 10.0%; all are listed in {tmp_path}/out.dead_letters; the")
    named = r".*views.parquet, record 4: `confidence` must lie in \[0, 1\]. Received: .* to 1.5"
    with pytest.raises(ValueError, match=f"`max_lost_share`.* 5.0% of its records.*{rule}{named}"):
        job.run(bulk(model, path, tmp_path / "out"))
    assert [each["record"] for each in stored_views.letters(tmp_path / "out.dead_letters")] == [4]
    assert {child.name for child in tmp_path.iterdir()} == {"views.parquet", "out.dead_letters"}
    assert job.run(bulk(model, path, tmp_path / "out", max_lost_share=0.1))["poses"] == 9


def test_a_damaged_file_is_lost_as_a_whole(model, tmp_path):
    for number in range(3):
        stored_views.write(tmp_path / f"views-{number}.gz", stored_views.columns(8))
    damaged = tmp_path / "views-1.gz"
    damaged.write_bytes(damaged.read_bytes()[:-900])
    with pytest.raises(
        ValueError, match=r"its files. Received: 1 of 3 lost.*`records` must be who"
    ):
        job.run(bulk(model, tmp_path / "*.gz", tmp_path / "out"))
    lift = bulk(model, tmp_path / "*.gz", tmp_path / "out", max_lost_share=0.5, batch_size=2)
    summary = job.run(lift)
    assert (summary["poses"], summary["lost_files"]) == (16, 1)
    assert [each["output"] is None for each in summary["files"]] == [False, True, False]
    assert len(stored_views.lifted(tmp_path / "out")) == 16
    (letter,) = stored_views.letters(tmp_path / "out")
    assert (letter["file"], letter["record"]) == (str(damaged), None)


def test_a_file_with_a_bad_record_of_each_kind_loses_all_of_them(model, tmp_path):
    # A share of 1 lets all go, and the summary says so.
    stored_views.write_records(tmp_path / "views.gz", [b"", b"\xff" * 9])
    lift = bulk(model, tmp_path / "views.gz", tmp_path / "out", max_lost_share=1.0)
    assert job.run(lift)["lost_records"] == 2
    assert stored_views.lifted(tmp_path / "out") == []
