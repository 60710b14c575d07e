"""The pipeline: a pure function of its settings and three folders."""

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.components.example_validator import component as example_validator
from tfx.components.statistics_gen import component as statistics_gen
from tfx.components.trainer import component as trainer
from tfx.components.tuner import component as tuner
from tfx.dsl.components.base import base_node, executor_spec
from tfx.dsl.components.common import resolver
from tfx.orchestration import pipeline
from tfx.proto import pusher_pb2, trainer_pb2
from tfx.types import standard_artifacts

import components
import keras_mvlift
from components import (
    candidates,
    checks,
    evaluator,
    pusher,
    report,
    rolling_window,
    scores,
    trainers,
)
from components.example_gen import executor
from keras_mvlift import configs, sources
from keras_mvlift.training import stages
from pipeline import settings


class Folders(NamedTuple):
    """Where a pipeline writes, which only its runner knows."""

    artifacts: str
    checkpoints: str  # What training goes on from after it was killed.
    serving: str  # Numbered versions of the blessed models.

    @classmethod
    def below(cls, home: pathlib.Path) -> "Folders":
        """Returns the folders of a run on this machine."""
        places = (home / "artifacts", home / "checkpoints", home / "serving" / "mvlift")
        return cls(*map(str, places))


def create_pipeline(
    config: settings.PipelineConfig,
    data_root: str,
    folders: Folders,
    metadata_connection: metadata_store_pb2.ConnectionConfig,
) -> pipeline.Pipeline:
    """Chains the components.

    `data_root` is what the source reads; empty for a source that reads nothing. With `{SPAN}` in
    it, the newest of numbered recordings is read, and a window of them trained on.
    """
    is_followed = sources.has_spans(data_root)
    version = {"code_version": code_version()}
    data = data_for_choosing(config, is_followed)
    examples = executor.RecordingExampleGen(data.to_json(), data_root, **version)
    run = _Run(config, data_root, folders, version, examples, examples.outputs)
    checked = check_nodes(examples, sources.open_split(data).holds_out)
    start: dict[str, Any] = {}
    found: dict[str, types.BaseChannel] = {}
    if config.data.source in _OWN_RIGS:
        rig = _rig(run)
        rig[0].add_upstream_nodes(checked)
        checked += rig
        found["rig"] = rig[0].outputs["checked"]
    if is_followed:
        followed, found["drift"], window, start = _follow(run, checked)
        checked += followed
        run = run._replace(records={name: window.outputs[name] for name in run.records})
    training = _training(run, start)
    if config.candidate and not is_followed:
        rivals, told = _rivals(run, training[-1])
        training += rivals
        found |= told
    for node in training:
        node.add_upstream_nodes(checked)
    decided = _deciding(run, training[-1])
    reporting = _reporting(run, training[-1], decided, found)
    return pipeline.Pipeline(
        pipeline_name=config.name,
        pipeline_root=folders.artifacts,
        components=[examples, *checked, *training, *decided, *reporting],
        metadata_connection_config=metadata_connection,
        beam_pipeline_args=list(config.beam_pipeline_args),
        enable_cache=True,
    )


Nodes = list[base_node.BaseNode]


class _Run(NamedTuple):
    """What nodes are made from."""

    config: settings.PipelineConfig
    data_root: str
    folders: Folders
    version: dict[str, str]
    examples: base_node.BaseNode
    records: Mapping[str, types.BaseChannel]  # The new ones, or those of a window of spans.


def _training(run: _Run, start: dict[str, Any]) -> Nodes:
    """Pre-trains, then fine-tunes from there, tuned before if asked to; no test views for any."""
    config = run.config
    where: dict[str, Any] = {"checkpoint_root": run.folders.checkpoints, **run.version}
    pretrain = trainer.Trainer(
        run_fn=trainers.RUN_FN,
        custom_config=trainers.custom_config(
            config.model,
            config.pretrain,
            **where,
            warm_start=bool(start),
            start_from=config.start_from,
        ),
        **_records(config.pretrain, run),
        **start,
    ).with_id("Trainer.Pretrain")
    nodes: Nodes = [pretrain]
    given = _records(config.finetune, run) | {"base_model": pretrain.outputs["model"]}
    best = None
    if config.tune.num_trials:
        trial = config.with_num_epochs(config.tune.num_epochs).finetune
        search = tuner.Tuner(
            tuner_fn=trainers.TUNER_FN,
            custom_config=trainers.tuner_config(config.tune, config.model, trial, **where),
            **given,
        )
        best = search.outputs["best_hyperparameters"]
        nodes.append(search)
    finetune = trainer.Trainer(
        run_fn=trainers.RUN_FN,
        hyperparameters=best,
        custom_config=trainers.custom_config(config.model, config.finetune, **where),
        **given,
    ).with_id("Trainer.Finetune")
    return [*nodes, finetune]


