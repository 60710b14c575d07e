import dataclasses
import json
import pathlib
import types

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from apache_beam.testing import util
from google.protobuf import json_format
from tfx.components.evaluator import executor
from tfx.types import channel, standard_artifacts

from components import evaluator, report, trainers
from components import scores as components_scores
from components.example_gen import executor as example_gen
from keras_mvlift import configs, inference, skeletons
from keras_mvlift.metrics import baselines as measures
from keras_mvlift.metrics import held_out_views, pose_error
from keras_mvlift.visualization import pictures
from tests import temporal_networks
from tests.components import judged_examples, studio_examples

SCORES = dict.fromkeys(held_out_views.SCORE_NAMES, 0.1) | {"mean_px": 9.0, "median_mm": 40.0}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    root = tmp_path_factory.mktemp("scene")
    pose = np.random.default_rng(0).normal(size=(6, skeletons.H36M_17.num_joints, 3))
    scores = components_scores.HeldOutFigures()
    scores.uri = str(root)
    pathlib.Path(scores.uri, components_scores.SCORES).write_text(json.dumps(SCORES))
    compared = components_scores.BaselineFigures()
    compared.uri = str(root / "baselines")
    pathlib.Path(compared.uri).mkdir()
    return {
        evaluator.BASELINES: [compared],
        "examples": [judged_examples.write(root / "examples", pose.astype(np.float32))],
        "model": [save_model(root / "model", 1.0)],
        evaluator.HELD_OUT: [scores],
    }


def judge(scene, root, bounds, constant_pose_mm=1.0):
    (compared,) = scene[evaluator.BASELINES]
    figures = {components_scores.CONSTANT_POSE: {"overall": {"mpjpe_mm": constant_pose_mm}}}
    pathlib.Path(compared.uri, components_scores.BASELINES).write_text(json.dumps(figures))
    outputs = evaluator_outputs(root)
    properties = {
        "eval_config": json_format.MessageToJson(evaluator.eval_config(bounds)),
        "example_splits": "null",
        evaluator.BOUNDS: json.dumps(
            {name: value for name, value in bounds.items() if name in components_scores.NAMES}
        ),
    }
    evaluator.Executor().Do(scene, outputs, properties)
    (blessing,) = outputs["blessing"]
    return blessing.get_int_custom_property("blessed"), [
        path.name for path in pathlib.Path(blessing.uri).iterdir()
    ]


NUM_EXAMPLES, NUM_JOINTS = 24, judged_examples.NUM_JOINTS


@pytest.fixture(scope="module")
def references():
    random = np.random.default_rng(0)
    pose = random.normal(scale=0.3, size=(NUM_EXAMPLES, NUM_JOINTS, 3)).astype(np.float32)
    # The model below knows no depth: those who sit, each third, have the most of it.
    pose[1::3, :, 2] *= 4
    return pose - pose[:, :1]


def predict(references, scale):
    """What the model below answers to the keypoints of `references`."""
    return references * np.array([scale, scale, 0], np.float32)


