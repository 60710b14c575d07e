import json

import pytest
from google.protobuf import json_format
from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler import compiler

from components import checks, pusher, trainers
from components.example_gen import executor
from keras_mvlift import configs, sources
from pipeline import mvlift, presets, settings

FOLDERS = mvlift.Folders("artifacts", "checkpoints", "serving")
EXAMPLE_GEN = "RecordingExampleGen"
TRAINERS = ("Trainer.Pretrain", "Trainer.Finetune")
CHECKS = tuple(
    f"{check}.{name}"
    for check in ("Schema", "StatisticsGen", "ExampleValidator", "DataGate")
    for name in ("Pairs", "TestViews")
)
RIG_CHECKS = ("RigCheck", "RigGate")


def create(config, data_root="recording"):
    connection = metadata_store_pb2.ConnectionConfig()
    connection.fake_database.SetInParent()
    return mvlift.create_pipeline(config, data_root, FOLDERS, connection)


def compiled(config):
    """Returns the nodes that a runner is handed, by name."""
    ir = compiler.Compiler().compile(create(config))
    return {node.pipeline_node.node_info.id: node.pipeline_node for node in ir.nodes}


@pytest.fixture(scope="module")
def nodes():
    return compiled(presets.studio())


def channels(node):
    """Returns what a node reads, as pairs of a node and its output."""
    return {
        (channel.producer_node_query.id, channel.output_key)
        for spec in node.inputs.inputs.values()
        for channel in spec.channels
        if channel.producer_node_query.id
    }


def all_channels(nodes, name):
    """Returns what a node reads, directly and through what it reads."""
    found, new = set(), channels(nodes[name])
    while new:
        found |= new
        new = {channel for producer, _ in new for channel in channels(nodes[producer])} - found
    return found


def properties(nodes, name):
    parameters = nodes[name].parameters.parameters
    return {key: value.field_value.string_value for key, value in parameters.items()}


def check_nodes(holds_out):
    examples = executor.RecordingExampleGen("{}", "", "")
    return {node.id: node for node in mvlift.check_nodes(examples, holds_out)}


@pytest.fixture(scope="module")
def made():
    return check_nodes(holds_out=True)


CHOOSING = {
    "pretrain.patience": {"pretrain": {"patience": 2}},
    "finetune.patience": {"finetune": {"patience": 2}},
    "tune.num_trials": {"tune": {"num_trials": 3}},
    "model.uncertainty": {"model": {"uncertainty": True}},
    "rival": {"rival": "studio"},
}


def split_of(config, **options):
    return sources.open_split(mvlift.data_for_choosing(config, **options))


ASKED = {"infra_validation": {"tag": "2.15.1", "num_examples": 3, "docker_url": "tcp://here:2375"}}
WINDOWS = {
    "model": {"backbone": "temporal_dilated"},
    "data": {"num_virtual_views": 0},
    "finetune": {"views": "pair"},
}


@pytest.fixture(scope="module")
def served_nodes():
    return compiled(presets.studio().updated(ASKED))


@pytest.mark.parametrize("name", TRAINERS)
def test_trainers_read_nothing_that_comes_of_test_views(nodes, name):
    assert (EXAMPLE_GEN, "test_examples") not in all_channels(nodes, name)
    assert (EXAMPLE_GEN, "examples") in channels(nodes[name])


def test_test_views_go_to_checks_judges_and_the_report_alone(nodes):
    readers = {
        name for name, node in nodes.items() if (EXAMPLE_GEN, "test_examples") in channels(node)
    }
    judges = {"HeldOutViews", "Evaluator", "Baselines", "Report"}
    assert readers == {"StatisticsGen.TestViews", *judges}


def test_finetuning_goes_on_from_the_pretrained_model(nodes):
    assert channels(nodes["Trainer.Pretrain"]) == {(EXAMPLE_GEN, "examples")}
    assert channels(nodes["Trainer.Finetune"]) == {
        (EXAMPLE_GEN, "examples"),
        ("Trainer.Pretrain", "model"),
    }


@pytest.mark.parametrize("name", TRAINERS)
def test_training_waits_for_all_checks(nodes, name):
    assert set(CHECKS) <= set(nodes[name].upstream_nodes)


