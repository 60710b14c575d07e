import dataclasses
import json
import logging
import pathlib
import re
import shutil

import numpy as np
import pytest
from google.protobuf import json_format, text_format
from tensorflow_data_validation import constants
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx.components.example_validator import executor as example_validator
from tfx.components.statistics_gen import executor as statistics_gen
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import io_utils

from components import checks
from components.example_gen import executor, files
from keras_mvlift import configs, sources
from keras_mvlift.datasets import preparation, tfrecords
from tests.components import studio_examples
from tests.datasets.rigs import simulated_rigs

TEN_CENTIMETERS = "No two cameras stand 0.1 m apart; the calibration may be in another unit"


def scaled(clip, factor):
    """The cameras' centers in another unit."""
    camera = clip.camera._replace(center=clip.camera.center * factor)
    return dataclasses.replace(clip, camera=camera)


def blind(clip):
    """One camera that sees nobody."""
    confidence, keypoints_2d = clip.confidence.copy(), clip.keypoints_2d.copy()
    confidence[1], keypoints_2d[1] = 0, 0
    return dataclasses.replace(clip, confidence=confidence, keypoints_2d=keypoints_2d)


def mislabeled(clip, factor):
    """The reference in another unit."""
    return dataclasses.replace(clip, pose_world=clip.pose_world * factor)


class Judge:
    """Runs TFX's StatisticsGen and ExampleValidator on records, as the pipeline does."""

    def __init__(self, root):
        self.root = root

    def anomalies(self, kind, tables):
        """Returns the validator's artifact for the columns of each split."""
        artifact = self.artifact(standard_artifacts.Examples)
        artifact.split_names = artifact_utils.encode_split_names(list(tables))
        for split, columns in tables.items():
            files.write(artifact.uri, f"{files.folder(split)}/data.gz", columns)
        statistics = self.artifact(standard_artifacts.ExampleStatistics)
        inputs, outputs = {"examples": [artifact]}, {"statistics": [statistics]}
        statistics_gen.Executor().Do(inputs, outputs, {"exclude_splits": "null"})
        schema = self.artifact(standard_artifacts.Schema)
        checks.CuratedSchema.test_call(text=checks.read(kind), schema=schema)
        anomalies = self.artifact(standard_artifacts.ExampleAnomalies)
        inputs = {"statistics": [statistics], "schema": [schema]}
        properties = {"custom_validation_config": checks.rules(kind)}
        example_validator.Executor().Do(inputs, {"anomalies": [anomalies]}, properties)
        return anomalies

    def artifact(self, kind):
        artifact = kind()
        artifact.uri = str(self.root / kind.TYPE_NAME)
        pathlib.Path(artifact.uri).mkdir()
        return artifact


@pytest.fixture
def judge(tmp_path):
    return Judge(tmp_path)


def prepared(spoil, *spoil_arguments):
    config = studio_examples.config()
    source, split = sources.open_source(config, ""), sources.open_split(config)
    train, test = (
        preparation.prepare(spoil(source.read(clip), *spoil_arguments), split, config)
        for clip in (studio_examples.TRAIN_CLIPS[0], studio_examples.TEST_CLIPS[0])
    )
    pairs = {"train": train.train_pairs, "eval": train.held_out_pairs}
    return {checks.PAIRS: pairs, checks.TEST_VIEWS: {"test": test.test_views}}


def phrases(anomalies):
    splits = artifact_utils.decode_split_names(anomalies.split_names)
    return checks.read_anomalies(anomalies.uri, splits)


RULES = checks.rules(checks.TEST_VIEWS)


