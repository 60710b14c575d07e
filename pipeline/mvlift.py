"""The pipeline: a pure function of its settings and three folders."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.components.trainer import component as trainer
from tfx.components.tuner import component as tuner
from tfx.dsl.components.base import base_node
from tfx.dsl.components.common import resolver
from tfx.orchestration import pipeline
from tfx.proto import pusher_pb2, trainer_pb2
from tfx.types import standard_artifacts

from components import (
    baselines,
    evaluation,
    evaluator,
    gates,
    held_out,
    pusher,
    report,
    resolvers,
    track_predictions,
    trainers,
    tuning,
)
from components.example_gen import component as example_gen
from components.example_gen import executor as example_gen_executor
from components.example_gen import spans
from keras_mvlift import configs, sources
from keras_mvlift.training import stages
from pipeline import checks, choosing, code_version, continuous, infra_validation, settings


class Folders(NamedTuple):
    """Where a pipeline writes; only its runner knows.

    Attributes:
        artifacts: What components hand to each other.
        checkpoints: What training goes on from after it was killed.
        serving: Numbered versions of the blessed models.
    """

    artifacts: str
    checkpoints: str
    serving: str


def create_pipeline(
    config: settings.PipelineConfig,
    data_root: str,
    folders: Folders,
    metadata_connection: metadata_store_pb2.ConnectionConfig,
) -> pipeline.Pipeline:
    """Chains the components.

    Args:
        config: What is done.
        data_root: What the source reads; empty for a source that reads nothing. With `{SPAN}` in
            it, the newest of numbered recordings is read, and a window of them trained on.
        folders: Where it is written.
        metadata_connection: Where ML Metadata is kept.
    """
    version = code_version.code_version()
    data = choosing.data(config, spans.are_in(data_root))
    examples = example_gen.RecordingExampleGen(data.to_json(), data_root, version)
    checked = checks.nodes(examples, sources.open_split(data).holds_out)
    records, start, drift = examples.outputs, {}, {}
    if spans.are_in(data_root):
        followed = continuous.follow(config, examples, checked)
        checked += followed.nodes
        records, start = followed.window.outputs, followed.start
        drift = {"drift": followed.anomalies}
    training = _training(config, records, checked, folders, version, start)
    decided = _deciding(config, examples, records, training[-1], folders, version)
    about = {"source": config.data.source, "data_root": data_root}
    reporting = _reporting(config, records, training[-1], decided, about, version, drift)
    return pipeline.Pipeline(
        pipeline_name=config.name,
        pipeline_root=folders.artifacts,
        components=[examples, *checked, *training, *decided, *reporting],
        metadata_connection_config=metadata_connection,
        beam_pipeline_args=list(config.beam_pipeline_args),
        enable_cache=True,
    )


def _training(
    config: settings.PipelineConfig,
    records: Mapping[str, types.BaseChannel],
    checked: list[base_node.BaseNode],
    folders: Folders,
    version: str,
    start: dict[str, Any],
) -> list[base_node.BaseNode]:
    """Pre-trains, then fine-tunes from there, tuned before if asked to; no test views for any."""
    where = (folders.checkpoints, version)
    pretrain = trainer.Trainer(
        run_fn=trainers.RUN_FN,
        custom_config=trainers.custom_config(
            config.model, config.pretrain, *where, warm_start=bool(start)
        ),
        **_records(config.pretrain, records),
        **start,
    ).with_id("Trainer.Pretrain")
    nodes: list[base_node.BaseNode] = [pretrain]
    given = _records(config.finetune, records) | {"base_model": pretrain.outputs["model"]}
    best = None
    if config.tune.num_trials:
        trial = config.with_num_epochs(config.tune.num_epochs).finetune
        search = tuner.Tuner(
            tuner_fn=tuning.TUNER_FN,
            custom_config=tuning.custom_config(config.tune, config.model, trial, *where),
            **given,
        )
        best = search.outputs["best_hyperparameters"]
        nodes.append(search)
    finetune = trainer.Trainer(
        run_fn=trainers.RUN_FN,
        hyperparameters=best,
        custom_config=trainers.custom_config(config.model, config.finetune, *where),
        **given,
    ).with_id("Trainer.Finetune")
    nodes.append(finetune)
    for node in nodes:
        node.add_upstream_nodes(checked)
    return nodes


def _records(
    stage: configs.StageConfig, records: Mapping[str, types.BaseChannel]
) -> dict[str, Any]:
    """Gives what a stage trains on, and what is held out from it."""
    is_whole = stages.takes_instants(stage)
    train, unseen = (
        example_gen_executor.INSTANT_SPLITS if is_whole else example_gen_executor.PAIR_SPLITS
    )
    return {
        "examples": records["examples"],
        "train_args": trainer_pb2.TrainArgs(splits=[train]),
        "eval_args": trainer_pb2.EvalArgs(splits=[unseen]),
    }


def _deciding(
    config: settings.PipelineConfig,
    examples: base_node.BaseNode,
    records: Mapping[str, types.BaseChannel],
    trained: base_node.BaseNode,
    folders: Folders,
    version: str,
) -> list[base_node.BaseNode]:
    """Evaluates the model beside the last blessed one, and pushes it if it is blessed."""
    unlabeled = held_out.HeldOutViews(
        model=trained.outputs["model"],
        examples=records["examples"],
        test_examples=records["test_examples"],
        min_joints=config.data.min_joints,
        code_version=version,
    )
    last_blessed = resolver.Resolver(
        strategy_class=resolvers.LastOtherBlessedModel,
        candidate=trained.outputs["model"],
        model=types.Channel(type=standard_artifacts.Model),
        model_blessing=types.Channel(type=standard_artifacts.ModelBlessing),
    ).with_id("LastBlessedModel")
    judge = evaluator.Evaluator(
        examples=records["test_examples"],
        model=trained.outputs["model"],
        baseline_model=last_blessed.outputs["model"],
        held_out=unlabeled.outputs["scores"],
        example_splits=["test"],
        module_path=track_predictions.EXTRACTORS_MODULE,
        eval_config=evaluation.eval_config(
            bounds=config.bounds, relative_worsening=config.worsening, baseline=True
        ),
        held_out_bounds={
            name: value for name, value in config.bounds.items() if name in held_out.NAMES
        },
    )
    infra = infra_validation.nodes(config, examples, trained, judge)
    push = pusher.Pusher(
        model=trained.outputs["model"],
        model_blessing=judge.outputs["blessing"],
        infra_blessing=infra[0].outputs["blessing"] if infra else None,
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=folders.serving)
        ),
    )
    return [unlabeled, last_blessed, judge, *infra, push]


def _reporting(
    config: settings.PipelineConfig,
    records: Mapping[str, types.BaseChannel],
    trained: base_node.BaseNode,
    decided: list[base_node.BaseNode],
    about: dict[str, str],
    version: str,
    drift: dict[str, types.BaseChannel],
) -> list[base_node.BaseNode]:
    """Reports, whatever was decided; then stops the run at a model that is not blessed."""
    unlabeled, _, judge, *infra, push = decided
    compared = baselines.Baselines(
        examples=records["examples"],
        test_examples=records["test_examples"],
        min_confidence=config.data.min_confidence,
        code_version=version,
    )
    written = report.Report(
        evaluated=judge.outputs["evaluation"],
        blessing=judge.outputs["blessing"],
        pushed=push.outputs["pushed_model"],
        model=trained.outputs["model"],
        examples=records["examples"],
        test_examples=records["test_examples"],
        figures=compared.outputs["figures"],
        scores=unlabeled.outputs["scores"],
        data=json.dumps(about, sort_keys=True),
        bounds=json.dumps(dict(config.bounds), sort_keys=True),
        seed=config.model.seed,
        code_version=version,
        **drift,
    )
    stops = [gates.InfraGate(blessing=node.outputs["blessing"]) for node in infra]
    stops.append(gates.BlessingGate(blessing=judge.outputs["blessing"]))
    for gate in stops:
        gate.add_upstream_node(written)
    return [compared, written, *stops]
