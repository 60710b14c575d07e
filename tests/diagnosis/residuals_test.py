import dataclasses

import numpy as np
import pytest

from keras_mvlift import skeletons
from keras_mvlift.diagnosis import footage as footages
from keras_mvlift.diagnosis import mistakes, residuals, verdicts
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
    np.testing.assert_allclose(residuals.residuals_of_views(near, far), [0.18])


def test_exact_detections_have_no_residual():
    matrix = residuals.residual_matrix(planted.footage(**EXACT))
    off_diagonal = ~np.eye(4, dtype=bool)
    assert matrix[off_diagonal].max() < 1e-9
    assert np.isnan(matrix[~off_diagonal]).all()


def test_residuals_are_shares_of_the_person_whatever_the_resolution():
    clean = planted.footage()
    large = clean.replace_images(2 * clean.keypoints_2d, clean.confidence)
    large = large.replace_camera(intrinsics=np.diag([2.0, 2.0, 1.0]) @ clean.camera.intrinsics)
    expected = residuals.residual_matrix(clean)
    np.testing.assert_allclose(residuals.residual_matrix(large), expected, rtol=1e-9)
    # Three pixels of 400 tall persons, in two views.
    assert 0.005 < np.nanmax(expected) < 0.015


def test_two_cameras_in_one_place_agree_on_nothing():
    clean = planted.footage()
    center = clean.camera.center.copy()
    center[1] = center[0]
    matrix = residuals.residual_matrix(clean.replace_camera(center=center))
    assert matrix[0, 1] == residuals.CAP


def test_cameras_that_saw_nothing_together_have_no_residual():
    clean = planted.footage(num_views=2)
    confidence = clean.confidence.copy()
    confidence[0] = 0.0
    blind = clean.replace_images(clean.keypoints_2d, confidence)
    assert np.isnan(residuals.residual_matrix(blind)).all()
    assert np.isnan(residuals.mean_residual(blind))


J = {name: index for index, name in enumerate(skeletons.H36M_17.joints)}


def poses(num_views=4, seed=0):
    return np.concatenate([clip.pose_world for clip in planted.sequences(num_views, seed)])


def test_bone_lengths_golden():
    points = np.zeros((3, 17, 3))
    points[:, J["right_hip"], 0] = [0.1, 0.12, 5.0]
    points[:, J["left_wrist"]] = np.nan
    lengths = residuals.bone_lengths(points)
    assert lengths["right_hip"] == pytest.approx(0.12)
    assert "left_wrist" not in lengths


@pytest.mark.parametrize("seed", range(4))
def test_the_height_is_that_of_the_standing_person(seed):
    points = poses(seed=seed)
    upright = points[..., 2].max() - points[..., 2].min()
    height = residuals.body_height(residuals.bone_lengths(points))
    assert height == pytest.approx(1.75, abs=0.25)
    assert height < upright + 0.35


def test_without_legs_there_is_no_height():
    assert np.isnan(residuals.body_height({"spine": 0.2, "thorax": 0.2, "nose": 0.1, "head": 0.1}))


@pytest.mark.parametrize("seed", range(4))
def test_people_face_ahead_and_backwards_with_sides_swapped(seed):
    points = poses(seed=seed)
    order = np.arange(17)
    skeleton = skeletons.H36M_17
    order[list(skeleton.left + skeleton.right)] = skeleton.right + skeleton.left
    facing = residuals.facing(points)
    assert facing > residuals.MIN_FACING
    assert residuals.facing(points[:, order]) == pytest.approx(-facing)


def test_a_person_in_front_of_the_cameras_is_plausible():
    clean = planted.footage()
    backwards = np.diag([-1.0, 1.0, -1.0]) @ clean.camera.rotation
    turned = clean.replace_camera(rotation=backwards)
    look, behind = (residuals.person(residuals.reproject(part)) for part in (clean, turned))
    assert look.in_front > 0.99
    assert 1.5 < look.height < 2.0
    assert (look.is_in_front, behind.is_in_front) == (True, False)
    assert behind.score <= look.score - 4


