import numpy as np
import pytest

from keras_mvlift.calibration import extrinsics
from keras_mvlift.geometry import cameras

NAMES = ("a", "b", "c")
RIG = cameras.Camera(
    np.tile(np.eye(3), (3, 1, 1)),
    np.tile(np.eye(3), (3, 1, 1)),
    np.array([[0.0, 0.0, 0.0], [3.0, 4.0, 0.0], [0.0, 0.0, 10.0]]),
)


def test_one_distance_golden():
    # a and b are 5 apart, and should be 2.5 m.
    factor = extrinsics.scale_from_distances(RIG, NAMES, {("b", "a"): 2.5})
    assert factor == pytest.approx(0.5)
    np.testing.assert_allclose(extrinsics.resized(RIG, factor).center[1], [1.5, 2.0, 0.0])


def test_several_distances_are_fitted_by_least_squares():
    # (5 * 5 + 10 * 20) / (5^2 + 10^2).
    known = {("a", "b"): 5.0, ("a", "c"): 20.0}
    assert extrinsics.scale_from_distances(RIG, NAMES, known) == pytest.approx(225 / 125)


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({}, "one distance or more"),
        ({("a", "d"): 1.0}, r"cameras a, b, c\. Received: a and d"),
        ({("a", "a"): 1.0}, r"Received: a and a"),
        ({("a", "b"): 0.0}, r"positive, meters\. Received: 0.0 of a and b"),
        ({("a", "b"): np.nan}, r"positive, meters\. Received: nan"),
    ],
)
def test_other_distances_are_refused(known, message):
    with pytest.raises(ValueError, match=message):
        extrinsics.scale_from_distances(RIG, NAMES, known)


def test_cameras_in_one_place_tell_no_scale():
    rig = RIG._replace(center=np.zeros((3, 3)))
    with pytest.raises(ValueError, match="cameras apart"):
        extrinsics.scale_from_distances(rig, NAMES, {("a", "b"): 1.0})
