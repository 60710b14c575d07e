"""The pipeline: a pure function of its settings and three folders."""

import json
from typing import Any, NamedTuple

from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.components.example_validator import component as example_validator
from tfx.components.statistics_gen import component as statistics_gen
from tfx.components.trainer import component as trainer
from tfx.components.tuner import component as tuner
from tfx.dsl.components.base import base_node
from tfx.dsl.components.common import resolver
from tfx.orchestration import pipeline
from tfx.proto import pusher_pb2, trainer_pb2
from tfx.types import standard_artifacts

from components import (
    baselines,
    curated_schema,
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
from keras_mvlift import configs
from keras_mvlift.training import stages
from pipeline import code_version, infra_validation, settings


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
        data_root: What the source reads; empty for a source that reads nothing.
        folders: Where it is written.
        metadata_connection: Where ML Metadata is kept.
    """
    version = code_version.code_version()
    examples = example_gen.RecordingExampleGen(config.data.to_json(), data_root, version)
    checks = _checks(examples)
    training = _training(config, examples, checks, folders, version)
    decided = _deciding(config, examples, training[-1], folders, version)
    reporting = _reporting(config, examples, training[-1], decided, data_root, version)
    return pipeline.Pipeline(
        pipeline_name=config.name,
        pipeline_root=folders.artifacts,
        components=[examples, *checks, *training, *decided, *reporting],
        metadata_connection_config=metadata_connection,
        beam_pipeline_args=list(config.beam_pipeline_args),
        enable_cache=True,
    )


def _checks(examples: base_node.BaseNode) -> list[base_node.BaseNode]:
    """Holds both kinds of records against their schemas; the gates stop the run."""
    nodes: list[base_node.BaseNode] = []
    for output, kind, name in (
        ("examples", curated_schema.PAIRS, "Pairs"),
        ("test_examples", curated_schema.TEST_VIEWS, "TestViews"),
    ):
        schema = curated_schema.CuratedSchema(text=curated_schema.read(kind)).with_id(
            f"Schema.{name}"
        )
        # Whole instants hold the same views as the pairs.
        excluded = example_gen_executor.INSTANT_SPLITS
        statistics = statistics_gen.StatisticsGen(
            examples.outputs[output], exclude_splits=excluded
        ).with_id(f"StatisticsGen.{name}")
        validator = example_validator.ExampleValidator(
            statistics.outputs["statistics"],
            schema.outputs["schema"],
            exclude_splits=excluded,
            custom_validation_config=curated_schema.rules(kind),
        ).with_id(f"ExampleValidator.{name}")
        gate = gates.DataGate(anomalies=validator.outputs["anomalies"]).with_id(f"DataGate.{name}")
        nodes += [schema, statistics, validator, gate]
    return nodes


def _training(
    config: settings.PipelineConfig,
    examples: base_node.BaseNode,
    checks: list[base_node.BaseNode],
    folders: Folders,
    version: str,
) -> list[base_node.BaseNode]:
    """Pre-trains, then fine-tunes from there, tuned before if asked to; no test views for any."""
    where = (folders.checkpoints, version)
    pretrain = trainer.Trainer(
        run_fn=trainers.RUN_FN,
        custom_config=trainers.custom_config(config.model, config.pretrain, *where),
        **_records(config.pretrain, examples),
    ).with_id("Trainer.Pretrain")
    nodes: list[base_node.BaseNode] = [pretrain]
    start = _records(config.finetune, examples) | {"base_model": pretrain.outputs["model"]}
    best = None
    if config.tune.num_trials:
        trial = config.with_num_epochs(config.tune.num_epochs).finetune
        search = tuner.Tuner(
            tuner_fn=tuning.TUNER_FN,
            custom_config=tuning.custom_config(config.tune, config.model, trial, *where),
            **start,
        )
        best = search.outputs["best_hyperparameters"]
        nodes.append(search)
    finetune = trainer.Trainer(
        run_fn=trainers.RUN_FN,
        hyperparameters=best,
        custom_config=trainers.custom_config(config.model, config.finetune, *where),
        **start,
    ).with_id("Trainer.Finetune")
    nodes.append(finetune)
    for node in nodes:
        node.add_upstream_nodes(checks)
    return nodes


def _records(stage: configs.StageConfig, examples: base_node.BaseNode) -> dict[str, Any]:
    """Gives what a stage trains on, and what is held out from it."""
    is_whole = stages.takes_instants(stage)
    train, unseen = (
        example_gen_executor.INSTANT_SPLITS if is_whole else example_gen_executor.PAIR_SPLITS
    )
    return {
        "examples": examples.outputs["examples"],
        "train_args": trainer_pb2.TrainArgs(splits=[train]),
        "eval_args": trainer_pb2.EvalArgs(splits=[unseen]),
    }


def _deciding(
    config: settings.PipelineConfig,
    examples: base_node.BaseNode,
    trained: base_node.BaseNode,
    folders: Folders,
    version: str,
) -> list[base_node.BaseNode]:
    """Evaluates the model beside the last blessed one, and pushes it if it is blessed."""
    unlabeled = held_out.HeldOutViews(
        model=trained.outputs["model"],
        examples=examples.outputs["examples"],
        test_examples=examples.outputs["test_examples"],
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
        examples=examples.outputs["test_examples"],
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
    examples: base_node.BaseNode,
    trained: base_node.BaseNode,
    decided: list[base_node.BaseNode],
    data_root: str,
    version: str,
) -> list[base_node.BaseNode]:
    """Reports, whatever was decided; then stops the run at a model that is not blessed."""
    unlabeled, _, judge, *infra, push = decided
    compared = baselines.Baselines(
        examples=examples.outputs["examples"],
        test_examples=examples.outputs["test_examples"],
        min_confidence=config.data.min_confidence,
        code_version=version,
    )
    written = report.Report(
        evaluated=judge.outputs["evaluation"],
        blessing=judge.outputs["blessing"],
        pushed=push.outputs["pushed_model"],
        model=trained.outputs["model"],
        examples=examples.outputs["examples"],
        test_examples=examples.outputs["test_examples"],
        figures=compared.outputs["figures"],
        scores=unlabeled.outputs["scores"],
        data=json.dumps({"source": config.data.source, "data_root": data_root}, sort_keys=True),
        bounds=json.dumps(dict(config.bounds), sort_keys=True),
        seed=config.model.seed,
        code_version=version,
    )
    stops = [gates.InfraGate(blessing=node.outputs["blessing"]) for node in infra]
    stops.append(gates.BlessingGate(blessing=judge.outputs["blessing"]))
    for gate in stops:
        gate.add_upstream_node(written)
    return [compared, written, *stops]
