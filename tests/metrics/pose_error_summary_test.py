import numpy as np
import pytest

from keras_mvlift.metrics import pose_error


def random_poses(num_poses):
    random = np.random.default_rng(0)
    pose_true = random.normal(scale=0.3, size=(num_poses, 17, 3)).astype(np.float32)
    return pose_true, pose_true + random.normal(scale=0.1, size=pose_true.shape)


def test_summary_holds_the_papers_numbers_in_the_papers_units():
    poses = random_poses(20)
    expected = {
        "mpjpe_mm": 1000 * np.mean(pose_error.mpjpe(*poses)),
        "n_mpjpe_mm": 1000 * np.mean(pose_error.n_mpjpe(*poses)),
        "p_mpjpe_mm": 1000 * np.mean(pose_error.p_mpjpe(*poses)),
        "pck_150": 100 * np.mean(pose_error.pck(*poses)),
        "auc": 100 * np.mean(pose_error.pck_auc(*poses)),
    }
    result = pose_error.summary(*poses)
    assert list(result) == list(expected)
    assert all(type(value) is float for value in result.values())
    np.testing.assert_allclose(list(result.values()), list(expected.values()), rtol=1e-5)


def test_summary_golden():
    # Two joints, one off by 30 mm along the other's direction: MPJPE 15. The scale and the
    # similarity, having but one length to match, make it right. Root and joint are found
    # nearer than 150 mm; of 31 thresholds lie 30 above 0 mm and 24 above 30 mm (35, ..., 150).
    pose_true = np.array([[[0, 0, 0], [0, 0.5, 0]]])
    pose_pred = np.array([[[0, 0, 0], [0, 0.53, 0]]])
    expected = [15, 0, 0, 100, 100 * 27 / 31]
    result = list(pose_error.summary(pose_true, pose_pred).values())
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_batches_do_not_show_in_the_result(monkeypatch):
    poses = random_poses(20)
    whole = pose_error.summary(*poses)
    monkeypatch.setattr(pose_error, "_BATCH_SIZE", 7)
    assert pose_error.summary(*poses) == pytest.approx(whole)


def test_per_pose_has_a_number_for_each_pose():
    values = pose_error.per_pose(*random_poses(3))
    assert tuple(values) == pose_error.FIGURE_NAMES
    assert {value.shape.as_list()[0] for value in values.values()} == {3}


@pytest.mark.parametrize(("num_true", "num_pred"), [(0, 0), (2, 3)])
def test_a_mean_over_nothing_or_over_strangers_is_refused(num_true, num_pred):
    with pytest.raises(ValueError, match="must hold equally many poses, and at least one"):
        pose_error.summary(np.zeros((num_true, 17, 3)), np.zeros((num_pred, 17, 3)))
