"""Gives Airflow the pipeline as a DAG, a task per node.

TFX has a runner for Airflow, of an older kind: it runs no driver of ours and no resolver as the
local runner does, and two Trainers of one run give their models one name. Here each task hands
its node to the launcher of the local runner.
"""

import datetime
import functools
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from pipeline import mvlift, presets, runs

try:
    from airflow import models
    from airflow.operators import python
except ImportError as error:
    raise ImportError(
        "`pipeline.airflow` must run where Airflow is installed, in an environment of its own: "
        f"`make airflow` makes one from scripts/airflow.txt. Received: {error}."
    ) from error

DATA_ROOT, SETTINGS, OUTPUT_ROOT = "MVLIFT_DATA_ROOT", "MVLIFT_SETTINGS", "MVLIFT_OUTPUT_ROOT"
"""A DAG file takes no arguments; these environment variables are the options of `local.py`."""


def make_dag(environment: Mapping[str, str] = os.environ) -> Any:
    """Makes the DAG. It runs when it is triggered; its tasks run one by one, for SQLite's sake.

    A ValueError says which settings break a rule, or that the data is of no known kind.
    """
    settings = environment.get(SETTINGS)
    request = presets.Request(
        environment.get(DATA_ROOT), pathlib.Path(settings) if settings else None
    )
    config, data_root = presets.configure(request)
    home = pathlib.Path(environment.get(OUTPUT_ROOT, "output")).resolve() / config.name
    connection = runs.metadata_connection(home / "metadata" / "metadata.db")
    folders = mvlift.Folders.below(home)
    whole = runs.compiled(mvlift.create_pipeline(config, data_root, folders, connection))
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    limits = {"max_active_runs": 1, "max_active_tasks": 1}
    with models.DAG(config.name, schedule=None, start_date=start, catchup=False, **limits) as dag:
        tasks: dict[str, Any] = {}
        for name, waits_for in runs.upstream(whole).items():
            launch = functools.partial(runs.launch, whole, name)
            run_id = {"run_id": "{{ run_id }}"}
            tasks[name] = python.PythonOperator(
                task_id=name, python_callable=launch, op_kwargs=run_id
            )
            tasks[name].set_upstream([tasks[other] for other in waits_for])
    return dag
