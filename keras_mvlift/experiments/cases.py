"""Single poses to look at: where one row of a table did best, middling and worst."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_mvlift.experiments import cell_store
from keras_mvlift.metrics import pose_error

OURS = "solved root, all views and triangulated pose"
"""The row whose errors choose the cases; the first row that has poses, where it has none."""


def choose(store: cell_store.CellStore, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Gives the best, the median and the worst test view with what each row made of it.

    Args:
        store: Where the poses are.
        rows: Of one table, as `results.gather` lays them out; the first seed of each is shown.
            Rows that were tested on other views than the chosen row are left out.

    Returns:
        For each case `title`, `view` (clip, camera, frame), and `poses`: name of the row, or
        `"true"`, to `mpjpe_mm` and `joints`, `[J, 3]`, whole millimeters, camera axes.
    """
    done = {
        row["name"]: cell for row in rows for cell in row["cells"][:1] if cell["status"] == "done"
    }
    if not done:
        return []
    chosen = done.get(OURS) or next(iter(done.values()))
    truth = store.read_poses(chosen["truth"])
    poses = {
        name: store.read_poses(cell["digest"])["pose"]
        for name, cell in done.items()
        if cell["truth"] == chosen["truth"]
    }
    errors = {name: _errors_mm(truth["pose"], pose) for name, pose in poses.items()}
    name = OURS if OURS in poses else next(iter(poses))
    order = np.argsort(errors[name])
    picked = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    return [
        {
            "title": f"{title.capitalize()} of {len(order)} views for {name}",
            "view": {
                "clip": str(truth["clip"][index]),
                "camera": str(truth["camera"][index]),
                "frame": int(truth["frame"][index]),
            },
            "poses": {"true": _pose(truth["pose"][index], 0.0)}
            | {row: _pose(pose[index], errors[row][index]) for row, pose in poses.items()},
        }
        for title, index in picked.items()
    ]


def _errors_mm(pose_true: np.ndarray, pose_pred: np.ndarray) -> np.ndarray:
    return pose_error.MILLIMETERS_PER_METER * np.linalg.norm(pose_pred - pose_true, axis=-1).mean(
        axis=-1
    )


def _pose(joints: np.ndarray, error_mm: float) -> dict[str, Any]:
    return {
        "mpjpe_mm": float(error_mm),
        "joints": np.rint(pose_error.MILLIMETERS_PER_METER * joints).astype(int).tolist(),
    }
