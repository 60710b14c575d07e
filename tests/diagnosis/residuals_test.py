import numpy as np
import pytest

from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.diagnosis import residuals as diagnosis_residuals
from keras_mvlift.geometry import cameras
from tests.diagnosis import planted

EXACT = {"noise_px": 0.0, "gross_error_rate": 0.0}


def test_each_image_is_measured_by_the_person_in_it():
    # Two cameras one meter apart along x, both looking along z: epipolar lines are the rows, so
    # that a point 0.03 below the other's is 0.03 off in both. The person is 0.5 tall in one image
    # and 0.1 in the other: the mean of 0.03 / 0.5 and 0.03 / 0.1.
    first = cameras.Camera(np.eye(3)[None], np.eye(3)[None], np.zeros((1, 3)))
    second = first._replace(center=np.array([[1.0, 0.0, 0.0]]))
    seen = np.ones((1, 1), bool)
    near = footages.Views(first, np.array([[[0.2, 0.1]]]), seen, np.array([0.5]))
    far = footages.Views(second, np.array([[[-0.7, 0.13]]]), seen, np.array([0.1]))
    np.testing.assert_allclose(diagnosis_residuals.residuals_of_views(near, far), [0.18])


def test_exact_detections_have_no_residual():
    residuals = diagnosis_residuals.residual_matrix(planted.footage(**EXACT))
    off_diagonal = ~np.eye(4, dtype=bool)
    assert residuals[off_diagonal].max() < 1e-9
    assert np.isnan(residuals[~off_diagonal]).all()


def test_residuals_are_shares_of_the_person_whatever_the_resolution():
    clean = planted.footage()
    large = clean.replace_images(2 * clean.keypoints_2d, clean.confidence)
    large = large.replace_camera(intrinsics=np.diag([2.0, 2.0, 1.0]) @ clean.camera.intrinsics)
    expected = diagnosis_residuals.residual_matrix(clean)
    np.testing.assert_allclose(diagnosis_residuals.residual_matrix(large), expected, rtol=1e-9)
    # Three pixels of 400 tall persons, in two views.
    assert 0.005 < np.nanmax(expected) < 0.015


def test_two_cameras_in_one_place_agree_on_nothing():
    clean = planted.footage()
    center = clean.camera.center.copy()
    center[1] = center[0]
    residuals = diagnosis_residuals.residual_matrix(clean.replace_camera(center=center))
    assert residuals[0, 1] == diagnosis_residuals.CAP


def test_cameras_that_saw_nothing_together_have_no_residual():
    clean = planted.footage(num_views=2)
    confidence = clean.confidence.copy()
    confidence[0] = 0.0
    blind = clean.replace_images(clean.keypoints_2d, confidence)
    assert np.isnan(diagnosis_residuals.residual_matrix(blind)).all()
    assert np.isnan(diagnosis_residuals.mean_residual(blind))


def test_the_median_is_of_what_the_mask_leaves():
    values = np.array([[5.0, 1.0, 3.0, 100.0], [1.0, 2.0, 3.0, 4.0]])
    mask = np.array([[True, True, True, False], [False] * 4])
    np.testing.assert_array_equal(diagnosis_residuals.masked_median(values, mask), [3.0, np.nan])


@pytest.mark.filterwarnings("error")
def test_the_mean_is_over_the_pairs_that_have_a_residual():
    residuals = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(diagnosis_residuals.mean_of_pairs(residuals), [2.0, np.nan])
