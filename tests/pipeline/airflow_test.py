"""Airflow needs an environment of its own; where it is not, a stand-in takes down the DAG."""

import importlib.util
import json
import subprocess
import sys
import types

import pytest

from pipeline import presets
from tests.pipeline import mvlift_test, studio_runs

ROOT = studio_runs.ROOT
AIRFLOW = ("airflow", "airflow.models", "airflow.operators", "airflow.operators.python")


class Dag:
    """Takes down what a DAG is made with."""

    def __init__(self, dag_id, **options):
        self.dag_id, self.options, self.tasks = dag_id, options, {}

    def __enter__(self):
        Task.dag = self
        return self

    def __exit__(self, *error):
        Task.dag = None


class Task:
    """Takes down what a task is made with."""

    dag = None

    def __init__(self, task_id, **options):
        self.task_id, self.options, self.waits_for = task_id, options, []
        self.dag.tasks[task_id] = self

    def set_upstream(self, others):
        self.waits_for = [other.task_id for other in others]


def load():
    """Imports the module afresh, by its path."""
    spec = importlib.util.spec_from_file_location("dag_module", ROOT / "pipeline" / "airflow.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def module(monkeypatch):
    stand_ins = {name: types.ModuleType(name) for name in AIRFLOW}
    stand_ins["airflow"].models = stand_ins["airflow.models"]
    stand_ins["airflow.operators"].python = stand_ins["airflow.operators.python"]
    stand_ins["airflow.models"].DAG = Dag
    stand_ins["airflow.operators.python"].PythonOperator = Task
    for name, stand_in in stand_ins.items():
        monkeypatch.setitem(sys.modules, name, stand_in)
    return load()


@pytest.fixture
def dag(module, tmp_path):
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(studio_runs.SETTINGS))
    return module.make_dag({module.SETTINGS: str(path), module.OUTPUT_ROOT: str(tmp_path / "out")})


def test_without_airflow_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "airflow", None)
    with pytest.raises(ImportError, match=r"`make airflow` makes one from scripts/airflow\.txt"):
        load()


def test_the_dag_is_the_same_pipeline(dag):
    nodes = mvlift_test.compiled(presets.studio())
    waits = {name: sorted(node.upstream_nodes) for name, node in nodes.items()}
    assert {name: sorted(task.waits_for) for name, task in dag.tasks.items()} == waits
    assert dag.dag_id == studio_runs.SETTINGS["name"]


def test_tasks_share_one_database_one_by_one(dag):
    assert (dag.options["max_active_runs"], dag.options["max_active_tasks"]) == (1, 1)
    assert (dag.options["schedule"], dag.options["catchup"]) == (None, False)


def test_a_task_launches_its_node_under_the_id_of_airflows_run(dag, tmp_path):
    task = dag.tasks["Schema.Pairs"]
    assert task.options["op_kwargs"] == {"run_id": "{{ run_id }}"}
    task.options["python_callable"](run_id="manual")
    assert [*(tmp_path / "out" / "tiny" / "artifacts").rglob("schema.pbtxt")]


def test_the_script_stops_where_nothing_is_set_up(tmp_path):
    (tmp_path / "scripts").mkdir()
    for name in ("airflow", "kubeflow"):
        script = tmp_path / "scripts" / f"{name}.sh"
        script.write_text((ROOT / "scripts" / f"{name}.sh").read_text())
        run = subprocess.run(["sh", str(script)], capture_output=True, text=True)
        assert run.returncode == 1
        assert run.stderr == f"{name}: no .tools/uv: run `make setup` first.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["scripts"]
