import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.datasets import tfrecords, views
from keras_mvlift.geometry import cameras, triangulation
from keras_mvlift.training import batches, objectives
from tests import random_scenes, tiny_studio

BATCH_SIZE = 11
ALL = 1e9


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Pairs of two clips of four cameras, a file each; views of too few joints are missing."""
    folder = tmp_path_factory.mktemp("pairs")
    clips = [tiny_studio.film(), tiny_studio.film(seed=1, dropped_view_rate=0.2)]
    for number, clip in enumerate(clips):
        tiny_studio.write(folder / f"{number}.gz", tiny_studio.prepare(clip).train_pairs)
    return str(folder / "*.gz")


@pytest.fixture(scope="module")
def pairs(files):
    return batches.read_pairs(files, ALL)


def flat(pair):
    """Every pair as the bytes of all of its numbers."""
    fields = [np.reshape(field, (len(field), -1)) for field in tf.nest.flatten(pair)]
    return [row.tobytes() for row in np.concatenate(fields, axis=1)]


def resident(pairs, num_batches, **options):
    """The pairs of each batch."""
    rows = batches.load_pairs(pairs, options.pop("batch_size", BATCH_SIZE), **{"seed": 0} | options)
    return [flat(pair) for pair in batches.look_up(pairs, rows.take(num_batches))]


def test_an_epoch_holds_the_pairs_that_the_stream_does(files, pairs):
    num_pairs = tfrecords.count(files)
    streamed = flat(next(iter(tfrecords.load(files, num_pairs, seed=0))))
    (kept,) = resident(pairs, 1, batch_size=num_pairs)
    assert sorted(kept) == sorted(streamed)
    # Two views of a pair are told apart, and no pair is there twice.
    assert len(set(kept)) == num_pairs == len(pairs.rows)


def test_each_epoch_holds_every_pair_once_up_to_the_rest(pairs):
    steps, rest = divmod(len(pairs.rows), BATCH_SIZE)
    assert rest
    taken = resident(pairs, 3 * steps)
    for start in range(0, 3 * steps, steps):
        epoch = list(itertools.chain(*taken[start : start + steps]))
        assert len(set(epoch)) == len(epoch) == steps * BATCH_SIZE


def test_an_epochs_order_depends_on_the_seed_and_its_number_alone(pairs):
    steps = len(pairs.rows) // BATCH_SIZE
    whole = resident(pairs, 3 * steps)
    assert whole[steps:] == resident(pairs, 2 * steps, first_epoch=1)
    assert whole[:steps] != whole[steps : 2 * steps]
    assert whole[:steps] != resident(pairs, steps, seed=1)


def test_pairs_come_once_in_the_order_of_the_records(files, pairs):
    kept = batches.look_up(pairs, batches.load_once(pairs.rows, BATCH_SIZE))
    streamed = tfrecords.load_once(files, BATCH_SIZE)
    for found, expected in zip(kept, streamed, strict=True):
        assert isinstance(found, views.ViewPair)
        tf.nest.map_structure(np.testing.assert_array_equal, found, expected)


def test_each_view_is_kept_once(pairs):
    assert len(pairs.views) == len(np.unique(pairs.views, axis=0)) == pairs.rows.max() + 1
    # At most four views of six pairs.
    assert len(pairs.views) < len(pairs.rows)
    expected = batches.BYTES_PER_VIEW * len(pairs.views)
    assert pairs.num_bytes == expected + 8 * len(pairs.rows)


def test_pairs_that_are_read_in_parts_are_the_same(files, pairs, monkeypatch):
    monkeypatch.setattr(batches, "_READ_SIZE", 10)
    parts = batches.read_pairs(files, ALL)
    assert len(pairs.views) < len(parts.views) < 2 * len(parts.rows)
    np.testing.assert_array_equal(parts.views[parts.rows], pairs.views[pairs.rows])


def test_no_more_memory_is_taken_than_allowed(files, pairs):
    assert batches.read_pairs(files, pairs.num_bytes) is not None
    assert batches.read_pairs(files, pairs.num_bytes - 1) is None


def test_without_memory_nothing_is_read(tmp_path):
    assert batches.read_pairs(str(tmp_path / "none.gz"), 0) is None


def test_files_of_no_records_are_refused(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "none.gz"), "GZIP"):
        pass
    with pytest.raises(ValueError, match=r"`file_pattern` must match pairs.*none\.gz"):
        batches.read_pairs(str(tmp_path / "none.gz"), ALL)


def test_a_batch_of_more_pairs_than_there_are_is_refused(pairs):
    rule = f"`batch_size` must be at most the number of pairs, {len(pairs.rows)}. Received: 9999"
    with pytest.raises(ValueError, match=rule):
        batches.load_pairs(pairs, 9999, seed=0)


def test_pairs_of_instants_hold_the_views_that_are_named():
    seen = tiny_studio.instants(tiny_studio.film())
    found = batches.pairs_of_instants(seen, np.array([[2, 0, 3], [5, 1, 2]]))
    pair = batches.take_pairs(tf.constant(found.views), tf.constant(found.rows))
    for side, (instant, view) in zip(pair, (([2, 5], [0, 1]), ([2, 5], [3, 2])), strict=True):
        expected = tf.nest.map_structure(lambda x, at=(instant, view): x[at], seen)
        tf.nest.map_structure(
            lambda field, value: np.testing.assert_allclose(field, value, rtol=1e-6), side, expected
        )


LEFT, RIGHT = skeletons.H36M_17.left, skeletons.H36M_17.right
# Batch, views, joints.
SHAPE = (3, 4, 17)


@pytest.fixture
def scene():
    """Poses `[B, J, 3]` in the world, and the views that saw them exactly."""
    rng = np.random.default_rng(0)
    world = random_scenes.points(rng, SHAPE[0], SHAPE[2])
    camera = random_scenes.camera(rng, *SHAPE[:2])
    keypoints_2d = np.zeros((*SHAPE, 2))
    for index in np.ndindex(SHAPE[:2]):
        single = random_scenes.one(camera, index)
        moved = random_scenes.move(world[index[0]], single)
        keypoints_2d[index] = random_scenes.project(moved, single)
    confidence = rng.uniform(0.5, 1.0, SHAPE)
    seen = views.View(keypoints_2d, confidence, camera)
    return world, tf.nest.map_structure(tf.constant, seen)


def swapped(joints):
    """Exchanges the sides, a pair of joints at a time; the joints are the first axis."""
    result = joints.copy()
    for left, right in zip(LEFT, RIGHT, strict=True):
        result[left], result[right] = joints[right], joints[left]
    return result


def test_a_mirrored_instant_triangulates_to_the_mirrored_person(scene):
    world, seen = scene
    mirrored = batches.mirrored(seen)
    points, _ = triangulation.triangulate(*mirrored)
    expected = np.array([swapped(pose) for pose in world]) * [-1, 1, 1]
    np.testing.assert_allclose(points, expected, atol=1e-5)


def test_a_mirrored_camera_sees_the_mirror_image_of_what_it_saw(scene):
    world, seen = scene
    mirrored = batches.mirrored(seen)
    pose = cameras.camera_from_world(world[:, np.newaxis], seen.camera).numpy()
    moved = cameras.camera_from_world((world * [-1, 1, 1])[:, np.newaxis], mirrored.camera)
    np.testing.assert_allclose(moved, pose * [-1, 1, 1], atol=1e-9)


def test_mirrored_cameras_are_turned_not_reflected(scene):
    rotation = batches.mirrored(scene[1]).camera.rotation
    identity = tf.linalg.matmul(rotation, cameras.inverse(rotation))
    np.testing.assert_allclose(identity, np.broadcast_to(np.eye(3), identity.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotation), 1.0)


def test_rays_change_the_sign_of_x_and_confidences_their_sides(scene):
    _, seen = scene
    mirrored = batches.mirrored(seen)
    for index in np.ndindex(SHAPE[:2]):
        ray = seen.rays[index].numpy() * [-1, 1]
        np.testing.assert_allclose(mirrored.rays[index], swapped(ray), atol=1e-12)
        confidence = swapped(seen.confidence[index].numpy())
        np.testing.assert_array_equal(mirrored.confidence[index], confidence)


def test_two_mirrors_give_everything_back(scene):
    world, seen = scene
    twice = batches.mirrored(batches.mirrored(seen))
    for again, first in zip(tf.nest.flatten(twice), tf.nest.flatten(seen), strict=True):
        np.testing.assert_allclose(again, first, atol=1e-9)
    pose = tf.constant(world)
    np.testing.assert_array_equal(batches.mirrored_pose(batches.mirrored_pose(pose)), pose)


def test_a_mirrored_pose_has_its_sides_exchanged(scene):
    pose = scene[0][0]
    expected = swapped(pose) * [-1, 1, 1]
    np.testing.assert_array_equal(batches.mirrored_pose(tf.constant(pose)), expected)


def test_what_was_not_seen_stays_at_zero_on_the_other_side(scene):
    _, seen = scene
    left, right = LEFT[2], RIGHT[2]
    keypoints_2d, confidence = seen.keypoints_2d.numpy(), seen.confidence.numpy()
    keypoints_2d[:, :, left], confidence[:, :, left] = 0, 0
    hidden = seen._replace(keypoints_2d=tf.constant(keypoints_2d), confidence=confidence)
    mirrored = batches.mirrored(hidden)
    assert not mirrored.keypoints_2d.numpy()[:, :, right].any()
    assert not mirrored.confidence.numpy()[:, :, right].any()
    assert mirrored.keypoints_2d.numpy()[:, :, left].all()


def test_only_the_marked_instants_are_mirrored(scene):
    _, seen = scene
    instants = objectives.Instants(seen)
    result = batches.mirrored_where(tf.constant([True, False, True]), instants).seen
    whole = batches.mirrored(seen)
    fields = (tf.nest.flatten(part) for part in (result, whole, seen))
    for field, mirrored, plain in zip(*fields, strict=True):
        np.testing.assert_array_equal(field[::2], mirrored[::2])
        np.testing.assert_array_equal(field[1], plain[1])


def test_marked_instants_agree_on_the_mirror_image_of_what_they_agreed_on(scene):
    _, seen = scene
    instants = objectives.Instants(seen, objectives.agreement_of(seen))
    result = batches.mirrored_where(tf.constant([True, False, True]), instants)
    expected = objectives.agreement_of(result.seen)
    np.testing.assert_allclose(result.agreed.points, expected.points, atol=1e-6)
    np.testing.assert_array_equal(result.agreed.is_known, expected.is_known)


def test_both_views_of_marked_pairs_are_mirrored_and_the_windows_around_them(scene):
    _, seen = scene
    rng = np.random.default_rng(1)

    def windowed(view):
        frames = tf.constant(rng.uniform(100.0, 900.0, (SHAPE[0], 5, 17, 2)))
        sure = tf.constant(rng.uniform(0.1, 1.0, (SHAPE[0], 5, 17)))
        one = tf.nest.map_structure(lambda field: field[:, view], seen)
        return views.WindowedView(*one, window_keypoints_2d=frames, window_confidence=sure)

    pair = views.ViewPair(windowed(0), windowed(2))
    result = batches.mirrored_where(tf.constant([True, False, True]), pair)
    for found, given in zip(result, pair, strict=True):
        expected = batches.mirrored(given.view)
        np.testing.assert_array_equal(found.rays[::2], expected.rays[::2])
        np.testing.assert_array_equal(found.camera.center[::2], expected.camera.center[::2])
        tf.nest.map_structure(lambda x, y: np.testing.assert_array_equal(x[1], y[1]), found, given)
        for frame in range(5):
            rays = [swapped(one) * [-1, 1] for one in given.window_rays[::2, frame].numpy()]
            np.testing.assert_allclose(found.window_rays[::2, frame], rays, atol=1e-9)
            sure = [swapped(one) for one in given.window_confidence[::2, frame].numpy()]
            np.testing.assert_array_equal(found.window_confidence[::2, frame], sure)


NUM_VIEWS = 4


@pytest.fixture(scope="module")
def seen(shards):
    return batches.read_instants(shards["train_instants"], NUM_VIEWS)


def which(batch, seen):
    """Tells by its keypoints which instant each row is."""
    rows = batch.keypoints_2d.numpy().reshape(len(batch.confidence), -1)
    every = seen.keypoints_2d.reshape(len(seen.confidence), -1)
    return np.argmin(np.abs(rows[:, np.newaxis] - every).sum(axis=-1), axis=1)


def drawn(seen, batch_size, count, **options):
    endless = batches.load_instants(seen, batch_size, **{"num_batches": 3, "seed": 0} | options)
    return [which(batch, seen) for batch in itertools.islice(endless, count)]


def test_what_is_read_is_what_was_written(seen, prepared):
    written = prepared.train_instants
    assert isinstance(seen, views.View)
    assert batches.count_instants(seen) == len(written["frame"])
    np.testing.assert_allclose(seen.keypoints_2d, written["views/keypoints_2d"], rtol=1e-6)
    np.testing.assert_allclose(seen.camera.center, written["views/center"], rtol=1e-6)


def test_each_instant_is_drawn_once_before_any_is_drawn_again(seen):
    num_instants = batches.count_instants(seen)
    order = np.concatenate(drawn(seen, 5, 6, num_batches=6))
    for start in range(0, len(order), num_instants):
        turn = order[start : start + num_instants]
        assert len(set(turn)) == len(turn)
    assert len(order) > num_instants


def test_a_batch_may_be_larger_than_the_set(seen):
    num_instants = batches.count_instants(seen)
    (batch,) = drawn(seen, 2 * num_instants + 1, 1, num_batches=1)
    assert sorted(np.bincount(batch))[-2:] == [2, 3]


def test_an_epochs_order_of_instants_depends_on_the_seed_and_its_number_alone(seen):
    whole = drawn(seen, 4, 9)
    resumed = drawn(seen, 4, 6, first_epoch=1)
    np.testing.assert_array_equal(whole[3:], resumed)
    assert not np.array_equal(whole[:3], whole[3:6])
    assert not np.array_equal(whole, drawn(seen, 4, 9, seed=1))


def test_what_views_agree_on_comes_along(shards, seen):
    known = batches.read_instants(shards["train_instants"], NUM_VIEWS, needs_agreement=True)
    batch = next(iter(batches.load_instants(known, 6, num_batches=1, seed=3)))
    assert isinstance(batch, objectives.Instants)
    expected = objectives.agreement_of(batch.seen)
    np.testing.assert_allclose(batch.agreed.points, expected.points, atol=1e-4)
    np.testing.assert_array_equal(batch.agreed.is_known, expected.is_known)
    (once,) = batches.load_once(known, 1000)
    assert isinstance(once, objectives.Instants)
    np.testing.assert_array_equal(once.seen.keypoints_2d, seen.keypoints_2d)


def test_every_instant_comes_once_in_order(seen):
    some = list(batches.load_once(seen, 5))
    joined = np.concatenate([batch.confidence for batch in some])
    np.testing.assert_array_equal(joined, seen.confidence)
    assert {len(batch.confidence) for batch in some[:-1]} == {5}


def test_files_of_no_instants_are_refused(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "none.gz"), "GZIP"):
        pass
    with pytest.raises(ValueError, match=r"`file_pattern` must match instants.*none\.gz"):
        batches.read_instants(str(tmp_path / "none.gz"), NUM_VIEWS)
    assert tfrecords.count(str(tmp_path / "none.gz")) == 0


NUM_ROWS = 8


def three_batches():
    """Three batches of pairs, in place of whose fields are numbers."""
    values = tf.data.Dataset.range(3 * NUM_ROWS).batch(NUM_ROWS, drop_remainder=True)
    return values.map(lambda row: views.ViewPair(row, row[:, tf.newaxis] + 100))


def context(worker, num_workers=2, num_replicas=4):
    return tf.distribute.InputContext(num_workers, worker, num_replicas)


def test_workers_see_together_what_one_would_have_seen():
    shared = [
        [*batches.rows_of_worker(context(worker), three_batches(), NUM_ROWS)] for worker in range(2)
    ]
    for step, whole in enumerate(three_batches()):
        # Two replicas of the first worker, then two of the second.
        parts = [part for worker in shared for part in worker[2 * step : 2 * step + 2]]
        assert [len(part.source) for part in parts] == [2, 2, 2, 2]
        together = tf.nest.map_structure(lambda *rows: tf.concat(rows, axis=0), *parts)
        tf.nest.map_structure(np.testing.assert_array_equal, together, whole)


def test_the_rows_of_a_replica_keep_type_and_a_known_number():
    spec = batches.rows_of_worker(context(0), three_batches(), NUM_ROWS).element_spec
    assert isinstance(spec, views.ViewPair)
    assert spec.target.shape == (2, 1)


def test_each_replica_measures_all_rows_of_a_batch_that_is_too_small_to_share():
    values = tf.data.Dataset.range(5).batch(4)
    seen = [row.numpy().tolist() for row in batches.rows_of_all(context(1), values)]
    assert seen == [[0, 1, 2, 3]] * 2 + [[4]] * 2


def test_one_replica_takes_batches_as_they_are():
    values, strategy = three_batches(), tf.distribute.get_strategy()
    assert batches.share(strategy, values) is values
    assert batches.repeat(strategy, values) == {"validation_data": values}
    assert batches.repeat(strategy, None) == {"validation_data": None}


@pytest.mark.parametrize("num", [1, 7, 300])
def test_what_is_drawn_in_a_strategy_is_what_is_drawn_without(num):
    plain = tf.random.Generator.from_seed(3)
    expected = [batches.uniform(plain, num) for _ in range(2)]
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        generator = tf.random.Generator.from_seed(3)
    drawn = [strategy.run(batches.uniform, (generator, num)) for _ in range(2)]
    np.testing.assert_array_equal(drawn, expected)
    own = strategy.run(lambda: generator.uniform([num]))
    assert not np.array_equal(own, batches.uniform(plain, num))
