import glob
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from tfx.types import standard_artifacts

from components import artifacts, baselines
from components.example_gen import executor
from keras_mvlift.datasets import view_pairs
from keras_mvlift.metrics import baselines as measures
from keras_mvlift.metrics import results, summary
from tests.components import studio_examples

MIN_CONFIDENCE = 0.3
NEVER_ERRS = {"noise_px": 0.0, "gross_error_rate": 0.0, "missing_rate": 0.0}


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    config = studio_examples.config(dropped_view_rate=0.0, **NEVER_ERRS)
    return studio_examples.generate(tmp_path_factory.mktemp("studio"), config)


@pytest.fixture(scope="module")
def figures(examples, tmp_path_factory):
    artifact = artifacts.Baselines()
    artifact.uri = str(tmp_path_factory.mktemp("figures"))
    baselines.Baselines.test_call(
        **studio_examples.lists(examples),
        figures=artifact,
        min_confidence=MIN_CONFIDENCE,
        code_version="abc",
    )
    return artifact.uri


def test_figures_are_those_of_the_library(examples, figures):
    test = measures.read_test_views(baselines.pattern(examples["test_examples"].uri, "test"))
    pairs = view_pairs.load_once(baselines.pattern(examples["examples"].uri, "train"), 32)
    mean_pose = np.tile(measures.mean_pose(pairs, MIN_CONFIDENCE), (len(test.frame), 1, 1))
    triangulated = measures.triangulated(test, MIN_CONFIDENCE)
    written = baselines.read(figures)
    assert set(written) == {"triangulation", "mean_pose"}
    for name, pose in (("triangulation", triangulated), ("mean_pose", mean_pose)):
        assert set(written[name]["per_camera"]) == {f"camera_{i}" for i in range(1, 5)}
        assert set(written[name]["per_action"]) == {"walking", "turning"}
        expected = results.of_poses(test, pose)
        for part in ("overall", "mean_over_actions", "median_over_cameras"):
            assert written[name][part] == pytest.approx(expected[part], rel=1e-4)


def test_what_sees_without_error_triangulates_without_error(figures):
    # A joint that a body hides from all cameras but one stays at the root, so it is a median.
    written = baselines.read(figures)
    assert written["triangulation"]["overall"]["pck_150"] > 95
    assert written["mean_pose"]["overall"]["mpjpe_mm"] > 100


def test_a_single_test_camera_is_compared_with_the_mean_pose_alone(examples, tmp_path):
    alone = standard_artifacts.Examples()
    alone.uri = str(tmp_path / "alone")
    folder = pathlib.Path(executor.split_folder(alone.uri, "test"))
    folder.mkdir(parents=True)
    files = sorted(glob.glob(baselines.pattern(examples["test_examples"].uri, "test")))
    for path in files:
        records = list(tf.data.TFRecordDataset(path, "GZIP").as_numpy_iterator())
        with tf.io.TFRecordWriter(str(folder / pathlib.Path(path).name), "GZIP") as writer:
            for record in (record for record in records if b"camera_1" in record):
                writer.write(record)
    artifact = artifacts.Baselines()
    artifact.uri = str(tmp_path)
    given = studio_examples.lists(examples | {"test_examples": alone})
    baselines.Baselines.test_call(
        **given, figures=artifact, min_confidence=MIN_CONFIDENCE, code_version="abc"
    )
    assert set(baselines.read(artifact.uri)) == {"mean_pose"}


def test_the_file_is_json(figures):
    text = pathlib.Path(figures, baselines.BASELINES).read_text()
    assert set(json.loads(text)["mean_pose"]["overall"]) == set(summary.NAMES)


def test_the_pattern_matches_finished_shards_alone(tmp_path):
    folder = pathlib.Path(executor.split_folder(str(tmp_path), "test"))
    folder.mkdir()
    for name in ("b.gz", "a.gz", "c.gz.partial"):
        (folder / name).touch()
    matched = pathlib.Path("/").glob(baselines.pattern(str(tmp_path), "test")[1:])
    assert {path.name for path in matched} == {"a.gz", "b.gz"}