def test_the_finetuned_model_is_judged_pushed_and_reported(nodes):
    for name in ("HeldOutViews", "LastBlessedModel", "Evaluator", "Pusher", "Report"):
        assert ("Trainer.Finetune", "model") in channels(nodes[name])
        assert ("Trainer.Pretrain", "model") not in channels(nodes[name])
    assert ("Evaluator", "blessing") in channels(nodes["Pusher"])
    assert ("LastBlessedModel", "model") in channels(nodes["Evaluator"])


def test_a_run_stops_at_a_model_that_is_not_blessed_after_its_report(nodes):
    assert "Report" in nodes["BlessingGate"].upstream_nodes
    assert [*nodes][-1] == "BlessingGate"


def test_the_evaluator_blesses_by_the_settings_bounds():
    config = presets.demo().updated({"bounds": {"auc": 12.5}, "worsening": {}})
    judged = json.loads(properties(compiled(config), "Evaluator")["eval_config"])
    thresholds = [
        threshold["threshold"]
        for spec in judged["metrics_specs"]
        for metric in spec["metrics"]
        for threshold in metric.get("per_slice_thresholds", [])
    ]
    assert thresholds == [{"value_threshold": {"lower_bound": 12.5}}]


def test_the_evaluator_holds_the_score_without_labels_to_its_bounds(nodes):
    config = presets.demo().updated({"bounds": {"held_out_median_mm": 60.0, "auc": 12.5}})
    told = properties(compiled(config), "Evaluator")
    assert json.loads(told["further_bounds"]) == {"held_out_median_mm": 60.0}
    assert "held_out" not in told["eval_config"]
    for name in ("Evaluator", "Report"):
        assert ("HeldOutViews", "scores") in channels(nodes[name])
        assert ("Baselines", "figures") in channels(nodes[name])


@pytest.mark.parametrize(("views", "split"), [("pair", "train"), ("all", "train_instants")])
def test_a_search_finds_the_settings_of_finetuning(views, split):
    changes = {"tune": {"num_trials": 4, "num_epochs": 5}, "finetune": {"views": views}}
    config = presets.studio().updated(changes)
    tuned = compiled(config)
    told = properties(tuned, "Tuner")
    custom = json.loads(told["custom_config"])
    trial = configs.FinetuneConfig.from_json(custom["stage_config"])
    assert json.loads(told["train_args"])["splits"] == [split]
    assert told["tuner_fn"] == trainers.TUNER_FN
    assert json.loads(custom["tune_config"])["num_trials"] == 4
    assert (trial.num_epochs, trial.decay_every) == (5, 2)
    assert channels(tuned["Tuner"]) == {(EXAMPLE_GEN, "examples"), ("Trainer.Pretrain", "model")}
    assert set(CHECKS) <= set(tuned["Tuner"].upstream_nodes)
    assert channels(tuned["Trainer.Finetune"]) == {
        (EXAMPLE_GEN, "examples"),
        ("Trainer.Pretrain", "model"),
        ("Tuner", "best_hyperparameters"),
    }


def test_stages_are_told_their_settings_and_code(nodes):
    config = presets.studio()
    for name, stage in zip(TRAINERS, (config.pretrain, config.finetune), strict=True):
        told = properties(nodes, name)
        custom = json.loads(told["custom_config"])
        assert told["run_fn"] == trainers.RUN_FN
        assert type(stage).from_json(custom["stage_config"]) == stage
        assert configs.ModelConfig.from_json(custom["model_config"]) == config.model
        assert custom["checkpoint_root"] == FOLDERS.checkpoints
        assert len(custom["code_version"]) == 16


def test_the_code_is_part_of_what_the_cache_knows(nodes):
    versions = {properties(nodes, name)["code_version"] for name in (EXAMPLE_GEN, "Report")}
    assert versions == {json.loads(properties(nodes, TRAINERS[0])["custom_config"])["code_version"]}


def test_schemas_and_rules_are_part_of_what_the_cache_knows(nodes):
    for kind, name in ((checks.PAIRS, "Pairs"), (checks.TEST_VIEWS, "TestViews")):
        assert properties(nodes, f"Schema.{name}")["text"] == checks.read(kind)
        told = properties(nodes, f"ExampleValidator.{name}")["custom_validation_config"]
        rules = checks.rules(kind)
        assert json_format.Parse(told, type(rules)()) == rules


