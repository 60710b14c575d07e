"""Views as signatures and exported files take them, and what the Keras model makes of them."""

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from keras_mvlift import configs
from keras_mvlift.datasets import views
from keras_mvlift.export import saved_model
from keras_mvlift.geometry import cameras, triangulation
from keras_mvlift.training import lifters, objectives
from tests import tiny_studio

# Meters: 0.1 mm.
TOLERANCE = 1e-4
# Layers of fewer weights than 1024 are not quantized.
WIDTH = 64


def saved(folder, **settings):
    """Saves a model that says something into `folder` and gives it; settings are its config's."""
    settings = {"width": WIDTH, "output_stddev": 0.1, **settings}
    config = configs.ModelConfig(**tiny_studio.TINY | settings)
    lifter = lifters.build(
        config,
        objectives.TransformReprojection(),
        tiny_studio.RIG_DISTANCE,
        tiny_studio.INTRINSICS,
    )
    for seed, weight in enumerate(lifters.weights_of(lifter)):
        weight.assign_add(tf.random.stateless_uniform(weight.shape, [seed, 0], 0.0, 0.03))
    tiny_studio.stand(lifter)
    if lifter.uncertainty is not None:
        last = lifter.uncertainty.network.get_layer("log_scale")
        last.bias.assign(tf.linspace(-4.0, -2.0, last.bias.shape[0]))
        last.kernel.assign(tf.random.stateless_uniform(last.kernel.shape, [1, 0], -3e-3, 3e-3))
    tiny_studio.save(lifter, folder, **settings)
    return lifter


def inputs():
    """Returns 24 views of the studio in which a fifth of the joints is missing.

    The rays of the first do not tell where the person is, for they are too few; those of the second
    do not, for they are none.
    """
    columns = tiny_studio.prepare(tiny_studio.film(missing_rate=0.2)).test_views
    names = ("keypoints_2d", "confidence", "intrinsics")
    given = {name: columns[name].astype(np.float32) for name in names}
    given["confidence"][0, triangulation.MIN_ROOT_JOINTS - 1 :] = 0.0
    given["confidence"][1] = 0.0
    return given


def first(given, size):
    return {name: value[:size] for name, value in given.items()}


def assert_blind_to_places(lift):
    """Fails unless it does not matter to outputs where a joint lies that was not seen."""
    given, results = inputs(), []
    given["confidence"][:, 4] = 0.0
    for place in (0.0, 1e4, np.nan):
        given["keypoints_2d"][:, 4] = place
        results.append(lift(given))
    for result in results[1:]:
        for name, value in results[0].items():
            np.testing.assert_array_equal(value, result[name])


def view_of(given):
    """The same as a `View`."""
    # Where the camera stands is not looked at.
    camera = cameras.Camera(given["intrinsics"], given["intrinsics"], given["intrinsics"][:, 0])
    return tf.nest.map_structure(
        tf.constant, views.View(given["keypoints_2d"], given["confidence"], camera)
    )


def lifted(lifter, given):
    """What the Keras model gives, by the names of the outputs."""
    view = view_of(given)
    pose, root_position = (value.numpy() for value in lifter.lift(view))
    outputs = {"root_relative_pose": pose, "root_position": root_position}
    outputs["pose_camera"] = pose + root_position[:, np.newaxis]
    if lifter.uncertainty is not None:
        outputs["joint_uncertainty"] = lifter.uncertainty(view).numpy()
    return outputs


def differences(given, expected):
    """Returns the largest difference of each output, meters."""
    assert set(given) == set(expected)
    # Poses of the size of people, so that a tolerance says something.
    assert np.abs(expected["root_relative_pose"]).max() > 0.1
    for name, value in expected.items():
        assert given[name].shape == value.shape
    return {name: float(np.abs(given[name] - expected[name]).max()) for name in expected}


def logs_in(folder):
    """The warm-up requests of a SavedModel, as a server reads them."""
    path = folder / saved_model.WARM_UP_FILE
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record) for record in records]


def requests_in(folder):
    return [log.predict_log.request for log in logs_in(folder)]
