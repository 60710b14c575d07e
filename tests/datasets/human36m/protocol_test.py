import numpy as np
import pytest

from keras_mvlift import errors, skeletons
from keras_mvlift.datasets.human36m import protocol, rig

# The names that the release's metadata give the joints that move; others are ends or duplicates.
RAW_NAMES = {
    **{0: "pelvis", 1: "right_hip", 2: "right_knee", 3: "right_ankle"},
    **{6: "left_hip", 7: "left_knee", 8: "left_ankle"},
    **{12: "spine", 13: "thorax", 14: "nose", 15: "head"},
    **{17: "left_shoulder", 18: "left_elbow", 19: "left_wrist"},
    **{25: "right_shoulder", 26: "right_elbow", 27: "right_wrist"},
}


def test_the_fields_protocols_train_on_five_people_and_test_on_two():
    assert protocol.TRAIN_SUBJECTS == ("S1", "S5", "S6", "S7", "S8")
    assert protocol.TEST_SUBJECTS == ("S9", "S11")
    assert sorted(protocol.TRAIN_SUBJECTS + protocol.TEST_SUBJECTS) == sorted(rig.SUBJECTS)


def test_takes_are_named_in_one_spelling():
    assert protocol.take("S1 TakingPhoto 1") == "S1 Photo 1"
    assert protocol.take("S11 Directions") == protocol.DROPPED_TAKES[0]
    assert [protocol.take(name) for name in protocol.SHIFTED_TAKES] == [*protocol.SHIFTED_TAKES]


def test_a_take_of_no_action_is_refused():
    with pytest.raises(ValueError, match=r"Take 'S11': `action` must be one of Directions"):
        protocol.take("S11")


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


@pytest.mark.parametrize(
    ("name", "action", "label"),
    [
        ("Directions", "Directions", "Directions"),
        ("Directions 1", "Directions", "Directions 1"),
        ("TakingPhoto", "Photo", "Photo"),
        ("TakingPhoto 1", "Photo", "Photo 1"),
        ("WalkingDog 1", "WalkDog", "WalkDog 1"),
        ("WalkingTogether", "WalkTogether", "WalkTogether"),
        ("Phoning 3", "Phoning", "Phoning 3"),
        ("SittingDown 2", "SittingDown", "SittingDown 2"),
    ],
)
def test_names_are_made_one(name, action, label):
    take = protocol.parse_take(name, "file")
    assert (take.action, take.label, protocol.action_label(name)) == (action, label, label)


def test_all_15_actions_are_their_own_names():
    assert len(protocol.ACTIONS) == 15
    assert [protocol.parse_take(action, "").action for action in protocol.ACTIONS] == [
        *protocol.ACTIONS
    ]


@pytest.mark.parametrize("name", ["Juggling 1", "directions", "Directions1", "", "Directions x"])
def test_an_unknown_action_is_refused_by_name(name):
    with pytest.raises(errors.RecordingError, match="with or without a number") as caught:
        protocol.parse_take(name, "S1/x.cdf")
    assert (caught.value.path, caught.value.field) == ("S1/x.cdf", "action")
    assert caught.value.received == repr(name)


def test_clips_are_named_after_subject_and_take_fit_for_a_file_name():
    assert protocol.clip_name("S1", "TakingPhoto 1") == "S1_Photo_1"
    assert protocol.clip_name("S11", "Directions") == "S11_Directions"
    assert protocol.clip_name("S1", "../Rock & Roll") == "S1_Rock_Roll"


def test_takes_are_sorted_by_action_and_number():
    names = ["Phoning 10", "TakingPhoto", "Phoning 2", "Phoning", "Eating 1", "Rock & Roll"]
    expected = ["Eating 1", "Phoning", "Phoning 2", "Phoning 10", "TakingPhoto", "Rock & Roll"]
    assert sorted(names, key=protocol.take_order) == expected
