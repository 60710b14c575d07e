import cv2
import hypothesis
import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.human36m import rig
from keras_mvlift.geometry import cameras, lenses
from tests import refusals
from tests.datasets.human36m import releases


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    return releases.write(tmp_path_factory.mktemp("release"), formats=("cdf",))["S1_Directions_1"]


strategies = hypothesis.strategies
INTRINSICS = rig.camera("S1").intrinsics


def grid(camera, margin=0.0):
    """Points all over an image, and beyond by a margin."""
    width, height = rig.IMAGE_SIZES[camera]
    x, y = np.linspace(-margin, width + margin, 41), np.linspace(-margin, height + margin, 41)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def distort(keypoints_2d, intrinsics, coefficients):
    return lenses.distort(keypoints_2d, intrinsics, *rig.opencv_lens(coefficients))


def undistort(keypoints_2d, intrinsics, coefficients):
    return lenses.undistort(keypoints_2d, intrinsics, *rig.opencv_lens(coefficients))


def as_the_field_projects(points_camera, camera):
    """A point at a time, with focal length, coefficients and order as VideoPose3D keeps them."""
    focal = INTRINSICS[camera][[0, 1], [0, 1]]
    k1, k2, p1, p2, k3 = rig.DISTORTION[camera]
    tangential = np.array([p2, p1])
    for point in points_camera:
        ray = point[:2] / point[2]
        r2 = np.sum(ray**2)
        radial = 1 + np.sum(np.array([k1, k2, k3]) * np.array([r2, r2**2, r2**3]))
        bent = ray * (radial + np.sum(tangential * ray)) + tangential * r2
        yield focal * bent + INTRINSICS[camera][:2, 2]


@pytest.mark.parametrize("subject", rig.SUBJECTS)
def test_all_cameras_look_at_a_person_in_the_middle_of_the_room(subject):
    camera = rig.camera(subject)
    hips = cameras.camera_from_world(np.tile([0.0, 0.0, 0.9], (4, 1, 1)), camera)
    assert (hips[..., 2] > 3.5).all()
    keypoints_2d = cameras.project(hips, camera.intrinsics)[:, 0]
    assert np.abs(keypoints_2d - 500).max() < 200


@pytest.mark.parametrize("subject", rig.SUBJECTS)
def test_the_world_has_z_up(subject):
    # A point above another is above it in every image, where y points down.
    camera = rig.camera(subject)
    points = np.tile([[0.0, 0.0, 0.0], [0.0, 0.0, 1.7]], (4, 1, 1))
    seen = cameras.project_from_world(points, camera)
    assert (seen[:, 1, 1] < seen[:, 0, 1] - 250).all()
    assert np.abs(seen[:, 1, 0] - seen[:, 0, 0]).max() < 60


def test_rotations_are_proper_and_centers_in_meters():
    for subject in rig.SUBJECTS:
        camera = rig.camera(subject)
        gram = camera.rotation @ camera.rotation.swapaxes(-1, -2)
        np.testing.assert_allclose(gram, np.broadcast_to(np.eye(3), (4, 3, 3)), atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(camera.rotation), 1, atol=1e-12)
        np.testing.assert_allclose(camera.center[:, 2], 1.55, atol=0.1)


def test_a_subject_without_extrinsics_is_refused_by_name():
    with pytest.raises(ValueError, match=r"`subject` must be one of S1, S5.*'S2'"):
        rig.camera("S2")


