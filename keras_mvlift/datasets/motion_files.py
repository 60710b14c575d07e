"""Recorded motions as `.npz` files: one array a motion, nothing pickled.

Each array is `[T, 17, 3]`, meters, z up, with the joints of `skeletons.H36M_17`; its key is the
motion's name.
"""

import zipfile

import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets import errors


def names(path: str) -> list[str]:
    """Gives the names of a file's motions, sorted.

    Raises:
        FileNotFoundError: If there is no such file.
        RecordingError: If it is no `.npz` file.
    """
    with _open(path) as archive:
        return sorted(archive.files)


def read(path: str, name: str) -> np.ndarray:
    """Reads one motion, `[T, J, 3]`, meters, z up.

    Raises:
        FileNotFoundError: If there is no such file.
        RecordingError: If it has no such motion, or not of the form described above.
    """
    with _open(path) as archive:
        if name not in archive.files:
            raise errors.RecordingError(path, name, "be a motion of the file", "no such key")
        motion = archive[name]
    shape = (len(motion), skeletons.H36M_17.num_joints, 3) if motion.ndim else None
    if motion.shape != shape or not len(motion):
        raise errors.RecordingError(path, name, "have shape [T, 17, 3]", motion.shape)
    rule = "hold finite floating-point numbers"
    if not np.issubdtype(motion.dtype, np.floating):
        raise errors.RecordingError(path, name, rule, motion.dtype)
    if not np.isfinite(motion).all():
        raise errors.RecordingError(path, name, rule, "NaN or infinity")
    return motion


def _open(path: str) -> np.lib.npyio.NpzFile:
    try:
        archive = np.load(path, allow_pickle=False)
    except (ValueError, zipfile.BadZipFile) as error:
        raise errors.RecordingError(path, "file", "be an .npz archive", error) from error
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise errors.RecordingError(path, "file", "be an .npz archive", type(archive).__name__)
    return archive
