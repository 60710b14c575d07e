import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types import standard_artifacts
from tfx.utils import io_utils

from components import checks
from keras_mvlift import sources
from keras_mvlift.datasets import preparation
from tests.components import studio_examples

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
