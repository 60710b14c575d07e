"""Holds compiled specifications against KFP's own schema; runs where KFP's SDK is installed.

Usage: python scripts/check_kubeflow.py output/mvlift.yaml output/mvlift.json
"""

import json
import pathlib
import sys

import yaml
from google.auth import credentials
from google.cloud import aiplatform
from google.protobuf import json_format
from kfp import components
from kfp.pipeline_spec import pipeline_spec_pb2


def check(path):
    """Parses a file strictly, fields by fields, then as the platform's client does."""
    is_job = path.suffix == ".json"
    written = json.loads(path.read_text()) if is_job else yaml.safe_load(path.read_text())
    if is_job:
        json_format.ParseDict(written, pipeline_spec_pb2.PipelineJob())
        aiplatform.init(project="none", credentials=credentials.AnonymousCredentials())
        root = written["runtimeConfig"]["gcsOutputDirectory"]
        aiplatform.PipelineJob("checked", str(path), pipeline_root=root)
    else:
        components.load_component_from_file(str(path))
    text = written["pipelineSpec"] if is_job else written
    spec = json_format.ParseDict(text, pipeline_spec_pb2.PipelineSpec())
    deployment = pipeline_spec_pb2.PipelineDeploymentConfig()
    json_format.ParseDict(text["deploymentSpec"], deployment)
    tasks = spec.root.dag.tasks
    for name, task in tasks.items():
        label = spec.components[task.component_ref.name].executor_label
        assert label in deployment.executors, f"{name}: no executor {label}"
        producers = [a.task_output_artifact.producer_task for a in task.inputs.artifacts.values()]
        unknown = {*producers, *task.dependent_tasks} - {*tasks}
        assert not unknown, f"{name}: waits for {unknown}"
    return len(tasks)


for argument in sys.argv[1:]:
    print(f"{argument}: {check(pathlib.Path(argument))} tasks, fits the schema.")
