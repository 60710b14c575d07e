import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets.mpi_inf_3dhp import protocol

H36M = skeletons.H36M_17


def test_the_orders_are_those_that_the_field_uses():
    assert protocol.H36M_FROM_28 == [4, 23, 24, 25, 18, 19, 20, 3, 5, 6, 7, 9, 10, 11, 14, 15, 16]
    assert protocol.H36M_FROM_TEST == [14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4]
    assert protocol.TEST_FROM_28 == [7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6]


def test_left_stays_left_and_mirror_images_are_in_the_same_order():
    for own, order in (
        (protocol.ALL_28, protocol.H36M_FROM_28),
        (protocol.TEST_17, protocol.H36M_FROM_TEST),
    ):
        for left, right in zip(H36M.left, H36M.right, strict=True):
            assert own[order[left]].replace("left", "right") == own[order[right]]
            assert own[order[left]] == H36M.joints[left]


def test_both_sets_lead_to_the_same_joints():
    by_test = [protocol.TEST_FROM_28[joint] for joint in protocol.H36M_FROM_TEST]
    assert by_test == protocol.H36M_FROM_28


def test_the_archives_sides_are_those_of_p_stmo():
    left = [index for index, joint in enumerate(protocol.TEST_17) if joint.startswith("left")]
    right = [index for index, joint in enumerate(protocol.TEST_17) if joint.startswith("right")]
    assert (left, right) == ([5, 6, 7, 11, 12, 13], [2, 3, 4, 8, 9, 10])


def test_the_scored_joints_are_all_but_pelvis_spine_and_nose():
    names = [H36M.joints[joint] for joint in protocol.SCORED]
    assert sorted({*H36M.joints} - {*names}) == ["nose", "pelvis", "spine"]
    assert names[:3] == ["head", "thorax", "right_shoulder"]
    test_order = np.arange(17)[protocol.H36M_FROM_TEST]
    np.testing.assert_array_equal(test_order[list(protocol.SCORED)], np.arange(14))
