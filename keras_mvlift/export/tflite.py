"""Trained models as TFLite, which LiteRT reads too, through TensorFlow's own converter."""

import contextlib
import os
import pathlib
import sys
import tempfile
import zipfile
from collections.abc import Iterator

import tensorflow as tf

from keras_mvlift import inference
from keras_mvlift.export import single_frames
from keras_mvlift.lifting import pose_clip

WEIGHTS = ("float32", "float16", "int8")
"""How weights are kept. With `"int8"` activations are quantized as they come (dynamic range)."""

# Stays the same, so that the same model makes the same file.
_TIME = (1980, 1, 1, 0, 0, 0)


def write(lifter: inference.Lifter, path: str | os.PathLike[str], weights: str = "float32") -> None:
    """Writes a model of single frames, for batches of any size.

    Args:
        lifter: Of `load_model`.
        path: The file, with one signature, `single_frames.SIGNATURE`, and inputs and outputs as
            `single_frames.SingleFrames` has them. It is a ZIP archive, too, with a JSON file of
            each of its notes. What is there is replaced.
        weights: One of `WEIGHTS`.

    Raises:
        ValueError: If the model lifts a frame by those around it, or `weights` are of no such kind.
        OSError: If the file cannot be written.
    """
    if weights not in WEIGHTS:
        raise ValueError(f"`weights` must be one of {', '.join(WEIGHTS)}. Received: {weights!r}.")
    exported = single_frames.SingleFrames(lifter)
    content = _convert(exported, weights)
    with pose_clip.replacing(pathlib.Path(path)) as partial:
        partial.write_bytes(content)
        # As TFLite's metadata has it: readers of the model do not look behind its end.
        with zipfile.ZipFile(partial, "a") as archive:
            for name, text in exported.notes.items():
                archive.writestr(zipfile.ZipInfo(f"{name}.json", _TIME), text)


def _convert(exported: single_frames.SingleFrames, weights: str) -> bytes:
    name = single_frames.SIGNATURE
    with tempfile.TemporaryDirectory() as folder, _silence():
        tf.saved_model.save(exported, folder, signatures={name: exported.lift_camera})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[name])
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
