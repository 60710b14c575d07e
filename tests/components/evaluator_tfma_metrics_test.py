import apache_beam as beam
import numpy as np
import pytest
import tensorflow_model_analysis as tfma
from apache_beam.testing import util

from components import evaluator
from keras_mvlift.metrics import pose_error

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
        for metric_class in evaluator.CLASSES.values()
        for computation in metric_class().computations()
        if isinstance(computation, tfma.metrics.MetricComputation)
    ]
    assert len(computations) == len(pose_error.FIGURE_NAMES)
    assert len(set(computations)) == 1


def test_two_models_do_not_share_a_computation():
    computations = evaluator.MPJPE().computations(model_names=["candidate", "baseline"])
    keys = [computation.keys[0].model_name for computation in computations]
    assert len(set(computations)) == 4
    assert keys == ["candidate", "candidate", "baseline", "baseline"]


def test_each_number_has_its_metric():
    assert tuple(evaluator.CLASSES) == pose_error.FIGURE_NAMES
    assert [metric_class().name for metric_class in evaluator.CLASSES.values()] == [
        *pose_error.FIGURE_NAMES
    ]


@pytest.mark.parametrize("metric_class", evaluator.CLASSES.values())
def test_metrics_survive_their_config(metric_class):
    metric = metric_class(name="mine")
    assert type(metric).from_config(metric.get_config()).name == "mine"


def measured(poses, splits):
    sums = [evaluator.PoseSums() for _ in splits]
    combiner = evaluator.MPJPE().computations()[0].combiner
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
    combiner = evaluator.MPJPE().computations()[0].combiner
    accumulator = combiner.create_accumulator()
    seen = []
    for example in extracts(*random_poses(5), [[OVERALL]]):
        combiner.add_input(accumulator, tfma.metrics.StandardMetricInputs(example))
        seen.append((accumulator.num_poses, len(accumulator.waiting)))
    assert seen == [(0, 1), (0, 2), (0, 3), (4, 0), (4, 1)]
    assert combiner.compact(accumulator).num_poses == 5


@pytest.mark.parametrize(("num_label", "num_prediction"), [(51, 48), (50, 50), (0, 0)])
def test_what_is_no_pose_is_refused(num_label, num_prediction):
    combiner = evaluator.MPJPE().computations()[0].combiner
    element = tfma.metrics.StandardMetricInputs(
        {
            tfma.LABELS_KEY: np.zeros(num_label, np.float32),
            tfma.PREDICTIONS_KEY: np.zeros(num_prediction, np.float32),
        }
    )
    with pytest.raises(ValueError, match=f"Received: {num_label} and {num_prediction}"):
        combiner.add_input(combiner.create_accumulator(), element)