def test_poses_are_given_back_in_double_precision(take):
    checked = rig.check_pose("file", "field", take.pose_world.astype(np.float32), "m")
    assert checked.dtype == np.float64
    np.testing.assert_allclose(checked, take.pose_world, atol=1e-6)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda pose: pose / 1000, "be in mm, of people of human size.*a torso of 0.0"),
        (lambda pose: pose * 1000, "be in mm, of people of human size"),
        (lambda pose: pose + np.array([8, 0, 0]), "be in mm and the world frame, within 6.0 m"),
        (lambda pose: pose[:, :16], r"have shape \[any, 17, 3\]. Received: \(8, 16, 3\)"),
        (lambda pose: pose[:0], r"have shape \[any, 17, 3\]. Received: \(0, 17, 3\)"),
        (lambda pose: pose.astype(complex), "be an array of numbers. Received: ndarray complex"),
        (lambda pose: pose.tolist(), "be an array of numbers. Received: list"),
        (lambda pose: np.where(np.arange(8)[:, None, None] == 3, np.nan, pose), "frame 3"),
    ],
)
def test_poses_that_cannot_be_are_refused(take, spoil, message):
    at = ("file", "field")
    refusals.refused(message, rig.check_pose, "file", "field", spoil(take.pose_world), "mm", at=at)


def test_without_confidence_a_joint_is_sure_unless_it_is_at_zero(take):
    keypoints_2d = take.exact_2d[0].copy()
    keypoints_2d[2, 3] = 0.0
    keypoints_2d[4, 5] = [0.0, 7.0]
    seen = rig.check_detections("file", "field", keypoints_2d)
    assert np.argwhere(seen.confidence == 0).tolist() == [[2, 3]]
    assert seen.confidence.max() == 1.0
    np.testing.assert_array_equal(seen.keypoints_2d, keypoints_2d)


def test_joints_without_confidence_are_put_to_zero_and_those_at_zero_are_not_seen(take):
    confidence = np.full((8, 17), 0.5)
    confidence[1, 2] = 0.0
    keypoints_2d = take.exact_2d[0].copy()
    keypoints_2d[3, 4] = 0.0
    seen = rig.check_detections("file", "field", keypoints_2d, confidence)
    assert np.argwhere(seen.confidence == 0).tolist() == [[1, 2], [3, 4]]
    assert not seen.keypoints_2d[1, 2].any()


@pytest.mark.parametrize(("value", "expected"), [(1.2, 1.0), (-0.05, 0.0), (0.3, 0.3)])
def test_confidences_a_little_off_are_cut(take, value, expected):
    confidence = np.full((8, 17), 0.5)
    confidence[0, skeletons.ROOT] = value
    seen = rig.check_detections("file", "field", take.exact_2d[0], confidence)
    assert seen.confidence[0, skeletons.ROOT] == expected


@pytest.mark.parametrize("value", [1.21, -0.06, 95.0, np.nan])
def test_confidences_far_off_are_refused(take, value):
    confidence = np.full((8, 17), 0.5)
    confidence[0, 0] = value
    with pytest.raises(errors.RecordingError, match=r"lie in \[0, 1\]|be finite") as caught:
        rig.check_detections("file", "field", take.exact_2d[0], confidence)
    assert caught.value.field == "field confidence"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda keypoints: keypoints / 500 - 1, "be in pixels of images of 1002 x 1002"),
        (lambda keypoints: keypoints / 1000, "be in pixels.*half of the joints within 0"),
        (lambda keypoints: keypoints + np.array([2000, 0]), "be in pixels.*around"),
        (lambda keypoints: keypoints[..., :1], r"have shape \[any, 17, 2\]"),
        (lambda keypoints: np.where(keypoints > 500, np.nan, keypoints), "be finite"),
    ],
)
def test_keypoints_that_cannot_be_are_refused(take, spoil, message):
    refusals.refused(message, rig.check_detections, "file", "field", spoil(take.exact_2d[0]))


def test_confidences_of_another_length_are_refused(take):
    with pytest.raises(errors.RecordingError, match=r"as many frames as the keypoints, 8.*: 7"):
        rig.check_detections("file", "field", take.exact_2d[0], np.ones((7, 17)))


def test_a_take_in_which_nobody_is_seen_is_no_mistake():
    seen = rig.check_detections("file", "field", np.zeros((3, 17, 2)))
    assert not seen.confidence.any()


