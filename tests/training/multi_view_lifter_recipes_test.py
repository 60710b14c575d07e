import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import configs
from keras_mvlift.networks import residual
from keras_mvlift.training import multi_view_lifter, objectives
from tests import tiny_studio

ROOT_ERROR = np.array([0.3, 0.0, 0.4], np.float32)


@pytest.fixture(scope="module")
def clip():
    return tiny_studio.film_exactly()


@pytest.fixture(scope="module")
def columns(clip):
    return tiny_studio.prepare(clip).train_pairs


@pytest.fixture(scope="module")
def pair(columns):
    return tiny_studio.pair(columns)


@pytest.fixture(scope="module")
def truth(clip, columns):
    return tuple(tiny_studio.pose_camera(clip, columns, side) for side in ("source", "target"))


def take_apart(pose, root_error=0.0):
    """What networks say that know the pose, and the root but for an error."""
    root = pose[:, 0]
    return objectives.Lifted(
        tf.constant(pose - root[:, np.newaxis]), tf.constant(root + root_error)
    )


def concatenated(sides):
    return tf.nest.map_structure(lambda *fields: tf.concat(fields, axis=0), *sides)


def joined(recipe, lifted, pair):
    """Joins what was lifted from both views, as a step on pairs does: poses and root losses."""
    own, other = concatenated(pair), concatenated(pair.swapped)
    seen = tf.nest.map_structure(lambda *fields: tf.stack(fields, axis=1), own, other)
    result = multi_view_lifter.RECIPES[recipe].join(concatenated(lifted), own, seen)
    return tf.split(result.pose_camera, 2), tf.split(result.root_loss, 2)


def join(recipe, poses, pair, root_error=0.0):
    return joined(recipe, [take_apart(pose, root_error) for pose in poses], pair)


def test_each_recipe_that_a_config_may_name_exists():
    assert tuple(multi_view_lifter.RECIPES) == configs.RECIPES


def test_only_a_solved_root_pins_the_root_joint():
    frees = {name: recipe.has_free_root for name, recipe in multi_view_lifter.RECIPES.items()}
    assert frees == {"paper": True, "ray_root": True, "solved_root": False}


def test_only_the_papers_root_is_unbounded():
    heads = {name: recipe.root_head(4.0) for name, recipe in multi_view_lifter.RECIPES.items()}
    assert type(heads.pop("paper")) is residual.LinearRoot
    assert {type(head) for head in heads.values()} == {residual.RayRoot}
    assert {head.rig_distance for head in heads.values()} == {4.0}


@pytest.mark.parametrize("recipe", ["paper", "ray_root"])
def test_a_predicted_root_is_added_to_each_joint_and_has_no_loss_of_its_own(recipe, truth, pair):
    poses, root_losses = join(recipe, truth, pair, ROOT_ERROR)
    for pose, expected in zip(poses, truth, strict=True):
        np.testing.assert_allclose(pose, expected + ROOT_ERROR, atol=1e-6)
    np.testing.assert_array_equal(root_losses, np.zeros((2, len(truth[0]))))


def test_a_true_pose_gets_its_true_root_whatever_root_is_predicted(truth, pair):
    poses, _ = join("solved_root", truth, pair, ROOT_ERROR)
    for pose, expected in zip(poses, truth, strict=True):
        np.testing.assert_allclose(pose, expected, atol=1e-4)


def test_a_true_pose_with_its_solved_root_has_no_reprojection_error(truth, pair):
    poses, _ = join("solved_root", truth, pair, ROOT_ERROR)
    losses = objectives.TransformReprojection()(poses, pair)
    # Pixels, summed over 34 joints in single precision.
    assert np.max(list(losses.values())) < 0.5
    wrong = objectives.TransformReprojection()(join("paper", truth, pair, ROOT_ERROR)[0], pair)
    assert np.min(list(wrong.values())) > 100


@pytest.mark.parametrize(
    ("root_error", "expected"),
    # Each of two views is off by the same: 0.5 m, nothing, and farther than the ten that count.
    [(ROOT_ERROR, 0.5), (0.0, 0.0), (1000 * ROOT_ERROR, 10.0)],
)
def test_the_root_loss_is_the_distance_to_the_solved_root_up_to_ten_meters(
    truth, pair, root_error, expected
):
    _, root_losses = join("solved_root", truth, pair, root_error)
    np.testing.assert_allclose(root_losses, np.full((2, len(truth[0])), expected), atol=1e-3)


def misplace(pair, confidence):
    """Moves a joint of the target far away, where the detector sees it as surely as told."""
    keypoints_2d, seen = pair.target.keypoints_2d.numpy(), pair.target.confidence.numpy()
    keypoints_2d[:, 5] += 300.0
    seen[:, 5] = confidence
    fields = {"keypoints_2d": tf.constant(keypoints_2d), "confidence": tf.constant(seen)}
    return pair._replace(target=pair.target._replace(**fields))


def test_a_joint_moves_the_solved_root_by_as_much_as_the_detector_is_sure_of_it(truth, pair):
    errors = []
    for confidence in (0.0, 0.1, 1.0):
        poses, _ = join("solved_root", truth, misplace(pair, confidence))
        errors.append(np.linalg.norm(np.subtract(poses, truth)[:, :, 0], axis=-1).mean())
    assert errors[0] < 1e-4
    assert 1e-4 < errors[1] < 0.1 * errors[2]


@pytest.mark.parametrize("recipe", configs.RECIPES)
def test_exchanging_the_views_exchanges_the_poses(recipe, truth, pair):
    # Poses that are not true, so that each view's solve has something to weigh.
    bent = [pose * np.array([1.0, 0.9, 1.1], np.float32) for pose in truth]
    there = join(recipe, bent, pair, ROOT_ERROR)
    back = join(recipe, bent[::-1], pair.swapped, ROOT_ERROR)
    for here, other in zip(there, back, strict=True):
        np.testing.assert_allclose(here, other[::-1], atol=1e-5)


def gradients(recipe, truth, pair, of):
    """The gradients, by pose and root of both views, of `of(poses, root_losses)`."""
    networks = [take_apart(1.1 * pose, ROOT_ERROR) for pose in truth]
    with tf.GradientTape() as tape:
        tape.watch(networks)
        value = of(*joined(recipe, networks, pair))
    return tape.gradient(value, networks)


def poses_loss(pair):
    objective = objectives.TransformReprojection()
    return lambda poses, _: tf.add_n(list(objective(poses, pair).values()))


@pytest.mark.parametrize("recipe", ["paper", "ray_root"])
def test_the_poses_loss_teaches_the_predicted_roots(recipe, truth, pair):
    for of_pose, of_root in gradients(recipe, truth, pair, poses_loss(pair)):
        assert np.abs(of_pose).max() > 0
        assert np.abs(of_root).min(axis=0).max() > 0


def test_the_poses_loss_teaches_no_root_where_roots_are_solved(truth, pair):
    for of_pose, of_root in gradients("solved_root", truth, pair, poses_loss(pair)):
        assert np.abs(of_pose).max() > 0
        assert of_root is None


def test_the_root_loss_teaches_the_root_alone_where_roots_are_solved(truth, pair):
    for of_pose, of_root in gradients("solved_root", truth, pair, lambda _, losses: losses):
        assert of_pose is None
        # The gradient of a distance is a direction.
        np.testing.assert_allclose(np.linalg.norm(of_root, axis=-1), 1.0, rtol=1e-5)
