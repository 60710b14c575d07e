import sys

import pytest

from pipeline import bulk_lift
from tests.components.bulk_inference import stored_views


@pytest.fixture(scope="module")
def model(model_folder):
    return model_folder


def test_the_command_lifts_and_says_what_it_did(model, tmp_path, capsys):
    drawn = stored_views.columns(30)
    drawn["intrinsics"][3] = 0
    stored_views.write(tmp_path / "a.gz", drawn)
    stored_views.write(tmp_path / "b.parquet", stored_views.columns(8))
    inputs = [str(tmp_path / "*.gz"), str(tmp_path / "b.parquet")]
    output = str(tmp_path / "out")
    threads = "--direct_running_mode=multi_threading --direct_num_workers=2"
    arguments = ["--model", str(model), "--input", *inputs, "--output", output]
    arguments += ["--format=tfrecord", f"--beam_pipeline_args={threads}"]
    assert bulk_lift.main(arguments) == 0
    assert capsys.readouterr().out == f"{output}: 37 poses; lost 1 records, 0 files.\n"
    assert len(stored_views.lifted(output)) == 37
    assert bulk_lift.main(arguments) == 1
    refused = f"pipeline.bulk_lift: {output}: `output` must not exist. Received: it does.\n"
    assert capsys.readouterr().err.endswith(refused)


def test_what_cannot_be_read_is_one_line_and_a_status(model, tmp_path, capsys):
    path = tmp_path / "views.parquet"
    path.write_text("no parquet")
    arguments = ["--model", str(model), "--input", str(path), "--output", str(tmp_path / "out")]
    assert bulk_lift.main(arguments) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "bulk_lift:" in line]
    assert line.startswith("pipeline.bulk_lift: `max_lost_share` lets a run lose 5.0% of its files")
    assert f"{path}: `file` must be whole Parquet" in line


def test_processes_that_no_shell_would_start_are_refused(model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/my work/bin/python")
    arguments = ["--model", str(model), "--input", "views.gz", "--output", str(tmp_path / "out")]
    arguments += ["--beam_pipeline_args=--direct_running_mode=multi_processing"]
    assert bulk_lift.main(arguments) == 1
    assert "`beam_pipeline_args` must start no processes" in capsys.readouterr().err
