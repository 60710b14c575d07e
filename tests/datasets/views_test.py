import numpy as np
import tensorflow as tf

from keras_mvlift.datasets import views
from tests import random_scenes


def view(*batch, seed=0):
    rng = np.random.default_rng(seed)
    keypoints_2d = rng.uniform(0, 1000, (*batch, 17, 2))
    confidence = rng.uniform(0.1, 1, (*batch, 17))
    return views.View(keypoints_2d, confidence, random_scenes.camera(rng, *batch))


def test_rays_golden():
    # (445 - 320) / 500 and (490 - 240) / 500; a joint not seen has no ray.
    intrinsics = np.array([[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]])
    camera = random_scenes.camera(np.random.default_rng(0))._replace(intrinsics=intrinsics)
    seen = views.View(np.array([[445.0, 490.0], [0.0, 0.0]]), np.array([0.1, 0.0]), camera)
    np.testing.assert_allclose(seen.rays, [[0.25, 0.5], [0, 0]])


def test_rays_of_any_batch_are_those_of_single_views():
    for batch in ((), (1,), (17,), (2, 3), (0,)):
        many = view(*batch)
        assert many.rays.shape == (*batch, 17, 2)
        for index in np.ndindex(batch):
            camera = random_scenes.one(many.camera, index)
            single = views.View(many.keypoints_2d[index], many.confidence[index], camera)
            np.testing.assert_allclose(many.rays[index], single.rays)


def test_a_swapped_pair_is_the_pair_from_the_other_side():
    pair = views.ViewPair(view(seed=0), view(seed=1))
    assert pair.swapped.source is pair.target
    assert pair.swapped.target is pair.source


def test_views_go_through_tf_functions_and_data_as_they_are():
    many = view(6)
    batches = list(tf.data.Dataset.from_tensor_slices(many).batch(4))
    assert [type(batch) for batch in batches] == [views.View, views.View]
    rays = tf.concat([tf.function(lambda seen: seen.rays)(batch) for batch in batches], axis=0)
    np.testing.assert_allclose(rays, many.rays)
