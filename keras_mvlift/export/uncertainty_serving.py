"""The signature of models that predict how far off joints are."""

import tensorflow as tf

from keras_mvlift import skeletons
from keras_mvlift.datasets import views
from keras_mvlift.export import request_checks
from keras_mvlift.geometry import cameras
from keras_mvlift.training import uncertainty

SIGNATURE = "joint_uncertainty"
_NUM_JOINTS = skeletons.H36M_17.num_joints


def signature(
    uncertainty: uncertainty.JointUncertainty,
) -> tf.types.experimental.GenericFunction:
    """Makes the signature.

    Args:
        uncertainty: What predicts.

    Returns:
        From `keypoints_2d` `[B, 17, 2]`, pixels, `confidence` `[B, 17]` and `intrinsics`
        `[B, 3, 3]`, pixels, to `joint_uncertainty` `[B, 17]`, meters.
    """

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, _NUM_JOINTS, 2], tf.float32, "keypoints_2d"),
            tf.TensorSpec([None, _NUM_JOINTS], tf.float32, "confidence"),
            tf.TensorSpec([None, 3, 3], tf.float32, "intrinsics"),
        ]
    )
    def predict(
        keypoints_2d: tf.Tensor, confidence: tf.Tensor, intrinsics: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        keypoints_2d, confidence = request_checks.seen(keypoints_2d, confidence, None)
        intrinsics, keypoints_2d = request_checks.camera(intrinsics, keypoints_2d, None)
        # Where the camera stands is not looked at.
        camera = cameras.Camera(intrinsics, intrinsics, intrinsics[:, 0])
        return {SIGNATURE: uncertainty(views.View(keypoints_2d, confidence, camera))}

    return predict
