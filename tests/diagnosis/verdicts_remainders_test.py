import numpy as np
import pytest

from keras_mvlift.datasets.rigs import pose2sim
from keras_mvlift.diagnosis import findings, verdicts
from keras_mvlift.diagnosis import footage as footages
from tests.diagnosis import planted


def tilted(clean, view, shift_px):
    """Turns a camera about its upright axis until its image moves by so many pixels."""
    angle = shift_px / clean.camera.intrinsics[view, 0, 0]
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = clean.camera.rotation.copy()
    rotation[view] = [[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]] @ rotation[view]
    return clean.replace_camera(rotation=rotation)


def test_a_camera_turned_a_little_is_a_warning_that_names_it():
    (finding,) = verdicts.reach(tilted(planted.footage(), 1, 15.0)).found
    assert (finding.name, finding.severity) == ("calibration_off", findings.WARNING)
    assert "camera_2" in finding.cameras
    assert "keras-mvlift calibrate --refine" in finding.remedy


def test_the_bias_of_a_healthy_rig_is_nothing():
    assert np.abs(verdicts.bias(planted.footage())).max() < 1.0


def test_the_demo_rig_is_off_in_its_first_and_third_camera():
    demo = list(pose2sim.Pose2SimSource(root=pose2sim.demo_root()))
    (finding,) = verdicts.reach(footages.of_sequences(demo)).found
    assert (finding.name, finding.severity) == ("calibration_off", findings.WARNING)
    assert finding.cameras == ("cam1", "cam3")
    assert 10 < finding.before < 25


def test_very_noisy_detections_are_a_warning():
    (finding,) = verdicts.reach(planted.footage(seed=1, noise_px=9.0)).found
    assert (finding.name, finding.severity) == ("detections_noisy", findings.WARNING)


def test_lost_frames_are_counted_and_told():
    clean = planted.footage()
    confidence = clean.confidence.copy()
    confidence[1, ::2] = 0.0
    confidence[1, 1::4, 5:] = 0.0
    lossy = clean.replace_images(clean.keypoints_2d, confidence)
    lossy = footages.dataclasses.replace(lossy, detector_confidence=confidence)
    nobody, too_few = verdicts.lost_frames(lossy)
    assert nobody[1] == pytest.approx(0.5, abs=0.01)
    assert too_few[1] == pytest.approx(0.25, abs=0.02)
    (finding,) = verdicts.reach(lossy).found
    assert (finding.name, finding.cameras) == ("frames_lost", ("camera_2",))


def test_an_unsure_detector_is_told():
    clean = planted.footage()
    confidence = clean.detector_confidence.copy()
    confidence[2] *= 0.45
    doubtful = footages.dataclasses.replace(clean, detector_confidence=confidence)
    (finding,) = verdicts.reach(doubtful).found
    assert (finding.name, finding.cameras) == ("detections_unsure", ("camera_3",))


def test_cameras_that_never_see_the_person_together_are_an_error():
    clean = planted.footage(num_views=2)
    confidence = clean.confidence.copy()
    confidence[0, ::2], confidence[1, 1::2] = 0.0, 0.0
    confidence[:, : clean.num_frames // 2] = 0.0
    apart = clean.replace_images(clean.keypoints_2d, confidence)
    names = {finding.name for finding in verdicts.reach(apart).found}
    assert names & {"nothing_shared", "time_shift"}