def test_sides_swapped_in_all_of_two_cameras_are_found():
    clean = planted.footage(num_views=2)
    (finding,) = verdicts.reach(mistakes.swap_sides(clean)).found
    assert (finding.name, finding.cameras) == ("sides_swapped", clean.camera_names)


def test_exact_detections_are_where_they_were_made():
    clean = planted.footage(**EXACT)
    truth = np.concatenate([clip.pose_world for clip in planted.sequences(**EXACT)])
    placed = residuals.reproject(clean)
    known = np.isfinite(placed.points)
    assert known.mean() > 0.9
    np.testing.assert_allclose(placed.points[known], truth[known], atol=1e-4)
    assert np.nanmax(placed.error) < 0.05
    assert np.nanmin(placed.depth) > 1


def test_what_a_camera_did_not_see_has_no_error():
    clean = planted.footage()
    placed = residuals.reproject(clean)
    assert np.isnan(placed.error[clean.confidence == 0]).all()
    is_known = np.isfinite(placed.points).all(axis=-1)
    assert np.isfinite(placed.error[(clean.confidence > 0) & is_known]).all()


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


@pytest.mark.parametrize(
    "offsets", [[0, 4], [0, 0, -2], [0, 0, 0, 7], [0, 4, 8, 12], [0, 0, 0, -45], [0] * 7 + [3]]
)
def test_planted_offsets_are_estimated(offsets):
    clean = planted.footage(len(offsets), seed=1)
    estimate = residuals.estimate_offsets(planted.late(clean, offsets))
    assert estimate.frames.tolist() == offsets
    np.testing.assert_allclose(estimate.refined, offsets, atol=0.2)
    at_best = estimate.curve[range(len(offsets)), residuals.MAX_SHIFT + estimate.frames]
    assert at_best.mean() < estimate.curve[:, residuals.MAX_SHIFT].mean()


def test_offsets_are_refined_to_parts_of_a_frame():
    # Every second frame, and of one camera those between: half a frame early.
    dense = planted.footage(3, seed=1, num_frames=300, noise_px=1.0)
    keypoints_2d, confidence = dense.keypoints_2d[:, ::2].copy(), dense.confidence[:, ::2].copy()
    keypoints_2d[2], confidence[2] = dense.keypoints_2d[2, 1::2], dense.confidence[2, 1::2]
    thinned = dataclasses.replace(
        dense,
        keypoints_2d=keypoints_2d,
        confidence=confidence,
        detector_confidence=confidence,
        run=dense.run[::2],
    )
    estimate = residuals.estimate_offsets(thinned)
    np.testing.assert_allclose(estimate.refined[2], -0.5, atol=0.15)


def test_the_largest_group_of_cameras_is_taken_to_be_right():
    estimate = residuals.estimate_offsets(planted.late(planted.footage(), [5, 0, 0, 0]))
    assert estimate.frames.tolist() == [5, 0, 0, 0]


def test_a_person_who_stands_still_tells_no_offset():
    found = verdicts.reach(planted.still(planted.footage())).found
    assert "time_shift" not in {finding.name for finding in found}


@pytest.mark.parametrize(
    ("offsets", "late"),
    [([0, 0, 0, 1], ["camera_4"]), ([0, -20, 0], ["camera_2"]), ([0, 3], ["camera_3"])],
)
def test_a_time_shift_is_found_by_name_with_frames_and_seconds(offsets, late):
    clean = planted.footage(len(offsets), seed=1)
    (finding,) = verdicts.reach(planted.late(clean, offsets)).found
    assert finding.name == "time_shift"
    seconds = max(map(abs, finding.details["offset_seconds"].values()))
    is_error = seconds >= verdicts.ERROR_SHIFT_SECONDS
    assert finding.severity == (footages.ERROR if is_error else footages.WARNING)
    assert list(finding.cameras) == late
    (frames,) = (offset for offset in offsets if offset)
    assert finding.details == {
        "offset_frames": {late[0]: frames},
        "offset_seconds": {late[0]: frames / clean.frame_rate},
    }
    told = f"{late[0]} is {'late' if frames > 0 else 'early'} by {abs(frames)} frame"
    assert told in finding.sentence
