"""Backbones and root heads: plain functional Keras models from rays to poses."""

import importlib.util
import os

# Networks, metrics and training are written for Keras 2. From TensorFlow 2.16 on, `tf.keras` is
# that only where tf_keras is installed and this is said before its first use.
if importlib.util.find_spec("tf_keras"):
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
