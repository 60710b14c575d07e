import hypothesis
import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift.geometry import cameras, triangulation
from tests import random_scenes

BATCHES = [(), (1,), (2, 3), (0,)]
seeds = hypothesis.strategies.integers(0, 2**32 - 1)
few_examples = hypothesis.settings(max_examples=15, deadline=None)


def seen(rng, *batch, num_views=4, num_joints=17):
    """Points `[*batch, J, 3]`, the rig `[*batch, V]` and the keypoints that it sees."""
    points = random_scenes.points(rng, *batch, num_joints)
    camera = random_scenes.camera(rng, *batch, num_views)
    keypoints_2d = np.zeros((*batch, num_views, num_joints, 2))
    for index in np.ndindex(*batch, num_views):
        single = random_scenes.one(camera, index)
        in_view = random_scenes.move(points[index[:-1]], single)
        keypoints_2d[index] = random_scenes.project(in_view, single)
    return points, camera, keypoints_2d


@random_scenes.ARRAYS
def test_triangulate_golden(array):
    # Both cameras look along z, 1 m apart. (1/2, 1, 2) is at rays (1/4, 1/2) and (-1/4, 1/2).
    axes = np.tile(np.eye(3), (2, 1, 1))
    camera = cameras.Camera(axes, axes, np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    keypoints_2d = np.array([[[0.25, 0.5]], [[-0.25, 0.5]]])
    points, is_seen = triangulation.triangulate(array(keypoints_2d), np.ones((2, 1)), camera)
    np.testing.assert_allclose(points, [[0.5, 1, 2]], atol=1e-5)
    assert np.asarray(is_seen).tolist() == [True]


@few_examples
@hypothesis.given(seed=seeds, num_views=hypothesis.strategies.integers(2, 6))
def test_noise_free_points_are_found_whatever_the_weights(seed, num_views):
    rng = np.random.default_rng(seed)
    points, camera, keypoints_2d = seen(rng, num_views=num_views)
    # Where all rays of a joint are almost parallel, it is anywhere along them.
    rays = points - camera.center[:, np.newaxis]
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    hypothesis.assume(np.linalg.norm(np.cross(rays[0], rays[1]), axis=-1).min() > 0.3)
    weights = rng.uniform(0.5, 1.0, (num_views, 17))
    found, is_seen = triangulation.triangulate(keypoints_2d, weights, camera)
    np.testing.assert_allclose(found, points, atol=1e-4)
    assert is_seen.all()


def test_views_of_zero_weight_do_not_count():
    rng = np.random.default_rng(0)
    points, camera, keypoints_2d = seen(rng)
    weights = np.ones((4, 17))
    for joint in range(17):
        weights[joint % 4, joint] = 0.0
        keypoints_2d[joint % 4, joint] += 500.0
    found, is_seen = triangulation.triangulate(keypoints_2d, weights, camera)
    np.testing.assert_allclose(found, points, atol=1e-5)
    assert is_seen.all()


def test_what_fewer_than_two_cameras_saw_is_told_and_finite():
    rng = np.random.default_rng(0)
    points, camera, keypoints_2d = seen(rng)
    weights = np.ones((4, 17))
    weights[:, 3] = 0.0
    weights[1:, 5] = 0.0
    weights[2:, 7] = 0.0
    found, is_seen = triangulation.triangulate(keypoints_2d, weights, camera)
    assert np.flatnonzero(~is_seen).tolist() == [3, 5]
    np.testing.assert_array_equal(found[[3, 5]], np.zeros((2, 3)))
    np.testing.assert_allclose(found[7], points[7], atol=1e-4)


def test_a_weight_of_root_two_counts_as_two_cameras():
    rng = np.random.default_rng(0)
    _, camera, keypoints_2d = seen(rng, num_views=3)
    keypoints_2d += rng.normal(0.0, 10.0, keypoints_2d.shape)
    weights = np.ones((3, 17)) * [[np.sqrt(2)], [1], [1]]
    weighted, _ = triangulation.triangulate(keypoints_2d, weights, camera)
    twice = [0, 0, 1, 2]
    doubled = cameras.Camera(*(value[twice] for value in camera))
    repeated, _ = triangulation.triangulate(keypoints_2d[twice], np.ones((4, 17)), doubled)
    plain, _ = triangulation.triangulate(keypoints_2d, np.ones((3, 17)), camera)
    np.testing.assert_allclose(weighted, repeated, atol=1e-6)
    assert np.abs(weighted - plain).max() > 1e-3


def test_reweighting_lowers_the_error_in_the_images():
    # A near and two far cameras: the algebraic error counts pixels of the far ones more.
    rng = np.random.default_rng(0)
    points = random_scenes.points(rng, 200)
    center = np.array([[0.0, 2.5, 0.0], [12.0, 0.0, 3.0], [0.0, -9.0, 2.0]])
    rig = cameras.look_at(random_scenes.intrinsics(rng, 3), center, np.zeros((3, 3)), [0, 0, 1.0])
    keypoints_2d = cameras.project_from_world(points, rig)
    keypoints_2d = keypoints_2d + rng.normal(0.0, 10.0, keypoints_2d.shape)
    errors = []
    for num_reweightings in (0, 2):
        found, _ = triangulation.triangulate(
            keypoints_2d, np.ones((3, 200)), rig, num_reweightings=num_reweightings
        )
        in_views = cameras.camera_from_world(found, rig)
        rays = cameras.rays(keypoints_2d, rig.intrinsics)
        errors.append(np.square(in_views[..., :2] / in_views[..., 2:] - rays).sum())
    assert errors[1] < 0.98 * errors[0]


@random_scenes.ARRAYS
@pytest.mark.parametrize("batch", BATCHES)
def test_triangulation_of_any_batch_is_a_loop_over_instants(batch, array):
    rng = np.random.default_rng(0)
    _, camera, keypoints_2d = seen(rng, *batch, num_joints=4)
    weights = rng.uniform(0.5, 1.0, (*batch, 4, 4))
    found, is_seen = triangulation.triangulate(array(keypoints_2d), weights, camera)
    assert (found.shape, is_seen.shape) == ((*batch, 4, 3), (*batch, 4))
    for index in np.ndindex(batch):
        single = random_scenes.one(camera, index)
        expected, _ = triangulation.triangulate(keypoints_2d[index], weights[index], single)
        np.testing.assert_allclose(found[index], expected, atol=1e-9)


def test_a_graph_of_unknown_batch_size_triangulates_as_eager_code():
    rng = np.random.default_rng(0)
    points, camera, keypoints_2d = seen(rng, 5)

    def spec(*sizes):
        return tf.TensorSpec([None, 4, *sizes], tf.float64)

    rig = cameras.Camera(spec(3, 3), spec(3, 3), spec(3))
    graph = tf.function(triangulation.triangulate, input_signature=[spec(17, 2), spec(17), rig])
    found, _ = graph(keypoints_2d, np.ones((5, 4, 17)), camera)
    np.testing.assert_allclose(found, points, atol=1e-5)


def test_other_shapes_are_refused():
    camera = random_scenes.camera(np.random.default_rng(0), 2)
    with pytest.raises(ValueError, match=r"`weights`.*J = 5.*\(2, 4\)"):
        triangulation.triangulate(np.zeros((2, 5, 2)), np.zeros((2, 4)), camera)
    with pytest.raises(ValueError, match=r"`keypoints_2d`.*\(2, 5, 3\)"):
        triangulation.triangulate(np.zeros((2, 5, 3)), np.zeros((2, 5)), camera)


def lifted(rng, *batch, num_views):
    """A true pose as lifted from the first of the views, its root, and the views' arguments."""
    points, camera, keypoints_2d = seen(rng, *batch, num_views=num_views)
    first = cameras.Camera(*(np.take(value, 0, len(batch)) for value in camera))
    pose = cameras.camera_from_world(points, first)
    root = pose[..., 0, :]
    each = cameras.Camera(*(np.expand_dims(value, len(batch)) for value in first))
    rotation, center = cameras.relative_extrinsics(each, camera)
    views = {
        "rays": cameras.rays(keypoints_2d, camera.intrinsics),
        "weights": np.ones((*batch, num_views, 17)),
        "rotation": rotation,
        "center": center,
    }
    return pose - root[..., np.newaxis, :], root, views


@random_scenes.ARRAYS
def test_solve_root_position_golden(array):
    # One camera, two joints at (0, 0, 0) and (1, 0, 0) from the root, on the rays (0, 0) and
    # (1/4, 0): 1 / z = 1/4, so the root is 4 m ahead.
    root = triangulation.solve_root_position(
        array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]),
        rays=np.array([[[0.0, 0.0], [0.25, 0.0]]]),
        weights=np.ones((1, 2)),
        rotation=np.eye(3)[np.newaxis],
        center=np.zeros((1, 3)),
    )
    np.testing.assert_allclose(root, [0, 0, 4], atol=1e-4)


