import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.studio import filming, people

JOINT = {joint: index for index, joint in enumerate(skeletons.H36M_17.joints)}
# Camera axes (right, down, forward) of a camera that a person facing the world's x looks into.
CAMERA_FROM_WORLD = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])


def _seen(heading=0.0, distance=5.0, **degrees):
    angles = {name: np.radians([angle]) for name, angle in degrees.items()}
    body = people.draw_person(0, "S01").bone_lengths
    pose = people.pose_of_angles(angles, np.array([heading]), body)[0]
    return pose @ CAMERA_FROM_WORLD.T + [0.0, 0.0, distance]


def _hidden(points_camera, girth=1.0):
    return dict(zip(JOINT, filming.hidden_joints(points_camera, girth), strict=True))


SPREAD = {"left_shoulder_abduction": 30.0, "right_shoulder_abduction": 30.0}


def test_nothing_is_hidden_from_the_front_with_arms_and_legs_apart():
    hidden = filming.hidden_joints(_seen(**SPREAD, left_hip_abduction=10, right_hip_abduction=10))
    np.testing.assert_array_equal(hidden, 0.0)


def test_a_hand_in_front_of_the_belly_is_seen_and_behind_it_is_not():
    bent = {"left_elbow_flexion": 90.0, "left_shoulder_rotation": 60.0, "left_shoulder_flexion": 20}
    assert _hidden(_seen(**bent))["left_wrist"] == 0
    assert _hidden(_seen(heading=np.pi, **bent))["left_wrist"] > 0.9


def test_only_what_lies_behind_the_surface_is_hidden():
    # The trunk is 0.1 m thick on either side of the spine, and the edge 0.04 m soft.
    points = _seen(**SPREAD)
    for behind, expected in ((0.05, 0.0), (0.12, 0.5), (0.2, 1.0)):
        points[JOINT["left_wrist"]] = points[JOINT["spine"]] + [0.0, 0.0, behind]
        np.testing.assert_allclose(_hidden(points)["left_wrist"], expected, atol=0.25)


def test_the_far_side_is_hidden_in_profile_and_the_near_side_is_not():
    # Turned to the camera's right, the person shows the camera the right side.
    hidden = _hidden(_seen(heading=np.pi / 2, left_knee_flexion=5))
    assert hidden["left_shoulder"] > 0.9
    assert hidden["left_knee"] > 0.9
    assert hidden["left_elbow"] > 0.9
    for joint in ("right_shoulder", "right_knee", "right_elbow", "right_wrist", "right_ankle"):
        assert hidden[joint] == 0, joint


def test_a_forearm_does_not_hide_its_own_elbow():
    pointing = {"left_shoulder_abduction": 85.0, "left_elbow_flexion": 90.0}
    assert _hidden(_seen(**pointing))["left_elbow"] == 0
    # From behind, the upper arm's end hides the wrist.
    assert _hidden(_seen(heading=np.pi, **pointing))["left_wrist"] > 0.9


def test_a_thicker_body_hides_more():
    points = np.stack([_seen(heading=angle) for angle in np.linspace(0, 2 * np.pi, 60)])
    assert (
        filming.hidden_joints(points, 1.3).mean() > 1.03 * filming.hidden_joints(points, 0.8).mean()
    )


def test_any_leading_axes_give_the_same():
    points = np.stack([_seen(heading=angle) for angle in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)])
    together = filming.hidden_joints(points.reshape(2, 3, 17, 3))
    assert together.shape == (2, 3, 17)
    apart = np.stack([filming.hidden_joints(pose) for pose in points])
    np.testing.assert_allclose(together.reshape(6, 17), apart, atol=1e-6)


def test_hidden_is_a_finite_share_even_around_the_camera():
    points = np.stack([_seen(distance=distance) for distance in (-1.0, 0.0, 0.05, 0.5)])
    hidden = filming.hidden_joints(points)
    assert np.isfinite(hidden).all()
    assert hidden.min() >= 0
    assert hidden.max() <= 1
