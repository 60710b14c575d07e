import numpy as np
import pytest

from keras_mvlift import skeletons
from keras_mvlift.experiments import cells

JOINTS = skeletons.H36M_17.joints


def off_by(error_mm, *joints):
    """Poses of which some joints are off along x."""
    pose_true = np.zeros((1, 17, 3), np.float32)
    pose_pred = pose_true.copy()
    pose_pred[0, [JOINTS.index(joint) for joint in joints], 0] = error_mm / 1000
    return pose_true, pose_pred


def test_shares_golden():
    # 7 of 14 joints are off by 102 mm, within 150 mm; 151 mm for one more is not: 13 of 14.
    # Above 0 mm lie 30 of 31 thresholds, above 102 mm ten: (6 * 30 + 7 * 10 + 0) / 14 / 31.
    pose_true, pose_pred = off_by(102, *(joint for joint in JOINTS if "left" in joint), "head")
    pose_pred[0, JOINTS.index("thorax"), 0] = 0.151
    shares = cells.measure_joint_shares(pose_true, pose_pred)
    assert shares["pck_150_14"] == pytest.approx(100 * 13 / 14)
    assert shares["auc_14"] == pytest.approx(100 * 250 / 14 / 31)


def test_spine_and_nose_do_not_count():
    shares = cells.measure_joint_shares(*off_by(1000, "spine", "nose"))
    assert shares["pck_150_14"] == pytest.approx(100)
    assert shares["auc_14"] == pytest.approx(3000 / 31)


def test_many_poses_are_averaged(monkeypatch):
    monkeypatch.setattr(cells, "_BATCH_SIZE", 2)
    good, bad = off_by(0), off_by(200, *(joint for joint in JOINTS if joint != "pelvis"))
    both = [np.concatenate([one, one, other]) for one, other in zip(good, bad, strict=True)]
    shares = cells.measure_joint_shares(*both)
    assert set(shares) == set(cells.JOINT_SHARES)
    assert shares["pck_150_14"] == pytest.approx(200 / 3)
