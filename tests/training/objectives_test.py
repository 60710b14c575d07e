import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import configs, reprojection
from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
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


def of_all_views(poses, pair, **options):
    """Compares the first pose with both views as all views of an instant."""
    seen = tf.nest.map_structure(lambda *sides: tf.stack(sides, axis=1), *pair)
    lifted = objectives.Lifted(poses[0] - poses[0][:, :1], poses[0][:, 0])
    is_own = tf.constant([[1.0, 0.0]] * NUM_PAIRS)
    instants = objectives.Instants(seen, options.pop("agreed", None))
    chosen = options.pop("objective", objectives.AllViewsReprojection)(**options)
    return chosen(objectives.Placed(lifted, poses[0], None, pair.source, is_own, instants))


@pytest.mark.parametrize("least_depth", [0.3, 0.5])
def test_behind_a_camera_errors_grow_with_the_least_depths_slope(pair, least_depth):
    behind = tuple(
        tf.constant([[[0.3, 0.0, -1.0]] * 17] * len(pair.source.confidence)) for _ in pair
    )
    found = objectives.TransformReprojection(least_depth=least_depth)(behind, pair)
    # 1 / z is continued as (2 - z / z_0) / z_0.
    inverse = (2 + 1 / least_depth) / least_depth
    expected = 0.0
    for view in pair:
        image = view.camera.intrinsics[:, :2, 2] + view.camera.intrinsics[:, :2, 0] * 0.3 * inverse
        distance = np.linalg.norm(image[:, np.newaxis] - view.keypoints_2d, axis=-1)
        expected += (view.confidence * distance).numpy().sum(axis=-1)
    np.testing.assert_allclose(found["reprojection"], expected, rtol=1e-4)


def test_all_views_are_measured_where_pairs_are(poses, pair):
    losses = of_all_views(poses, pair)
    pairs = objectives.TransformReprojection(confidence_weighting="target")
    # The second pose is the first one moved, so that each part is there twice.
    across = cameras.target_from_source(poses[0], pair.source.camera, pair.target.camera)
    own = pairs((poses[0], across), pair)["reprojection"]
    both = losses["reprojection"] + losses["transform_reprojection"]
    np.testing.assert_allclose(both, own, rtol=1e-4)


@pytest.mark.parametrize("weighting", configs.CONFIDENCE_WEIGHTINGS)
def test_the_own_view_is_weighed_by_its_confidence_whatever_weighs_others(poses, pair, weighting):
    losses = of_all_views(poses, pair, confidence_weighting=weighting)
    expected = np.zeros(NUM_PAIRS)
    for index in range(NUM_PAIRS):
        (pose, own, _, _), _ = both_ways(poses, pair, index)
        image = random_scenes.project(pose, own.camera)
        expected[index] = np.sum(own.confidence * norm(own.keypoints_2d - image))
    np.testing.assert_allclose(losses["reprojection"], expected, rtol=1e-4)


def test_one_weight_counts_for_both_equations(poses, pair):
    whole, half = (of_all_views(poses, pair, reprojection_weight=w) for w in (1.0, 0.5))
    assert set(half) == {"reprojection", "transform_reprojection"}
    for name, loss in whole.items():
        np.testing.assert_allclose(half[name], loss / 2, rtol=1e-6)


@pytest.fixture(scope="module")
def agreed():
    rng = np.random.default_rng(3)
    is_known = np.ones((NUM_PAIRS, 17), bool)
    is_known[1, 4] = False
    points = tf.constant(rng.uniform(-1, 1, (NUM_PAIRS, 17, 3)), tf.float32)
    return objectives.Agreement(points, tf.constant(is_known))


def test_the_triangulated_pose_counts_as_its_pixels_at_the_root(poses, pair, agreed):
    options = {"objective": objectives.TriangulatedPose, "agreed": agreed}
    losses = of_all_views(poses, pair, weight=0.3, **options)
    camera = pair.source.camera
    target = cameras.camera_from_world(agreed.points, camera)
    pose = poses[0] - poses[0][:, :1]
    length = reprojection.triangulated_pose_loss(pose, target, agreed.is_known)
    focal = camera.intrinsics.numpy()[:, [0, 1], [0, 1]].mean(axis=-1)
    expected = 0.3 * focal / poses[0].numpy()[:, 0, 2] * length
    assert [*losses] == ["triangulation"]
    np.testing.assert_allclose(losses["triangulation"], expected, rtol=1e-5)


def test_what_nobody_found_before_is_triangulated_in_the_step(poses, pair):
    seen = tf.nest.map_structure(lambda *sides: tf.stack(sides, axis=1), *pair)
    losses, expected = (
        of_all_views(poses, pair, objective=objectives.TriangulatedPose, agreed=agreed)
        for agreed in (None, objectives.agreement_of(seen))
    )
    np.testing.assert_array_equal(losses["triangulation"], expected["triangulation"])


def test_the_predicted_root_learns_nothing_and_may_lie_in_the_lens(poses, pair, agreed):
    root_position, pose = tf.zeros((NUM_PAIRS, 3)), poses[0] - poses[0][:, :1]
    instants = objectives.Instants(pair.source, agreed)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([root_position, pose])
        lifted = objectives.Lifted(pose, root_position)
        placed = objectives.Placed(lifted, poses[0], None, pair.source, None, instants)
        loss = objectives.TriangulatedPose()(placed)["triangulation"]
    assert tape.gradient(loss, root_position) is None
    assert np.isfinite(tape.gradient(loss, pose)).all()


