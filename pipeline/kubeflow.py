"""Compiles the pipeline for Kubeflow Pipelines, version 2 of its specification.

Usage:
    python -m pipeline.kubeflow --image=registry/mvlift:1 --pipeline_root=gs://bucket/runs
"""

import argparse
import contextlib
import dataclasses
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import yaml
from kfp.pipeline_spec import pipeline_spec_pb2
from ml_metadata.proto import metadata_store_pb2
from tfx.components.trainer import component as trainer
from tfx.components.tuner import component as tuner
from tfx.dsl.components.base import base_node
from tfx.dsl.components.common import resolver
from tfx.dsl.input_resolution.strategies import latest_blessed_model_strategy
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from components import rolling_window
from keras_mvlift import errors, sources
from keras_mvlift.cli import arguments as parsing
from pipeline import container, mvlift, presets

RESOLVER = "-resolver"
"""How the tasks end that look for the last blessed model."""

Machine = pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec


def parser(name: str) -> argparse.ArgumentParser:
    """Makes the options that Kubeflow and Vertex share."""
    made = parsing.Parser(prog=f"python -m {name}")
    made.add_argument("--image", required=True, help="of the Dockerfile, in a registry")
    made.add_argument("--pipeline_root", required=True, help="a folder that all containers reach")
    made.add_argument("--data_root", help="what the source reads, as the containers see it")
    made.add_argument("--settings", type=pathlib.Path, help="as of pipeline/local.py")
    made.add_argument("--cpu", type=float, default=0, help="of a training task; default: any")
    made.add_argument("--memory_gb", type=float, default=0, help="of a training task")
    made.add_argument("--gpu", default="", help="of a training task, TYPE or TYPE:COUNT")
    made.add_argument("--output", type=pathlib.Path, help="the file; default: output/<name>")
    return made


def compiled(options: argparse.Namespace) -> dict[str, Any]:
    """Returns the job, as JSON has it.

    Raises:
        ValueError: If settings break a rule, or it is not said what is read, or that is spans.
    """
    is_spans = options.data_root and sources.has_spans(options.data_root)
    rule = "hold no {SPAN}: the platform has no resolver of spans, as Airflow and this machine do"
    errors.require(not is_spans, "data_root", rule, options.data_root)
    request = presets.Request(options.data_root, options.settings)
    config, data_root = presets.configure(request)
    is_embedded = data_root and options.data_root is None
    rule = "be given: containers have no embedded recording"
    errors.require(not is_embedded, "data_root", rule, options.data_root)
    config = dataclasses.replace(config, name=config.name.lower().replace("_", "-"))
    root = options.pipeline_root.rstrip("/")
    folders = mvlift.Folders(root, f"{root}/checkpoints", f"{root}/serving/mvlift")
    # Nobody asks it: the platform keeps metadata of its own.
    connection = metadata_store_pb2.ConnectionConfig()
    pipeline = mvlift.create_pipeline(config, data_root, folders, connection)
    for node in pipeline.components:
        _adapt(node, _machine(options))
    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
            default_image=options.image,
            default_commands=list(container.COMMAND),
            use_pipeline_spec_2_1=True,
        )
    )
    with _importable_titles():
        return runner.run(pipeline, write_out=False)


def _adapt(node: base_node.BaseNode, machine: Any) -> None:
    """Returns a node the form that the platform knows."""
    if isinstance(node, resolver.Resolver):
        # The platform looks itself, by one of two strategies. Ours adds to it that it passes
        # over the candidate, which matters where a second run is answered from the cache.
        channels = {
            key: node.raw_inputs[key] for key in (rolling_window.MODEL, rolling_window.BLESSING)
        }
        name = node.id
        strategy = latest_blessed_model_strategy.LatestBlessedModelStrategy
        resolver.Resolver.__init__(node, strategy_class=strategy, **channels)
        node.with_id(name)
    if isinstance(node, trainer.Trainer | tuner.Tuner) and machine.ByteSize():
        node.with_platform_config(machine)
    # Names of tasks hold no dots.
    node.with_id(node.id.replace(".", "-"))


def _machine(options: argparse.Namespace) -> Any:
    machine = Machine(cpu_limit=options.cpu, memory_limit=options.memory_gb)
    kind, _, count = options.gpu.partition(":")
    if kind:
        machine.accelerator.type, machine.accelerator.count = kind, int(count or 1)
    return machine


@contextlib.contextmanager
def _importable_titles() -> Iterator[None]:
    """Lets our artifact types be called what a container imports them by."""
    former = {kind: kind.TYPE_NAME for kind in container.ARTIFACTS.values()}
    for title, kind in container.ARTIFACTS.items():
        kind.TYPE_NAME = title
    try:
        yield
    finally:
        for kind, name in former.items():
            kind.TYPE_NAME = name


def without_resolvers(spec: dict[str, Any]) -> dict[str, Any]:
    """Returns a specification that compares with no former model; Kubeflow has no resolvers."""
    tasks = spec["root"]["dag"]["tasks"]
    gone = {name for name in tasks if name.endswith(RESOLVER)}
    for name in gone:
        executor = spec["components"].pop(tasks.pop(name)["componentRef"]["name"])
        del spec["deploymentSpec"]["executors"][executor["executorLabel"]]
    for task in tasks.values():
        if "dependentTasks" in task:
            task["dependentTasks"] = [one for one in task["dependentTasks"] if one not in gone]
        given = task.get("inputs", {}).get("artifacts", {})
        expected = spec["components"][task["componentRef"]["name"]].get("inputDefinitions", {})
        for key in [*given]:
            if given[key]["taskOutputArtifact"]["producerTask"] in gone:
                del given[key], expected["artifacts"][key]
    return spec


def main(arguments: list[str]) -> int:
    """Writes the specification, YAML, as `kfp run create` takes it; gives the exit status."""
    options = parser("pipeline.kubeflow").parse_args(arguments)
    spec = without_resolvers(compiled(options)["pipelineSpec"])
    path = options.output or pathlib.Path("output", f"{spec['pipelineInfo']['name']}.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(spec, sort_keys=True))
    print(f"{path}: {len(spec['root']['dag']['tasks'])} tasks. Pass --pipeline-root on submission.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
