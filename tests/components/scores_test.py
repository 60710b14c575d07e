import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tfx.types import standard_artifacts

from components import scores
from components import scores as components_scores
from components.example_gen import executor
from keras_mvlift import configs, inference
from keras_mvlift.datasets import preparation, views
from keras_mvlift.geometry import cameras
from keras_mvlift.metrics import baselines, held_out_views, pose_error
from keras_mvlift.metrics import baselines as measures
from keras_mvlift.training import held_out as training_held_out
from keras_mvlift.training import lifters, objectives
from tests import temporal_networks, tiny_studio
from tests.components import studio_examples


@pytest.fixture(scope="module")
def examples(studio_records):
    return studio_records


@pytest.fixture(scope="module")
def model(untrained_model):
    return untrained_model


def measure(model, examples, root):
    scores = components_scores.HeldOutFigures()
    scores.uri = str(root)
    components_scores.HeldOutViews.test_call(
        model=model,
        **studio_examples.lists(examples),
        scores=scores,
        min_joints=8,
        code_version="abc",
    )
    return components_scores.read_held_out(scores.uri)


def told_otherwise(examples, root, **changes):
    """Returns the same records, of which `dataset.json` says something else."""
    copy = standard_artifacts.Examples()
    copy.uri = str(shutil.copytree(examples["examples"].uri, root / "examples"))
    path = pathlib.Path(copy.uri, executor.DATASET)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return examples | {"examples": copy}


MIN_CONFIDENCE = 0.3
NEVER_ERRS = {"noise_px": 0.0, "gross_error_rate": 0.0, "missing_rate": 0.0}


@pytest.fixture(scope="module")
def whole_examples(tmp_path_factory):
    config = studio_examples.config(dropped_view_rate=0.0, **NEVER_ERRS)
    return studio_examples.generate(tmp_path_factory.mktemp("studio"), config)


@pytest.fixture(scope="module")
def figures(whole_examples, tmp_path_factory):
    artifact = components_scores.BaselineFigures()
    artifact.uri = str(tmp_path_factory.mktemp("figures"))
    scores.Baselines.test_call(
        **studio_examples.lists(whole_examples),
        figures=artifact,
        min_confidence=MIN_CONFIDENCE,
        code_version="abc",
    )
    return artifact.uri


def test_test_instants_are_scored(model, examples, tmp_path):
    files = components_scores.patterns([examples["test_examples"]], "test")
    test = measures.read_test_views(files)
    view = test.view
    lifter = inference.load_model(f"{model.uri}/Format-Serving")
    lifted = lifter.lift(view.keypoints_2d, view.confidence, camera=view.camera)
    expected = held_out_views.score_test_views(test, lifted.root_relative_pose)
    found = measure(model, examples, tmp_path)
    assert found.pop("measured_on") == "test"
    assert found.pop("num_instants") == test.instant.max() + 1
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.fixture(scope="module")
def alone(examples, tmp_path_factory):
    """The same records, but for the test views of all cameras but one."""
    root = tmp_path_factory.mktemp("alone") / "test"
    test = studio_examples.of_camera(examples["test_examples"], "test", "camera_1", root)
    return examples | {"test_examples": test}


def test_where_a_camera_tests_alone_held_out_instants_are_scored(model, alone, tmp_path):
    found = measure(model, alone, tmp_path)
    files = components_scores.patterns([alone["examples"]], "eval_instants")
    seen = training_held_out.read_records(files, num_views=5)
    folder = pathlib.Path(model.uri, "Format-Serving", lifters.FOLDER)
    lifter, _ = lifters.load(folder, objectives.TransformReprojection())
    assert found.pop("measured_on") == "eval"
    assert found.pop("num_instants") == len(seen.confidence)
    assert found == pytest.approx(training_held_out.score(lifter, seen), rel=1e-3)


