"""Runs the cells of tables, keeps each, and names it by the code that decides its figures."""

import dataclasses
import functools
import hashlib
import json
import pathlib
import shutil
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tqdm
from tensorflow import keras

import keras_mvlift
from keras_mvlift import errors
from keras_mvlift.experiments import data as training_data
from keras_mvlift.experiments import methods, origins, profiles, tables, variants
from keras_mvlift.metrics import baselines, held_out_views, pose_error
from keras_mvlift.training import stages
from keras_mvlift.untrusted import files


def measure(
    cell: variants.Cell, get_data: Callable[[], training_data.TrainingData], watch: methods.Watch
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Runs a cell, from its last checkpoint on if it was interrupted.

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
        poses = methods.METHODS[cell.variant.method](methods.Run(cell, data, watch))
        is_partial = cell.variant.method in methods.PARTIAL
        record |= _measured(data, poses, is_partial=is_partial)
    except stages.NonFiniteLossError as error:
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


def _measured(
    data: training_data.TrainingData, poses: np.ndarray, *, is_partial: bool
) -> dict[str, Any]:
    """Measures poses; joints that are NaN are left out if a method may leave joints open."""
    test, is_known = data.test, np.isfinite(poses).all(axis=-1)
    if not is_partial and not is_known.all():
        return {"status": "diverged", "error": "Poses must be finite. Received: NaN or infinity."}
    figures = pose_error.figures_of_poses(test, poses)
    of_people = pose_error.figures_of_poses(test._replace(action=data.test_subject), poses)
    pose_true = np.where(is_known[..., np.newaxis], test.reference_pose, np.nan)
    shares = measure_joint_shares(pose_true, np.nan_to_num(poses).astype(np.float32))
    scores = {}
    # The score without labels takes an instant that two cameras saw.
    if is_known.all() and baselines.has_several_views(test):
        found = held_out_views.score_test_views(test, poses)
        scores = {f"held_out_{name}": value for name, value in found.items()}
    # Test data are told apart by what they hold, whatever was trained on.
    parts = (test.view.keypoints_2d, test.view.confidence, test.reference_pose)
    digest = hashlib.sha256(b"".join(part.tobytes() for part in parts))
    return {
        "test": digest.hexdigest()[:16],
        "figures": {
            "overall": figures["overall"] | shares | scores,
            "mean_over_actions": figures["mean_over_actions"],
            "per_action": figures["per_action"],
            "per_person": of_people["per_action"],
        },
    }


FINISHED = ("done", "diverged", "not_applicable")
"""What a cell's `status` is where running it again would change nothing."""


class CellStore:
    """A folder of cells, `<digest>.json`, each beside the poses it found, `<digest>.npz`.

    A file is there whole or not at all. The `.json` comes last, so that where it is, the poses are
    too.
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
        with files.replacing(self.folder / f"{digest}.json") as partial:
            partial.write_text(text)

    def write_poses(self, digest: str, **poses: np.ndarray) -> None:
        """Writes poses `[..., 3]`, meters, to the millimeter, and arrays of names as they are."""
        limits, arrays = np.iinfo(np.int16), {}
        for name, values in poses.items():
            arrays[name] = values
            if np.issubdtype(values.dtype, np.floating):
                finite = np.nan_to_num(errors.MILLIMETERS.from_meters(values.astype(np.float64)))
                rounded = np.rint(np.clip(finite, limits.min, limits.max))
                arrays[name] = rounded.astype(np.int16)
        with files.replacing(self.folder / f"{digest}.npz") as partial:
            np.savez_compressed(partial, **arrays)

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


# What only chooses, shows or stores is left out: a new row of a table leaves old cells valid.
_DECIDES = (
    "configs.py",
    "errors.py",
    "skeletons.py",
    "sources.py",
    "inference.py",
    "trained_models.py",
    "datasets",
    "geometry",
    "reprojection.py",
    "metrics",
    "networks",
    "studio",
    "training",
    "untrusted",
    "experiments/adversarial.py",
    "experiments/data.py",
    "experiments/methods.py",
    "experiments/origins.py",
    "experiments/peers.py",
    "experiments/runs.py",
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


# The AUC compares each joint with 31 thresholds: as many poses at once take some 14 MB.
_BATCH_SIZE = 8192


def measure_joint_shares(pose_true: np.ndarray, pose_pred: np.ndarray) -> dict[str, float]:
    """Returns PCK and AUC as MPI-INF-3DHP's test code counts them, over 14 of 17 joints, times 100.

    They are means over poses `[N, 17, 3]`, meters; roots may be apart. Poses that lack their root,
    or all joints that count, are left out.
    """
    rows = [slice(start, start + _BATCH_SIZE) for start in range(0, len(pose_true), _BATCH_SIZE)]
    joints, means = pose_error.OFFICIAL_JOINTS, {}
    for name, share in (("pck_150_14", pose_error.pck), ("auc_14", pose_error.pck_auc)):
        parts = [share(pose_true[part], pose_pred[part], joints=joints) for part in rows]
        mean = np.nanmean(np.concatenate(parts), dtype=np.float64)
        means[name] = pose_error.PERCENT * float(mean)
    return means


Found = dict[str, dict[int, dict[str, Any]]]
"""Digest of a variant to seed to record, which has its `digest` beside it."""

# Data sets kept in memory; cells are sorted by theirs.
_NUM_KEPT = 2
_Loaded = dict[variants.DataSettings, training_data.TrainingData]


@dataclasses.dataclass(frozen=True)
class Experiments:
    """What is asked for, and where what was measured is kept.

    Args:
        profile: The budget.
        origin: The data at hand.
        chosen: The tables whose rows to run.
        seeds: A run of every row for each.
        folder: Keeps the cells.
        known: The tables of which finished cells are shown, whoever asked for them; without any,
            those that are chosen.
    """

    profile: profiles.Profile
    origin: origins.Origin
    chosen: Sequence[tables.Table]
    seeds: Sequence[int]
    folder: pathlib.Path
    known: Sequence[tables.Table] = ()

    def __post_init__(self) -> None:
        errors.require(len(self.chosen) > 0, "chosen", "hold one table or more", "none")
        is_once = 0 < len({*self.seeds}) == len(self.seeds)
        errors.require(is_once, "seeds", "name one or more, each once", self.seeds)

    @functools.cached_property
    def description(self) -> dict[str, Any]:
        """What the data are, as JSON."""
        return self.origin.describe()

    @functools.cached_property
    def store(self) -> CellStore:
        """The cells in the folder."""
        return CellStore(self.folder / "cells")

    def cell(self, row: tables.Row, seed: int) -> variants.Cell:
        """Returns what a row and a seed stand for."""
        return variants.Cell(variant=row.variant, budget=self.profile.budget, seed=seed)

    def digest(self, settings: Any) -> str:
        """Returns the name of a cell's files: of its settings, the data and the code."""
        return variants.digest([settings, self.description, code_digest()])

    def found(self) -> Found:
        """Reads the cells of this budget, these data and this code that lie in the folder."""
        budget = variants.digest(self.profile.budget)
        found: Found = {}
        for digest in self.store.digests():
            record = self.store.read(digest) or {}
            settings = record.get("settings", {})
            if digest == self.digest(settings) and variants.digest(settings["budget"]) == budget:
                by_seed = found.setdefault(variants.digest(settings["variant"]), {})
                by_seed[settings["seed"]] = {"digest": digest, **record}
        return found

    def data_digest(self, settings: variants.DataSettings) -> str:
        """Returns the name of the file that keeps a test set's true poses."""
        return f"truth_{self.digest(settings)}"

    def to_do(self) -> list[variants.Cell]:
        """Returns the cells that are not finished; those of the same data follow each other."""
        every = {
            self.digest(cell): cell
            for table in self.chosen
            for row in table.rows
            for cell in (self.cell(row, seed) for seed in self.seeds)
        }
        left = [cell for digest, cell in every.items() if not self.store.is_finished(digest)]
        order = list(dict.fromkeys(cell.variant.data for cell in left))
        return sorted(left, key=lambda cell: order.index(cell.variant.data))

    def run(self) -> None:
        """Runs what is to do; a cell that fails says so in its file and is tried again next time.

        On a terminal a bar shows how far it is.
        """
        loaded: _Loaded = {}
        rows = [row for table in self.chosen for row in table.rows]
        # Cells cost alike: the mean of all says more of the time left than the last ones.
        cells_left = self.to_do()
        bar = tqdm.tqdm(cells_left, desc="experiments", unit="cell", smoothing=0, disable=None)
        for cell in bar:
            digest = self.digest(cell)
            folder = self.folder / "checkpoints" / digest
            name = next(row.name for row in rows if row.variant == cell.variant)

            def show(text: str, name: str = name) -> None:
                bar.set_postfix_str(f"{name}: {text}")

            show("data")
            get_data = functools.partial(self._data, cell.variant.data, loaded)
            record, poses = measure(cell, get_data, methods.Watch(folder, show))
            if poses is not None:
                self.store.write_poses(digest, pose=poses)
            data = loaded.get(cell.variant.data)
            about = {
                "format": 1,
                "settings": dataclasses.asdict(cell),
                "data": data and data.about,
                "truth": self.data_digest(cell.variant.data),
                "code": code_digest(),
            }
            self.store.write(digest, about | record)
            if record["status"] in FINISHED:
                shutil.rmtree(folder, ignore_errors=True)

    def _data(self, settings: variants.DataSettings, loaded: _Loaded) -> training_data.TrainingData:
        if settings not in loaded:
            while len(loaded) >= _NUM_KEPT:
                del loaded[next(iter(loaded))]
            data = loaded[settings] = training_data.TrainingData(self.origin, settings)
            test = data.test
            self.store.write_poses(
                self.data_digest(settings),
                pose=test.reference_pose,
                clip=test.clip,
                camera=test.camera,
                frame=test.frame,
            )
        return loaded[settings]