@few_examples
@hypothesis.given(seed=seeds, num_views=hypothesis.strategies.integers(1, 4))
def test_the_true_pose_gives_its_true_root(seed, num_views):
    pose, root, views = lifted(np.random.default_rng(seed), num_views=num_views)
    views["weights"] = np.random.default_rng(seed).uniform(0.5, 1.0, (num_views, 17))
    solved = triangulation.solve_root_position(pose, **views)
    np.testing.assert_allclose(solved, root, atol=1e-3)


def test_joints_of_zero_weight_do_not_move_the_root():
    pose, root, views = lifted(np.random.default_rng(0), num_views=2)
    views["weights"][1, 4] = 0.0
    views["rays"][1, 4] += 3.0
    solved = triangulation.solve_root_position(pose, **views)
    np.testing.assert_allclose(solved, root, atol=1e-4)


def test_the_root_of_joints_that_nobody_saw_is_finite_with_finite_gradients():
    pose, _, views = lifted(np.random.default_rng(0), num_views=2)
    pose = tf.constant(pose, tf.float32)
    views = {name: tf.cast(value, tf.float32) for name, value in views.items()}
    for weight in (0.0, 1e-6, 1.0):
        views["weights"] = tf.fill([2, 17], weight)
        with tf.GradientTape() as tape:
            tape.watch(pose)
            root = triangulation.solve_root_position(pose, **views)
        assert np.isfinite(root).all()
        assert np.isfinite(tape.gradient(root, pose)).all()