def test_of_many_instants_some_of_all_are_scored(model, examples, tmp_path, monkeypatch):
    everything = measure(model, examples, tmp_path)
    monkeypatch.setattr(training_held_out, "MAX_RECORDS", 5)
    some = measure(model, examples, tmp_path)
    assert (everything["num_instants"], some["num_instants"]) == (12, 5)
    assert some["mean_px"] != everything["mean_px"]
    assert some["mean_px"] == pytest.approx(everything["mean_px"], rel=0.5)


def test_no_instant_in_two_views_is_no_score(model, alone, tmp_path):
    found = measure(model, told_otherwise(alone, tmp_path, counts={}), tmp_path)
    assert found == {}
    bounds = {"held_out_mean_px": 1.0, "nearest_view_ratio": 1.0, "mpjpe_mm": 1.0}
    values = components_scores.values(found, {"mpjpe_mm": 10.0}, {})
    assert components_scores.why(values, bounds) == [
        "held_out_mean_px was not computed: no instant was held out in two views.",
        "nearest_view_ratio was not computed: there is no nearest view to compare with.",
    ]


def test_only_bounds_that_are_missed_are_reasons():
    scores = {"mean_px": 3.0, "median_px": 2.0, "mean_mm": 12.0, "median_mm": float("nan")}
    scores |= {"mean_share": 0.2, "median_share": 0.1}
    bounds = {f"held_out_{name}": 3.0 for name in scores} | {"mpjpe_mm": 0.0}
    bounds |= {"constant_pose_ratio": 0.9, "nearest_view_ratio": 0.9}
    compared = {
        components_scores.CONSTANT_POSE: {"overall": {"mpjpe_mm": 200.0}},
        components_scores.NEAREST_VIEW: {"overall": {"mpjpe_mm": 105.0}},
    }
    values = components_scores.values(scores, {"mpjpe_mm": 100.0}, compared)
    assert components_scores.why(values, bounds) == [
        "held_out_mean_mm 12 is not at most 3.",
        "held_out_median_mm nan is not at most 3.",
        "nearest_view_ratio 0.952 is not at most 0.9: MPJPE over that of the nearest view.",
    ]


def test_figures_are_those_of_the_library(whole_examples, figures):
    test = measures.read_test_views(scores.patterns([whole_examples["test_examples"]], "test"))
    seen, _ = scores.training_instants([whole_examples["examples"]])
    pose = measures.triangulated_poses(seen, MIN_CONFIDENCE)
    constant = measures.constant_pose(pose)
    poses = {
        "triangulation": measures.triangulated(test, MIN_CONFIDENCE, unplaced=np.nan),
        "nearest_view": measures.nearest_poses(test, seen, pose),
        "constant_pose": cameras.rotate(constant, test.view.camera.rotation),
    }
    written = scores.read_baselines(figures)
    assert set(written) == set(poses)
    for name, given in poses.items():
        assert set(written[name]["per_camera"]) == {f"camera_{i}" for i in range(1, 5)}
        assert set(written[name]["per_action"]) == {"walking", "turning"}
        expected = pose_error.figures_of_poses(test, given)
        for part in ("overall", "mean_over_actions", "median_over_cameras"):
            assert written[name][part] == pytest.approx(expected[part], rel=1e-4)


def test_training_instants_are_those_of_the_real_cameras(whole_examples):
    seen, _ = scores.training_instants([whole_examples["examples"]])
    # Four cameras and a virtual one, which saw every instant.
    assert seen.confidence.shape == (8, 5, 17)
    assert seen.confidence[:, :4].any(axis=(0, 2)).all()
    assert not seen.confidence[:, 4].any()


def test_of_many_training_instants_every_so_many_are_looked_at(whole_examples, monkeypatch):
    everything, _ = scores.training_instants([whole_examples["examples"]])
    monkeypatch.setattr(scores, "MAX_INSTANTS", 3)
    some, _ = scores.training_instants([whole_examples["examples"]])
    np.testing.assert_array_equal(some.keypoints_2d, everything.keypoints_2d[::3])