@pytest.mark.parametrize("name", presets.PRESETS)
def test_presets_differ_in_settings_not_in_shape(name, nodes):
    made = compiled(presets.PRESETS[name]().updated({"rival": ""}))
    assert [node for node in made if node not in RIG_CHECKS] == [*nodes]


def test_equal_settings_give_equal_pipelines():
    first, second = (compiler.Compiler().compile(create(presets.demo())) for _ in range(2))
    assert first == second


def test_beam_runs_as_the_settings_say():
    config = settings.PipelineConfig(beam_pipeline_args=("--direct_num_workers=2",))
    assert create(config).beam_pipeline_args == ["--direct_num_workers=2"]


def test_bounds_on_what_is_not_measured_are_refused():
    with pytest.raises(ValueError, match=r"`bounds` must name metrics of .*\['mpjpe'\]"):
        create(settings.PipelineConfig(bounds={"mpjpe": 80.0}))


def test_both_kinds_of_records_are_checked_against_their_schemas(made):
    for kind, name in ((checks.PAIRS, "Pairs"), (checks.TEST_VIEWS, "TestViews")):
        assert made[f"Schema.{name}"].exec_properties["text"] == checks.read(kind)
        given = made[f"ExampleValidator.{name}"].inputs
        assert given["schema"].producer_component_id == f"Schema.{name}"
        assert given["statistics"].producer_component_id == f"StatisticsGen.{name}"
        gate = made[f"DataGate.{name}"].inputs["anomalies"]
        assert gate.producer_component_id == f"ExampleValidator.{name}"


def test_instants_are_not_looked_at_twice(made):
    for name in ("StatisticsGen.Pairs", "ExampleValidator.Pairs"):
        excluded = made[name].exec_properties["exclude_splits"]
        assert excluded == '["train_instants", "eval_instants"]'


def test_a_split_without_records_is_not_looked_at():
    for name in ("StatisticsGen.Pairs", "ExampleValidator.Pairs"):
        excluded = check_nodes(holds_out=False)[name].exec_properties["exclude_splits"]
        assert excluded == '["train_instants", "eval_instants", "eval"]'


@pytest.mark.parametrize("name", presets.PRESETS)
def test_where_nothing_chooses_the_data_is_as_it_was(name):
    config = presets.PRESETS[name]().updated({"rival": ""})
    assert mvlift.data_for_choosing(config) == config.data


@pytest.mark.parametrize("chooser", CHOOSING)
@pytest.mark.parametrize("name", presets.PRESETS)
def test_whatever_chooses_has_a_part_of_its_own(name, chooser):
    config = presets.PRESETS[name]().updated({"rival": ""} | CHOOSING[chooser])
    split = split_of(config)
    assert split.holds_out
    assert not {*getattr(split, "held_out_subjects", ())} & {*getattr(split, "test_subjects", ())}


def test_choices_on_human36m_are_made_by_a_person_of_their_own():
    config = presets.human36m().updated(CHOOSING["finetune.patience"])
    assert split_of(config).held_out_subjects == ("S8",)
    tested = {"data": {"split_options": {"test_subjects": ["S8"]}}}
    split = split_of(config.updated(tested))
    assert (split.held_out_subjects, split.held_out_share) == ((), 0.1)


def test_what_the_split_holds_out_is_left_as_it_is():
    config = presets.mpi_inf_3dhp().updated(CHOOSING["finetune.patience"])
    assert mvlift.data_for_choosing(config) == config.data
    assert split_of(config).held_out_clips == ("S8_Seq2",)


def test_recordings_that_keep_coming_hold_out_where_cameras_stand():
    config = presets.recording()
    assert split_of(config, is_followed=True).held_out_share == 0.1
    assert json.loads(config.data.split_options) == {}


def test_a_model_is_served_after_it_was_judged_and_before_it_is_pushed(served_nodes):
    order = [*served_nodes]
    places = [order.index(name) for name in ("Evaluator", "InfraValidator", "Pusher")]
    assert places == sorted(places)
    assert "Evaluator" in served_nodes["InfraValidator"].upstream_nodes
    assert ("InfraValidator", "blessing") in channels(served_nodes["Pusher"])
    assert ("Evaluator", "blessing") in channels(served_nodes["Pusher"])


