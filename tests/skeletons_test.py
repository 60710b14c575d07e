import dataclasses
import itertools

import numpy as np
import pytest

from keras_mvlift import skeletons

SETS = pytest.mark.parametrize("skeleton", skeletons.SKELETONS.values(), ids=lambda s: s.name)
DETECTORS = pytest.mark.parametrize(
    "skeleton", [skeletons.BODY_25, skeletons.BODY_25B], ids=lambda s: s.name
)
TARGET = skeletons.H36M_17.joints


def named(skeleton):
    """Each joint at a point of its own, by name."""
    points = np.random.default_rng(0).normal(size=(skeleton.num_joints, 2))
    return points, dict(zip(skeleton.joints, points, strict=True))


def convert(skeleton):
    points, given = named(skeleton)
    made = skeletons.Converter(skeleton.joints).keypoints(points)
    return given, dict(zip(TARGET, made, strict=True))


@SETS
def test_joints_are_named_once_and_found_by_the_sets_name(skeleton):
    assert len(set(skeleton.joints)) == skeleton.num_joints
    assert skeletons.SKELETONS[skeleton.name] is skeleton


def test_h36m_17_is_human36ms_order():
    # Pelvis, right leg, left leg, spine to head, left arm, right arm.
    numbers = {"pelvis": 0, "right_ankle": 3, "left_hip": 4, "spine": 7, "thorax": 8, "nose": 9}
    numbers |= {"head": 10, "left_shoulder": 11, "left_wrist": 13, "right_wrist": 16}
    assert {joint: TARGET.index(joint) for joint in numbers} == numbers
    assert skeletons.H36M_17.num_joints == 17
    assert TARGET[skeletons.ROOT] == "pelvis"


def test_h36m_17_is_a_tree_below_the_pelvis():
    skeleton = skeletons.H36M_17
    assert [joint for joint, parent in enumerate(skeleton.parents) if parent < 0] == [0]
    assert all(parent < joint for joint, parent in enumerate(skeleton.parents))
    chains = [
        ("pelvis", "spine", "thorax", "nose", "head"),
        *(("pelvis", f"{s}_hip", f"{s}_knee", f"{s}_ankle") for s in ("left", "right")),
        *(("thorax", f"{s}_shoulder", f"{s}_elbow", f"{s}_wrist") for s in ("left", "right")),
    ]
    bones = [(TARGET[parent], TARGET[child]) for parent, child in skeleton.bones]
    assert sorted(bones) == sorted(bone for chain in chains for bone in itertools.pairwise(chain))


def test_left_and_right_are_mirror_images_by_name():
    skeleton = skeletons.H36M_17
    for left, right in zip(skeleton.left, skeleton.right, strict=True):
        assert TARGET[left].replace("left_", "right_") == TARGET[right] != TARGET[left]
    assert sum(joint.startswith("left_") for joint in TARGET) == len(skeleton.left)


@pytest.mark.parametrize(
    ("skeleton", "numbers"),
    [
        (skeletons.BODY_25, {"nose": 0, "neck": 1, "right_wrist": 4, "left_shoulder": 5}),
        (skeletons.BODY_25, {"pelvis": 8, "right_hip": 9, "left_ankle": 14, "right_ear": 17}),
        (skeletons.BODY_25, {"left_big_toe": 19, "right_heel": 24}),
        (skeletons.BODY_25B, {"nose": 0, "left_eye": 1, "left_shoulder": 5, "right_elbow": 8}),
        (skeletons.BODY_25B, {"left_hip": 11, "right_ankle": 16, "neck": 17, "head": 18}),
        (skeletons.BODY_25B, {"left_big_toe": 19, "right_heel": 24}),
    ],
)
def test_detectors_number_their_joints_so(skeleton, numbers):
    assert {joint: skeleton.joints.index(joint) for joint in numbers} == numbers
    assert skeleton.num_joints == 25


@DETECTORS
def test_joints_of_one_name_are_passed_on_and_the_thorax_is_the_neck(skeleton):
    given, made = convert(skeleton)
    for joint in set(TARGET) & set(given):
        np.testing.assert_allclose(made[joint], given[joint])
    np.testing.assert_allclose(made["thorax"], given["neck"])


def test_body_25_gives_a_spine_half_way_up_and_the_ears_middle_as_head():
    given, made = convert(skeletons.BODY_25)
    np.testing.assert_allclose(made["spine"], (given["pelvis"] + given["neck"]) / 2)
    np.testing.assert_allclose(made["head"], (given["left_ear"] + given["right_ear"]) / 2)


def test_body_25b_gives_the_hips_middle_as_pelvis():
    given, made = convert(skeletons.BODY_25B)
    pelvis = (given["left_hip"] + given["right_hip"]) / 2
    np.testing.assert_allclose(made["pelvis"], pelvis)
    np.testing.assert_allclose(made["spine"], (pelvis + given["neck"]) / 2)


def test_joints_without_a_neck_give_the_shoulders_middle_as_thorax():
    joints = tuple(joint for joint in skeletons.BODY_25B.joints if joint != "neck")
    given, made = convert(dataclasses.replace(skeletons.BODY_25B, joints=joints))
    thorax = (given["left_shoulder"] + given["right_shoulder"]) / 2
    pelvis = (given["left_hip"] + given["right_hip"]) / 2
    np.testing.assert_allclose(made["thorax"], thorax)
    np.testing.assert_allclose(made["spine"], (pelvis + thorax) / 2)


def test_h36m_17_itself_stays_as_it_is_in_any_order():
    points, given = named(skeletons.H36M_17)
    order = np.random.default_rng(1).permutation(17)
    joints = tuple(TARGET[joint] for joint in order)
    made = skeletons.Converter(joints).keypoints(points[order])
    np.testing.assert_array_equal(made, list(given.values()))


@DETECTORS
@pytest.mark.parametrize("batch", [(), (1,), (2, 3), (0,)])
def test_any_batch_shape_and_3d_as_2d(skeleton, batch):
    converter = skeletons.Converter(skeleton.joints)
    points = np.random.default_rng(0).normal(size=(*batch, 25, 3))
    made = converter.keypoints(points)
    assert made.shape == (*batch, 17, 3)
    assert converter.confidence(points[..., 0]).shape == (*batch, 17)
    np.testing.assert_allclose(made[..., :2], converter.keypoints(points[..., :2]))
    for index in np.ndindex(batch):
        np.testing.assert_allclose(made[index], converter.keypoints(points[index]))


def test_a_joint_is_as_sure_as_the_least_sure_of_its_parts():
    confidence = np.linspace(0.5, 0.9, 25)
    joints = skeletons.BODY_25B.joints
    confidence[[joints.index("left_hip"), joints.index("neck")]] = [0.1, 0.0]
    made = skeletons.Converter(joints).confidence(confidence)
    by_name = dict(zip(TARGET, made, strict=True))
    assert (by_name["pelvis"], by_name["spine"], by_name["thorax"]) == (0.1, 0.0, 0.0)
    assert by_name["right_hip"] == confidence[joints.index("right_hip")]


def test_joints_that_do_not_make_a_body_are_refused():
    joints = tuple(joint for joint in skeletons.BODY_25.joints if joint != "left_ear")
    with pytest.raises(ValueError, match=r"`joints` must allow to build 'head' of h36m_17.*nose"):
        skeletons.Converter(joints)


def test_points_of_another_number_of_joints_are_refused():
    converter = skeletons.Converter(skeletons.BODY_25.joints)
    with pytest.raises(ValueError, match=r"must have 25 joints. Received: \(4, 26, 2\)"):
        converter.keypoints(np.zeros((4, 26, 2)))
