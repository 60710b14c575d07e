import numpy as np
import pytest

from keras_mvlift import skeletons
from keras_mvlift.studio import people, synthetic
from tests import bodies


def _lengths(num_people=200):
    return np.stack(
        [people.draw_person(0, f"S{index}").bone_lengths for index in range(num_people)]
    )


def test_a_subject_has_one_body_whoever_was_drawn_before():
    first = people.draw_person(3, "S01")
    people.draw_person(3, "S02")
    again = people.draw_person(3, "S01")
    np.testing.assert_array_equal(first.bone_lengths, again.bone_lengths)
    assert first.girth == again.girth


def test_limb_lengths_vary_between_people_by_about_five_percent():
    lengths = _lengths()[:, 1:]
    spread = lengths.std(axis=0) / lengths.mean(axis=0)
    assert (spread > 0.04).all()
    assert (spread < 0.075).all()


def test_mean_bones_are_those_of_an_adult():
    mean = dict(zip(skeletons.H36M_17.joints, _lengths().mean(axis=0), strict=True))
    # Human3.6M's subject S1: thigh 443 mm, shank 454 mm, upper arm 279 mm, forearm 252 mm.
    for joint, length in {"knee": 0.443, "ankle": 0.454, "elbow": 0.279, "wrist": 0.252}.items():
        np.testing.assert_allclose(mean[f"left_{joint}"], length, rtol=0.05)


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
    held = {
        name: np.clip(angles[name], np.radians(degree.low), np.radians(degree.high))
        for name, degree in people.DEGREES_OF_FREEDOM.items()
    }
    heading = np.zeros(400)
    np.testing.assert_array_equal(
        people.pose_of_angles(angles, heading, PERSON.bone_lengths),
        people.pose_of_angles(held, heading, PERSON.bone_lengths),
    )


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


def _clock(num_frames=3000, seed=0):
    return people.Clock(num_frames, 25.0, np.random.default_rng(seed))


def test_keyframes_stay_in_their_range_use_it_and_jump_nowhere():
    curve = _clock().keyframes(-10, 30, hold=1.0)
    assert curve.min() >= -10
    assert curve.max() <= 30
    assert np.ptp(curve) > 30
    # The cubic's steepest slope, 1.5, over 0.6 of a second, crosses 40 in 0.4 seconds.
    assert np.abs(np.diff(curve)).max() <= 40 * 1.5 / 0.6 / 25 + 1e-9


def test_keyframes_rest_between_moves():
    curve = _clock().keyframes(0, 1, hold=2.0)
    assert np.mean(np.abs(np.diff(curve)) < 1e-12) > 0.3


def test_drift_has_the_asked_size_and_no_direction():
    curves_drawn = np.stack([_clock(seed=seed).drift(3.0) for seed in range(30)])
    np.testing.assert_allclose(np.sqrt(np.mean(curves_drawn**2)), 3.0, rtol=0.15)
    assert abs(curves_drawn.mean()) < 0.3


POSE = synthetic.Studio(num_subjects=1, num_clips=1, num_frames=3).read("S01_walking_01").pose_world
SETS = pytest.mark.parametrize("skeleton", skeletons.SKELETONS.values(), ids=lambda s: s.name)


@SETS
def test_joints_that_the_body_has_are_where_they_are(skeleton):
    joints = bodies.joints(POSE, skeleton)
    assert joints.shape == (3, skeleton.num_joints, 3)
    for index, joint in enumerate(skeleton.joints):
        if joint in skeletons.H36M_17.joints:
            own = skeletons.H36M_17.joints.index(joint)
            np.testing.assert_array_equal(joints[:, index], POSE[:, own])


@SETS
def test_every_joint_has_its_own_place_near_the_body(skeleton):
    joints = bodies.joints(POSE, skeleton)
    apart = np.linalg.norm(joints[:, :, np.newaxis] - joints[:, np.newaxis], axis=-1)
    rows, columns = np.triu_indices(skeleton.num_joints, 1)
    assert apart[:, rows, columns].min() > 0.005
    nearest = np.linalg.norm(joints[:, :, np.newaxis] - POSE[:, np.newaxis], axis=-1).min(axis=2)
    assert nearest.max() < 0.2


def test_left_is_left():
    joints = bodies.joints(POSE, skeletons.MEDIAPIPE_33)
    names = skeletons.MEDIAPIPE_33.joints
    across = joints[:, names.index("left_hip")] - joints[:, names.index("right_hip")]
    for joint in ("eye", "ear", "shoulder"):
        own = joints[:, names.index(f"left_{joint}")] - joints[:, names.index(f"right_{joint}")]
        assert ((own * across).sum(axis=-1) > 0).all()
