"""One cell of a table: run, kept, and identified by the code that decides its figures."""

import functools
import hashlib
import io
import json
import os
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from tensorflow import keras

import keras_mvlift
from keras_mvlift import errors
from keras_mvlift.experiments import data, methods, origins, variants
from keras_mvlift.metrics import baselines, held_out_views, pose_error
from keras_mvlift.training import optimizers

Poses = np.ndarray | None


def run(
    cell: variants.Cell,
    get_data: Callable[[], data.TrainingData],
    watch: methods.Watch,
) -> tuple[dict[str, Any], Poses]:
    """Runs a cell.

    Args:
        cell: What to run.
        get_data: Makes or recalls the cell's data.
        watch: Keeps checkpoints, from which a cell goes on that was interrupted.

    Returns:
        The record, with a `status`: `"done"`; `"diverged"` where the loss stopped being a number,
        which is a result; `"not_applicable"` where the data cannot give what the variant needs;
        `"failed"` for any other error. And the test views' poses `[N, J, 3]`, meters, camera axes,
        where it is done.
    """
    start = time.monotonic()
    record: dict[str, Any] = {"status": "done", "error": None, "figures": None, "test": None}
    poses = None
    try:
        data = get_data()
        keras.utils.set_random_seed(cell.seed)
        poses = methods.METHODS[cell.variant.method](cell, data, watch)
        is_partial = cell.variant.method in methods.PARTIAL
        record |= _measured(data, poses, is_partial=is_partial)
    except optimizers.NonFiniteLossError as error:
        record |= {"status": "diverged", "error": str(error)}
    except origins.NotApplicableError as error:
        record |= {"status": "not_applicable", "error": str(error)}
    # Whatever a cell runs into, the others are still worth running.
    except Exception as error:
        record |= {"status": "failed", "error": f"{type(error).__name__}: {error}"}
    finally:
        keras.backend.clear_session()
    record["curve"] = [
        entry for entry in watch.curve if np.isfinite([entry["loss"], entry["mpjpe_mm"]]).all()
    ]
    record["seconds"] = round(time.monotonic() - start, 2)
    return record, poses if record["status"] == "done" else None


def _measured(data: data.TrainingData, poses: np.ndarray, *, is_partial: bool) -> dict[str, Any]:
    """Measures poses; joints that are NaN are left out if a method may leave joints open."""
    test, is_known = data.test, np.isfinite(poses).all(axis=-1)
    if not is_partial and not is_known.all():
        return {"status": "diverged", "error": "Poses must be finite. Received: NaN or infinity."}
    figures = pose_error.figures_of_poses(test, poses)
    per_person = pose_error.figures_of_poses(test._replace(action=data.test_subject), poses)[
        "per_action"
    ]
    pose_true = np.where(is_known[..., np.newaxis], test.reference_pose, np.nan)
    shares = measure_joint_shares(pose_true, np.nan_to_num(poses).astype(np.float32))
    scores = _held_out(test, poses) if is_known.all() else {}
    return {
        "test": _digest(test),
        "figures": {
            "overall": figures["overall"] | shares | scores,
            "mean_over_actions": figures["mean_over_actions"],
            "per_action": figures["per_action"],
            "per_person": per_person,
        },
    }


def _held_out(test: baselines.TestViews, poses: np.ndarray) -> dict[str, float]:
    """Returns the score without labels, nothing where no instant was seen by two cameras."""
    if not baselines.has_several_views(test):
        return {}
    found = held_out_views.score_test_views(test, poses)
    return {f"held_out_{name}": value for name, value in found.items()}


def _digest(test: baselines.TestViews) -> str:
    """Tells test data apart by what they hold, whatever was trained on."""
    parts = (test.view.keypoints_2d, test.view.confidence, test.reference_pose)
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()[:16]


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
        """Returns a cell's record, None where there is none, or none that can be read."""
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
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)
        self._replace(digest, ".npz", content.getvalue())

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


# What only chooses, shows or stores is left out: a new row of a table leaves old cells valid.
_DECIDES = (
    "configs.py",
    "errors.py",
    "skeletons.py",
    "sources.py",
    "calibration",
    "datasets",
    "geometry",
    "losses",
    "metrics",
    "networks",
    "studio",
    "training",
    "untrusted",
    "experiments/adversarial.py",
    "experiments/cells.py",
    "experiments/data.py",
    "experiments/methods.py",
    "experiments/origins.py",
    "experiments/peers.py",
)


@functools.cache
def code_digest() -> str:
    """Returns 16 letters that change with the sources of all that trains or measures."""
    return _source_digest(pathlib.Path(keras_mvlift.__file__).parent)


def _source_digest(root: pathlib.Path) -> str:
    digest = hashlib.sha256()
    for part in _DECIDES:
        path = root / part
        for source in [path] if path.is_file() else sorted(path.rglob("*.py")):
            digest.update(f"{source.relative_to(root)}\n".encode() + source.read_bytes())
    return digest.hexdigest()[:16]


JOINT_SHARES: dict[str, Callable[..., Any]] = {
    "pck_150_14": pose_error.pck,
    "auc_14": pose_error.pck_auc,
}
"""PCK and AUC as MPI-INF-3DHP's test code counts them, over 14 of the 17 joints, times 100."""

# The AUC compares each joint with 31 thresholds: as many poses at once take some 14 MB.
_BATCH_SIZE = 8192


def measure_joint_shares(pose_true: np.ndarray, pose_pred: np.ndarray) -> dict[str, float]:
    """Returns the means over poses.

    Args:
        pose_true: `[N, 17, 3]`, meters, any frame.
        pose_pred: `[N, 17, 3]`, meters, same frame but for the root's position.

    Returns:
        A figure for each of `JOINT_SHARES`.
    """
    rows = [slice(start, start + _BATCH_SIZE) for start in range(0, len(pose_true), _BATCH_SIZE)]

    def mean(share: Callable[..., Any]) -> float:
        joints = pose_error.OFFICIAL_JOINTS
        parts = [share(pose_true[part], pose_pred[part], joints=joints) for part in rows]
        return pose_error.PERCENT * float(np.concatenate(parts).mean(dtype=np.float64))

    return {name: mean(share) for name, share in JOINT_SHARES.items()}
