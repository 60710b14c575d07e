import numpy as np

from keras_mvlift.studio import people

LENGTHS = people.draw_person(0, "S01").bone_lengths


def _pose(posture):
    angles = {name: np.radians(np.atleast_1d(angle)) for name, angle in posture.items()}
    return people.pose_of_angles(angles, np.zeros(1), LENGTHS)[0]


def _legs():
    return people.leg("left", 20.0, 30.0) | people.leg("right", -5.0, 10.0)


def test_a_leaning_body_leaves_its_legs_where_they_were():
    upright, leaning = _pose(_legs()), _pose(people.lean(_legs(), 40.0))
    np.testing.assert_allclose(leaning[1:7], upright[1:7], atol=1e-9)
    assert leaning[8, 0] > upright[8, 0] + 0.2


def test_the_shoulder_rises_only_with_a_raised_arm():
    low = people.arm("left", 10.0, 50.0, elbow=20.0)
    high = people.arm("left", 10.0, 140.0, elbow=20.0)
    assert low["left_clavicle_elevation"] == 0
    # A quarter of what is above 60 degrees.
    assert high["left_clavicle_elevation"] == 20


def test_postures_name_degrees_of_freedom():
    clock = people.Clock(10, 25.0, np.random.default_rng(0))
    posture = people.hanging_arm(clock, "right") | people.upright_legs(clock)
    assert set(posture) <= set(people.DEGREES_OF_FREEDOM)


def test_hanging_arms_and_upright_legs_end_below_the_hips():
    clock = people.Clock(1, 25.0, np.random.default_rng(0))
    posture = people.upright_legs(clock)
    posture |= people.hanging_arm(clock, "left") | people.hanging_arm(clock, "right")
    pose = _pose(posture)
    assert (pose[[3, 6], 2] < -0.6).all()
    assert (pose[[13, 16], 2] < 0.2).all()