class FlatLifter(tf.Module):
    """Takes the keypoints for x and y, and 0 for the depth."""

    def __init__(self, scale):
        super().__init__()
        self.scale = tf.Variable(scale, dtype=tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples):
        keypoints = tf.io.FixedLenFeature([NUM_JOINTS, 2], tf.float32)
        keypoints = tf.io.parse_example(examples, {"keypoints_2d": keypoints})["keypoints_2d"]
        pose = tf.pad(self.scale * keypoints, [[0, 0], [0, 0], [0, 1]])
        return {"root_relative_pose": tf.reshape(pose, [-1, NUM_JOINTS * 3])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve_with_root(self, examples):
        outputs = self.serve(examples)
        return {**outputs, "root_position": 0 * outputs["root_relative_pose"][:, :3]}


def save_model(root, scale, with_root=False):
    artifact = standard_artifacts.Model()
    artifact.uri = str(root)
    model = FlatLifter(scale)
    serve = model.serve_with_root if with_root else model.serve
    path = str(root / "Format-Serving")
    tf.saved_model.save(model, path, signatures={"serving_examples": serve})
    return artifact


@pytest.fixture(scope="module")
def models(tmp_path_factory, references):
    root = tmp_path_factory.mktemp("scene")
    return {
        "examples": judged_examples.write(root / "examples", references),
        "no_examples": judged_examples.write(root / "no_examples", references[:0]),
        "good": save_model(root / "good", 1.0),
        "bad": save_model(root / "bad", 0.5, with_root=True),
    }


def evaluator_outputs(root):
    outputs = {
        "evaluation": [standard_artifacts.ModelEvaluation()],
        "blessing": [standard_artifacts.ModelBlessing()],
    }
    for key, (artifact,) in outputs.items():
        artifact.uri = str(root / key)
    return outputs


def run_evaluator(config, root, examples, model, baseline=None):
    """Runs what TFX's Evaluator runs; gives the evaluation's folder and if it blessed."""
    inputs = {"examples": [examples], "model": [model]}
    if baseline:
        inputs["baseline_model"] = [baseline]
    outputs = evaluator_outputs(root)
    properties = {"eval_config": json_format.MessageToJson(config), "example_splits": "null"}
    executor.Executor().Do(inputs, outputs, properties)
    blessed = outputs["blessing"][0].get_int_custom_property("blessed") == 1
    return outputs["evaluation"][0].uri, blessed


def reasons(uri):
    return evaluator.why(tfma.load_validation_result(uri))


@pytest.fixture(scope="module")
def first_run(models, tmp_path_factory, references):
    """A good model that nothing was blessed before, held to its own overall numbers."""
    own = pose_error.summary(references, predict(references, 1.0))
    bounds = {name: value + 0.001 for name, value in own.items() if name in pose_error.ERROR_NAMES}
    bounds |= {name: value - 0.001 for name, value in own.items() if name in pose_error.SHARE_NAMES}
    config = evaluator.eval_config(bounds, worsening={"mpjpe_mm": 0.0})
    root = tmp_path_factory.mktemp("first_run")
    return run_evaluator(config, root, models["examples"], models["good"])


@pytest.fixture(scope="module")
def second_run(models, tmp_path_factory):
    """A bad model after a good one."""
    config = evaluator.eval_config(
        bounds={"mpjpe_mm": 100.0, "auc": 99.0},
        worsening={"mpjpe_mm": 0.01, "n_mpjpe_mm": 0.01, "pck_150": 0.01},
    )
    root = tmp_path_factory.mktemp("second_run")
    return run_evaluator(config, root, models["examples"], models["bad"], models["good"])


def numbers(references, predictions):
    return {**pose_error.summary(references, predictions), "num_examples": len(references)}


@pytest.fixture(scope="module")
def judged(scene, tmp_path_factory):
    """The folder and the end of a model's evaluation that is bound without labels alone."""
    root = tmp_path_factory.mktemp("judged")
    return root, judge(scene, root, {"held_out_median_mm": 41.0})


def test_a_bound_without_labels_is_enough_to_be_blessed(judged):
    assert judged[1] == (1, ["BLESSED"])


def test_a_model_that_only_misses_the_bound_without_labels_is_not_blessed(scene, tmp_path):
    bounds = {"held_out_median_mm": 39.0, "mpjpe_mm": 1e9}
    assert judge(scene, tmp_path, bounds) == (0, ["NOT_BLESSED"])
    # TFMA saw nothing wrong with it.
    assert tfma.load_validation_result(str(tmp_path / "evaluation")).validation_ok


def test_a_model_that_misses_a_bound_of_tfma_stays_unblessed(scene, tmp_path):
    bounds = {"held_out_median_mm": 41.0, "mpjpe_mm": 1.0}
    assert judge(scene, tmp_path, bounds) == (0, ["NOT_BLESSED"])


def test_a_model_is_held_to_a_share_of_what_needs_no_network(scene, judged, tmp_path):
    mpjpe = evaluator.read(str(judged[0] / "evaluation"))["overall"]["mpjpe_mm"]
    bounds = {"constant_pose_ratio": 0.9}
    assert judge(scene, tmp_path / "worse", bounds, mpjpe / 0.91) == (0, ["NOT_BLESSED"])
    assert judge(scene, tmp_path / "better", bounds, mpjpe / 0.89) == (1, ["BLESSED"])


def test_the_component_takes_what_tfxs_takes_the_scores_and_baselines():
    kinds = {
        "examples": standard_artifacts.Examples,
        "model": standard_artifacts.Model,
        "baseline_model": standard_artifacts.Model,
        "held_out": components_scores.HeldOutFigures,
        "baselines": components_scores.BaselineFigures,
    }
    made = evaluator.Evaluator(
        **{name: channel.Channel(type=kind) for name, kind in kinds.items()},
        example_splits=["test"],
        eval_config=evaluator.eval_config({"mpjpe_mm": 1.0}),
        further_bounds={"held_out_mean_px": 3.0},
        module_path="somewhere",
    )
    assert set(made.inputs) == set(kinds)
    assert set(made.outputs) == {"evaluation", "blessing"}
    assert made.exec_properties["further_bounds"] == '{"held_out_mean_px": 3.0}'
    assert made.exec_properties["module_path"] == "somewhere"
    assert made.id == "Evaluator"


def test_overall_numbers_equal_the_librarys(first_run, references):
    overall = evaluator.read(first_run[0])["overall"]
    assert overall == pytest.approx(numbers(references, predict(references, 1.0)), rel=1e-5)
    assert type(overall["num_examples"]) is int


@pytest.mark.parametrize(
    ("slices", "names"),
    [("per_action", judged_examples.ACTIONS), ("per_camera", judged_examples.CAMERAS)],
)
def test_slices_equal_the_librarys_numbers_on_their_examples(first_run, references, slices, names):
    report = evaluator.read(first_run[0])
    assert set(report) == {"overall", "per_action", "per_camera"}
    assert list(report[slices]) == sorted(names)
    for start, name in enumerate(names):
        part = references[start :: len(names)]
        assert report[slices][name] == pytest.approx(numbers(part, predict(part, 1.0)), rel=1e-5)


def test_a_first_model_within_its_bounds_is_blessed(first_run):
    uri, blessed = first_run
    assert blessed
    assert reasons(uri) == []


def test_bounds_do_not_hold_single_slices(first_run):
    # The bound is the overall error; whoever sits is worse than that.
    uri, blessed = first_run
    report = evaluator.read(uri)
    assert report["per_action"]["sitting"]["mpjpe_mm"] > report["overall"]["mpjpe_mm"] + 1
    assert blessed


def test_of_two_models_the_candidate_is_read(second_run, references):
    overall = evaluator.read(second_run[0])["overall"]
    assert overall == pytest.approx(numbers(references, predict(references, 0.5)), rel=1e-5)


def test_a_model_worse_than_bounds_and_baseline_is_not_blessed_and_told_why(second_run, references):
    uri, blessed = second_run
    good = pose_error.summary(references, predict(references, 1.0))
    bad = pose_error.summary(references, predict(references, 0.5))
    change = {name: f"{bad[name] - good[name]:+g}" for name in bad}
    assert not blessed
    # n_mpjpe does not mind the scale: it is within its 1 % and not among the reasons.
    assert sorted(reasons(uri)) == [
        f"auc {bad['auc']:g} is not at least 99.",
        f"mpjpe_mm {bad['mpjpe_mm']:g} is not at most 100.",
        f"mpjpe_mm changed by {change['mpjpe_mm']} from the baseline; allowed: +1%.",
        f"pck_150 changed by {change['pck_150']} from the baseline; allowed: -1%.",
    ]


def test_a_model_no_worse_than_the_baseline_is_blessed(models, tmp_path):
    worsening = {"mpjpe_mm": -0.001, "pck_150": -0.001}
    config = evaluator.eval_config(worsening=worsening)
    uri, blessed = run_evaluator(
        config, tmp_path, models["examples"], models["good"], models["bad"]
    )
    assert reasons(uri) == []
    assert blessed


def test_a_first_model_that_was_only_to_be_compared_is_blessed(models, tmp_path):
    config = evaluator.eval_config(worsening={"mpjpe_mm": 1.0, "auc": 1.0})
    uri, blessed = run_evaluator(config, tmp_path, models["examples"], models["bad"])
    assert reasons(uri) == []
    assert blessed


def test_without_an_example_nothing_is_blessed(models, tmp_path):
    config = evaluator.eval_config(bounds={"mpjpe_mm": 1e6})
    uri, blessed = run_evaluator(config, tmp_path, models["no_examples"], models["good"])
    assert not blessed
    assert reasons(uri) == ["No example was evaluated."]
    with pytest.raises(ValueError, match=r"`evaluation_uri` must hold .* at least one example"):
        evaluator.read(uri)


def test_without_a_threshold_there_is_no_blessing(models, tmp_path):
    uri, blessed = run_evaluator(
        evaluator.eval_config(), tmp_path, models["examples"], models["good"]
    )
    assert not blessed
    assert reasons(uri) == ["No threshold was set."]


@pytest.mark.parametrize("argument", ["bounds", "worsening"])
def test_unknown_metrics_are_refused(argument):
    with pytest.raises(ValueError, match=rf"`{argument}` must name metrics .*\['mpjpe'\]"):
        evaluator.eval_config(**{argument: {"mpjpe": 1.0}})


OVERALL, WALKING = (), (("action", "walking"),)


def random_poses(num_poses):
    random = np.random.default_rng(0)
    pose_true = random.normal(scale=0.3, size=(num_poses, 17, 3)).astype(np.float32)
    noise = random.normal(scale=0.1, size=pose_true.shape).astype(np.float32)
    return pose_true, pose_true + noise


def extracts(pose_true, pose_pred, slice_keys):
    """What TFMA holds of each example once the model has run and the slices are known."""
    return [
        {
            tfma.LABELS_KEY: label.ravel(),
            tfma.PREDICTIONS_KEY: prediction.ravel(),
            tfma.SLICE_KEY_TYPES_KEY: slice_keys[index % len(slice_keys)],
        }
        for index, (label, prediction) in enumerate(zip(pose_true, pose_pred, strict=True))
    ]


def evaluate(examples, config, check, what=tfma.METRICS_KEY):
    """Runs TFMA's evaluator; gives `check` the results, such as pairs of slice and numbers."""
    # Nothing was blessed before.
    del config.model_specs[1:]
    config.model_specs[0].name = ""
    evaluator = tfma.evaluators.MetricsPlotsAndValidationsEvaluator(config)
    with beam.Pipeline() as pipeline:
        results = pipeline | beam.Create(examples) | evaluator.ptransform
        util.assert_that(results[what], check)


def values(metrics):
    return {key.name: value for key, value in metrics.items()}


def test_metrics_equal_the_library_in_every_slice():
    poses = random_poses(30)

    def check(results):
        by_slice = {slice_key: values(metrics) for slice_key, metrics in results}
        assert set(by_slice) == {OVERALL, WALKING}
        expected = {**pose_error.summary(*poses), "example_count": 30}
        assert by_slice[OVERALL] == pytest.approx(expected, rel=1e-5)
        walking = pose_error.summary(*(pose[::3] for pose in poses))
        assert by_slice[WALKING] == pytest.approx({**walking, "example_count": 10}, rel=1e-5)

    slice_keys = [[OVERALL, WALKING], [OVERALL], [OVERALL]]
    evaluate(extracts(*poses, slice_keys), evaluator.eval_config(), check)


def test_labels_may_keep_the_shape_of_a_pose():
    poses = random_poses(4)
    examples = extracts(*poses, [[OVERALL]])
    for example, pose_true in zip(examples, poses[0], strict=True):
        example[tfma.LABELS_KEY] = pose_true

    def check(results):
        ((_, metrics),) = results
        expected = {**pose_error.summary(*poses), "example_count": 4}
        assert values(metrics) == pytest.approx(expected, rel=1e-5)

    evaluate(examples, evaluator.eval_config(), check)


@pytest.mark.parametrize("bound", [1e6, np.inf])
def test_a_pose_of_nan_blesses_nothing(bound):
    pose_true, pose_pred = random_poses(4)
    pose_pred[2, 3, 1] = np.nan

    def check(results):
        (validation,) = results
        assert not validation.validation_ok
        assert evaluator.why(validation) == [f"mpjpe_mm nan is not at most {bound:g}."]

    config = evaluator.eval_config(bounds={"mpjpe_mm": bound})
    examples = extracts(pose_true, pose_pred, [[OVERALL]])
    evaluate(examples, config, check, tfma.VALIDATIONS_KEY)


def test_all_metrics_share_one_computation():
    computations = [
        computation
        for name in pose_error.FIGURE_NAMES
        for computation in evaluator.PoseMetric(name).computations()
        if isinstance(computation, tfma.metrics.MetricComputation)
    ]
    assert len(computations) == len(pose_error.FIGURE_NAMES)
    assert len(set(computations)) == 1


def test_two_models_do_not_share_a_computation():
    computations = evaluator.PoseMetric("mpjpe_mm").computations(
        model_names=["candidate", "baseline"]
    )
    keys = [computation.keys[0].model_name for computation in computations]
    assert len(set(computations)) == 4
    assert keys == ["candidate", "candidate", "baseline", "baseline"]


@pytest.mark.parametrize("name", pose_error.FIGURE_NAMES)
def test_metrics_survive_their_config(name):
    metric = evaluator.PoseMetric(name)
    assert evaluator.PoseMetric.from_config(metric.get_config()).name == name


def measured(poses, splits):
    sums = [evaluator.PoseSums() for _ in splits]
    combiner = evaluator.PoseMetric("mpjpe_mm").computations()[0].combiner
    for accumulator, split in zip(sums, splits, strict=True):
        for example in extracts(*(pose[split] for pose in poses), [[OVERALL]]):
            combiner.add_input(accumulator, tfma.metrics.StandardMetricInputs(example))
    ((_, result),) = combiner.extract_output(combiner.merge_accumulators(sums)).items()
    return dict(zip(pose_error.FIGURE_NAMES, result.totals / result.num_poses, strict=True))


@pytest.mark.parametrize("batch_size", [1, 4, 1000])
def test_neither_batches_nor_shards_show_in_the_result(batch_size, monkeypatch):
    monkeypatch.setattr(evaluator, "_BATCH_SIZE", batch_size)
    poses = random_poses(10)
    splits = [slice(0, 7), slice(7, 10), slice(0, 0)]
    assert measured(poses, splits) == pytest.approx(pose_error.summary(*poses), rel=1e-5)


def test_poses_wait_for_a_batch_and_no_longer(monkeypatch):
    monkeypatch.setattr(evaluator, "_BATCH_SIZE", 4)
    combiner = evaluator.PoseMetric("mpjpe_mm").computations()[0].combiner
    accumulator = combiner.create_accumulator()
    seen = []
    for example in extracts(*random_poses(5), [[OVERALL]]):
        combiner.add_input(accumulator, tfma.metrics.StandardMetricInputs(example))
        seen.append((accumulator.num_poses, len(accumulator.waiting)))
    assert seen == [(0, 1), (0, 2), (0, 3), (4, 0), (4, 1)]
    assert combiner.compact(accumulator).num_poses == 5


@pytest.mark.parametrize(("num_label", "num_prediction"), [(51, 48), (50, 50), (0, 0)])
def test_what_is_no_pose_is_refused(num_label, num_prediction):
    combiner = evaluator.PoseMetric("mpjpe_mm").computations()[0].combiner
    element = tfma.metrics.StandardMetricInputs(
        {
            tfma.LABELS_KEY: np.zeros(num_label, np.float32),
            tfma.PREDICTIONS_KEY: np.zeros(num_prediction, np.float32),
        }
    )
    with pytest.raises(ValueError, match=f"Received: {num_label} and {num_prediction}"):
        combiner.add_input(combiner.create_accumulator(), element)


SINGLE = configs.ModelConfig(backbone="res_linear", layers_per_block=1, width=16)
STAGES = {
    "temporal": configs.FinetuneConfig(num_epochs=1, batch_size=32),
    # Trains nothing.
    "single": configs.PretrainConfig(num_epochs=0, batch_size=32),
}


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    config = dataclasses.replace(studio_examples.config(num_frames=12), num_virtual_views=0)
    return studio_examples.generate(tmp_path_factory.mktemp("studio"), config)


@pytest.fixture(scope="module")
def models_predictions(examples, tmp_path_factory):
    """A trained temporal model and one of single frames, as TFX's Trainer writes them."""
    made = {}
    for name, config in (("temporal", temporal_networks.CONFIG), ("single", SINGLE)):
        artifact = standard_artifacts.Model()
        artifact.uri = str(tmp_path_factory.mktemp(name))
        stage = STAGES[name]
        trainers.run_fn(
            types.SimpleNamespace(
                custom_config=trainers.custom_config(
                    config, stage, f"{artifact.uri}/checkpoints", "abc"
                ),
                train_files=[f"{example_gen.split_folder(examples['examples'].uri, 'train')}/*"],
                eval_files=[f"{example_gen.split_folder(examples['examples'].uri, 'eval')}/*"],
                base_model=None,
                serving_model_dir=f"{artifact.uri}/Format-Serving",
                model_run_dir=f"{artifact.uri}/run",
            )
        )
        made[name] = artifact
    return made


def judge_predictions(root, examples, model, baseline=None):
    """Runs the Evaluator as the pipeline does; gives its folder and whether it blessed."""
    outputs = {
        "evaluation": [standard_artifacts.ModelEvaluation()],
        "blessing": [standard_artifacts.ModelBlessing()],
    }
    for name, (artifact,) in outputs.items():
        artifact.uri = str(root / name)
        (root / name).mkdir()
    inputs = {"examples": [examples["test_examples"]], "model": [model]}
    config = evaluator.eval_config({"mpjpe_mm": 1e6}, {"mpjpe_mm": 1e6})
    executor.Executor().Do(
        inputs | ({"baseline_model": [baseline]} if baseline else {}),
        outputs,
        {
            "eval_config": json_format.MessageToJson(config),
            "example_splits": '["test"]',
            "module_path": evaluator.EXTRACTORS_MODULE,
        },
    )
    (blessing,) = outputs["blessing"]
    return outputs["evaluation"][0].uri, bool(blessing.get_int_custom_property("blessed"))


def expected(examples, model):
    """Measures a model past the Evaluator."""
    test = measures.read_test_views(components_scores.patterns([examples["test_examples"]], "test"))
    lifter = inference.load_model(f"{model.uri}/Format-Serving")
    lifted = components_scores.lift_views(lifter, test)
    return lifter, test, pose_error.summary(test.reference_pose, lifted.root_relative_pose)


@pytest.mark.parametrize(
    ("candidate", "baseline"),
    [("temporal", None), ("single", "temporal")],
)
def test_each_model_is_judged_by_what_it_lifts_as_it_sees(
    examples, models_predictions, tmp_path, candidate, baseline
):
    uri, is_blessed = judge_predictions(
        tmp_path, examples, models_predictions[candidate], baseline and models_predictions[baseline]
    )
    assert is_blessed
    found = evaluator.read(uri)
    lifter, test, figures = expected(examples, models_predictions[candidate])
    assert isinstance(lifter, inference.ClipLifter) == (candidate == "temporal")
    assert found["overall"]["num_examples"] == len(test.frame)
    for name in pose_error.FIGURE_NAMES:
        assert found["overall"][name] == pytest.approx(figures[name], rel=1e-4)
    assert set(found["per_camera"]) == set(test.camera)
    assert set(found["per_action"]) == set(test.action)


def test_the_report_draws_what_a_temporal_model_lifts(
    examples, models_predictions, tmp_path, monkeypatch
):
    drawn = []
    monkeypatch.setattr(pictures, "lifted_poses", lambda path, rows, note: drawn.extend(rows))
    lifter, test, _ = expected(examples, models_predictions["temporal"])
    report.draw(tmp_path / "picture.png", lifter, test)
    poses = components_scores.lift_views(lifter, test).root_relative_pose
    assert all((row.pose_pred == poses).all(axis=(1, 2)).any() for row in drawn)
    assert drawn
