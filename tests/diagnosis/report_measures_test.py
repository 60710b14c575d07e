import numpy as np

from keras_mvlift.diagnosis import report
from tests.diagnosis import planted

EXACT = {"noise_px": 0.0, "gross_error_rate": 0.0, "missing_rate": 0.0, "dropped_view_rate": 0.0}


def test_what_is_measured_of_exact_footage_is_the_truth():
    clean = planted.footage(**EXACT)
    truth = np.concatenate([clip.pose_world for clip in planted.sequences(**EXACT)])[:, 0]
    measured = report.measure(clean)
    expected = np.linalg.norm(truth - clean.camera.center[:, np.newaxis], axis=-1)
    np.testing.assert_allclose(measured.distance, np.median(expected, axis=1), atol=0.01)
    assert np.nanmedian(np.linalg.norm(measured.path - truth, axis=-1)) < 1e-3
    assert measured.in_front == 1.0
    assert measured.nobody.tolist() == [0.0] * 4
    assert measured.is_offset_told.all()
    assert np.abs(measured.bias).max() < 0.01


def test_noise_shows_in_every_error():
    measured = report.measure(planted.footage())
    assert 1.5 < np.nanmedian(measured.error) < np.nanmedian(measured.left_out_error) < 10
    assert 1 < np.nanmedian(measured.pair_error) < 8


def test_who_stands_still_tells_no_time_offset():
    clean = planted.footage(**EXACT)
    still = clean.replace_images(
        np.broadcast_to(clean.keypoints_2d[:, :1], clean.keypoints_2d.shape) + 1.0,
        np.broadcast_to(clean.confidence[:, :1], clean.confidence.shape),
    )
    noise = np.random.default_rng(0).normal(0, 2.0, still.keypoints_2d.shape)
    still = still.replace_images(still.keypoints_2d + noise, still.confidence)
    assert not report.measure(still).is_offset_told.any()
