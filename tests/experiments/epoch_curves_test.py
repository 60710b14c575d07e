import numpy as np
import pytest

from keras_mvlift.experiments import epoch_curves
from keras_mvlift.training import lifted
from tests.experiments import tiny_experiments


def off_by(data, monkeypatch, limit):
    """Measures a lifter whose poses are true but for 0.1 m at one of 17 joints."""
    monkeypatch.setattr(epoch_curves, "NUM_VIEWS", limit)
    curve, seen = [], []

    def lifter(view, training):
        assert not training
        seen.append(len(view.confidence))
        pose = callback.pose_true.numpy()
        pose[:, 3, 0] += 0.1
        return lifted.Lifted(pose, None)

    callback = epoch_curves.EpochCurve(lifter, data.test, "finetune", curve)
    callback.on_epoch_end(4, {"loss": np.float32(2.5)})
    return curve, seen


@pytest.mark.parametrize("limit", [7, 10**6])
def test_an_epoch_is_an_entry_measured_on_no_more_views_than_wanted(monkeypatch, limit):
    data = tiny_experiments.data()
    (entry,), seen = off_by(data, monkeypatch, limit)
    assert entry | {"mpjpe_mm": None} == {
        "stage": "finetune",
        "epoch": 5,
        "loss": 2.5,
        "mpjpe_mm": None,
    }
    assert entry["mpjpe_mm"] == pytest.approx(100 / 17, rel=1e-4)
    assert seen == [min(limit, len(data.test.frame))]
