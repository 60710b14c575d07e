import numpy as np
import pytest

from keras_mvlift.datasets.rigs import calibrations
from keras_mvlift.diagnosis import findings, residuals, verdicts
from keras_mvlift.studio import filming
from tests.diagnosis import planted


def found(footage):
    return [(finding.name, finding.cameras) for finding in verdicts.reach(footage).found]


@pytest.mark.parametrize("num_views", [2, 3, 4, 8])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_healthy_rig_has_no_finding_and_nothing_is_corrected(num_views, seed):
    footage = planted.footage(num_views, seed)
    verdict = verdicts.reach(footage)
    assert verdict.found == []
    assert verdict.corrected is footage


@pytest.mark.parametrize("noise_px", [0.5, 5.0])
def test_a_detector_better_or_worse_makes_no_finding(noise_px):
    assert found(planted.footage(seed=2, noise_px=noise_px)) == []


def test_blunders_and_missing_views_make_no_finding():
    rates = {"gross_error_rate": 0.08, "missing_rate": 0.1, "dropped_view_rate": 0.1}
    assert rates.keys() <= vars(filming.Detector()).keys()
    assert found(planted.footage(seed=3, **rates)) == []


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
    assert set(found(spoiled)) == {
        ("opengl_axes", ("camera_3",)),
        ("sides_swapped", ("camera_5",)),
    }


def test_a_finding_tells_the_figures_before_and_after():
    clean = planted.footage()
    verdict = verdicts.reach(planted.spoil(clean, "rotation_transposed", [1]))
    (finding,) = verdict.found
    assert finding.severity == findings.ERROR
    assert finding.before > 10 * finding.after > 0
    assert f"{finding.before:.1f} to {finding.after:.1f} px" in finding.sentence
    assert "camera_2" in finding.sentence
    np.testing.assert_allclose(verdict.corrected.camera.rotation, clean.camera.rotation)


def test_a_camera_turned_at_random_has_no_made_up_cause():
    clean = planted.footage()
    rotation = clean.camera.rotation.copy()
    angle = 0.35
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation[1] = rotation[1] @ np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    verdict = verdicts.reach(clean.replace_camera(rotation=rotation))
    (finding,) = verdict.found
    assert (finding.name, finding.cameras) == ("unexplained", ("camera_2",))


def test_a_cause_that_leaves_the_cameras_at_odds_is_not_named():
    clean = planted.footage()
    angle = np.radians(3)
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = clean.camera.rotation.copy()
    rotation[1] = [[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]] @ rotation[1]
    spoiled = planted.spoil(clean.replace_camera(rotation=rotation), "translation_for_center", [1])
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
    assert (finding.name, finding.severity) == ("up_is_wrong", findings.WARNING)
    assert finding.details == {"up": true}


def test_joints_that_were_not_found_but_have_a_score_are_told():
    clean = planted.footage()
    rng = np.random.default_rng(0)
    lost = rng.uniform(size=clean.confidence.shape) < 0.2
    away = rng.uniform(-250, 250, clean.keypoints_2d.shape)
    points = clean.keypoints_2d + away * lost[..., np.newaxis]
    names = [name for name, _ in found(clean.replace_images(points, clean.confidence))]
    assert "joints_scattered" in names
