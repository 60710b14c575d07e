"""Records of poses to be judged, as an Examples artifact."""

import numpy as np
import tensorflow as tf
from tfx.types import artifact_utils, standard_artifacts

NUM_JOINTS = 17
ACTIONS, CAMERAS = ("walking", "sitting", "eating"), ("left", "right")


def example(index, reference):
    numbers = {
        "reference_pose": reference,
        "keypoints_2d": reference[:, :2],
        "confidence": np.ones(NUM_JOINTS),
        "intrinsics": np.eye(3),
    }
    words = {"action": ACTIONS[index % 3], "camera": CAMERAS[index % 2]}
    feature = {
        key: tf.train.Feature(float_list=tf.train.FloatList(value=np.ravel(value)))
        for key, value in numbers.items()
    }
    for key, word in words.items():
        feature[key] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[word.encode()]))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def write(root, references):
    artifact = standard_artifacts.Examples()
    artifact.uri = str(root)
    artifact.split_names = artifact_utils.encode_split_names(["eval"])
    (root / "Split-eval").mkdir(parents=True)
    path = str(root / "Split-eval" / "data-00000-of-00001.gz")
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for index, reference in enumerate(references):
            writer.write(example(index, reference))
    return artifact