@pytest.mark.parametrize("num_views", [1, 2, 4])
def test_the_root_follows_the_pose_as_its_gradient_says(num_views):
    pose, _, views = lifted(np.random.default_rng(0), num_views=num_views)
    pose = tf.constant(pose)
    with tf.GradientTape() as tape:
        tape.watch(pose)
        root = triangulation.solve_root_position(pose, **views)
    jacobian = tape.jacobian(root, pose).numpy()
    for joint, axis in ((0, 2), (5, 0), (16, 1)):
        step = np.zeros((17, 3))
        step[joint, axis] = 1e-5
        ahead = triangulation.solve_root_position(pose + step, **views)
        behind = triangulation.solve_root_position(pose - step, **views)
        expected = (ahead - behind) / 2e-5
        np.testing.assert_allclose(jacobian[:, joint, axis], expected, atol=1e-6)


@random_scenes.ARRAYS
@pytest.mark.parametrize("batch", [(), (17,), (2, 3), (0,)])
def test_roots_of_any_batch_are_solved_one_by_one(batch, array):
    pose, root, views = lifted(np.random.default_rng(0), *batch, num_views=3)
    solved = triangulation.solve_root_position(array(pose), **views)
    assert solved.shape == (*batch, 3)
    np.testing.assert_allclose(solved, root, atol=1e-3)


def test_views_that_do_not_fit_a_pose_are_refused():
    pose, _, views = lifted(np.random.default_rng(0), num_views=2)
    with pytest.raises(ValueError, match=r"`weights`.*\(2, 16\)"):
        triangulation.solve_root_position(pose, **(views | {"weights": np.ones((2, 16))}))
    with pytest.raises(ValueError, match=r"`center`.*\(1, 3\)"):
        triangulation.solve_root_position(pose, **(views | {"center": np.zeros((1, 3))}))


# The root in the view that a pose is lifted from.


def seen_from_afar(rng, *batch):
    """Poses, their rays, weights and roots, `[*batch, ...]`, of people of any kind."""
    pose = rng.normal(0.0, 0.4, (*batch, 17, 3))
    pose -= pose[..., :1, :]
    root = rng.uniform([-2, -1, 2.5], [2, 1, 9], (*batch, 3))
    points = pose + root[..., np.newaxis, :]
    return pose, points[..., :2] / points[..., 2:], rng.uniform(0.1, 1.0, (*batch, 17)), root


@random_scenes.ARRAYS
@pytest.mark.parametrize("batch", BATCHES)
def test_the_root_of_exact_rays_is_found(batch, array):
    pose, rays, weights, root = seen_from_afar(np.random.default_rng(0), *batch)
    weights[..., ::3] = 0.0
    rays[..., ::3, :] = 9.0
    found = triangulation.root_in_view(array(pose), array(rays), weights, np.zeros((*batch, 3)))
    np.testing.assert_allclose(found, root, atol=1e-4)


