import dataclasses
import itertools

import hypothesis
import numpy as np
import pytest

from keras_mvlift import skeletons

SETS = pytest.mark.parametrize("skeleton", skeletons.SKELETONS.values(), ids=lambda s: s.name)
DETECTED = [known for known in skeletons.SKELETONS.values() if known is not skeletons.H36M_17]
DETECTORS = pytest.mark.parametrize("skeleton", DETECTED, ids=lambda s: s.name)
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


@SETS
def test_left_and_right_are_mirror_images_by_name(skeleton):
    joints = skeleton.joints
    for left, right in zip(skeleton.left, skeleton.right, strict=True):
        assert joints[left].replace("left", "right") == joints[right] != joints[left]
    sides = [skeletons.side(joint) for joint in joints]
    assert [index for index, side in enumerate(sides) if side == "left"] == [*skeleton.left]
    assert {index for index, side in enumerate(sides) if side == "right"} == {*skeleton.right}
    assert {*sides} <= {"left", "right", "middle"}


@pytest.mark.parametrize(
    ("skeleton", "numbers"),
    [
        (skeletons.BODY_25, {"nose": 0, "neck": 1, "right_wrist": 4, "left_shoulder": 5}),
        (skeletons.BODY_25, {"pelvis": 8, "right_hip": 9, "left_ankle": 14, "right_ear": 17}),
        (skeletons.BODY_25, {"left_big_toe": 19, "right_heel": 24}),
        (skeletons.BODY_25B, {"nose": 0, "left_eye": 1, "left_shoulder": 5, "right_elbow": 8}),
        (skeletons.BODY_25B, {"left_hip": 11, "right_ankle": 16, "neck": 17, "head": 18}),
        (skeletons.BODY_25B, {"left_big_toe": 19, "right_heel": 24}),
        (skeletons.COCO_17, {"nose": 0, "right_ear": 4, "left_wrist": 9, "right_ankle": 16}),
        (skeletons.HALPE_26, {"left_shoulder": 5, "head": 17, "neck": 18, "pelvis": 19}),
        (skeletons.HALPE_26, {"left_big_toe": 20, "right_big_toe": 21, "right_heel": 25}),
        (skeletons.MEDIAPIPE_33, {"nose": 0, "left_eye": 2, "right_ear": 8, "mouth_left": 9}),
        (skeletons.MEDIAPIPE_33, {"left_shoulder": 11, "right_wrist": 16, "left_index": 19}),
        (skeletons.MEDIAPIPE_33, {"left_hip": 23, "right_ankle": 28, "right_foot_index": 32}),
    ],
)
def test_detectors_number_their_joints_so(skeleton, numbers):
    assert {joint: skeleton.joints.index(joint) for joint in numbers} == numbers
    # Each set's name ends in the number of its joints.
    assert str(skeleton.num_joints) == "".join(filter(str.isdigit, skeleton.name))


@DETECTORS
def test_joints_of_one_name_are_passed_on_and_the_thorax_is_the_neck(skeleton):
    given, made = convert(skeleton)
    for joint in set(TARGET) & set(given):
        np.testing.assert_allclose(made[joint], given[joint])
    shoulders = (given["left_shoulder"] + given["right_shoulder"]) / 2
    np.testing.assert_allclose(made["thorax"], given.get("neck", shoulders))
    ears = (given["left_ear"] + given["right_ear"]) / 2
    np.testing.assert_allclose(made["head"], given.get("head", ears))
    hips = (given["left_hip"] + given["right_hip"]) / 2
    np.testing.assert_allclose(made["pelvis"], given.get("pelvis", hips))
    np.testing.assert_allclose(made["spine"], (made["pelvis"] + made["thorax"]) / 2)


def test_joints_without_a_neck_give_the_shoulders_middle_as_thorax():
    joints = tuple(joint for joint in skeletons.BODY_25B.joints if joint != "neck")
    given, made = convert(dataclasses.replace(skeletons.BODY_25B, joints=joints))
    thorax = (given["left_shoulder"] + given["right_shoulder"]) / 2
    pelvis = (given["left_hip"] + given["right_hip"]) / 2
    np.testing.assert_allclose(made["thorax"], thorax)
    np.testing.assert_allclose(made["spine"], (pelvis + thorax) / 2)


def test_a_neck_is_made_of_the_thorax_or_else_of_the_shoulders():
    target = skeletons.Skeleton(name="neck_1", joints=("neck",))
    points, given = named(skeletons.H36M_17)
    (made,) = skeletons.Converter(TARGET, target).keypoints(points)
    np.testing.assert_array_equal(made, given["thorax"])
    points, given = named(skeletons.COCO_17)
    (made,) = skeletons.Converter(skeletons.COCO_17.joints, target).keypoints(points)
    np.testing.assert_allclose(made, (given["left_shoulder"] + given["right_shoulder"]) / 2)


def test_h36m_17_itself_stays_as_it_is_in_any_order():
    points, given = named(skeletons.H36M_17)
    order = np.random.default_rng(1).permutation(17)
    joints = tuple(TARGET[joint] for joint in order)
    made = skeletons.Converter(joints).keypoints(points[order])
    np.testing.assert_array_equal(made, list(given.values()))


