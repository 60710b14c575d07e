"""Recorded motions as `.npz` files: one array a motion, nothing pickled.

Each array is `[T, 17, 3]`, meters, z up, with the joints of `skeletons.H36M_17`; its key is the
motion's name.
"""

import pathlib

import numpy as np

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets import archives


def names(path: str) -> list[str]:
    """Gives the names of a file's motions, sorted.

    Raises:
        RecordingError: If it is missing or no `.npz` file.
    """
    return sorted(archives.names(pathlib.Path(path)))


def read(path: str, name: str) -> np.ndarray:
    """Reads one motion, `[T, J, 3]`, meters, z up.

    Raises:
        RecordingError: If the file is missing or damaged, or has no such motion, or not of the
            form described above.
    """
    if name not in names(path):
        raise errors.RecordingError(path, name, "be a motion of the file", "no such key")
    motion = archives.read_npz(pathlib.Path(path), (name,))[name]
    rule = "hold finite floating-point numbers"
    if not isinstance(motion, np.ndarray) or not np.issubdtype(motion.dtype, np.floating):
        received = getattr(motion, "dtype", type(motion).__name__)
        raise errors.RecordingError(path, name, rule, received)
    shape = (len(motion), skeletons.H36M_17.num_joints, 3) if motion.ndim else None
    if motion.shape != shape or not len(motion):
        raise errors.RecordingError(path, name, "have shape [T, 17, 3]", motion.shape)
    if not np.isfinite(motion).all():
        raise errors.RecordingError(path, name, rule, "NaN or infinity")
    return motion