def test_the_root_in_a_view_is_the_solved_root_of_that_view_alone():
    rng = np.random.default_rng(0)
    pose, rays, weights, _ = seen_from_afar(rng, 50)
    rays += rng.normal(0.0, 0.01, rays.shape)
    itself = np.broadcast_to(np.eye(3), (50, 1, 3, 3)), np.zeros((50, 1, 3))
    views = rays[:, np.newaxis], weights[:, np.newaxis]
    least_squares = triangulation.solve_root_position(pose, *views, *itself)
    # Once more, by how far joints lie off their rays.
    points = pose + least_squares[:, np.newaxis]
    off = np.linalg.norm(points[..., :2] - rays * points[..., 2:], axis=-1) / 0.05
    trusted = (weights / np.sqrt(1.0 + off**2))[:, np.newaxis]
    expected = triangulation.solve_root_position(pose, views[0], trusted, *itself)
    found = triangulation.root_in_view(pose, rays, weights, np.zeros((50, 3)))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_wrong_joint_hardly_moves_the_root_in_a_view():
    pose, rays, weights, root = seen_from_afar(np.random.default_rng(0), 50)
    rays[:, 16] += 0.2
    itself = np.broadcast_to(np.eye(3), (50, 1, 3, 3)), np.zeros((50, 1, 3))
    moved = triangulation.solve_root_position(
        pose, rays[:, np.newaxis], weights[:, np.newaxis], *itself
    )
    found = triangulation.root_in_view(pose, rays, weights, np.zeros((50, 3)))
    before, after = (np.linalg.norm(each - root, axis=-1).mean() for each in (moved, found))
    assert after < before / 3


