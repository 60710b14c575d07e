"""Finished cells as files: what is there is not run again."""

import json
import os
import pathlib
import tempfile
from typing import Any

import numpy as np

from keras_mvlift import errors

FINISHED = ("done", "diverged", "not_applicable")
"""What a cell's `status` is where running it again would change nothing."""


class CellStore:
    """A folder of cells, `<digest>.json`, each beside the poses it found, `<digest>.npz`.

    A file is there whole or not at all: it is written under another name first. The `.json` comes
    last, so that where it is, the poses are too.

    Args:
        folder: Made if need be.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def digests(self) -> list[str]:
        """Lists the cells that there are."""
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def read(self, digest: str) -> dict[str, Any] | None:
        """Gives a cell's record, None where there is none, or none that can be read."""
        try:
            record = json.loads((self.folder / f"{digest}.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return record if isinstance(record, dict) and "status" in record else None

    def is_finished(self, digest: str) -> bool:
        """Tells whether a cell need not be run."""
        record = self.read(digest)
        return record is not None and record["status"] in FINISHED

    def write(self, digest: str, record: dict[str, Any]) -> None:
        """Writes a cell's record; numbers that are not finite are refused."""
        text = json.dumps(record, indent=1, sort_keys=True, allow_nan=False) + "\n"
        self._replace(digest, ".json", text.encode())

    def write_poses(self, digest: str, **poses: np.ndarray) -> None:
        """Writes poses `[..., 3]`, meters, to the millimeter, and arrays of names as they are."""
        arrays = {
            name: _millimeters(values) if np.issubdtype(values.dtype, np.floating) else values
            for name, values in poses.items()
        }
        handle, path = tempfile.mkstemp(dir=self.folder, suffix=".partial")
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, **arrays)
        os.replace(path, self.folder / f"{digest}.npz")

    def read_poses(self, digest: str) -> dict[str, np.ndarray]:
        """Reads what `write_poses` wrote; poses in meters."""
        with np.load(self.folder / f"{digest}.npz") as file:
            arrays = dict(file)
        return {
            name: errors.MILLIMETERS.to_meters(values.astype(np.float64))
            if values.dtype == np.int16
            else values
            for name, values in arrays.items()
        }

    def _replace(self, digest: str, suffix: str, content: bytes) -> None:
        handle, path = tempfile.mkstemp(dir=self.folder, suffix=".partial")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(path, self.folder / f"{digest}{suffix}")


def _millimeters(values: np.ndarray) -> np.ndarray:
    limits = np.iinfo(np.int16)
    finite = np.nan_to_num(errors.MILLIMETERS.from_meters(values.astype(np.float64)))
    return np.rint(np.clip(finite, limits.min, limits.max)).astype(np.int16)