def test_a_sum_has_the_parts_of_its_terms(poses, pair, agreed):
    terms = (objectives.AllViewsReprojection(), objectives.TriangulatedPose(weight=2.0))
    chosen = objectives.Sum(terms)
    losses = of_all_views(poses, pair, objective=lambda: chosen, agreed=agreed)
    assert tuple(losses) == chosen.parts
    for term in terms:
        for name, loss in of_all_views(
            poses, pair, objective=lambda term=term: term, agreed=agreed
        ).items():
            np.testing.assert_array_equal(losses[name], loss)


SHAPE = (2, 4, 17)
GROSS = (0, 1, 5)


@pytest.fixture(scope="module")
def scene():
    """Points `[B, J, 3]`, and views that saw them exactly, but for one gross error."""
    rng = np.random.default_rng(0)
    world = random_scenes.points(rng, SHAPE[0], SHAPE[2])
    camera = random_scenes.camera(rng, *SHAPE[:2])
    keypoints_2d = np.zeros((*SHAPE, 2))
    for index in np.ndindex(SHAPE[:2]):
        single = random_scenes.one(camera, index)
        keypoints_2d[index] = random_scenes.project(
            random_scenes.move(world[index[0]], single), single
        )
    keypoints_2d[GROSS] += [200.0, -150.0]
    confidence = rng.uniform(0.5, 1.0, SHAPE)
    return world, tf.nest.map_structure(tf.constant, views.View(keypoints_2d, confidence, camera))


def changed(seen, index, value=0.0):
    confidence = seen.confidence.numpy()
    confidence[index] = value
    return seen._replace(confidence=tf.constant(confidence))


def test_a_gross_error_changes_no_point(scene):
    world, seen = scene
    found = objectives.agreement_of(seen)
    np.testing.assert_allclose(found.points, world, atol=1e-4)
    assert found.is_known.numpy().all()


def test_a_joint_that_one_view_saw_is_not_known(scene):
    found = objectives.agreement_of(changed(scene[1], (1, slice(1, None), 3)))
    assert not found.is_known[1, 3]
    assert np.count_nonzero(found.is_known) == 2 * 17 - 1


def test_two_views_that_contradict_each_other_know_nothing(scene):
    _, seen = scene
    only_two = changed(changed(seen, (0, 2)), (0, 3))
    found = objectives.agreement_of(only_two)
    assert not found.is_known[0, GROSS[2]]
    assert found.is_known[0, 4]


def test_views_that_an_instant_lacks_change_nothing(scene):
    _, seen = scene
    absent = views.View(
        tf.zeros((2, 3, 17, 2), tf.float64),
        tf.zeros((2, 3, 17), tf.float64),
        seen.camera._make(
            (
                tf.eye(3, batch_shape=[2, 3], dtype=tf.float64),
                tf.eye(3, batch_shape=[2, 3], dtype=tf.float64),
                tf.fill([2, 3, 3], tf.constant(100.0, tf.float64)),
            )
        ),
    )
    # They come first, where the search for a camera that is there has to look past them.
    filled = tf.nest.map_structure(lambda *x: tf.concat(x, axis=1), absent, seen)
    expected, found = objectives.agreement_of(seen), objectives.agreement_of(filled)
    np.testing.assert_allclose(found.points, expected.points, atol=1e-6)
    np.testing.assert_array_equal(found.is_known, expected.is_known)


def test_no_gradient_goes_to_the_cameras(scene):
    _, seen = scene
    with tf.GradientTape() as tape:
        tape.watch(seen.camera.center)
        total = tf.reduce_sum(objectives.agreement_of(seen).points)
    assert tape.gradient(total, seen.camera.center) is None


def test_what_is_found_beforehand_is_what_a_step_would_find(scene, monkeypatch):
    monkeypatch.setattr(objectives, "_MAX_TRIALS", 1)
    seen, found = objectives.agreed_beforehand(tf.nest.map_structure(np.asarray, scene[1]))
    assert seen.confidence.shape == SHAPE
    for field, expected in zip(found, objectives.agreement_of(scene[1]), strict=True):
        np.testing.assert_allclose(field, expected, atol=1e-9)


def test_data_sets_of_many_sizes_are_traced_a_few_times(scene):
    seen = tf.nest.map_structure(lambda field: np.resize(field, (16, *field.shape[1:])), scene[1])
    before = objectives._compiled_agreement.experimental_get_tracing_count()
    for count in (9, 10, 11, 13, 16):
        some = tf.nest.map_structure(lambda field, end=count: field[:end], seen)
        assert len(objectives.agreed_beforehand(some).agreed.points) == count
    assert objectives._compiled_agreement.experimental_get_tracing_count() <= before + 1


def test_twice_the_views_are_triangulated_in_parts_that_take_no_more_memory():
    # Of 4 views all and 6 twos are held against 4, of 8 all and 28 twos against 8.
    assert objectives.num_agreed_at_once(4) == 2048
    assert objectives.num_agreed_at_once(8) == 2048 * (7 * 4) // (29 * 8)
    assert objectives.num_agreed_at_once(1000) == 1