def validate(folder, rules, span=0):
    """Validates statistics of poses that are 5 cm large; gives the artifact."""
    kinds = {
        "statistics": standard_artifacts.ExampleStatistics,
        "schema": standard_artifacts.Schema,
        "anomalies": standard_artifacts.ExampleAnomalies,
    }
    artifacts = {name: kind() for name, kind in kinds.items()}
    for name, artifact in artifacts.items():
        artifact.uri = str(folder / name)
    statistics = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = statistics.datasets.add(name=constants.DEFAULT_SLICE_KEY, num_examples=1)
    pose = dataset.features.add(type=statistics_pb2.FeatureNameStatistics.FLOAT)
    pose.path.step.append("reference_pose")
    pose.num_stats.max = 0.05
    files = {
        "statistics/Split-test/FeatureStats.pb": statistics.SerializeToString(),
        "schema/schema.pbtxt": checks.read(checks.TEST_VIEWS).encode(),
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(content)
    artifacts["statistics"].split_names = artifact_utils.encode_split_names(["test"])
    artifacts["statistics"].span = span
    inputs = {name: [artifacts[name]] for name in ("statistics", "schema")}
    outputs = {"anomalies": [artifacts["anomalies"]]}
    checks.Executor().Do(inputs, outputs, {checks.RULES: rules})
    return artifacts["anomalies"]


KINDS = (checks.PAIRS, checks.TEST_VIEWS)


def schema(kind):
    return text_format.Parse(checks.read(kind), schema_pb2.Schema())


@pytest.fixture(scope="module")
def columns():
    config = studio_examples.config()
    source, split = sources.open_source(config, ""), sources.open_split(config)
    train, test = (
        preparation.prepare(source.read(clip), split, config)
        for clip in (studio_examples.TRAIN_CLIPS[0], studio_examples.TEST_CLIPS[0])
    )
    return {checks.PAIRS: train.train_pairs, checks.TEST_VIEWS: test.test_views}


def test_good_test_views_pass(judge):
    test_views = prepared(lambda clip: clip)[checks.TEST_VIEWS]
    anomalies = judge.anomalies(checks.TEST_VIEWS, test_views)
    assert phrases(anomalies) == []
    checks.DataGate.test_call(anomalies=anomalies)


def test_a_reference_that_lacks_a_joint_passes(judge):
    test_views = prepared(lambda clip: clip)[checks.TEST_VIEWS]
    test_views["test"]["reference_pose"][:, 9] = np.nan
    assert phrases(judge.anomalies(checks.TEST_VIEWS, test_views)) == []


def test_good_pairs_pass_even_where_two_virtual_cameras_stand_close_by_chance(judge):
    pairs = prepared(lambda clip: clip)[checks.PAIRS]
    pairs["train"]["baseline"][0] = 0.001
    anomalies = judge.anomalies(checks.PAIRS, pairs)
    assert phrases(anomalies) == []
    checks.DataGate.test_call(anomalies=anomalies)


@pytest.mark.parametrize(
    ("kind", "spoil", "expected"),
    [
        (
            checks.PAIRS,
            (blind,),
            [
                "train: camera_confidence: .*low values: 0<0.01",
                "eval: camera_confidence: .* 0<0.01",
            ],
        ),
        (checks.TEST_VIEWS, (blind,), ["test: camera_confidence: .*low values: 0<0.01"]),
        (
            checks.PAIRS,
            (scaled, 1000.0),
            [
                "train: baseline: .*high value: .*>100",
                "train: source/center: .*low values: .*<-100.*high value: .*>100",
                "train: target/center: ",
                "eval: baseline: ",
                "eval: source/center: ",
                "eval: target/center: ",
            ],
        ),
        (checks.TEST_VIEWS, (scaled, 1000.0), ["test: center: .*high value: .*>100"]),
        (
            checks.PAIRS,
            (scaled, 0.001),
            [f"train: baseline: {TEN_CENTIMETERS}$", f"eval: baseline: {TEN_CENTIMETERS}$"],
        ),
        (
            checks.TEST_VIEWS,
            (mislabeled, 1000.0),
            ["test: reference_pose: .*low values: .*<-3.*high value: .*>3"],
        ),
        (
            checks.TEST_VIEWS,
            (mislabeled, 0.001),
            ["test: reference_pose: No joint lies 0.1 m from the pelvis; the reference may be"],
        ),
    ],
    ids=[
        "pairs of a blind camera",
        "test views of a blind camera",
        "pairs of a rig in millimeters",
        "test views of a rig in millimeters",
        "pairs of a rig in kilometers",
        "references in millimeters",
        "references in kilometers",
    ],
)
def test_what_is_wrong_with_the_data_stops_the_run(kind, spoil, expected, judge):
    anomalies = judge.anomalies(kind, prepared(*spoil)[kind])
    found = phrases(anomalies)
    assert len(found) == len(expected)
    for phrase, pattern in zip(found, expected, strict=True):
        assert re.match(pattern, phrase)
    with pytest.raises(files.UnusableError) as stopped:
        checks.DataGate.test_call(anomalies=anomalies)
    assert str(stopped.value) == f"The data must fit the schema. Received: {'; '.join(found)}."


def test_3d_labels_among_the_pairs_stop_the_run(judge):
    pairs = prepared(lambda clip: clip)[checks.PAIRS]
    num_pairs = len(pairs["train"]["frame"])
    pairs["train"] |= {tfrecords.REFERENCE_POSE: np.zeros((num_pairs, 17, 3))}
    (found,) = phrases(judge.anomalies(checks.PAIRS, pairs))
    assert found == "train: reference_pose: New column (column in data but not in schema)"


def test_a_missing_feature_stops_the_run(judge):
    pairs = prepared(lambda clip: clip)[checks.PAIRS]
    del pairs["eval"]["source/rotation"]
    (found,) = phrases(judge.anomalies(checks.PAIRS, pairs))
    assert found == "eval: source/rotation: Column is completely missing"


def blessing(blessed):
    artifact = standard_artifacts.ModelBlessing()
    artifact.set_int_custom_property("blessed", blessed)
    return artifact


def test_a_blessed_model_passes():
    checks.BlessingGate.test_call(blessing=blessing(1))


def test_a_model_that_is_not_blessed_stops_the_run():
    with pytest.raises(checks.NotBlessedError, match="not pushed; the report says why"):
        checks.BlessingGate.test_call(blessing=blessing(0))


def test_a_model_that_was_not_served_stops_the_run(tmp_path):
    blessing = standard_artifacts.InfraBlessing()
    blessing.uri = str(tmp_path)
    blessing.set_int_custom_property("blessed", 1)
    checks.InfraGate.test_call(blessing=blessing)
    blessing.set_int_custom_property("blessed", 0)
    with pytest.raises(checks.NotBlessedError, match="TensorFlow Serving did not load it"):
        checks.InfraGate.test_call(blessing=blessing)


@pytest.fixture
def drifted(tmp_path):
    artifact = standard_artifacts.ExampleAnomalies()
    artifact.uri, artifact.span = str(tmp_path), 4
    artifact.split_names = artifact_utils.encode_split_names(["train"])
    found = anomalies_pb2.Anomalies()
    kind = anomalies_pb2.AnomalyInfo.COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH
    found.anomaly_info["source/center"].reason.add(type=kind, description="It is far.")
    path = tmp_path / "Split-train" / "SchemaDiff.pb"
    path.parent.mkdir()
    path.write_bytes(found.SerializeToString())
    return artifact


def test_drift_is_warned_of_or_stops_the_run(drifted, caplog):
    told = "Span 4 must be like a span of the window. Received: train: source/center: It is far."
    checks.DriftGate.test_call(anomalies=drifted, stops=False)
    assert told in caplog.messages
    with pytest.raises(files.UnusableError) as stopped:
        checks.DriftGate.test_call(anomalies=drifted, stops=True)
    assert str(stopped.value) == told


def test_a_span_like_the_others_passes(drifted, caplog):
    pathlib.Path(drifted.uri, "Split-train", "SchemaDiff.pb").write_bytes(b"")
    checks.DriftGate.test_call(anomalies=drifted, stops=True)
    assert caplog.messages == []


@pytest.mark.parametrize("written", [str, None], ids=["text", "message"])
def test_rules_are_taken_as_text_and_as_a_message(written, tmp_path):
    rules = json_format.MessageToJson(RULES) if written else RULES
    found = checks.read_anomalies(validate(tmp_path, rules).uri, ["test"])
    assert any("reference_pose: " in phrase and "another unit" in phrase for phrase in found)


def test_a_verdict_says_which_span_it_is_about(tmp_path):
    assert validate(tmp_path, RULES, span=6).span == 6


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_names_every_feature_of_the_records_and_no_other(kind, columns):
    assert {feature.name for feature in schema(kind).feature} == set(columns[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_wants_every_feature_in_every_record(kind):
    assert {feature.presence.min_fraction for feature in schema(kind).feature} == {1.0}


@pytest.mark.parametrize("kind", KINDS)
def test_no_number_may_be_nan(kind):
    floats = [f for f in schema(kind).feature if f.type == schema_pb2.FLOAT]
    assert floats
    assert all(feature.float_domain.disallow_inf for feature in floats)
    # But for joints that a reference lacks.
    may_be_nan = {f.name for f in floats if not f.float_domain.disallow_nan}
    assert may_be_nan == ({"reference_pose"} if kind == "test_views" else set())


@pytest.mark.parametrize("kind", KINDS)
def test_rules_are_about_features_of_the_schema(kind):
    steps = [rule.feature_path.step[0] for rule in checks.rules(kind).feature_validations]
    assert steps
    assert set(steps) <= {feature.name for feature in schema(kind).feature}


@pytest.mark.parametrize("kind", KINDS)
def test_the_component_writes_what_tfx_reads(kind, tmp_path):
    artifact = standard_artifacts.Schema()
    artifact.uri = str(tmp_path)
    checks.CuratedSchema.test_call(text=checks.read(kind), schema=artifact)
    path = io_utils.get_only_uri_in_dir(str(tmp_path))
    assert io_utils.SchemaReader().read(path) == schema(kind)


def test_the_cache_knows_the_schemas_text():
    node = checks.CuratedSchema(text="feature { name: 'x' }")
    assert node.exec_properties["text"] == "feature { name: 'x' }"


def test_comparators_are_set_on_both_sides_of_a_pair_and_nothing_else_is_asked():
    thresholds = {"confidence": 0.3, "camera": 0.2, "center": 0.0}
    text = checks.comparators(checks.PAIRS, thresholds)
    compared = {
        feature.name: feature for feature in text_format.Parse(text, schema_pb2.Schema()).feature
    }
    known = {feature.name: feature.type for feature in schema(checks.PAIRS).feature}
    assert {name: feature.type for name, feature in compared.items()} == known
    asked = {field.name for feature in compared.values() for field, _ in feature.ListFields()}
    assert asked == {"name", "type", "drift_comparator"}
    found = {name for name, one in compared.items() if one.HasField("drift_comparator")}
    assert found == {
        f"{side}/{x}" for side in ("source", "target") for x in ("confidence", "camera")
    }
    confidence, camera = compared["target/confidence"], compared["source/camera"]
    assert confidence.drift_comparator.jensen_shannon_divergence.threshold == 0.3
    assert camera.drift_comparator.infinity_norm.threshold == 0.2


@pytest.fixture(scope="module")
def rig_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("rig")
    simulated_rigs.write_rig(root, num_clips=1, num_frames=60)
    return root


def rig_check(root, folder, num_instants=100):
    """Checks a rig whose records say of each clip which cameras filmed it."""
    source = sources.open_source(configs.DataConfig(source="rig"), str(root))
    clips = [{"clip": f"00003/{name}", "cameras": ["1", "2"]} for name in source.clips()]
    lone = {"clip": "00003/nobody_has_this", "cameras": ["1"]}
    dataset = {"clips": [*clips, lone], "counts": {"train_instants": num_instants}}
    examples, checked = standard_artifacts.Examples(), checks.RigFindings()
    examples.uri, checked.uri = str(folder / "examples"), str(folder / "checked")
    for artifact in (examples, checked):
        pathlib.Path(artifact.uri).mkdir(parents=True)
    (folder / "examples" / executor.DATASET).write_text(json.dumps(dataset))
    checks.RigCheck.test_call(
        examples=examples,
        checked=checked,
        data_config=configs.DataConfig(source="rig").to_json(),
        data_root=str(root),
        code_version="abc",
    )
    return checked


@pytest.fixture
def wrong_rig(rig_root, tmp_path):
    """The rig with two of its cameras' calibrations taken for each other."""
    root = tmp_path / "wrong"
    shutil.copytree(rig_root, root)
    (path,) = root.glob("*.toml")
    text = path.read_text()
    for former, new in (("cam_1", "kept"), ("cam_2", "cam_1"), ("kept", "cam_2")):
        text = text.replace(former, new)
    path.write_text(text)
    return root


def test_a_rig_that_is_right_passes(rig_root, tmp_path):
    checked = rig_check(rig_root, tmp_path)
    assert checks.read_findings(checked.uri) == []
    checks.RigGate.test_call(checked=checked, stops=True)


def test_a_run_stops_at_a_rig_that_is_wrong_and_names_the_cause(wrong_rig, tmp_path):
    checked = rig_check(wrong_rig, tmp_path)
    (found,) = checks.read_findings(checked.uri)
    assert (found["severity"], found["name"]) == ("error", "cameras_out_of_order")
    with pytest.raises(files.UnusableError) as error:
        checks.RigGate.test_call(checked=checked, stops=True)
    told = str(error.value)
    assert found["sentence"] in told
    assert found["remedy"] in told
    assert 'set `rig_check` to "warn"' in told


def test_what_is_wrong_with_a_rig_is_told_where_the_run_goes_on(wrong_rig, tmp_path, caplog):
    checked = rig_check(wrong_rig, tmp_path, num_instants=7)
    with caplog.at_level(logging.WARNING, logger=checks.TOLD):
        checks.RigGate.test_call(checked=checked, stops=False)
    wrong, few = [record.getMessage() for record in caplog.records if record.name == checks.TOLD]
    assert wrong.startswith("error: cameras_out_of_order: ")
    assert few.startswith("warning: few_frames: 7 instants are left to train on")
