import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.training import objectives
from tests import random_scenes, tiny_studio

NUM_PAIRS = 3


@pytest.fixture(scope="module")
def pair():
    return tiny_studio.random_pair(num_pairs=NUM_PAIRS)


@pytest.fixture(scope="module")
def poses():
    rng = np.random.default_rng(1)
    low, high = (-1.0, -1.0, 4.0), (1.0, 1.0, 6.0)
    return tuple(tf.constant(rng.uniform(low, high, (NUM_PAIRS, 17, 3)), tf.float32) for _ in "12")


def norm(vectors):
    return np.sqrt(np.sum(np.square(vectors), axis=-1))


def squared_norm(vectors):
    return np.sum(np.square(vectors), axis=-1)


def moved(pose, source, target):
    """Out of one camera into the other, by way of the world."""
    world = np.array([source.rotation.T @ point + source.center for point in pose])
    return random_scenes.move(world, target)


def both_ways(poses, pair, index):
    """Of one pair: the pose and view lifted from, the pose and view compared with, twice."""
    one = tf.nest.map_structure(
        lambda value: value[index].numpy(), list(zip(poses, pair, strict=True))
    )
    return (*one[0], *one[1]), (*one[1], *one[0])


def slow(poses, pair, distance=norm, weight=lambda source, target: source):
    """Eqs. (2) and (5), a pair at a time."""
    totals = np.zeros((2, NUM_PAIRS))
    for index in range(NUM_PAIRS):
        for pose, own, _, other in both_ways(poses, pair, index):
            error = own.keypoints_2d - random_scenes.project(pose, own.camera)
            totals[0, index] += np.sum(own.confidence * distance(error))
            across = random_scenes.project(moved(pose, own.camera, other.camera), other.camera)
            weights = weight(own.confidence, other.confidence)
            totals[1, index] += np.sum(weights * distance(other.keypoints_2d - across))
    return totals


def test_the_fine_tuning_objective_is_eq_2_and_lambda_times_eq_5(poses, pair):
    losses = objectives.TransformReprojection(transform_weight=0.3)(poses, pair)
    reprojection, transform_reprojection = slow(poses, pair)
    np.testing.assert_allclose(losses["reprojection"], reprojection, rtol=1e-4)
    np.testing.assert_allclose(
        losses["transform_reprojection"], 0.3 * transform_reprojection, rtol=1e-4
    )


def test_the_default_is_the_paper_as_printed():
    paper = {"transform_weight": 1.0, "confidence_weighting": "source", "distance": "norm"}
    assert objectives.TransformReprojection() == objectives.TransformReprojection(**paper)


@pytest.mark.parametrize(
    ("confidence_weighting", "weight"),
    [
        ("target", lambda source, target: target),
        ("product", lambda source, target: source * target),
        ("none", lambda source, target: 1.0),
    ],
)
def test_the_weighting_is_chosen_by_name(poses, pair, confidence_weighting, weight):
    chosen = objectives.TransformReprojection(confidence_weighting=confidence_weighting)
    _, expected = slow(poses, pair, weight=weight)
    np.testing.assert_allclose(chosen(poses, pair)["transform_reprojection"], expected, rtol=1e-4)


def test_the_distance_is_chosen_by_name_for_both_parts(poses, pair):
    chosen = objectives.TransformReprojection(distance="squared_norm")
    result = list(chosen(poses, pair).values())
    np.testing.assert_allclose(result, slow(poses, pair, distance=squared_norm), rtol=1e-4)


def test_the_pretraining_objective_is_eq_6(poses, pair):
    expected = np.zeros(NUM_PAIRS)
    for index in range(NUM_PAIRS):
        for pose, own, pose_other, other in both_ways(poses, pair, index):
            expected[index] += np.sum(norm(moved(pose, own.camera, other.camera) - pose_other))
    losses = objectives.Consistency()(poses, pair)
    np.testing.assert_allclose(losses["consistency"], expected, rtol=1e-4)


@pytest.mark.parametrize(
    "objective",
    [objectives.Consistency(), objectives.TransformReprojection()],
    ids=lambda x: x.parts,
)
def test_an_objective_gives_the_parts_that_it_names_one_number_per_pair(objective, poses, pair):
    losses = objective(poses, pair)
    assert tuple(losses) == objective.parts
    assert {tuple(loss.shape) for loss in losses.values()} == {(NUM_PAIRS,)}


@pytest.mark.parametrize("weighting", configs.CONFIDENCE_WEIGHTINGS)
@pytest.mark.parametrize("distance", configs.DISTANCES)
def test_every_choice_that_a_config_may_name_exists(poses, pair, weighting, distance):
    chosen = objectives.TransformReprojection(confidence_weighting=weighting, distance=distance)
    assert np.isfinite(list(chosen(poses, pair).values())).all()