@DETECTORS
@hypothesis.given(order=hypothesis.strategies.randoms(use_true_random=False))
def test_joints_in_any_order_give_the_same(skeleton, order):
    points, _ = named(skeleton)
    expected = skeletons.Converter(skeleton.joints).keypoints(points)
    shuffled = list(range(skeleton.num_joints))
    order.shuffle(shuffled)
    joints = tuple(skeleton.joints[index] for index in shuffled)
    made = skeletons.Converter(joints).keypoints(points[shuffled])
    np.testing.assert_allclose(made, expected, atol=1e-12)


@DETECTORS
@pytest.mark.parametrize("batch", [(), (1,), (2, 3), (0,)])
def test_any_batch_shape_and_3d_as_2d(skeleton, batch):
    converter = skeletons.Converter(skeleton.joints)
    points = np.random.default_rng(0).normal(size=(*batch, skeleton.num_joints, 3))
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


def test_joints_are_converted_by_the_names_of_their_sets():
    points, given = named(skeletons.HALPE_26)
    confidence = np.linspace(0.1, 0.9, 26)
    made, sure = skeletons.convert(points, confidence, "halpe_26", "coco_17")
    np.testing.assert_array_equal(made, [given[joint] for joint in skeletons.COCO_17.joints])
    np.testing.assert_array_equal(sure, confidence[:17])
    made, sure = skeletons.convert(points, confidence, "halpe_26")
    np.testing.assert_allclose(dict(zip(TARGET, made, strict=True))["thorax"], given["neck"])
    assert sure.shape == (17,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("coco", "h36m_17"), "`skeleton` must be one of h36m_17, coco_17.*Received: 'coco'"),
        (("body_25", "coco"), "`skeleton` must be one of .*Received: 'coco'"),
        (("coco_17", "h36m_17"), r"have the 17 joints of coco_17. Received: \(25, 2\) and \(25,\)"),
        (("body_25b", "mediapipe_33"), "must allow to build 'left_eye_inner' of mediapipe_33"),
    ],
)
def test_conversions_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        skeletons.convert(np.zeros((25, 2)), np.zeros(25), *arguments)


# How tall people are.


@pytest.mark.parametrize(
    ("written", "name"),
    [
        *[(name, "left_knee") for name in ("LKnee", "lknee", "LEFT_KNEE", "left knee", "knee_l")],
        *[(name, "right_big_toe") for name in ("RBigToe", "Right Big-Toe", "right_big_toe")],
        *[(name, "pelvis") for name in ("MidHip", "Hip", "PELVIS")],
        *[(name, name) for name in ("mouth_left", "face_0", "tail_base", "Nase", "лоб", "")],
    ],
)
def test_joints_are_known_however_they_are_written(written, name):
    assert skeletons.joint_name(written) == name


def test_no_joint_of_a_set_is_taken_for_another():
    for skeleton in skeletons.SKELETONS.values():
        assert tuple(map(skeletons.joint_name, skeleton.joints)) == skeleton.joints


def test_stature_is_legs_and_trunk_by_their_share_of_it():
    pose = np.zeros((2, 17, 3))
    at = dict(zip(skeletons.H36M_17.joints, np.moveaxis(pose, 1, 0), strict=True))
    at["spine"][:], at["thorax"][:] = [0, 0, -0.3], [0.3, 0, -0.3]
    for side, thigh, shank in (("left", 0.4, 0.5), ("right", 0.5, 0.6)):
        at[f"{side}_knee"][:], at[f"{side}_ankle"][:] = [0, thigh, 0], [0, thigh, shank]
    # Legs of 0.9 and 1.1 m, a trunk of 0.6 m.
    pose[1] *= 2
    turned = pose[:, :, [2, 0, 1]] + [1, 2, 3]
    found = skeletons.stature(turned, skeletons.H36M_17.joints)
    np.testing.assert_allclose(found, np.array([1.0 + 0.6, 3.2]) / 0.785)
    without = [joint for joint in skeletons.H36M_17.joints if joint != "spine"]
    some = pose[0, [skeletons.H36M_17.joints.index(joint) for joint in without]]
    np.testing.assert_allclose(skeletons.stature(some, without), (1.0 + 0.3 * 2**0.5) / 0.785)


def test_stature_needs_legs_and_trunk():
    with pytest.raises(ValueError, match=r"`joint_names` must hold legs and trunk\. Received: no "):
        skeletons.stature(np.zeros((2, 3)), ["pelvis", "thorax"])


@pytest.mark.parametrize("skeleton", skeletons.SKELETONS.values(), ids=lambda s: s.name)
def test_left_and_right_change_places_and_the_middle_stays(skeleton):
    order = skeletons.mirror_images(skeleton.joints)
    for left, right in zip(skeleton.left, skeleton.right, strict=True):
        assert (order[left], order[right]) == (right, left)
    sides = {*skeleton.left, *skeleton.right}
    assert all(order[joint] == joint for joint in range(skeleton.num_joints) if joint not in sides)


def test_a_joint_without_its_mirror_image_is_refused():
    with pytest.raises(ValueError, match="right_hip"):
        skeletons.mirror_images(("pelvis", "left_hip"))
