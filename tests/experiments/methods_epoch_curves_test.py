import numpy as np
import pytest

from keras_mvlift.experiments import data as training_data
from keras_mvlift.experiments import methods
from keras_mvlift.training import objectives
from tests.experiments import tiny_experiments


def off_by(data, monkeypatch, limit):
    """Measures a lifter whose poses are true but for 0.1 m at one of 17 joints."""
    monkeypatch.setattr(training_data, "NUM_WATCHED", limit)
    logs, seen = {"loss": np.float32(2.5)}, []

    def lifter(view, training):
        assert not training
        seen.append(len(view.confidence))
        pose = callback.pose_true.numpy()
        pose[:, 3, 0] += 0.1
        return objectives.Lifted(pose, None)

    callback = methods.EpochCurve(lifter, data.test)
    callback.on_epoch_end(4, logs)
    return logs, seen


@pytest.mark.parametrize("limit", [7, 10**6])
def test_an_epoch_is_measured_on_no_more_views_than_wanted(monkeypatch, limit):
    data = tiny_experiments.data()
    logs, seen = off_by(data, monkeypatch, limit)
    assert logs == {"loss": 2.5, methods.ERROR: pytest.approx(100 / 17, rel=1e-4)}
    assert seen == [min(limit, len(data.test.frame))]
