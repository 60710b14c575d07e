"""The embedded recording, whose own calibration is off by some ten pixels."""

import numpy as np
import pytest

from keras_mvlift.calibration import extrinsics, observations, reports
from keras_mvlift.datasets.rigs import pose2sim

# A few detections are off by hundreds of pixels, whatever the calibration.
GROSS_PERCENT = 0.4


@pytest.fixture(scope="module")
def clip():
    return next(iter(pose2sim.Pose2SimSource(root=pose2sim.demo_root(), tells_apart=False)))


@pytest.fixture(scope="module")
def refined(clip):
    return extrinsics.refine([clip])


def test_refining_halves_the_error(clip, refined):
    report = refined.report.all
    assert report.before.median_px == pytest.approx(14.4, rel=0.02)
    assert report.after.median_px < 1.1 * 7.37
    seen = observations.gather([clip], observations.Choice())
    means = []
    for camera in (clip.camera, refined.camera):
        errors = observations.errors_px(camera, seen)
        errors = errors[np.isfinite(errors)]
        means.append(errors[errors < np.percentile(errors, 100 - GROSS_PERCENT)].mean())
    assert means[0] == pytest.approx(15.6, rel=0.02)
    assert means[1] < 1.1 * 8.95


def test_one_distance_finds_the_rig_that_refining_finds(clip, refined):
    center = refined.camera.center
    distance = {("cam1", "cam2"): float(np.linalg.norm(center[0] - center[1]))}
    found = extrinsics.estimate([clip], distance)
    assert found.report.all.after.median_px == pytest.approx(
        refined.report.all.after.median_px, rel=0.01
    )
    moved = reports.align(found.camera, refined.camera, reach=4.0, with_scale=False)
    centers, turns = reports.differences(moved, refined.camera)
    assert centers.max() < 0.01
    assert np.degrees(turns.max()) < 0.1
