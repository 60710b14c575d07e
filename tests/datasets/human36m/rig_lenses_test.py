import cv2
import hypothesis
import numpy as np
import pytest

from keras_mvlift.datasets.human36m import rig
from keras_mvlift.geometry import lenses

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
