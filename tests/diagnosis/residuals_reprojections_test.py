import numpy as np

from keras_mvlift.diagnosis import residuals
from tests.diagnosis import planted

EXACT = {"noise_px": 0.0, "gross_error_rate": 0.0}


def test_exact_detections_are_where_they_were_made():
    clean = planted.footage(**EXACT)
    truth = np.concatenate([clip.pose_world for clip in planted.sequences(**EXACT)])
    placed = residuals.reproject(clean)
    np.testing.assert_allclose(placed.points[placed.is_seen], truth[placed.is_seen], atol=1e-4)
    assert np.nanmax(placed.error) < 0.05
    assert np.nanmin(placed.depth) > 1


def test_what_a_camera_did_not_see_has_no_error():
    clean = planted.footage()
    placed = residuals.reproject(clean)
    assert np.isnan(placed.error[clean.confidence == 0]).all()
    assert np.isfinite(placed.error[(clean.confidence > 0) & placed.is_seen]).all()


def test_a_camera_that_is_off_is_most_off_from_where_the_others_put_the_person():
    clean = planted.footage(**EXACT)
    moved = clean.keypoints_2d.copy()
    moved[2, ..., 0] += 20.0
    spoiled = clean.replace_images(moved, clean.confidence)
    left_out = np.nanmedian(residuals.leaving_one_out(spoiled), axis=(1, 2))
    error = np.nanmedian(residuals.reproject(spoiled).error, axis=(1, 2))
    assert left_out.argmax() == 2
    np.testing.assert_allclose(left_out[2], 20.0, atol=0.1)
    assert error[2] < 20.0


def test_of_two_cameras_none_can_be_left_out():
    assert np.isnan(residuals.leaving_one_out(planted.footage(num_views=2))).all()
