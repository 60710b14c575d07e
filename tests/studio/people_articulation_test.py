import numpy as np
import pytest

from keras_mvlift import skeletons
from keras_mvlift.studio import people

PERSON = people.draw_person(0, "S01")
JOINTS = skeletons.H36M_17.joints
NOWHERE = np.zeros(1)


def _pose(heading=0.0, **degrees):
    angles = {name: np.radians([angle]) for name, angle in degrees.items()}
    points = people.pose_of_angles(angles, np.array([heading]), PERSON.bone_lengths)[0]
    return dict(zip(JOINTS, points, strict=True))


def _bone_lengths(points):
    return np.stack(
        [
            np.linalg.norm(points[:, child] - points[:, parent], axis=-1)
            for parent, child in skeletons.H36M_17.bones
        ],
        axis=-1,
    )


def _random_angles(rng, num_frames, reach):
    return {
        name: np.radians(rng.uniform(reach * degree.low, reach * degree.high, num_frames))
        for name, degree in people.DEGREES_OF_FREEDOM.items()
    }


def test_at_zero_angles_a_person_stands_upright_facing_x():
    pose = _pose()
    length = dict(zip(JOINTS, PERSON.bone_lengths, strict=True))
    leg = [0.0, length["left_hip"], -length["left_knee"] - length["left_ankle"]]
    np.testing.assert_allclose(pose["left_ankle"], leg, atol=1e-12)
    assert pose["nose"][0] > pose["thorax"][0] + 0.02
    assert pose["head"][2] > pose["nose"][2] > pose["thorax"][2] > pose["spine"][2] > 0
    assert pose["left_wrist"][2] < pose["left_elbow"][2] < pose["left_shoulder"][2]


@pytest.mark.parametrize(
    ("degree", "joint", "axis", "sign"),
    [
        ("tilt", "thorax", 0, 1),
        ("lower_spine_flexion", "thorax", 0, 1),
        ("lower_spine_bend", "thorax", 1, 1),
        ("upper_spine_twist", "left_shoulder", 0, -1),
        ("neck_flexion", "head", 0, 1),
        ("left_shoulder_flexion", "left_elbow", 0, 1),
        ("left_shoulder_abduction", "left_elbow", 1, 1),
        ("right_shoulder_abduction", "right_elbow", 1, -1),
        ("left_elbow_flexion", "left_wrist", 0, 1),
        ("left_clavicle_elevation", "left_shoulder", 2, 1),
        ("right_clavicle_protraction", "right_shoulder", 0, 1),
        ("right_hip_flexion", "right_knee", 0, 1),
        ("right_hip_abduction", "right_knee", 1, -1),
        ("left_knee_flexion", "left_ankle", 0, -1),
    ],
)
def test_a_positive_angle_moves_as_its_name_says(degree, joint, axis, sign):
    moved = _pose(**{degree: 15.0})[joint] - _pose()[joint]
    assert sign * moved[axis] > 0.005


def test_inward_rotation_brings_a_bent_forearm_across_the_body():
    bent = {"left_elbow_flexion": 90.0, "right_elbow_flexion": 90.0}
    inwards = _pose(left_shoulder_rotation=45.0, right_shoulder_rotation=45.0, **bent)
    assert inwards["left_wrist"][1] < inwards["left_elbow"][1] - 0.1
    assert inwards["right_wrist"][1] > inwards["right_elbow"][1] + 0.1


def test_heading_turns_the_body_counter_clockwise():
    pose = _pose(heading=np.pi / 2)
    assert pose["left_hip"][0] < -0.05
    assert pose["nose"][1] > pose["thorax"][1]


def test_bones_keep_their_lengths_in_any_pose():
    angles = _random_angles(np.random.default_rng(0), 50, reach=1.0)
    points = people.pose_of_angles(angles, np.linspace(0, 6, 50), PERSON.bone_lengths)
    expected = np.broadcast_to(PERSON.bone_lengths[1:], (50, 16))
    np.testing.assert_allclose(_bone_lengths(points), expected, rtol=1e-9)


def test_no_pose_goes_beyond_the_limits():
    angles = _random_angles(np.random.default_rng(1), 400, reach=3.0)
    angles["left_elbow_flexion"] = np.radians(np.linspace(-300, 300, 400))
    held = people.limited(angles)
    for name, degree in people.DEGREES_OF_FREEDOM.items():
        assert np.degrees(held[name]).min() >= degree.low - 1e-9
        assert np.degrees(held[name]).max() <= degree.high + 1e-9
    heading = np.zeros(400)
    np.testing.assert_array_equal(
        people.pose_of_angles(angles, heading, PERSON.bone_lengths),
        people.pose_of_angles(held, heading, PERSON.bone_lengths),
    )


def test_elbow_and_knee_bend_one_way_only():
    straight = _pose()
    for backwards in ("left_elbow_flexion", "right_knee_flexion"):
        pose = _pose(**{backwards: -60.0})
        for joint in JOINTS:
            np.testing.assert_allclose(pose[joint], straight[joint], atol=1e-12)


def test_the_same_angles_on_both_sides_give_a_symmetric_pose():
    rng = np.random.default_rng(2)
    angles = _random_angles(rng, 1, reach=1.0)
    middle = [name for name in angles if name.endswith(("bend", "twist", "roll"))]
    for name in middle:
        del angles[name]
    for name in [name for name in angles if name.startswith("left")]:
        angles[name.replace("left", "right")] = angles[name]
    points = people.pose_of_angles(angles, NOWHERE, PERSON.bone_lengths)[0]
    left, right = list(skeletons.H36M_17.left), list(skeletons.H36M_17.right)
    np.testing.assert_allclose(points[left], points[right] * [1, -1, 1], atol=1e-12)


def test_an_unknown_degree_of_freedom_is_refused():
    with pytest.raises(ValueError, match=r"`angles` must be degrees of freedom.*left_tail"):
        _pose(left_tail=3.0)


def test_reproportion_keeps_directions_and_takes_the_new_lengths():
    angles = _random_angles(np.random.default_rng(3), 20, reach=1.0)
    motion = people.pose_of_angles(angles, np.linspace(0, 6, 20), PERSON.bone_lengths) + 1.0
    other = people.draw_person(0, "S02").bone_lengths
    given = people.reproportion(motion.astype(np.float32), other)
    np.testing.assert_allclose(_bone_lengths(given), np.tile(other[1:], (20, 1)), rtol=1e-6)
    for parent, child in skeletons.H36M_17.bones:
        before, after = motion[:, child] - motion[:, parent], given[:, child] - given[:, parent]
        cosine = (before * after).sum(-1)
        cosine /= np.linalg.norm(before, axis=-1) * np.linalg.norm(after, axis=-1)
        np.testing.assert_allclose(cosine, 1.0, atol=1e-6)


def test_reproportion_raises_the_pelvis_with_longer_legs():
    standing = people.pose_of_angles({}, NOWHERE, PERSON.bone_lengths)
    standing -= standing[:, [JOINTS.index("left_ankle")]] * [0, 0, 1]
    taller = people.reproportion(standing, 1.2 * PERSON.bone_lengths)
    np.testing.assert_allclose(taller, 1.2 * standing, atol=1e-9)
