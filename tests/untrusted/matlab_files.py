"""Writes MATLAB's files of version 7.3 as MATLAB does: axes reversed, its header in front."""

import h5py
import numpy as np

_HEADER = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan  1 00:00:00 2018 HDF5"
_USER_BLOCK = 512
_NAMES = {"float64": "double", "float32": "single", "bool": "logical"}


def write(path, variables, **options):
    """Writes arrays of numbers, and of objects as cells."""
    with h5py.File(path, "w", userblock_size=_USER_BLOCK) as file:
        for name, value in variables.items():
            dataset = _write(file, name, np.asarray(value), options)
            dataset.attrs["MATLAB_class"] = np.bytes_(_class(np.asarray(value)))
    with open(path, "r+b") as file:
        file.write(_HEADER.ljust(124) + b"\x00\x02IM")


def _class(value):
    return "cell" if value.dtype == object else _NAMES.get(value.dtype.name, value.dtype.name)


def _write(file, name, value, options):
    if not value.size:
        dataset = file.create_dataset(name, data=np.array(value.shape, np.uint64))
        dataset.attrs["MATLAB_empty"] = np.uint8(1)
        return dataset
    if value.dtype != object:
        stored = value.astype(np.uint8) if value.dtype == bool else value
        return file.create_dataset(name, data=stored.T, **options)
    references = np.empty(value.T.shape, h5py.ref_dtype)
    for index, cell in np.ndenumerate(value.T):
        inner = f"#refs#/{name.replace('/', '_')}_{'_'.join(map(str, index))}"
        dataset = _write(file, inner, np.asarray(cell), options)
        dataset.attrs["MATLAB_class"] = np.bytes_(_class(np.asarray(cell)))
        references[index] = dataset.ref
    return file.create_dataset(name, data=references, dtype=h5py.ref_dtype)
