"""Runs one node of a pipeline at a time, for orchestrators that keep the order themselves."""

from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2


def compiled(tfx_pipeline: pipeline.Pipeline) -> pipeline_pb2.Pipeline:
    """Returns what the local runner runs, too: nodes in an order in which they can run."""
    return compiler.Compiler().compile(tfx_pipeline)


def upstream(whole: pipeline_pb2.Pipeline) -> dict[str, list[str]]:
    """Returns the names of the nodes, each with those that it waits for."""
    nodes = [node.pipeline_node for node in whole.nodes]
    return {node.node_info.id: list(node.upstream_nodes) for node in nodes}


def launch(whole: pipeline_pb2.Pipeline, name: str, run_id: str) -> None:
    """Runs a node, or answers it from the cache, as the local runner does.

    Args:
        whole: The compiled pipeline; not changed.
        name: The node's.
        run_id: Tells the nodes of one run from those of another.
    """
    run = pipeline_pb2.Pipeline()
    run.CopyFrom(whole)
    values = {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
    runtime_parameter_utils.substitute_runtime_parameter(run, values)
    (node,) = (one.pipeline_node for one in run.nodes if one.pipeline_node.node_info.id == name)
    deployment = runner_utils.extract_local_deployment_config(run)
    launcher.Launcher(
        pipeline_node=node,
        mlmd_connection=metadata.Metadata(_connection(deployment.metadata_connection_config)),
        pipeline_info=run.pipeline_info,
        pipeline_runtime_spec=run.runtime_spec,
        executor_spec=runner_utils.extract_executor_spec(deployment, name),
        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
    ).launch()


def _connection(config: metadata_store_pb2.ConnectionConfig) -> metadata_store_pb2.ConnectionConfig:
    return getattr(config, config.WhichOneof("connection_config"))