def _rivals(run: _Run, trained: base_node.BaseNode) -> tuple[Nodes, dict[str, types.BaseChannel]]:
    """Tries a trained model beside the training, and chooses; the last node has the chosen one."""
    start = trainers.start_of(run.config.candidate)
    given = {"examples": run.records["examples"], **start, **run.version}
    made = [candidates.Adapt(**given)]
    models = {candidates.ADAPTED: made[0].outputs["model"]}
    if run.config.start_from:
        models[candidates.STARTED] = trained.outputs["model"]
    else:
        made.append(candidates.Refine(**given, seed=run.config.model.seed))
        models[candidates.STARTED] = made[-1].outputs["model"]
        models[candidates.SCRATCH] = trained.outputs["model"]
    choice = candidates.Choice(
        examples=run.records["examples"],
        **models,
        start_from=start[trainers.START],
        min_joints=run.config.data.min_joints,
        **run.version,
    )
    return [*made, choice], models | {"candidates": choice.outputs["candidates"]}


def _records(stage: configs.StageConfig, run: _Run) -> dict[str, Any]:
    """Returns what a stage trains on, and what is held out from it."""
    is_whole = stages.takes_instants(stage)
    train, unseen = executor.INSTANT_SPLITS if is_whole else executor.PAIR_SPLITS
    return {
        "examples": run.records["examples"],
        "train_args": trainer_pb2.TrainArgs(splits=[train]),
        "eval_args": trainer_pb2.EvalArgs(splits=[unseen]),
    }


def _deciding(run: _Run, trained: base_node.BaseNode) -> Nodes:
    """Evaluates the model beside the last blessed one, and pushes it if it is blessed."""
    config, model, given = run.config, trained.outputs["model"], {**run.records, **run.version}
    unlabeled = scores.HeldOutViews(model=model, min_joints=config.data.min_joints, **given)
    compared = scores.Baselines(min_confidence=config.data.min_confidence, **given)
    last_blessed = resolver.Resolver(
        strategy_class=rolling_window.LastOtherBlessedModel, candidate=model, **_every_blessed()
    ).with_id("LastBlessedModel")
    further = {name: value for name, value in config.bounds.items() if name in scores.NAMES}
    judge = evaluator.Evaluator(
        examples=run.records["test_examples"],
        model=model,
        baseline_model=last_blessed.outputs["model"],
        held_out=unlabeled.outputs["scores"],
        baselines=compared.outputs["figures"],
        example_splits=["test"],
        module_path=evaluator.EXTRACTORS_MODULE,
        eval_config=evaluator.eval_config(config.bounds, config.worsening),
        further_bounds=further,
    )
    infra = _infra_validation(run, trained, judge)
    push = pusher.Pusher(
        model=model,
        model_blessing=judge.outputs["blessing"],
        infra_blessing=infra[0].outputs["blessing"] if infra else None,
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=run.folders.serving)
        ),
    )
    return [unlabeled, compared, last_blessed, judge, *infra, push]


def _every_blessed() -> dict[str, types.BaseChannel]:
    """Returns all models there ever were, and what was decided of them."""
    kinds = (standard_artifacts.Model, standard_artifacts.ModelBlessing)
    keys = (rolling_window.MODEL, rolling_window.BLESSING)
    return {key: types.Channel(type=kind) for key, kind in zip(keys, kinds, strict=True)}


def _infra_validation(run: _Run, trained: base_node.BaseNode, judge: base_node.BaseNode) -> Nodes:
    """Makes the node that tries a judged model in TensorFlow Serving; none if not asked for."""
    if not run.config.infra_validation.tag:
        return []
    # Models of windows have no signature of records.
    asked = None if run.config.model.is_temporal else run.examples.outputs["test_examples"]
    options = dataclasses.asdict(run.config.infra_validation)
    node = pusher.InfraValidator(trained.outputs["model"], asked, **options)
    node.add_upstream_node(judge)
    return [node]