def test_the_trained_model_lifts_test_views_in_the_image_that_is_asked_for(served_nodes):
    assert channels(served_nodes["InfraValidator"]) == {
        ("Trainer.Finetune", "model"),
        (EXAMPLE_GEN, "test_examples"),
    }
    told = properties(served_nodes, "InfraValidator")
    spec = json.loads(told["serving_spec"])
    assert spec["tensorflow_serving"] == {"image_name": "tensorflow/serving", "tags": ["2.15.1"]}
    assert spec["local_docker"] == {"client_base_url": "tcp://here:2375"}
    asked = json.loads(told["request_spec"])
    assert (asked["split_name"], asked["num_examples"]) == ("test", 3)
    assert asked["tensorflow_serving"]["signature_names"] == [pusher.SIGNATURE]


def test_a_run_stops_after_its_report_at_a_model_that_was_not_served(served_nodes):
    assert ("InfraValidator", "blessing") in channels(served_nodes["InfraGate"])
    assert "Report" in served_nodes["InfraGate"].upstream_nodes


def test_a_model_of_windows_is_only_loaded():
    nodes = compiled(presets.studio().updated(ASKED | WINDOWS))
    assert channels(nodes["InfraValidator"]) == {("Trainer.Finetune", "model")}
    assert "request_spec" not in properties(nodes, "InfraValidator")


def test_nothing_is_there_unless_it_is_asked_for():
    nodes = compiled(presets.studio())
    assert not {"InfraValidator", "InfraGate"} & {*nodes}


def test_ones_own_rig_is_checked_before_training_and_reported():
    nodes = compiled(presets.recording())
    assert channels(nodes["RigCheck"]) == {(EXAMPLE_GEN, "examples")}
    assert channels(nodes["RigGate"]) == {("RigCheck", "checked")}
    # What breaks the schema is told as that.
    assert "DataGate.Pairs" in nodes["RigCheck"].upstream_nodes
    for name in TRAINERS:
        assert "RigGate" in nodes[name].upstream_nodes
    assert ("RigCheck", "checked") in channels(nodes["Report"])


@pytest.mark.parametrize(("asked", "stops"), [({}, "true"), ({"rig_check": "warn"}, "false")])
def test_an_error_in_the_rig_stops_a_run_unless_told_otherwise(asked, stops):
    gate = compiled(presets.recording().updated(asked))["RigGate"]
    assert gate.parameters.parameters["stops"].field_value.string_value == stops


@pytest.mark.parametrize("name", ["studio", "human36m", "mpi_inf_3dhp"])
def test_the_rig_of_a_data_set_is_taken_as_it_is(name):
    assert not {*RIG_CHECKS} & {*compiled(presets.PRESETS[name]())}


@pytest.fixture(scope="module")
def rivals():
    return compiled(presets.recording())


def test_a_trained_model_is_tried_beside_the_training(rivals):
    models = {
        ("Adapt", "model"),
        ("Refine", "model"),
        ("Trainer.Finetune", "model"),
    }
    assert channels(rivals["Choice"]) == {(EXAMPLE_GEN, "examples"), *models}
    assert channels(rivals["Report"]) >= {("Choice", "candidates"), ("Choice", "model"), *models}
    for name in ("HeldOutViews", "Evaluator", "Pusher"):
        assert ("Choice", "model") in channels(rivals[name])
    for name in ("Adapt", "Refine"):
        told = properties(rivals, name)
        assert (told["start_from"], len(told["start_digest"])) == ("studio", 16)


@pytest.mark.parametrize("name", ["Choice", "Adapt", "Refine"])
def test_no_candidate_knows_of_test_views(rivals, name):
    assert (EXAMPLE_GEN, "test_examples") not in all_channels(rivals, name)
    assert {"DataGate.Pairs", "RigGate"} <= {*rivals[name].upstream_nodes} or name == "Choice"


def test_what_is_trained_on_is_fitted_in_closed_form_too():
    nodes = compiled(presets.recording().updated({"start_from": "studio"}))
    models = {("Adapt", "model"), ("Trainer.Finetune", "model")}
    assert channels(nodes["Choice"]) == {(EXAMPLE_GEN, "examples"), *models}
    assert "Refine" not in nodes


@pytest.mark.parametrize("asked", [{"rival": ""}, {"model": {"uncertainty": True}}, WINDOWS])
def test_a_model_has_no_rival_that_is_of_another_kind_or_not_asked_for(asked):
    assert "Choice" not in compiled(presets.recording().updated(asked))
