"""Trained models as TFLite, which LiteRT reads too, through TensorFlow's own converter."""

import contextlib
import json
import os
import pathlib
import sys
import tempfile
import zipfile
from collections.abc import Iterator

import tensorflow as tf

import keras_mvlift
from keras_mvlift import errors, inference, trained_models
from keras_mvlift.untrusted import files

WEIGHTS = ("float32", "float16", "int8")
"""How weights are kept. With `"int8"` activations are quantized as they come (dynamic range)."""

# Stays the same, so that the same model makes the same file.
_TIME = (1980, 1, 1, 0, 0, 0)


def write(lifter: inference.Lifter, path: str | os.PathLike[str], weights: str = "float32") -> None:
    """Writes a model of single frames, for batches of any size; what is there is replaced.

    The file has one signature, `SIGNATURE`, with inputs and outputs as `SingleFrames` has them. It
    is a ZIP archive, too, with a JSON file of each of its notes.

    Raises:
        ValueError: If the model lifts a frame by those around it, or `weights` are not known.
        OSError: If the file cannot be written.
    """
    errors.require_known("weights", weights, WEIGHTS)
    exported = SingleFrames(lifter)
    content = _convert(exported, weights)
    with files.replacing(pathlib.Path(path)) as partial:
        partial.write_bytes(content)
        # As TFLite's metadata has it: readers of the model do not look behind its end.
        with zipfile.ZipFile(partial, "a") as archive:
            for name, text in exported.notes.items():
                archive.writestr(zipfile.ZipInfo(f"{name}.json", _TIME), text)


class SingleFrames(tf.Module):
    """The function that is exported of a loaded model, with the weights that it needs.

    Attributes:
        lift_camera: From `keypoints_2d` `[B, J, 2]`, pixels, `confidence` `[B, J]` and `intrinsics`
            `[B, 3, 3]`, pixels, to a dict of `root_relative_pose` `[B, J, 3]`, `root_position`
            `[B, 3]` and `pose_camera` `[B, J, 3]`, meters, camera frame, and `joint_uncertainty`
            `[B, J]`, meters, of a model that predicts it.
        notes: What a user of an exported file must know, as JSON texts by name: `joint_names`,
            `parents` and the mean `intrinsics` `[3, 3]` of training, pixels; `inputs` and `outputs`
            with their shapes, units and frames; `camera_axes` and `made_by`.

    Raises:
        ValueError: If the model lifts a frame by those around it.
    """

    def __init__(self, lifter: inference.Lifter):
        super().__init__()
        if isinstance(lifter, inference.ClipLifter):
            received = f"a model of windows of {lifter.num_frames} frames"
            raise errors.ArgumentError("model", "lift single frames to be exported", received)
        self._model = trained_models.open_model(lifter.path)
        names = [name for name in (SIGNATURE, _UNCERTAINTY) if name in self._model.signatures]
        signatures = [self._model.signatures[name] for name in names]

        def lift_camera(
            keypoints_2d: tf.Tensor, confidence: tf.Tensor, intrinsics: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            views = dict(zip(_INPUTS, (keypoints_2d, confidence, intrinsics), strict=True))
            return {key: x for called in signatures for key, x in called(**views).items()}

        self.notes = _notes(lifter, _UNCERTAINTY in names)
        num_joints = len(lifter.joint_names)
        shapes = ([None, num_joints, 2], [None, num_joints], [None, 3, 3])
        self.lift_camera = tf.function(
            lift_camera,
            input_signature=[
                tf.TensorSpec(shape, tf.float32, name)
                for shape, name in zip(shapes, _INPUTS, strict=True)
            ],
        )


def _convert(exported: SingleFrames, weights: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder, _silence():
        tf.saved_model.save(exported, folder, signatures={SIGNATURE: exported.lift_camera})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
        if weights != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if weights == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keeps what the converter counts from the screen; it is printed past Python."""
    sys.stderr.flush()
    screen = os.dup(2)
    try:
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), 2)
            yield
    finally:
        os.dup2(screen, 2)
        os.close(screen)


SIGNATURE = "lift_camera"

_UNCERTAINTY = "joint_uncertainty"
# Of each input and output: its shape and what it holds.
_INPUTS = {
    "keypoints_2d": "[B, J, 2], pixels, without lens distortion",
    "confidence": "[B, J], in [0, 1], 0 for a joint that was not seen",
    "intrinsics": "[B, 3, 3], pixels",
}
_OUTPUTS = {
    "root_relative_pose": "[B, J, 3], meters, the first joint at 0, camera axes",
    "root_position": "[B, 3], meters, camera frame",
    "pose_camera": "[B, J, 3], meters, camera frame: the sum of the two",
    _UNCERTAINTY: "[B, J], meters: how far off each joint is likely to be",
}


def _notes(lifter: inference.Lifter, is_uncertain: bool) -> dict[str, str]:
    outputs = {key: about for key, about in _OUTPUTS.items() if is_uncertain or key != _UNCERTAINTY}
    values = {
        "joint_names": lifter.joint_names,
        "parents": lifter.parents,
        "intrinsics": lifter.intrinsics.tolist(),
        "inputs": _INPUTS,
        "outputs": outputs,
        "camera_axes": "x right, y down, z away from the camera",
        "made_by": f"keras_mvlift {keras_mvlift.__version__}",
    }
    return {key: json.dumps(value) for key, value in values.items()}