def _reporting(
    run: _Run, trained: base_node.BaseNode, decided: Nodes, found: dict[str, types.BaseChannel]
) -> Nodes:
    """Reports, whatever was decided; then stops the run at a model that is not blessed."""
    unlabeled, compared, _, judge, *infra, push = decided
    about = {"source": run.config.data.source, "data_root": run.data_root}
    written = report.Report(
        evaluated=judge.outputs["evaluation"],
        blessing=judge.outputs["blessing"],
        pushed=push.outputs["pushed_model"],
        model=trained.outputs["model"],
        **run.records,
        figures=compared.outputs["figures"],
        scores=unlabeled.outputs["scores"],
        data=json.dumps(about, sort_keys=True),
        bounds=json.dumps(dict(run.config.bounds), sort_keys=True),
        seed=run.config.model.seed,
        **run.version,
        **found,
    )
    stops = [checks.InfraGate(blessing=node.outputs["blessing"]) for node in infra]
    stops.append(checks.BlessingGate(blessing=judge.outputs["blessing"]))
    for gate in stops:
        gate.add_upstream_node(written)
    return [written, *stops]


def check_nodes(examples: base_node.BaseNode, holds_out: bool) -> Nodes:
    """Holds both kinds of records against schemas, with `eval` if it `holds_out`; gates stop."""
    made: Nodes = []
    for output, kind, name in (
        ("examples", checks.PAIRS, "Pairs"),
        ("test_examples", checks.TEST_VIEWS, "TestViews"),
    ):
        schema = checks.CuratedSchema(text=checks.read(kind)).with_id(f"Schema.{name}")
        # Whole instants hold the same views as the pairs.
        excluded = executor.INSTANT_SPLITS + ([] if holds_out else [executor.HELD_OUT_SPLIT])
        statistics = statistics_gen.StatisticsGen(
            examples.outputs[output], exclude_splits=excluded
        ).with_id(f"StatisticsGen.{name}")
        validator = example_validator.ExampleValidator(
            statistics.outputs["statistics"],
            schema.outputs["schema"],
            exclude_splits=excluded,
            custom_validation_config=checks.rules(kind),
        ).with_id(f"ExampleValidator.{name}")
        validator.executor_spec = executor_spec.ExecutorClassSpec(checks.Executor)
        gate = checks.DataGate(anomalies=validator.outputs["anomalies"]).with_id(f"DataGate.{name}")
        made += [schema, statistics, validator, gate]
    return made


# Recordings of one's own, whose calibration nobody has looked at before.
_OWN_RIGS = ("rig", "pose2sim")


def _rig(run: _Run) -> Nodes:
    """Checks the rig that filmed the records; the gate stops the run, if it is to."""
    check = checks.RigCheck(
        examples=run.examples.outputs["examples"],
        data_config=run.config.data.to_json(),
        data_root=run.data_root,
        **run.version,
    )
    stops = run.config.rig_check == settings.STOP
    return [check, checks.RigGate(checked=check.outputs["checked"], stops=stops)]


_DRIFT = "Drift"


def _follow(
    run: _Run, checked: Nodes
) -> tuple[Nodes, types.BaseChannel, base_node.BaseNode, dict[str, Any]]:
    """Makes the nodes between the checks of a new span and the training on a window of spans.

    Beside them it returns what was found of drift; the node whose outputs are the window's records;
    and what the first stage takes more than others do.
    """
    config, newest = run.config, {rolling_window.NEWEST: run.examples.outputs[executor.EXAMPLES]}
    validators = [node.id for node in checked if node.id.startswith("ExampleValidator.")]
    if config.drift.action == settings.STOP:
        validators.append(f"ExampleValidator.{_DRIFT}")
    verdicts = {
        f"{rolling_window.VERDICT}{index}": _history(
            standard_artifacts.ExampleAnomalies, name, "anomalies"
        )
        for index, name in enumerate(validators)
    }
    (statistics,) = (node for node in checked if node.id == "StatisticsGen.Pairs")
    drift = _drift(config, statistics, newest | verdicts)
    drift[0].add_upstream_nodes(checked)
    window = resolver.Resolver(
        strategy_class=rolling_window.RollingSpans,
        config={"num_spans": config.window.num_spans},
        # TFX takes a node's output of this run and of all runs for one, so it is another's.
        **{rolling_window.NEWEST: statistics.outputs["statistics"]},
        **verdicts,
        **{
            name: _history(standard_artifacts.Examples, run.examples.id, name)
            for name in executor.SPLITS
        },
    ).with_id("RollingWindow")
    found, start = [window], {}
    if config.window.warm_start:
        former = resolver.Resolver(
            strategy_class=rolling_window.LastBlessedBefore, **newest, **_every_blessed()
        ).with_id("LastBlessedBefore")
        found.append(former)
        start = {"base_model": former.outputs[rolling_window.MODEL]}
    for node in found:
        node.add_upstream_nodes([*checked, *drift])
    return [*drift, *found], drift[2].outputs["anomalies"], window, start


