import numpy as np

from keras_mvlift import skeletons
from keras_mvlift.datasets.human36m import protocol

# The names that the release's metadata give the joints that move; others are ends or duplicates.
RAW_NAMES = {
    **{0: "pelvis", 1: "right_hip", 2: "right_knee", 3: "right_ankle"},
    **{6: "left_hip", 7: "left_knee", 8: "left_ankle"},
    **{12: "spine", 13: "thorax", 14: "nose", 15: "head"},
    **{17: "left_shoulder", 18: "left_elbow", 19: "left_wrist"},
    **{25: "right_shoulder", 26: "right_elbow", 27: "right_wrist"},
}


def test_the_17_joints_are_h36m_17_in_its_order():
    assert tuple(RAW_NAMES[index] for index in protocol.FROM_RAW) == skeletons.H36M_17.joints


def test_joints_are_taken_by_their_place_among_the_32():
    raw = np.arange(2 * 32 * 3).reshape(2, 32, 3)
    points = protocol.joints_from_raw(raw)
    assert points.shape == (2, 17, 3)
    np.testing.assert_array_equal(points[1, 10], raw[1, 15])
    np.testing.assert_array_equal(points[1, 16], raw[1, 27])


def test_to_raw_is_undone_by_from_raw_and_fills_the_rest_with_neighbors():
    points = np.random.default_rng(0).normal(size=(4, 17, 2))
    raw = protocol.joints_to_raw(points)
    assert raw.shape == (4, 32, 2)
    np.testing.assert_array_equal(protocol.joints_from_raw(raw), points)
    toe, ankle, collar, thorax, hand, wrist = (raw[:, index] for index in (5, 3, 24, 13, 31, 27))
    np.testing.assert_array_equal(toe, ankle)
    np.testing.assert_array_equal(collar, thorax)
    np.testing.assert_array_equal(hand, wrist)


def test_hourglass_joints_go_where_their_names_say_and_the_nose_is_not_seen():
    # The permutation that the field's code states for the 16 joints without the nose.
    permutation = [6, 2, 1, 0, 3, 4, 5, 7, 8, 9, 13, 14, 15, 12, 11, 10]
    rng = np.random.default_rng(0)
    keypoints, confidence = rng.uniform(1, 2, (3, 16, 2)), rng.uniform(0.1, 1, (3, 16))
    points, seen = protocol.joints_from_hourglass(keypoints, confidence)
    nose = skeletons.H36M_17.joints.index("nose")
    np.testing.assert_array_equal(np.delete(points, nose, axis=1), keypoints[:, permutation])
    np.testing.assert_array_equal(np.delete(seen, nose, axis=1), confidence[:, permutation])
    assert not points[:, nose].any()
    assert not seen[:, nose].any()
    again = protocol.joints_to_hourglass(points, seen)
    np.testing.assert_array_equal(again[0], keypoints)
    np.testing.assert_array_equal(again[1], confidence)
