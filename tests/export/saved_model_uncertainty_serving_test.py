import numpy as np
import tensorflow as tf

from keras_mvlift.datasets import views
from keras_mvlift.geometry import cameras
from tests import tiny_studio

RNG = np.random.default_rng(0)


def test_a_saved_model_predicts_what_the_model_does_and_one_without_has_no_such_signature(tmp_path):
    view = views.View(
        tf.constant(RNG.uniform(300, 700, (3, 17, 2)), tf.float32),
        tf.constant(RNG.uniform(0.1, 1, (3, 17)), tf.float32),
        cameras.Camera(
            tf.constant(np.tile(tiny_studio.INTRINSICS, (3, 1, 1))), tf.eye(3), tf.zeros(3)
        ),
    )
    model = tiny_studio.trained_uncertainty()
    tiny_studio.save(model, tmp_path / "with", uncertainty=True)
    loaded = tf.saved_model.load(str(tmp_path / "with"))
    found = loaded.signatures["joint_uncertainty"](
        keypoints_2d=view.keypoints_2d,
        confidence=view.confidence,
        intrinsics=view.camera.intrinsics,
    )["joint_uncertainty"]
    np.testing.assert_allclose(found, model.uncertainty(view), rtol=1e-5)
    assert np.std(found, axis=0).min() > 1e-5
    tiny_studio.save(tiny_studio.trained(), tmp_path / "without")
    without = tf.saved_model.load(str(tmp_path / "without"))
    assert "joint_uncertainty" not in without.signatures
