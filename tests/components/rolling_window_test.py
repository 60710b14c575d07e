import numpy as np
import pandas as pd
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import json_utils

from components import checks, rolling_window

THRESHOLDS = {"confidence": 0.1, "center": 0.1, "camera": 0.2}
RECORDS = 500


def statistics(sure=0.8, center=1.0, cameras=("a", "b"), seed=0):
    """Returns the statistics of a span's pairs, by split."""
    rng = np.random.default_rng(seed)
    confidence = np.clip(rng.normal(sure, 0.05, (2, RECORDS)), 0, 1)
    table = pd.DataFrame(
        {
            "source/confidence": confidence[0],
            "target/confidence": confidence[1],
            "source/center": center + rng.normal(0, 0.2, RECORDS),
            "source/camera": rng.choice(cameras, RECORDS),
        }
    )
    found = tfdv.generate_statistics_from_dataframe(table)
    return {"train": found, "eval": found}


@pytest.fixture(scope="module")
def spans():
    """A day, another like it, one of another detector, and one of a moved camera."""
    return {
        1: statistics(),
        2: statistics(seed=1),
        3: statistics(sure=0.6),
        4: statistics(center=2.0),
        5: statistics(cameras=("a", "c")),
    }


def validate(folder, spans, new, *former):
    """Runs the executor; gives the artifact."""
    schema = standard_artifacts.Schema()
    schema.uri = str(folder / "schema")
    (folder / "schema").mkdir()
    text = checks.comparators(checks.PAIRS, THRESHOLDS)
    (folder / "schema" / "schema.pbtxt").write_text(text)

    def written(span):
        artifact = standard_artifacts.ExampleStatistics()
        artifact.uri, artifact.span = str(folder / f"{span}"), span
        artifact.split_names = artifact_utils.encode_split_names([*spans[span]])
        for split, found in spans[span].items():
            path = folder / f"{span}" / f"Split-{split}" / "FeatureStats.pb"
            path.parent.mkdir(parents=True)
            path.write_bytes(found.SerializeToString())
        return artifact

    anomalies = standard_artifacts.ExampleAnomalies()
    anomalies.uri = str(folder / "anomalies")
    inputs = {"statistics": [written(new)], "schema": [schema]}
    inputs |= {"baseline_statistics": [*map(written, former)]} if former else {}
    properties = {"exclude_splits": json_utils.dumps(["train_instants"])}
    rolling_window.Executor().Do(inputs, {"anomalies": [anomalies]}, properties)
    return anomalies


def flagged(folder, spans, new, *former):
    return rolling_window.about(validate(folder, spans, new, *former))["flagged"]


def test_a_day_like_the_one_before_is_not_flagged(spans, tmp_path):
    artifact = validate(tmp_path, spans, 2, 1)
    about = rolling_window.about(artifact)
    assert about["flagged"] == checks.read_anomalies(artifact.uri, ["train", "eval"]) == []
    assert (about["span"], about["compared_with"]) == (2, 1)
    names = {"source/confidence", "target/confidence", "source/center", "source/camera"}
    assert set(about["measured"]) == set(about["thresholds"]) == names
    assert 0 < about["measured"]["source/confidence"] < 0.1 == about["thresholds"]["source/center"]
    assert artifact.get_json_value_custom_property("blessed") == {"train": 1, "eval": 1}


@pytest.mark.parametrize(
    ("new", "names", "verdict"),
    [
        (3, ["source/confidence", "target/confidence"], {"train": 0, "eval": 1}),
        (4, ["source/center"], {"train": 1, "eval": 0}),
        (5, ["source/camera"], {"train": 1, "eval": 0}),
    ],
    ids=["detector", "moved", "other camera"],
)
def test_what_changed_is_flagged_by_name(new, names, verdict, spans, tmp_path):
    artifact = validate(tmp_path, spans, new, 1)
    assert rolling_window.about(artifact)["flagged"] == names
    assert artifact.get_json_value_custom_property("blessed") == verdict
    (phrase, *_) = checks.read_anomalies(artifact.uri, ["train", "eval"])
    assert "above the threshold" in phrase


def test_a_span_is_held_against_the_one_that_it_is_most_like(spans, tmp_path):
    about = rolling_window.about(validate(tmp_path, spans, 2, 3, 1, 4))
    assert (about["compared_with"], about["flagged"]) == (1, [])


def test_a_mixture_of_what_two_spans_had_is_like_neither(spans, tmp_path):
    mixed = {6: statistics(sure=0.6, center=2.0)}
    assert flagged(tmp_path, spans | mixed, 6, 3, 4)


def test_the_first_span_is_compared_with_none(spans, tmp_path):
    artifact = validate(tmp_path, spans, 3)
    about = rolling_window.about(artifact)
    assert (about["compared_with"], about["flagged"], about["measured"]) == (None, [], {})
    assert artifact.get_json_value_custom_property("blessed") == {"train": 1, "eval": 1}


def test_a_split_without_records_is_compared_with_none(spans, tmp_path):
    empty = statistics_pb2.DatasetFeatureStatisticsList()
    empty.datasets.add(name="All Examples")
    hollow = {7: spans[1] | {"eval": empty}}
    artifact = validate(tmp_path, spans | hollow, 4, 7)
    about = rolling_window.about(artifact)
    assert about["flagged"] == checks.read_anomalies(artifact.uri, ["train", "eval"]) == []
    assert "source/center" not in about["measured"]
    assert "source/confidence" in about["measured"]
