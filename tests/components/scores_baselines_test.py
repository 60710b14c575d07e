import json
import pathlib

import numpy as np
import pytest

from components import artifacts, scores
from components.example_gen import executor
from keras_mvlift.metrics import baselines as measures
from keras_mvlift.metrics import pose_error
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
    scores.Baselines.test_call(
        **studio_examples.lists(examples),
        figures=artifact,
        min_confidence=MIN_CONFIDENCE,
        code_version="abc",
    )
    return artifact.uri


def test_figures_are_those_of_the_library(examples, figures):
    test = measures.read_test_views(scores.pattern(examples["test_examples"].uri, "test"))
    seen = scores.training_instants([examples["examples"]])
    pose = measures.triangulated_poses(seen, MIN_CONFIDENCE)
    constant = measures.constant_pose(pose)
    poses = {
        "triangulation": measures.triangulated(test, MIN_CONFIDENCE, unplaced=np.nan),
        "nearest_view": measures.nearest_poses(test, seen, pose),
        "constant_pose": measures.in_camera_axes(constant, test.view.camera.rotation),
    }
    written = scores.read_baselines(figures)
    assert set(written) == set(poses)
    for name, given in poses.items():
        assert set(written[name]["per_camera"]) == {f"camera_{i}" for i in range(1, 5)}
        assert set(written[name]["per_action"]) == {"walking", "turning"}
        expected = pose_error.figures_of_poses(test, given)
        for part in ("overall", "mean_over_actions", "median_over_cameras"):
            assert written[name][part] == pytest.approx(expected[part], rel=1e-4)


def test_training_instants_are_those_of_the_real_cameras(examples):
    seen = scores.training_instants([examples["examples"]])
    # Four cameras and a virtual one, which saw every instant.
    assert seen.confidence.shape == (8, 5, 17)
    assert seen.confidence[:, :4].any(axis=(0, 2)).all()
    assert not seen.confidence[:, 4].any()


def test_of_many_training_instants_every_so_many_are_looked_at(examples, monkeypatch):
    everything = scores.training_instants([examples["examples"]])
    monkeypatch.setattr(scores, "MAX_INSTANTS", 3)
    some = scores.training_instants([examples["examples"]])
    np.testing.assert_array_equal(some.keypoints_2d, everything.keypoints_2d[::3])


def test_what_sees_without_error_triangulates_without_error(figures):
    written = scores.read_baselines(figures)
    overall = written["triangulation"]["overall"]
    assert overall["mpjpe_mm"] < 1
    assert overall["coverage"] == 100
    assert written["constant_pose"]["overall"]["mpjpe_mm"] > 50


def test_a_single_test_camera_is_compared_with_what_it_can_see_alone(examples, tmp_path):
    test = studio_examples.of_camera(
        examples["test_examples"], "test", "camera_1", tmp_path / "alone"
    )
    artifact = artifacts.Baselines()
    artifact.uri = str(tmp_path)
    given = studio_examples.lists(examples | {"test_examples": test})
    scores.Baselines.test_call(
        **given, figures=artifact, min_confidence=MIN_CONFIDENCE, code_version="abc"
    )
    assert set(scores.read_baselines(artifact.uri)) == {"nearest_view", "constant_pose"}


def test_the_file_is_json(figures):
    text = pathlib.Path(figures, scores.BASELINES).read_text()
    assert set(json.loads(text)["constant_pose"]["overall"]) == {
        *pose_error.FIGURE_NAMES,
        "coverage",
    }


def test_the_pattern_matches_finished_shards_alone(tmp_path):
    folder = pathlib.Path(executor.split_folder(str(tmp_path), "test"))
    folder.mkdir()
    for name in ("b.gz", "a.gz", "c.gz.partial"):
        (folder / name).touch()
    matched = pathlib.Path("/").glob(scores.pattern(str(tmp_path), "test")[1:])
    assert {path.name for path in matched} == {"a.gz", "b.gz"}
