import datetime
import subprocess
import sys

import pytest

from benchmarks import pipeline_overhead

# As a run writes them; a component's own executor may log between its lines.
LOG = """\
2026-11-23 05:13:23,000 INFO absl: MetadataStore with DB connection initialized
2026-11-23 05:13:24,000 INFO absl: Component Trainer.Finetune is running.
2026-11-23 05:13:24,100 INFO absl: Running launcher for node_info {
  type {
2026-11-23 05:13:24,250 INFO absl: Going to run a new execution 12
2026-11-23 05:13:24,500 INFO absl: Going to run a new execution: ExecutionInfo(execution_id=12)
2026-11-23 05:13:26,000 INFO absl: Training model.
2026-11-23 05:13:29,500 INFO absl: Cleaning up stateless execution info.
2026-11-23 05:13:30,000 INFO absl: Component Trainer.Finetune is finished.
2026-11-23 05:13:30,250 INFO absl: Component Pusher is running.
2026-11-23 05:13:30,400 INFO absl: A cached execution 15 is used.
2026-11-23 05:13:30,500 INFO absl: Component Pusher is finished.
"""
START = datetime.datetime(2026, 11, 23, 5, 13, 20).timestamp()
SHOWN = [
    (2.0, "Running the pipeline. Full log: out/overhead/logs/20261123-051322.log"),
    (3.0, "Creating a run for pipeline: overhead"),
    (5.0, "  Finetune   0 %           0/10 epochs, ? left"),
    (8.5, "  Finetune  20 % ██        2/10 epochs, 00:01 left"),
    (9.5, "  Finetune 100 % ██████████ 10/10 epochs, 00:00 left"),
    (10.0, "  Trainer.Finetune               6.0 s"),
]


@pytest.fixture
def run():
    console = [pipeline_overhead.Line(START + seconds, text) for seconds, text in SHOWN]
    return pipeline_overhead.Run(START, START + 11, console, pipeline_overhead.components(LOG))


def test_the_log_tells_what_a_component_and_its_executor_took(run):
    finetune, _ = run.components
    assert finetune.name == "Trainer.Finetune"
    assert (finetune.seconds, finetune.own_seconds) == pytest.approx((6.0, 5.0))


def test_the_executor_of_what_was_cached_took_nothing(run):
    _, pusher = run.components
    assert (pusher.seconds, pusher.own_seconds) == pytest.approx((0.25, 0.0))


def test_the_first_step_is_over_when_the_bar_first_moves(run):
    assert run.first_step == START + 8.5
    assert run._replace(console=run.console[:3]).first_step is None


def test_the_parts_come_to_the_whole_run(run):
    parts = pipeline_overhead.parts(run)
    assert [part.seconds for part in parts] == pytest.approx([2, 1, 1, 6.25, 0.25, 0.5])
    assert sum(part.seconds for part in parts) == pytest.approx(run.ended - run.started)


def test_shares_are_of_each_runs_own_time(run):
    slower = run._replace(ended=run.ended + 11)
    rows = pipeline_overhead.rows(run, slower)
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert sum(row["cached_share"] for row in rows) == pytest.approx(1)
    assert rows[3] == {
        "part": "Trainer.Finetune",
        "seconds": pytest.approx(6.25),
        "launcher": pytest.approx(1.25),
        "executor": pytest.approx(5.0),
        "share": pytest.approx(6.25 / 11),
        "cached_seconds": pytest.approx(6.25),
        "cached_share": pytest.approx(6.25 / 22),
    }


def test_the_table_and_the_first_step_are_shown(run, capsys):
    pipeline_overhead.show(run, run)
    shown = capsys.readouterr().out
    assert "| Trainer.Finetune " in shown
    assert "First training step taken after 8.5 s of 11.0." in shown


def test_lines_are_noted_as_they_come():
    script = "import time; print('a', end='\\r', flush=True); time.sleep(0.5); print('b')"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    (first, second) = pipeline_overhead._watched(process)
    assert process.wait() == 0
    assert (first.text, second.text) == ("a", "b")
    assert second.time - first.time > 0.3