def test_single_precision_finds_the_root_of_people_aside_and_far_away():
    pose, _, weights, root = seen_from_afar(np.random.default_rng(0), 50)
    points = pose + 10 * root[:, np.newaxis]
    single = [x.astype(np.float32) for x in (pose, points[..., :2] / points[..., 2:], weights)]
    found = triangulation.root_in_view(*single, np.zeros((50, 3), np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, 10 * root, rtol=1e-4, atol=1e-3)


@random_scenes.ARRAYS
def test_the_predicted_root_stays_where_rays_do_not_tell(array):
    pose, rays, weights, root = seen_from_afar(np.random.default_rng(0), 5)
    pose, rays, root = (np.repeat(x[:1], 5, axis=0) for x in (pose, rays, root))
    weights[0, 3:] = 0.0
    weights[1] = 0.0
    rays[2] = rays[2, :1] + 1e-5 * rays[2]
    # So near that the camera is in the midst of the joints.
    rays[3] *= 20.0
    predicted = np.full((5, 3), 7.0)
    found = triangulation.root_in_view(array(pose), array(rays), weights, array(predicted))
    np.testing.assert_array_equal(found[:4], predicted[:4])
    np.testing.assert_allclose(found[4], root[4], atol=1e-4)
    # A joint more tells it.
    weights[0, 3] = 1.0
    found = triangulation.root_in_view(pose[:1], rays[:1], weights[:1], predicted[:1])
    np.testing.assert_allclose(found, root[:1], atol=1e-4)


def test_the_root_in_a_view_refuses_arrays_of_other_joints():
    pose, rays, weights, root = seen_from_afar(np.random.default_rng(0), 5)
    with pytest.raises(ValueError, match=r"`rays` must have shape \[\.\.\., J, 2\] with J = 17"):
        triangulation.root_in_view(pose, rays[:, :16], weights, root)


NUM_JOINTS, NUM_INSTANTS = 17, 40


def rig(*batch, num_views=4):
    """Cameras 5 m from the origin, 1.5 m up, evenly around it."""
    angle = 2 * np.pi * (np.arange(num_views) + 0.2) / num_views
    center = np.stack([5 * np.cos(angle), 5 * np.sin(angle), np.full(num_views, 1.5)], axis=-1)
    intrinsics = np.tile(np.array([[1000.0, 0, 500], [0, 1000, 500], [0, 0, 1]]), (num_views, 1, 1))
    camera = cameras.look_at(intrinsics, center, np.zeros((num_views, 3)), [0, 0, 1.0])
    return cameras.Camera(*(np.broadcast_to(field, (*batch, *field.shape)) for field in camera))


def scene(seed=0, num_views=4, noise_px=3.0):
    """Points `[T, J, 3]`, their rig `[T, V]` and keypoints with noise."""
    rng = np.random.default_rng(seed)
    points = random_scenes.points(rng, NUM_INSTANTS, NUM_JOINTS)
    camera = rig(NUM_INSTANTS, num_views=num_views)
    exact = cameras.project_from_world(points[:, np.newaxis], camera)
    return points, camera, exact + rng.normal(0.0, noise_px, exact.shape)


def with_gross_errors(keypoints_2d, size_px=100.0, seed=1):
    """Moves every joint in one view of its instant; gives which view, too, `[T, V, J]`."""
    rng = np.random.default_rng(seed)
    num_views = keypoints_2d.shape[1]
    wrong = rng.integers(num_views, size=(NUM_INSTANTS, 1, NUM_JOINTS))
    is_wrong = np.arange(num_views)[:, np.newaxis] == wrong
    angle = rng.uniform(0, 2 * np.pi, is_wrong.shape)
    shift = size_px * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return keypoints_2d + is_wrong[..., np.newaxis] * shift, is_wrong


def ones(keypoints_2d):
    return np.ones_like(keypoints_2d[..., 0])


def error(found, points):
    return np.linalg.norm(np.asarray(found) - points, axis=-1)


@random_scenes.ARRAYS
def test_exact_detections_give_the_points(array):
    points, camera, keypoints_2d = scene(noise_px=0.0)
    found = triangulation.triangulate_robustly(array(keypoints_2d), ones(keypoints_2d), camera)
    np.testing.assert_allclose(found.points, points, atol=1e-6)
    np.testing.assert_allclose(found.residual, 0.0, atol=1e-3)
    np.testing.assert_allclose(found.trust, 1.0, atol=1e-3)


def test_one_gross_detection_of_four_does_not_pull():
    points, camera, keypoints_2d = scene()
    clean, _ = triangulation.triangulate(keypoints_2d, ones(keypoints_2d), camera)
    spoiled, is_wrong = with_gross_errors(keypoints_2d)
    plain, _ = triangulation.triangulate(spoiled, ones(spoiled), camera)
    robust = triangulation.triangulate_robustly(spoiled, ones(spoiled), camera)
    assert error(plain, points).mean() > 8 * error(clean, points).mean()
    # Three views remain; they are worse than four by a third.
    assert error(robust.points, points).mean() < 1.6 * error(clean, points).mean()
    trust = robust.trust
    assert trust[is_wrong].mean() < 0.05
    assert trust[~is_wrong].mean() > 0.7


def test_a_view_that_is_biased_pulls_less():
    points, camera, keypoints_2d = scene()
    keypoints_2d[:, 1, [3, 6, 13, 16]] += [20.0, 10.0]
    plain, _ = triangulation.triangulate(keypoints_2d, ones(keypoints_2d), camera)
    robust = triangulation.triangulate_robustly(keypoints_2d, ones(keypoints_2d), camera)
    biased = [3, 6, 13, 16]
    plain_error, robust_error = (error(x, points)[:, biased].mean() for x in (plain, robust.points))
    assert robust_error < 0.7 * plain_error


def test_gaussian_noise_alone_costs_little():
    points, camera, keypoints_2d = scene(noise_px=5.0)
    plain, _ = triangulation.triangulate(keypoints_2d, ones(keypoints_2d), camera)
    robust = triangulation.triangulate_robustly(keypoints_2d, ones(keypoints_2d), camera)
    assert error(robust.points, points).mean() < 1.06 * error(plain, points).mean()


def test_single_precision_is_as_good():
    _, camera, keypoints_2d = scene()
    spoiled, _ = with_gross_errors(keypoints_2d)
    double = triangulation.triangulate_robustly(spoiled, ones(spoiled), camera)
    single = triangulation.triangulate_robustly(
        spoiled.astype(np.float32), ones(spoiled).astype(np.float32), camera
    )
    assert single.points.dtype == np.float32
    difference = error(single.points, double.points)
    assert np.median(difference) < 1e-5
    assert np.mean(difference > 1e-3) < 0.01


def test_residuals_are_distances_in_the_images():
    _, camera, keypoints_2d = scene()
    found = triangulation.triangulate_robustly(keypoints_2d, ones(keypoints_2d), camera)
    for view in range(4):
        single = random_scenes.one(camera, (5, view))
        projected = random_scenes.project(random_scenes.move(found.points[5], single), single)
        expected = np.linalg.norm(projected - keypoints_2d[5, view], axis=-1)
        np.testing.assert_allclose(found.residual[5, view], expected, atol=1e-6)


def test_what_fewer_than_two_cameras_saw_is_told_and_zero():
    points, camera, keypoints_2d = scene(noise_px=0.0)
    weights = ones(keypoints_2d)
    weights[:, :, 3] = 0.0
    weights[:, 1:, 5] = 0.0
    weights[:, 2:, 7] = 0.0
    found = triangulation.triangulate_robustly(keypoints_2d, weights, camera)
    assert np.flatnonzero(~found.is_seen[0]).tolist() == [3, 5]
    for field in (found.points, found.residual.swapaxes(1, 2)):
        np.testing.assert_array_equal(field[:, [3, 5]], np.zeros_like(field[:, [3, 5]]))
    np.testing.assert_array_equal(found.trust > 0, (weights > 0) & found.is_seen[:, np.newaxis])
    np.testing.assert_allclose(found.points[:, 7], points[:, 7], atol=1e-6)


def test_views_of_zero_weight_do_not_count_robustly():
    _, camera, keypoints_2d = scene()
    weights = ones(keypoints_2d)
    weights[:, 2] = 0.0
    expected = triangulation.triangulate_robustly(keypoints_2d, weights, camera)
    keypoints_2d[:, 2] = 0.0
    found = triangulation.triangulate_robustly(keypoints_2d, weights, camera)
    np.testing.assert_allclose(found.points, expected.points, atol=1e-9)


def test_confidence_decides_between_two_that_disagree():
    points, camera, keypoints_2d = scene(num_views=3, noise_px=1.0)
    keypoints_2d[:, 2] += [60.0, 60.0]
    weights = ones(keypoints_2d) * [[1.0], [1.0], [0.2]]
    robust = triangulation.triangulate_robustly(keypoints_2d, weights, camera)
    assert np.median(error(robust.points, points)) < 0.02


@pytest.mark.parametrize("batch", [(), (2, 2), (0,)])
def test_any_batch_is_a_loop_over_instants(batch):
    _, camera, keypoints_2d = scene()
    spoiled, _ = with_gross_errors(keypoints_2d)
    index = np.arange(np.prod(batch, dtype=int)).reshape(batch)
    some = cameras.Camera(*(field[index] for field in camera))
    found = triangulation.triangulate_robustly(spoiled[index], ones(spoiled)[index], some)
    assert (found.points.shape, found.trust.shape) == ((*batch, 17, 3), (*batch, 4, 17))
    for at in np.ndindex(batch):
        one = random_scenes.one(camera, index[at])
        expected = triangulation.triangulate_robustly(
            spoiled[index[at]], ones(spoiled)[index[at]], one
        )
        np.testing.assert_allclose(found.points[at], expected.points, atol=1e-7)


def test_the_kernels_weight_is_the_slope_of_its_loss():
    ratio = tf.constant([0.0, 0.3, 0.9, 1.5, 30.0], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(ratio)
        loss = triangulation.robust_loss(ratio)
    weight = triangulation.robust_weight(ratio)
    np.testing.assert_allclose(weight, tape.gradient(loss, ratio), rtol=1e-9)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
@random_scenes.ARRAYS
def test_the_median_is_the_lower_one_of_the_values_that_count(share, array):
    rng = np.random.default_rng(0)
    values = rng.uniform(1.0, 9.0, (5, 3, 17))
    is_used = rng.uniform(size=values.shape) < share
    is_used[:, 0, 0] = True
    found = triangulation.median(array(values), array(is_used))
    assert found.shape == (5, 1, 1)
    for row, result in enumerate(np.ravel(found)):
        counted = np.sort(values[row][is_used[row]])
        assert result == counted[(len(counted) - 1) // 2]


@random_scenes.ARRAYS
def test_where_no_value_counts_the_median_is_zero(array):
    found = triangulation.median(array(np.full([2, 4, 17], 7.0)), array(np.zeros([2, 4, 17], bool)))
    np.testing.assert_array_equal(found, np.zeros((2, 1, 1)))


def test_half_of_gaussian_vectors_are_shorter_than_their_median_length():
    vectors = np.random.default_rng(0).normal(size=(200_000, 2))
    is_shorter = np.linalg.norm(vectors, axis=-1) < triangulation.MEDIAN_LENGTH
    np.testing.assert_allclose(is_shorter.mean(), 0.5, atol=0.004)
