import numpy as np
import pytest

from keras_mvlift.datasets.rigs import calibrations, pose2sim
from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.diagnosis import residuals, verdicts
from keras_mvlift.geometry import cameras
from tests.diagnosis import planted


def found(footage):
    return [(finding.name, finding.cameras) for finding in verdicts.reach(footage).found]


RATES = {"gross_error_rate": 0.08, "missing_rate": 0.1, "dropped_view_rate": 0.1}


@pytest.mark.parametrize(
    "studio",
    [
        *({"num_views": n, "seed": seed} for n in (2, 3, 4, 8) for seed in (0, 1)),
        # A detector better or worse; blunders and missing views.
        *({"seed": 2, "noise_px": noise} for noise in (0.5, 5.0)),
        {"seed": 3, **RATES},
    ],
    ids=str,
)
def test_a_healthy_rig_has_no_finding_and_nothing_is_corrected(studio):
    footage = planted.footage(**studio)
    verdict = verdicts.reach(footage)
    assert verdict.found == []
    assert verdict.corrected is footage


def test_two_mistakes_on_top_of_each_other_are_both_named():
    clean = planted.footage(seed=1)
    spoiled = planted.spoil(clean, "rotation_transposed")
    spoiled = planted.spoil(spoiled, "millimeters_for_meters")
    names = planted.names_of(clean)
    wanted = {("rotation_transposed", names), ("millimeters_for_meters", names)}
    assert set(found(spoiled)) == wanted


def test_different_mistakes_in_two_cameras_are_both_named():
    clean = planted.footage(num_views=5, seed=1)
    spoiled = planted.spoil(clean, "opengl_axes", [2])
    spoiled = planted.spoil(spoiled, "sides_swapped", [4])
    wanted = {("opengl_axes", ("camera_3",)), ("sides_swapped", ("camera_5",))}
    assert set(found(spoiled)) == wanted


def test_a_finding_tells_the_figures_before_and_after():
    clean = planted.footage()
    verdict = verdicts.reach(planted.spoil(clean, "rotation_transposed", [1]))
    (finding,) = verdict.found
    assert finding.severity == footages.ERROR
    assert finding.before > 10 * finding.after > 0
    assert f"{finding.before:.1f} to {finding.after:.1f} px" in finding.sentence
    assert "camera_2" in finding.sentence
    np.testing.assert_allclose(verdict.corrected.camera.rotation, clean.camera.rotation)


@pytest.mark.parametrize("num_views", [2, 3])
@pytest.mark.parametrize("cause", ["opengl_axes", "rotation_transposed"])
def test_two_cameras_alone_do_not_tell_a_cause_for_certain(cause, num_views):
    spoiled = planted.spoil(planted.footage(num_views), cause, [1])
    (finding,) = verdicts.reach(spoiled).found
    assert finding.name == cause
    assert ("Of two cameras alone" in finding.sentence) == (num_views == 2)


def turned(clean, turn):
    """Turns the second camera."""
    rotation = clean.camera.rotation.copy()
    rotation[1] = turn(rotation[1])
    return clean.replace_camera(rotation=rotation)


def about(axis, angle):
    return cameras.from_rotation_vector(angle * np.eye(3)["xyz".index(axis)])


def test_a_camera_turned_at_random_has_no_made_up_cause():
    spoiled = turned(planted.footage(), lambda rotation: rotation @ about("z", 0.35))
    (finding,) = verdicts.reach(spoiled).found
    assert (finding.name, finding.cameras) == ("unexplained", ("camera_2",))


def test_a_cause_that_leaves_the_cameras_at_odds_is_not_named():
    clean = turned(planted.footage(), lambda rotation: about("x", np.radians(3)) @ rotation)
    spoiled = planted.spoil(clean, "translation_for_center", [1])
    assert [name for name, _ in found(spoiled)] == ["unexplained"]


def test_a_height_that_no_unit_explains_has_no_made_up_unit():
    clean = planted.footage()
    (finding,) = verdicts.reach(clean.replace_camera(center=2.0 * clean.camera.center)).found
    assert finding.name == "scale_implausible"
    assert finding.before > residuals.PLAUSIBLE_HEIGHT[1]
    assert finding.after is None


@pytest.mark.parametrize(("declared", "true"), [("z", "-y"), ("y", "z"), ("z", "-z")])
def test_an_up_that_people_contradict_is_told_with_the_right_axis(declared, true):
    clean = planted.footage()
    in_file = calibrations.turn_camera_back(clean.camera, true)
    read = calibrations.turn_camera(in_file, declared)
    footage = clean.replace_camera(rotation=read.rotation, center=read.center)
    (finding,) = verdicts.reach(footage, declared).found
    assert (finding.name, finding.severity) == ("up_is_wrong", footages.WARNING)
    assert finding.details == {"up": true}


def test_joints_that_were_not_found_but_have_a_score_are_told():
    clean = planted.footage()
    rng = np.random.default_rng(0)
    lost = rng.uniform(size=clean.confidence.shape) < 0.2
    away = rng.uniform(-250, 250, clean.keypoints_2d.shape)
    points = clean.keypoints_2d + away * lost[..., np.newaxis]
    names = [name for name, _ in found(clean.replace_images(points, clean.confidence))]
    assert "joints_scattered" in names


@pytest.mark.parametrize(("pixels", "severity"), [(15, footages.WARNING), (30, footages.ERROR)])
def test_a_camera_turned_a_little_is_named_by_what_it_is_off(pixels, severity):
    clean = planted.footage()
    # About its upright axis, until its image moves.
    angle = pixels / clean.camera.intrinsics[1, 0, 0]
    tilted = turned(clean, lambda rotation: about("y", angle) @ rotation)
    (finding,) = verdicts.reach(tilted).found
    assert (finding.name, finding.severity) == ("calibration_off", severity)
    assert "camera_2" in finding.cameras
    assert "keras-mvlift calibrate --refine" in finding.remedy


def test_the_bias_of_a_healthy_rig_is_nothing():
    assert np.abs(verdicts.bias(planted.footage())).max() < 1.0


def test_the_demo_rig_is_off_in_its_first_and_third_camera():
    demo = list(pose2sim.Pose2SimSource(root=pose2sim.demo_root()))
    (finding,) = verdicts.reach(footages.of_sequences(demo)).found
    assert (finding.name, finding.severity) == ("calibration_off", footages.WARNING)
    assert finding.cameras == ("cam1", "cam3")
    assert 10 < finding.before < 25


def test_very_noisy_detections_are_a_warning():
    (finding,) = verdicts.reach(planted.footage(seed=1, noise_px=9.0)).found
    assert (finding.name, finding.severity) == ("detections_noisy", footages.WARNING)


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