def test_what_sees_without_error_triangulates_without_error(figures):
    written = scores.read_baselines(figures)
    overall = written["triangulation"]["overall"]
    assert overall["mpjpe_mm"] < 1
    assert overall["coverage"] == 100
    assert written["constant_pose"]["overall"]["mpjpe_mm"] > 50


def test_a_single_test_camera_is_compared_with_what_it_can_see_alone(whole_examples, tmp_path):
    test = studio_examples.of_camera(
        whole_examples["test_examples"], "test", "camera_1", tmp_path / "alone"
    )
    artifact = components_scores.BaselineFigures()
    artifact.uri = str(tmp_path)
    given = studio_examples.lists(whole_examples | {"test_examples": test})
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
    artifact = standard_artifacts.Examples()
    artifact.uri = str(tmp_path)
    (pattern,) = scores.patterns([artifact], "test")
    matched = pathlib.Path("/").glob(pattern[1:])
    assert {path.name for path in matched} == {"a.gz", "b.gz"}


# Of 24 frames: one is missing, which is filled, and later more than are filled.
FRAMES = [0, 1, 2, 3, 4, 6, 7, 20, 21, 22, 23]


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Test views of four cameras, in no order; gives their file."""
    clip = tiny_studio.film_exactly()
    split = preparation.BySubject(test_subjects=(clip.subject,))
    columns = preparation.prepare(clip, split, configs.DataConfig()).test_views
    kept = np.flatnonzero(np.isin(columns["frame"], FRAMES))
    kept = np.random.default_rng(0).permutation(kept)
    columns = {name: values[kept] for name, values in columns.items()}
    return tiny_studio.write(tmp_path_factory.mktemp("records") / "test.gz", columns)


@pytest.mark.parametrize(("is_causal", "frame_step"), [(False, 1), (True, 2)])
def test_views_are_lifted_from_the_windows_that_training_would_see(
    records, tmp_path, is_causal, frame_step
):
    lifter = temporal_networks.save(tmp_path, is_causal=is_causal, frame_step=frame_step)
    test = baselines.read_test_views(records)
    _, track = np.unique(test.camera, return_inverse=True)
    view = tf.nest.map_structure(tf.constant, test.view)
    laid, cell = views.lay(view, track, test.frame, step=frame_step)
    pose, root_position = lifter.lift(
        views.window(laid, cell, views.offsets(9, is_causal=is_causal))
    )
    assert len(test.frame) == 4 * len(FRAMES)
    lifted = scores.lift_views(inference.load_model(tmp_path), test)
    np.testing.assert_allclose(lifted.root_relative_pose, pose, atol=1e-4)
    np.testing.assert_allclose(lifted.root_position, root_position, atol=1e-4)
    moved = lifted.root_relative_pose + lifted.root_position[:, np.newaxis]
    np.testing.assert_array_equal(lifted.pose_camera, moved)
    # The frames around a view have a say in its pose.
    alone = scores.lift_views(
        inference.load_model(tmp_path), test._replace(clip=np.arange(len(test.frame)).astype(str))
    )
    assert np.abs(alone.root_relative_pose - lifted.root_relative_pose).max() > 1e-3


def test_a_model_of_single_frames_lifts_each_view_alone(records, model_folder):
    model, test = inference.load_model(model_folder), baselines.read_test_views(records)
    lifted = scores.lift_views(model, test)
    expected = model.lift(test.view.keypoints_2d, test.view.confidence, test.view.camera)
    np.testing.assert_array_equal(lifted.pose_camera, expected.pose_camera)


def test_the_model_is_left_as_it_was(records, tmp_path):
    temporal_networks.save(tmp_path, frame_step=3)
    model = inference.load_model(tmp_path)
    scores.lift_views(model, baselines.read_test_views(records))
    assert model.frame_step == 3
