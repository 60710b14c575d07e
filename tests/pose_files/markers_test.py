import numpy as np

from keras_mvlift.pose_files import markers
from tests.pose_files import people


def test_one_person_has_joints_and_several_have_names_before_them():
    one = people.track("anna")
    other = people.track("person 2", seed=1, confidence=None)
    assert markers.of_clip(people.clip(one)).names == people.H36M.joints
    both = markers.of_clip(people.clip(one, other))
    assert len(both.names) == 34
    assert (both.names[0], both.names[18]) == ("anna:pelvis", "person 2:right_hip")
    np.testing.assert_array_equal(both.points[:, 18], other.pose[:, 1])
    np.testing.assert_array_equal(both.confidence[:, :17], one.confidence)
    assert np.isnan(both.confidence[:, 17:]).all()


def test_a_name_comes_apart_as_it_was_put_together():
    assert markers.split_name("person 2:right_hip") == ("person 2", "right_hip")
    assert markers.split_name("a:b:head") == ("a:b", "head")
    assert markers.split_name("head") == ("", "head")