def test_exchanged_cameras_are_told_with_the_order_that_fits(take):
    camera, seen = rig.camera("S1"), np.ones(take.exact_2d.shape[:-1])
    rig.require_agreement("file", take.pose_world, take.exact_2d, seen, camera)
    # The motion capture of some takes is shifted.
    shifted = take.pose_world + np.array([0.0, 0.0, 0.2])
    rig.require_agreement("file", shifted, take.exact_2d, seen, camera)
    with pytest.raises(errors.RecordingError, match="in the order 2, 1, 3, 4"):
        rig.require_agreement("file", take.pose_world, take.exact_2d[[1, 0, 2, 3]], seen, camera)


def test_other_joints_are_told(take):
    camera, seen = rig.camera("S1"), np.ones(take.exact_2d.shape[:-1])
    turned = take.exact_2d[:, :, ::-1]
    with pytest.raises(errors.RecordingError, match=r"within 30 px.*other joints"):
        rig.require_agreement("file", take.pose_world, turned, seen, camera)


def test_distort_golden():
    # At the ray (1/2, 1), r² = 5/4, so the scale is 1 + 0.1 r² + 0.2 * 1 + 0.4 / 2 = 1.525, and
    # p2 r² = 0.5 and p1 r² = 0.25 are added; 10 pixels a unit around (100, 200).
    intrinsics = np.array([[10.0, 0, 100], [0, 10, 200], [0, 0, 1]])
    bent = distort(np.array([[105.0, 210.0]]), intrinsics, np.array([0.1, 0, 0.2, 0.4, 0]))
    np.testing.assert_allclose(bent, [[100 + 7.625 + 5.0, 200 + 15.25 + 2.5]])


@pytest.mark.parametrize("camera", range(4))
def test_distort_is_the_fields_projection(camera):
    rng = np.random.default_rng(camera)
    points = np.concatenate([rng.uniform(-1.5, 1.5, (50, 2)), rng.uniform(3, 6, (50, 1))], axis=1)
    homogeneous = points @ INTRINSICS[camera].T
    ideal = homogeneous[:, :2] / homogeneous[:, 2:]
    bent = distort(ideal, INTRINSICS[camera], rig.DISTORTION[camera])
    np.testing.assert_allclose(bent, [*as_the_field_projects(points, camera)], atol=1e-9)


@pytest.mark.parametrize("camera", range(4))
def test_the_form_differs_from_opencvs_by_less_than_a_pixel_but_by_more_than_rounding(camera):
    intrinsics, coefficients = INTRINSICS[camera], rig.DISTORTION[camera]
    ideal = grid(camera)
    rays = np.insert((ideal - intrinsics[:2, 2]) / intrinsics[[0, 1], [0, 1]], 2, 1.0, axis=1)
    theirs = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), intrinsics, coefficients)[0][:, 0]
    difference = np.abs(distort(ideal, intrinsics, coefficients) - theirs).max()
    assert 0.1 < difference < 1.0


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(
    camera=strategies.integers(0, 3),
    points=strategies.lists(
        strategies.tuples(*[strategies.floats(-500, 1500)] * 2), min_size=1, max_size=20
    ),
)
def test_undistort_inverts_distort_on_the_image_and_around_it(camera, points):
    keypoints_2d = np.array(points)
    lens = INTRINSICS[camera], rig.DISTORTION[camera]
    straight = undistort(keypoints_2d, *lens)
    np.testing.assert_allclose(distort(straight, *lens), keypoints_2d, atol=1e-4)


@pytest.mark.parametrize("camera", range(4))
def test_undistort_finds_the_ideal_point_to_a_tenth_of_a_thousandth_of_a_pixel(camera):
    lens = INTRINSICS[camera], rig.DISTORTION[camera]
    bent = distort(grid(camera, margin=100), *lens)
    np.testing.assert_allclose(undistort(bent, *lens), grid(camera, margin=100), atol=1e-4)


def test_points_without_an_inverse_are_no_numbers():
    lens = INTRINSICS[0], rig.DISTORTION[0]
    with np.errstate(all="raise"):
        straight = undistort(np.array([[1e6, 1e6], [500.0, 500.0]]), *lens)
    assert np.isnan(straight[0]).all()
    assert np.isfinite(straight[1]).all()
