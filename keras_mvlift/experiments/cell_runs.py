"""Runs one cell: trains, measures, and says so whatever happens."""

import hashlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from tensorflow import keras

from keras_mvlift.experiments import (
    joint_shares,
    methods,
    origins,
    training_data,
    training_runs,
    variants,
)
from keras_mvlift.metrics import baselines, held_out_views, pose_error
from keras_mvlift.training import optimizers

Poses = np.ndarray | None


def run(
    cell: variants.Cell,
    get_data: Callable[[], training_data.TrainingData],
    watch: training_runs.Watch,
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


def _measured(
    data: training_data.TrainingData, poses: np.ndarray, *, is_partial: bool
) -> dict[str, Any]:
    """Measures poses; joints that are NaN are left out if a method may leave joints open."""
    test, is_known = data.test, np.isfinite(poses).all(axis=-1)
    if not is_partial and not is_known.all():
        return {"status": "diverged", "error": "Poses must be finite. Received: NaN or infinity."}
    figures = pose_error.figures_of_poses(test, poses)
    per_person = pose_error.figures_of_poses(test._replace(action=data.test_subject), poses)[
        "per_action"
    ]
    pose_true = np.where(is_known[..., np.newaxis], test.reference_pose, np.nan)
    shares = joint_shares.measure(pose_true, np.nan_to_num(poses).astype(np.float32))
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
    """Gives the score without labels, nothing where no instant was seen by two cameras."""
    if not baselines.has_several_views(test):
        return {}
    found = held_out_views.score_test_views(test, poses)
    return {f"held_out_{name}": value for name, value in found.items()}


def _digest(test: baselines.TestViews) -> str:
    """Tells test data apart by what they hold, whatever was trained on."""
    parts = (test.view.keypoints_2d, test.view.confidence, test.reference_pose)
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()[:16]