def _drift(
    config: settings.PipelineConfig,
    statistics: base_node.BaseNode,
    channels: dict[str, types.BaseChannel],
) -> Nodes:
    """Compares what the new span trains on with the window before it; the third node finds."""
    former = resolver.Resolver(
        strategy_class=rolling_window.RollingSpans,
        config={"num_spans": config.window.num_spans, "is_former": True},
        **channels,
        statistics=_history(standard_artifacts.ExampleStatistics, statistics.id, "statistics"),
    ).with_id("FormerSpans")
    text = checks.comparators(checks.PAIRS, config.drift.thresholds)
    schema = checks.CuratedSchema(text=text).with_id(f"Schema.{_DRIFT}")
    validator = rolling_window.DriftValidator(
        executor.INSTANT_SPLITS,
        statistics=statistics.outputs["statistics"],
        baseline_statistics=former.outputs["statistics"],
        schema=schema.outputs["schema"],
    ).with_id(f"ExampleValidator.{_DRIFT}")
    gate = checks.DriftGate(
        anomalies=validator.outputs["anomalies"], stops=config.drift.action == settings.STOP
    ).with_id(f"{_DRIFT}Gate")
    return [former, schema, validator, gate]


def _history(kind: type[types.Artifact], producer: str, output: str) -> types.BaseChannel:
    """Returns all that a node of this pipeline ever wrote, in this run and before."""
    return types.Channel(type=kind, producer_component_id=producer, output_key=output)


_RECKONING = ("numpy", "scipy", "tensorflow", "tensorflow-graphics")


@functools.cache
def code_version() -> str:
    """Returns a digest of the library's and the components' files, and of what they reckon with.

    TFX answers a component from its cache when inputs and properties are the same; it does not
    look at the code behind an executor or a `run_fn`. This digest goes along as a property.
    """
    digest = hashlib.sha256()
    for package in (keras_mvlift, components):
        root = pathlib.Path(package.__file__ or "").parent
        for path in sorted([*root.rglob("*.py"), *root.rglob("*.json")]):
            digest.update(str(path.relative_to(root)).encode())
            digest.update(path.read_bytes())
    for name in _RECKONING:
        digest.update(f"{name} {importlib.metadata.version(name)}".encode())
    return digest.hexdigest()[:16]


_ENDS = {"held_out_share": 0.1}
_HUMAN36M = {"held_out_subjects": ["S8"]}
"""A person, as the test is on people who were not trained on."""


def data_for_choosing(
    config: settings.PipelineConfig, is_followed: bool = False
) -> configs.DataConfig:
    """Returns the data with a part held out from training and test, where one is needed.

    Early stopping, tuning, the calibration of uncertainty and the choice of a candidate look at
    that part alone, so that no test frame chooses anything; where recordings keep coming, drift of
    the cameras is looked for in it. What the split already holds out is left as it is.
    """
    split = sources.open_split(config.data)
    choosers = (
        config.pretrain.patience,
        config.finetune.patience,
        config.tune.num_trials,
        config.model.uncertainty,
        config.candidate,
    )
    if split.holds_out or not (any(choosers) or is_followed):
        return config.data
    options: dict[str, Any] = json.loads(config.data.split_options)
    is_human36m = (config.data.source, config.data.split) == ("human36m", "subject")
    named = {*_HUMAN36M["held_out_subjects"]} & {*options.get("test_subjects", ())}
    options |= _HUMAN36M if is_human36m and not named else _ENDS
    return dataclasses.replace(config.data, split_options=json.dumps(options, sort_keys=True))
