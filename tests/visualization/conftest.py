import itertools

import numpy as np
import pytest

# Pixels below and right of the image's corner: H36M_17's joints of who stands, arms spread.
STANDING = [
    *((500, 500), (480, 500), (475, 620), (470, 740), (520, 500), (525, 620), (530, 740)),
    *((500, 430), (500, 360), (505, 330), (500, 290)),
    *((540, 365), (610, 370), (680, 375), (460, 365), (390, 370), (320, 375)),
]
BASELINES = ("triangulation", "nearest_view", "constant_pose")
HELD_OUT = {
    "mean_px": 6.25,
    "median_px": 4.5,
    "mean_mm": 31.25,
    "median_mm": 22.5,
    "mean_share": 0.06,
    "median_share": 0.04,
    "num_instants": 40,
    "measured_on": "eval",
}


@pytest.fixture
def keypoints_2d():
    return np.array(STANDING, np.float64)


@pytest.fixture
def pose(keypoints_2d):
    """`[17, 3]`, meters, the left side farther from the camera than the right."""
    plane = (keypoints_2d - keypoints_2d[0]) / 300.0
    return np.concatenate([plane, plane[:, :1] / 2], axis=-1)


@pytest.fixture
def results():
    """A run's results; no two figures are equal."""
    numbers = (value / 10 for value in itertools.count(101))
    names = ("mpjpe_mm", "n_mpjpe_mm", "p_mpjpe_mm", "pck_150", "auc")

    def figures(**counts):
        return {name: next(numbers) for name in names} | counts

    def measured(**counts):
        return {
            "overall": figures(**counts),
            "mean_over_actions": figures(),
            "median_over_cameras": figures(),
            "per_action": {name: figures(**counts) for name in ("walking", "balancing")},
            "per_camera": {name: figures(**counts) for name in ("cam1", "cam2")},
        }

    return measured(num_examples=80) | {
        "baselines": {name: measured() for name in BASELINES},
        "data": {
            "source": "pose2sim",
            "data_root": "recordings/first",
            "clips": ["trial_1"],
            "reference": "recorded",
            "train_people": 1,
            "train_instants": 910,
            "train_pairs": 5460,
            "test_views": 160,
            "counts": {"train_pairs": 5460, "test_views": 160, "dropped_views": 3},
        },
        "seed": 7,
        "recipe": "solved_root",
        "held_out": HELD_OUT,
        "blessed": True,
        "reasons": [],
        "further": {"held_out_median_mm": 22.5, "nearest_view_ratio": 0.456},
        "model": "output/mvlift/serving/mvlift/1732123456",
        "trained": "output/mvlift/artifacts/Trainer.Finetune/model/9/Format-Serving",
        "picture": "output/mvlift/picture.png",
        "results": "output/mvlift/results.json",
        "log": "output/mvlift/logs/20251122-170440.log",
    }


@pytest.fixture
def failed(results):
    reasons = ["mpjpe_mm 91.2 is not at most 80.", "p_mpjpe_mm 70.1 is not at most 65."]
    return results | {"blessed": False, "reasons": reasons, "model": None}
